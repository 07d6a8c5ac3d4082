/*
 * accounts.c - registration, login, verification of an address.
 */
#include "accounts.h"

#include "auth/password.h"
#include "auth/token.h"
#include "operations.h"
#include "proto/email_send.h"

static const struct db_statement find_by_email = {
	.sql = STR_INIT("SELECT id, password, is_active FROM users WHERE email = $1"),
	.lane = DB_SHARED,
};

static const struct db_statement note_login = {
	.sql = STR_INIT("UPDATE users SET last_login = now() WHERE id = $1"),
};

/* Repeating it is harmless, so an address that is verified already is found too. */
static const struct db_statement verify_address = {
	.sql = STR_INIT("UPDATE users SET email_verified = true, updated_at = now() "
			"WHERE email_verification_token = $1 AND is_active RETURNING id"),
};

static struct str greeting(struct arena *arena, const struct row *row)
{
	struct str name = str_trim(arena_printf(arena, "%.*s %.*s",
						STR_ARG(row_get(row, "first_name")),
						STR_ARG(row_get(row, "last_name"))));

	return name.len > 0 ? name : row_get(row, "username");
}

int account_mail_verification(struct change *c)
{
	_cleanup_(buf_fini) struct buf recipients = BUF_INIT;
	struct arena *arena = &c->rq->arena;
	struct json_writer w;

	json_writer_init(&w, &recipients, JSON_ESCAPE_DRF, false);
	json_begin_array(&w);
	json_put_str(&w, row_get(c->row, "email"));
	json_end_array(&w);
	const struct email_send_arguments arguments = {
		.subject = STR("Verify your email address"),
		.message = arena_printf(arena, "Hello %.*s,\n\nyour verification token is %.*s\n",
					STR_ARG(greeting(arena, c->row)),
					STR_ARG(row_get(c->row, "email_verification_token"))),
		.recipient_list = buf_str(&recipients),
	};
	return change_enqueue(c, &email_send_task, &arguments);
}

/* {"user": …, "tokens": {"refresh": …, "access": …}} */
static int reply_signed_in(struct request *rq, int status, const struct row *user)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	const struct db_at at = { .db = rq->thread->db };
	struct token_pair tokens;
	struct json_writer w;
	int r;

	r = token_issue(&rq->arena, row_get(user, "id"), &tokens);
	if (r < 0)
		return r;
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("user"));
	r = resource_render(rq, at, &user_resource, user, VIEW_DETAIL, &w);
	if (r < 0)
		return r;
	json_put_key(&w, STR("tokens"));
	json_begin_object(&w);
	json_put_key(&w, STR("refresh"));
	json_put_str(&w, tokens.refresh);
	json_put_key(&w, STR("access"));
	json_put_str(&w, tokens.access);
	json_end_object(&w);
	json_end_object(&w);
	return reply_json(rq, status, buf_str(&body));
}

static int note_last_login(struct request *rq, struct str id)
{
	struct db_rows rows;

	return db_query(rq->thread->db, &rq->arena, &note_login, DB_VALUES(id), &rows);
}

int auth_register(struct request *rq)
{
	struct row user;
	int r;

	r = resource_save(rq, &user_resource, VALIDATE_CREATE, &user);
	if (r < 0)
		return r;
	r = note_last_login(rq, row_get(&user, "id"));
	if (r < 0)
		return r;
	return reply_signed_in(rq, 201, &user);
}

/* clang-format off */
static const struct field login_fields[] = {
	FIELD("email",    EMAIL, REQUIRED, LENGTH(320)),
	FIELD("password", TEXT,  REQUIRED),
};
static const struct field verify_fields[] = {
	FIELD("token",    UUID,  REQUIRED),
};
/* clang-format on */
const struct form login_form = FORM("Login", login_fields);
const struct form verify_email_form = FORM("VerifyEmail", verify_fields);

/* 1 with the user's key, 0 when address, password or state do not fit; all three cost one hash. */
static int check_credentials(struct request *rq, struct str email, struct str password,
			     struct str *ret_id)
{
	struct str encoded = STR_NULL;
	struct db_rows rows;
	int r;

	r = db_query(rq->thread->db, &rq->arena, &find_by_email, DB_VALUES(email), &rows);
	if (r < 0)
		return r;
	if (rows.count == 1)
		encoded = db_get(&rows, 0, 1);
	r = password_verify(&rq->arena, password, encoded);
	if (r == -E_INVALID)
		return 0; /* longer than any password that could have been set */
	if (r <= 0)
		return r;
	if (!db_get_bool(&rows, 0, 2))
		return 0;
	*ret_id = db_get(&rows, 0, 0);
	return 1;
}

int auth_login(struct request *rq)
{
	struct errors errors;
	struct values values;
	struct str id;
	struct row user;
	int r;

	errors_init(&errors, rq);
	r = validate_body(rq, login_fields, ARRAY_SIZE(login_fields), VALIDATE_CREATE, BODY_ANY,
			  &errors, &values);
	if (r < 0)
		return r;
	if (errors_any(&errors))
		return reply_errors(rq, &errors);
	r = check_credentials(rq, values_get(&values, "email"), values_get(&values, "password"),
			      &id);
	if (r < 0)
		return r;
	if (r == 0) {
		errors_add(&errors, NULL, "Unable to log in with provided credentials.");
		return reply_errors(rq, &errors);
	}
	r = note_last_login(rq, id);
	if (r < 0)
		return r;
	r = resource_find(rq, (struct db_at){ .db = rq->thread->db }, &user_resource, id, &user);
	if (r < 0)
		return r;
	return reply_signed_in(rq, 200, &user);
}

int auth_verify(struct request *rq)
{
	struct errors errors;
	struct values values;
	struct db_rows rows;
	int r;

	errors_init(&errors, rq);
	r = validate_body(rq, verify_fields, ARRAY_SIZE(verify_fields), VALIDATE_CREATE, BODY_ANY,
			  &errors, &values);
	if (r < 0)
		return r;
	if (!errors_any(&errors)) {
		r = db_query(rq->thread->db, &rq->arena, &verify_address,
			     DB_VALUES(values_get(&values, "token")), &rows);
		if (r < 0)
			return r;
		if (rows.affected == 0)
			errors_add(&errors, "token", "Invalid verification token.");
	}
	if (errors_any(&errors))
		return reply_errors(rq, &errors);
	return reply_json(rq, 200, STR("{\"status\":\"email verified\"}"));
}
