/*
 * users.c - the user resource: one shape for everybody, own row or staff to change it.
 */
#include "accounts.h"
#include "auth/identity.h"
#include "auth/identity_cache.h"
#include "auth/password.h"
#include "auth/password_rules.h"
#include "auth/token_store.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/uuid.h"

#define USERNAME_MOST      150
/* A name made from an address is cut shorter, so that "-2" still fits (SHAPES §1). */
#define USERNAME_MADE_MOST 140

/* Python's \w is any letter, digit or underscore of any script; beyond ASCII everything that is no
 * control or space character of Latin-1 is taken as one. */
static bool is_username_character(uint32_t c)
{
	if (c < 0x80)
		return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		       (c != 0 && strchr("_.@+-", (int) c) != NULL);
	return c >= 0xc0 && c != 0xd7 && c != 0xf7 && (c < 0x2000 || c > 0x206f);
}

static bool is_username(struct str name)
{
	while (name.len > 0) {
		if (!is_username_character(utf8_next(&name)))
			return false;
	}
	return true;
}

#define FULL_NAME "btrim(t.first_name || ' ' || t.last_name)"

const char *const user_summary[] = { "id", "username", "email", "name", NULL };

/* clang-format off */
static const struct field fields[] = {
	/*    name                        type       rules */
	FIELD("id",                       KEY),
	FIELD("email",                    EMAIL,     REQUIRED_ONCE, LENGTH(254), UNIQUE("users_email_key", "User with this email already exists.")),
	FIELD("username",                 TEXT,      LENGTH(USERNAME_MOST), UNIQUE("users_username_key", "A user with that username already exists."),
	                                             PATTERN(is_username, "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.")),
	FIELD("first_name",               TEXT,      BLANK, LENGTH(150)),
	FIELD("last_name",                TEXT,      BLANK, LENGTH(150)),
	FIELD("full_name",                TEXT,      COMPUTED(FULL_NAME), UNTYPED),
	FIELD("name",                     TEXT,      BLANK, LENGTH(150), SHOWN_AS(FULL_NAME), UNTYPED),
	FIELD("is_active",                BOOLEAN,   READ_ONLY, USUALLY("true")),
	FIELD("is_staff",                 BOOLEAN,   READ_ONLY, USUALLY("false")),
	FIELD("email_verified",           BOOLEAN,   READ_ONLY, USUALLY("false")),
	FIELD("date_joined",              TIME,      NOW_AT_CREATION),
	FIELD("created_at",               TIME,      COMPUTED("t.date_joined")),
	FIELD("updated_at",               TIME,      NOW_AT_SAVE),
	FIELD("password",                 TEXT,      REQUIRED_ONCE, WRITE_ONLY, FIXED, BOUND(PASSWORD_MOST / 4), RULES(password_rules_broken)),
	FIELD("password_confirm",         TEXT,      REQUIRED_ONCE, INPUT_ONLY, FIXED),
	FIELD("is_superuser",             BOOLEAN,   HIDDEN, USUALLY("false")),
	FIELD("email_verification_token", UUID,      HIDDEN),
};

static const struct filter filters[] = {
	FILTER("email",         TEXT,    ICONTAINS, "t.email"),
	FILTER("name",          TEXT,    ICONTAINS, "(t.first_name || ' ' || t.last_name)"),
	FILTER("created_after", TIME,    GTE,       "t.date_joined", LENIENT),
	FILTER("is_active",     BOOLEAN, EXACT,     "t.is_active"),
	FILTER("is_staff",      BOOLEAN, EXACT,     "t.is_staff"),
};
static const struct search searches[] = { { .sql = "t.email" }, { .sql = "t.first_name" }, { .sql = "t.last_name" } };
static const struct order orders[] = { { "date_joined", "t.date_joined" }, { "email", "t.email" } };

static const struct permission permissions[] = {
	ALLOW(ANYONE,         MAY_CREATE),
	ALLOW(STAFF,          MAY_ALL),
	ALLOW_OWNER("t.id",   MAY_READ | MAY_UPDATE | MAY_DELETE),
};
/* clang-format on */

/* Hashed here, while no transaction holds a connection. */
static int check_password(struct change *c)
{
	struct str password = values_get(&c->values, "password");
	struct str encoded;
	int r;

	if (!str_eq(password, values_get(&c->values, "password_confirm"))) {
		errors_add(&c->errors, NULL, "Password fields didn't match.");
		return 0;
	}
	r = password_hash(&c->rq->arena, password, &encoded);
	if (r == 0)
		values_set(&c->values, "password", encoded);
	return r;
}

static int check(struct change *c)
{
	return c->mode == VALIDATE_CREATE ? check_password(c) : 0;
}

/* `name` fills what was not given by itself: the part before the first space, and the rest. */
static void split_name(struct values *v)
{
	struct str last = values_get(v, "name"), first;

	if (!values_given(v, "name"))
		return;
	(void) str_cut(&last, ' ', &first);
	if (!values_given(v, "first_name"))
		values_set(v, "first_name", first);
	if (!values_given(v, "last_name"))
		values_set(v, "last_name", str_is_null(last) ? STR("") : str_trim(last));
}

/* The local part without characters that a username may not have. */
static struct str username_from_address(struct arena *arena, struct str email)
{
	_cleanup_(buf_fini) struct buf name = BUF_INIT;
	struct str local;
	size_t characters = 0;

	(void) str_cut(&email, '@', &local);
	while (local.len > 0 && characters < USERNAME_MADE_MOST) {
		uint32_t c = utf8_next(&local);

		if (c != '@' && is_username_character(c)) {
			utf8_add(&name, c);
			characters++;
		}
	}
	return name.len > 0 ? arena_str(arena, buf_str(&name)) : STR("user");
}

static const struct db_statement username_is_taken = {
	.sql = STR_INIT("SELECT 1 FROM users WHERE username = $1"),
};

/* name, name-2, name-3, … until one is free; who loses a race for it is asked again
 * (resource/save.c). */
static int free_username(struct change *c, struct str email, struct str *ret)
{
	struct arena *arena = &c->rq->arena;
	struct str base = username_from_address(arena, email), name = base;
	struct db_rows rows;
	int r;

	for (unsigned n = 2;; n++) {
		r = db_tx_query(c->tx, arena, &username_is_taken, DB_VALUES(name), &rows);
		if (r < 0)
			return r;
		if (rows.count == 0)
			break;
		name = arena_printf(arena, "%.*s-%u", STR_ARG(base), n);
	}
	*ret = name;
	return 0;
}

static void renew_token(struct change *c)
{
	char token[UUID_TEXT + 1];
	struct uuid id = uuid_v4();

	uuid_format(&id, token);
	values_set(&c->values, "email_verified", STR("false"));
	values_set(&c->values, "email_verification_token", arena_str(&c->rq->arena, str_c(token)));
}

/* True at creation too. */
static bool has_new_address(const struct change *c)
{
	return c->old == NULL ||
	       (values_given(&c->values, "email") &&
		!str_eq(values_get(&c->values, "email"), row_get(c->old, "email")));
}

static int saving(struct change *c)
{
	struct str name;
	int r;

	split_name(&c->values);
	if (has_new_address(c))
		renew_token(c);
	if (c->old == NULL && !values_given(&c->values, "username")) {
		r = free_username(c, values_get(&c->values, "email"), &name);
		if (r < 0)
			return r;
		values_set(&c->values, "username", name);
	}
	return 0;
}

static int saved(struct change *c)
{
	return has_new_address(c) ? account_mail_verification(c) : 0;
}

void user_deleted(struct request *rq, const struct row *user)
{
	(void) rq;
	(void) user;
	identity_cache_forget_everywhere();
}

const struct resource user_resource = {
	.name = "user",
	.model = "User",
	.path = "users/",
	.table = "users",
	.writes = "UserRegistration",
	.changes = "UserUpdate",
	.help = "A person with an address and a password.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.other = MAY_READ,
	.order = "t.date_joined DESC, t.id DESC",
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders) },
	.hooks = { .check = check, .saving = saving, .saved = saved },
};

int user_me(struct request *rq)
{
	const struct db_at at = { .db = rq->thread->db };
	struct row row;
	int r;

	r = resource_find(rq, at, &user_resource, rq->caller->id, &row);
	return r < 0 ? r : resource_reply(rq, 200, &user_resource, &row, VIEW_RETRIEVAL);
}

int user_update_profile(struct request *rq)
{
	struct row row;
	int r;

	r = resource_change(rq, &user_resource,
			    rq->method == HTTP_PATCH ? VALIDATE_CHANGE : VALIDATE_REPLACE,
			    rq->caller->id, &row);
	return r < 0 ? r : resource_reply(rq, 200, &user_resource, &row, VIEW_DETAIL);
}

/* --- following: repeating it is harmless --- */

static const struct db_statement add_following = {
	.sql = STR_INIT("INSERT INTO users_following (from_user_id, to_user_id) VALUES ($1, $2) "
			"ON CONFLICT DO NOTHING"),
};

static const struct db_statement remove_following = {
	.sql = STR_INIT("DELETE FROM users_following WHERE from_user_id = $1 AND to_user_id = $2"),
};

static int set_following(struct request *rq, const struct db_statement *statement,
			 const struct row *user)
{
	struct db_rows rows;
	int r;

	r = db_query(rq->thread->db, &rq->arena, statement,
		     DB_VALUES(rq->caller->id, row_get(user, "id")), &rows);
	if (r == -E_FOREIGN_KEY) /* deleted since it was found */
		return fail(-E_NOT_FOUND, "No User matches the given query.");
	return r;
}

int user_follow(struct request *rq)
{
	struct errors errors;
	struct row user;
	int r;

	r = resource_object(rq, NULL, &user_resource, 0, &user);
	if (r < 0)
		return r;
	if (str_eq(row_get(&user, "id"), rq->caller->id)) {
		errors_init(&errors, rq);
		errors_add(&errors, NULL, "You cannot follow yourself.");
		return reply_errors(rq, &errors);
	}
	r = set_following(rq, &add_following, &user);
	return r < 0 ? r : reply_json(rq, 200, STR("{\"status\":\"followed\"}"));
}

int user_unfollow(struct request *rq)
{
	struct row user;
	int r;

	r = resource_object(rq, NULL, &user_resource, 0, &user);
	if (r == 0)
		r = set_following(rq, &remove_following, &user);
	return r < 0 ? r : reply_json(rq, 200, STR("{\"status\":\"unfollowed\"}"));
}

/* --- deactivation --- */

static const struct db_statement deactivate = {
	.sql = STR_INIT("UPDATE users SET is_active = false, updated_at = now() WHERE id = $1"),
};

/* Access tokens end too: here at once, in other processes by the row's trigger. */
int user_deactivate(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct db_rows rows;
	struct row user;
	struct str id;
	int r;

	r = db_begin(rq->thread->db, &tx);
	if (r == 0)
		r = resource_object(rq, &tx, &user_resource, MAY_UPDATE, &user);
	if (r < 0)
		return r;
	id = row_get(&user, "id");
	r = db_tx_query(&tx, &rq->arena, &deactivate, DB_VALUES(id), &rows);
	if (r == 0)
		r = token_store_spend_all(&tx, &rq->arena, id);
	if (r == 0)
		r = db_commit(&tx);
	if (r < 0)
		return r;
	identity_cache_forget_everywhere();
	return reply_json(rq, 200, STR("{\"status\":\"user deactivated\"}"));
}
