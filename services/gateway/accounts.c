/*
 * accounts.c - registration, login, verification of an address.
 */
#include "accounts.h"

#include "auth/lockout.h"
#include "auth/login_history.h"
#include "auth/password.h"
#include "auth/token_store.h"
#include "base/error.h"
#include "operations.h"

static const struct db_statement find_by_email = {
	.sql = STR_INIT("SELECT id, password, is_active FROM users WHERE email = $1"),
	.lane = DB_SHARED,
};

/* Unless it was changed meanwhile. */
static const struct db_statement rewrite_password = {
	.sql = STR_INIT("UPDATE users SET password = $2 WHERE id = $1 AND password = $3"),
};

/* Repeating it is harmless, so an address that is verified already is found too. */
static const struct db_statement verify_address = {
	.sql = STR_INIT("UPDATE users SET email_verified = true, updated_at = now() "
			"WHERE email_verification_token = $1 AND is_active RETURNING id"),
};

static const struct db_statement find_unverified = {
	.sql = STR_INIT("SELECT email, username, first_name, last_name, email_verification_token "
			"FROM users WHERE email = $1 AND is_active AND NOT email_verified"),
	.lane = DB_SHARED,
};

int account_read_form(struct request *rq, const struct field *fields, size_t count,
		      struct values *ret)
{
	struct errors errors;
	int r;

	errors_init(&errors, rq);
	r = validate_body(rq, fields, count, VALIDATE_CREATE, body_any, &errors, ret);
	if (r < 0)
		return r;
	if (!errors_any(&errors))
		return 0;
	r = reply_errors(rq, &errors);
	return r < 0 ? r : -E_INVALID;
}

/* --- mails --- */

struct email_send_arguments account_mail(struct arena *arena, const struct addressee *to,
					 struct str subject, struct str text)
{
	_cleanup_(buf_fini) struct buf recipients = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &recipients, JSON_ESCAPE_DRF, false);
	json_begin_array(&w);
	json_put_str(&w, to->email);
	json_end_array(&w);
	struct str name = str_trim(
		arena_printf(arena, "%.*s %.*s", STR_ARG(to->first_name), STR_ARG(to->last_name)));
	if (name.len == 0)
		name = to->username;
	return (struct email_send_arguments){
		.subject = subject,
		.message = arena_printf(arena, "Hello %.*s,\n\n%.*s\n", STR_ARG(name),
					STR_ARG(text)),
		.recipient_list = arena_str(arena, buf_str(&recipients)),
	};
}

static struct email_send_arguments verification(struct arena *arena, const struct addressee *to,
						struct str token)
{
	return account_mail(arena, to, STR("Verify your email address"),
			    arena_printf(arena, "your verification token is %.*s", STR_ARG(token)));
}

int account_mail_verification(struct change *c)
{
	const struct addressee to = { .email = row_get(c->row, "email"),
				      .username = row_get(c->row, "username"),
				      .first_name = row_get(c->row, "first_name"),
				      .last_name = row_get(c->row, "last_name") };
	const struct email_send_arguments arguments = verification(
		&c->rq->arena, &to, row_get(c->row, "email_verification_token"));

	return change_enqueue(c, &email_send_task, &arguments);
}

/* {"user": …, "tokens": {"refresh": …, "access": …}} */
static int reply_signed_in(struct request *rq, int status, const struct row *user,
			   const struct token_pair *tokens)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	const struct db_at at = { .db = rq->thread->db };
	struct json_writer w;
	int r;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("user"));
	r = resource_render(rq, at, &user_resource, user, VIEW_DETAIL, &w);
	if (r < 0)
		return r;
	json_put_key(&w, STR("tokens"));
	json_begin_object(&w);
	json_put_key(&w, STR("refresh"));
	json_put_str(&w, tokens->refresh);
	json_put_key(&w, STR("access"));
	json_put_str(&w, tokens->access);
	json_end_object(&w);
	json_end_object(&w);
	return reply_json(rq, status, buf_str(&body));
}

int auth_register(struct request *rq)
{
	struct token_pair tokens;
	struct row user;
	int r;

	r = resource_save(rq, &user_resource, VALIDATE_CREATE, &user);
	if (r < 0)
		return r;
	r = token_store_sign_in(rq->thread->db, &rq->arena, row_get(&user, "id"), &tokens);
	if (r < 0)
		return r;
	return reply_signed_in(rq, 201, &user, &tokens);
}

/* --- log in --- */

/* clang-format off */
static const struct field login_fields[] = {
	FIELD("email",    EMAIL, REQUIRED),
	FIELD("password", TEXT,  REQUIRED),
};
static const struct field verify_fields[] = {
	FIELD("token",    UUID,  REQUIRED),
};
static const struct field resend_fields[] = {
	FIELD("email",    EMAIL, REQUIRED),
};
/* clang-format on */
const struct form login_form = FORM("Login", login_fields);
const struct form verify_email_form = FORM("VerifyEmail", verify_fields);

static int upgrade_password(struct request *rq, struct str id, struct str password,
			    struct str stored)
{
	struct str encoded;
	struct db_rows rows;
	int r;

	if (!password_is_outdated(stored))
		return 0;
	r = password_hash(&rq->arena, password, &encoded);
	if (r < 0)
		return r;
	return db_query(rq->thread->db, &rq->arena, &rewrite_password,
			DB_VALUES(id, encoded, stored), &rows);
}

/* 1 with the key and the stored text; 0 when something does not fit, with the key if there is one. */
static int compare(struct request *rq, struct str email, struct str password, struct str *ret_id,
		   struct str *ret_stored)
{
	struct db_rows rows;
	int r;

	*ret_id = *ret_stored = STR_NULL;
	r = db_query(rq->thread->db, &rq->arena, &find_by_email, DB_VALUES(email), &rows);
	if (r < 0)
		return r;
	if (rows.count == 1) {
		*ret_id = db_get(&rows, 0, 0);
		*ret_stored = db_get(&rows, 0, 1);
	}
	r = password_verify(&rq->arena, password, *ret_stored);
	if (r == -E_INVALID)
		return 0; /* longer than any password that could have been set */
	return r <= 0 ? r : db_get_bool(&rows, 0, 2);
}

static int refuse_for(struct request *rq, usec_t wait)
{
	int r;

	reply_header(rq, STR("Retry-After"),
		     arena_printf(&rq->arena, "%ld", (long) ((wait + SEC - 1) / SEC)));
	r = reply_error(rq, -E_THROTTLED);
	return r < 0 ? r : -E_THROTTLED;
}

int account_check_credentials(struct request *rq, struct str email, struct str password,
			      struct str *ret_id)
{
	struct str id, stored;
	bool is_right;
	usec_t wait;
	int r;

	r = lockout_attempt(rq->thread->redis, &rq->arena, email, rq->peer, &wait);
	if (r == -E_THROTTLED)
		return refuse_for(rq, wait);
	if (r < 0)
		return r;
	r = compare(rq, email, password, &id, &stored);
	if (r < 0)
		return r;
	is_right = r > 0;
	r = login_history_add(rq->thread->db, &rq->arena, id, rq->peer,
			      request_header(rq, STR("user-agent")), is_right);
	if (r < 0)
		return r;
	if (!is_right)
		return -E_UNAUTHENTICATED;
	r = lockout_forgive(rq->thread->redis, &rq->arena, email, rq->peer);
	if (r == 0)
		r = upgrade_password(rq, id, password, stored);
	if (r == 0)
		*ret_id = id;
	return r;
}

static int refuse_credentials(struct request *rq)
{
	struct errors errors;

	errors_init(&errors, rq);
	errors_add(&errors, NULL, "Unable to log in with provided credentials.");
	return reply_errors(rq, &errors);
}

int auth_login(struct request *rq)
{
	const struct db_at at = { .db = rq->thread->db };
	struct token_pair tokens;
	struct values values;
	struct row user;
	struct str id;
	int r;

	r = account_read_form(rq, login_fields, ARRAY_SIZE(login_fields), &values);
	if (r == 0)
		r = account_check_credentials(rq, values_get(&values, "email"),
					      values_get(&values, "password"), &id);
	if (r == 0)
		r = token_store_sign_in(rq->thread->db, &rq->arena, id, &tokens);
	if (r == 0)
		r = resource_find(rq, at, &user_resource, id, &user);
	if (r == -E_UNAUTHENTICATED || r == -E_NOT_FOUND)
		return refuse_credentials(rq);
	return r < 0 ? r : reply_signed_in(rq, 200, &user, &tokens);
}

/* --- the address --- */

int auth_verify(struct request *rq)
{
	struct errors errors;
	struct values values;
	struct db_rows rows;
	int r;

	r = account_read_form(rq, verify_fields, ARRAY_SIZE(verify_fields), &values);
	if (r == 0)
		r = db_query(rq->thread->db, &rq->arena, &verify_address,
			     DB_VALUES(values_get(&values, "token")), &rows);
	if (r < 0)
		return r;
	if (rows.affected > 0)
		return reply_json(rq, 200, STR("{\"status\":\"email verified\"}"));
	errors_init(&errors, rq);
	errors_add(&errors, "token", "Invalid verification token.");
	return reply_errors(rq, &errors);
}

static int resend(struct request *rq, const struct db_rows *rows)
{
	const struct addressee to = { .email = db_get(rows, 0, 0),
				      .username = db_get(rows, 0, 1),
				      .first_name = db_get(rows, 0, 2),
				      .last_name = db_get(rows, 0, 3) };
	const struct email_send_arguments arguments = verification(&rq->arena, &to,
								   db_get(rows, 0, 4));
	struct enqueued *job;

	return enqueue_args(rq->thread->producer, NULL, &rq->arena, &email_send_task, &arguments,
			    NULL, &job);
}

/* The same answer whoever has the address, or nobody. */
int auth_resend_verification(struct request *rq)
{
	struct values values;
	struct db_rows rows;
	int r;

	r = account_read_form(rq, resend_fields, ARRAY_SIZE(resend_fields), &values);
	if (r == 0)
		r = db_query(rq->thread->db, &rq->arena, &find_unverified,
			     DB_VALUES(values_get(&values, "email")), &rows);
	if (r == 0 && rows.count == 1)
		r = resend(rq, &rows);
	if (r < 0)
		return r;
	return reply_json(rq, 200, STR("{\"status\":\"verification email sent\"}"));
}
