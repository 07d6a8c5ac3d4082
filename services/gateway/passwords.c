/*
 * passwords.c - new passwords: by oneself or staff, and by mail for who has forgotten his.
 */
#include "accounts.h"
#include "auth/password.h"
#include "auth/password_rules.h"
#include "auth/reset_token.h"
#include "auth/token_store.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "operations.h"

#define LAST_LOGIN "coalesce(to_char(last_login AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), '')"

static const struct db_statement find_by_email = {
	.sql = STR_INIT("SELECT id, password, email, " LAST_LOGIN
			", username, first_name, last_name "
			"FROM users WHERE email = $1 AND is_active"),
	.lane = DB_SHARED,
};

static const struct db_statement find_by_key = {
	.sql = STR_INIT("SELECT id, password, email, " LAST_LOGIN
			" FROM users WHERE id = $1 AND is_active"),
	.lane = DB_SHARED,
};

static const struct db_statement set_password = {
	.sql = STR_INIT("UPDATE users SET password = $2, updated_at = now() WHERE id = $1"),
};

/* What the token was made from must still be so: of two that use it at once, one succeeds. */
static const struct db_statement reset_password = {
	.sql = STR_INIT(
		"UPDATE users SET password = $2, updated_at = now() WHERE id = $1 AND is_active "
		"AND password = $3 AND email = $4 AND " LAST_LOGIN " = $5"),
};

/* clang-format off */
#define PASSWORD_FIELD FIELD("password", TEXT, REQUIRED, WRITE_ONLY, BOUND(PASSWORD_MOST / 4), RULES(password_rules_broken))
static const struct field password_fields[] = {
	PASSWORD_FIELD,
};
static const struct field email_fields[] = {
	FIELD("email", EMAIL, REQUIRED),
};
static const struct field confirm_fields[] = {
	PASSWORD_FIELD,
	FIELD("uid",   TEXT,  REQUIRED),
	FIELD("token", TEXT,  REQUIRED),
};
/* clang-format on */
const struct form password_form = FORM("Password", password_fields);
const struct form email_form = FORM("Email", email_fields);
const struct form password_reset_confirm_form = FORM("PasswordResetConfirm", confirm_fields);

int user_set_password(struct request *rq)
{
	struct str encoded;
	struct values values;
	struct db_rows rows;
	struct row user;
	int r;

	r = resource_object(rq, NULL, &user_resource, MAY_UPDATE, &user);
	if (r == 0)
		r = account_read_form(rq, password_fields, ARRAY_SIZE(password_fields), &values);
	if (r == 0)
		r = password_hash(&rq->arena, values_get(&values, "password"), &encoded);
	if (r == 0)
		r = db_query(rq->thread->db, &rq->arena, &set_password,
			     DB_VALUES(row_get(&user, "id"), encoded), &rows);
	return r < 0 ? r : reply_json(rq, 200, STR("{\"status\":\"password set\"}"));
}

/* --- by mail --- */

static struct reset_subject read_subject(const struct db_rows *rows)
{
	return (struct reset_subject){ .id = db_get(rows, 0, 0),
				       .password = db_get(rows, 0, 1),
				       .email = db_get(rows, 0, 2),
				       .last_login = db_get(rows, 0, 3) };
}

static int mail_token(struct request *rq, const struct db_rows *rows)
{
	_cleanup_(buf_fini) struct buf uid = BUF_INIT;
	const struct reset_subject subject = read_subject(rows);
	const struct addressee to = { .email = subject.email,
				      .username = db_get(rows, 0, 4),
				      .first_name = db_get(rows, 0, 5),
				      .last_name = db_get(rows, 0, 6) };
	struct str token = reset_token_make(&rq->arena, str_c(settings.secret_key), &subject);
	struct enqueued *job;

	base64url_encode(&uid, subject.id);
	const struct email_send_arguments arguments = account_mail(
		&rq->arena, &to, STR("Reset your password"),
		arena_printf(&rq->arena, "your uid is %s\nyour reset token is %.*s", uid.at,
			     STR_ARG(token)));
	return enqueue_args(rq->thread->producer, NULL, &rq->arena, &email_send_task, &arguments,
			    NULL, &job);
}

/* The same answer whoever has the address, or nobody. */
int auth_password_reset(struct request *rq)
{
	struct values values;
	struct db_rows rows;
	int r;

	r = account_read_form(rq, email_fields, ARRAY_SIZE(email_fields), &values);
	if (r == 0)
		r = db_query(rq->thread->db, &rq->arena, &find_by_email,
			     DB_VALUES(values_get(&values, "email")), &rows);
	if (r == 0 && rows.count == 1)
		r = mail_token(rq, &rows);
	if (r < 0)
		return r;
	return reply_json(rq, 200, STR("{\"status\":\"password reset email sent\"}"));
}

/* base64url of the 36 characters of a key; what it decodes to is shorter. */
#define UID_TEXT 48

/* The key that a uid is base64url of. */
static int read_uid(struct request *rq, struct str uid, struct str *ret)
{
	char text[UID_TEXT];
	size_t len;

	if (uid.len > sizeof(text) || base64url_decode(uid, text, &len) < 0 ||
	    uuid_normalise(&rq->arena, str_make(text, len), ret) < 0)
		return -E_NOT_FOUND;
	return 0;
}

/* Whose password the form may set; -E_NOT_FOUND: nobody's. */
static int find_subject(struct request *rq, const struct values *form, struct reset_subject *ret)
{
	struct db_rows rows;
	struct str id;
	int r;

	r = read_uid(rq, values_get(form, "uid"), &id);
	if (r == 0)
		r = db_query(rq->thread->db, &rq->arena, &find_by_key, DB_VALUES(id), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return -E_NOT_FOUND;
	*ret = read_subject(&rows);
	return reset_token_check(&rq->arena, str_c(settings.secret_key), ret,
				 values_get(form, "token"))
		       ? 0
		       : -E_NOT_FOUND;
}

/* One transaction: the new password and the end of every refresh token. */
static int reset(struct request *rq, const struct reset_subject *subject, struct str encoded)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct db_rows rows;
	int r;

	r = db_begin(rq->thread->db, &tx);
	if (r == 0)
		r = db_tx_query(&tx, &rq->arena, &reset_password,
				DB_VALUES(subject->id, encoded, subject->password, subject->email,
					  subject->last_login),
				&rows);
	if (r == 0 && rows.affected == 0)
		return -E_NOT_FOUND;
	if (r == 0)
		r = token_store_spend_all(&tx, &rq->arena, subject->id);
	return r < 0 ? r : db_commit(&tx);
}

int auth_password_reset_confirm(struct request *rq)
{
	struct reset_subject subject;
	struct values values;
	struct errors errors;
	struct str encoded;
	int r;

	r = account_read_form(rq, confirm_fields, ARRAY_SIZE(confirm_fields), &values);
	if (r == 0)
		r = find_subject(rq, &values, &subject);
	if (r == 0)
		r = password_hash(&rq->arena, values_get(&values, "password"), &encoded);
	if (r == 0)
		r = reset(rq, &subject, encoded);
	if (r == 0)
		return reply_json(rq, 200, STR("{\"status\":\"password set\"}"));
	if (r != -E_NOT_FOUND)
		return r;
	errors_init(&errors, rq);
	errors_add(&errors, "token", "Invalid or expired token.");
	return reply_errors(rq, &errors);
}
