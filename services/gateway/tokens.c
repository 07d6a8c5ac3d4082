/*
 * tokens.c - simplejwt's four views, at token/ and auth/token/, and the log-out.
 */
#include "accounts.h"
#include "auth/token_store.h"
#include "base/error.h"
#include "operations.h"

/* simplejwt's words for a token that cannot be used.  Its other refusals have no code. */
static int refuse(struct request *rq, int r)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	if (r != -E_BAD_TOKEN)
		return r;
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("detail"));
	json_put_c(&w, fail_reason(r));
	json_put_key(&w, STR("code"));
	json_put_c(&w, "token_not_valid");
	json_end_object(&w);
	return reply_refusal(rq, 401, buf_str(&body));
}

static int reply_pair(struct request *rq, const struct token_pair *pair, bool refresh_first)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	if (refresh_first) {
		json_put_key(&w, STR("refresh"));
		json_put_str(&w, pair->refresh);
	}
	json_put_key(&w, STR("access"));
	json_put_str(&w, pair->access);
	if (!refresh_first) {
		json_put_key(&w, STR("refresh"));
		json_put_str(&w, pair->refresh);
	}
	json_end_object(&w);
	return reply_json(rq, 200, buf_str(&body));
}

/* clang-format off */
/* Compared as it is: simplejwt does not look at addresses. */
static const struct field obtain_fields[] = {
	FIELD("email",    TEXT, REQUIRED, WRITE_ONLY),
	FIELD("password", TEXT, REQUIRED, WRITE_ONLY),
	FIELD("access",   TEXT, READ_ONLY),
	FIELD("refresh",  TEXT, READ_ONLY),
};
static const struct field refresh_fields[] = {
	FIELD("refresh",  TEXT, REQUIRED),
	FIELD("access",   TEXT, READ_ONLY),
};
static const struct field verify_fields[] = {
	FIELD("token",    TEXT, REQUIRED, WRITE_ONLY),
};
static const struct field blacklist_fields[] = {
	FIELD("refresh",  TEXT, REQUIRED, WRITE_ONLY),
};
/* clang-format on */
const struct form token_obtain_form = FORM("TokenObtainPair", obtain_fields);
/* The serializer itself has no tokens; only its document does. */
const struct form token_credentials_form = { .name = "TokenCredentials",
					     .fields = obtain_fields,
					     .count = 2 };
const struct form token_refresh_form = FORM("Refresh", refresh_fields);
const struct form token_verify_form = FORM("TokenVerify", verify_fields);
const struct form token_blacklist_form = FORM("TokenBlacklist", blacklist_fields);

int token_obtain(struct request *rq)
{
	struct token_pair pair;
	struct values values;
	struct str id;
	int r;

	r = account_read_form(rq, obtain_fields, ARRAY_SIZE(obtain_fields), &values);
	if (r == 0)
		r = account_check_credentials(rq, values_get(&values, "email"),
					      values_get(&values, "password"), &id);
	if (r == 0)
		r = token_store_sign_in(rq->thread->db, &rq->arena, id, &pair);
	if (r == -E_UNAUTHENTICATED || r == -E_NOT_FOUND)
		return fail(-E_UNAUTHENTICATED,
			    "No active account found with the given credentials");
	return r < 0 ? r : reply_pair(rq, &pair, true);
}

/* The body's one field, and what the token in it says. */
static int read_token(struct request *rq, const struct field *field, enum token_type type,
		      struct str *ret_text, struct token_claims *ret_claims)
{
	struct values values;
	int r;

	r = account_read_form(rq, field, 1, &values);
	if (r < 0)
		return r;
	*ret_text = values.text[0];
	return token_verify(&rq->arena, values.text[0], type, ret_claims);
}

int token_refresh(struct request *rq)
{
	struct token_claims claims;
	struct token_pair pair;
	struct str text;
	int r;

	r = read_token(rq, refresh_fields, TOKEN_REFRESH, &text, &claims);
	if (r == 0)
		r = token_store_rotate(rq->thread->db, &rq->arena, text, &claims, &pair);
	return r < 0 ? refuse(rq, r) : reply_pair(rq, &pair, false);
}

int token_check(struct request *rq)
{
	struct token_claims claims;
	struct errors errors;
	struct str text;
	int r;

	r = read_token(rq, verify_fields, TOKEN_ANY, &text, &claims);
	if (r == 0)
		r = token_store_is_spent(rq->thread->db, &rq->arena, claims.jti);
	if (r < 0)
		return refuse(rq, r);
	if (r == 0)
		return reply_json(rq, 200, STR("{}"));
	errors_init(&errors, rq);
	errors_add(&errors, NULL, "Token is blacklisted");
	return reply_errors(rq, &errors);
}

int token_blacklist(struct request *rq)
{
	struct token_claims claims;
	struct str text;
	int r;

	r = read_token(rq, blacklist_fields, TOKEN_REFRESH, &text, &claims);
	if (r == 0)
		r = token_store_spend(rq->thread->db, &rq->arena, text, &claims);
	return r < 0 ? refuse(rq, r) : reply_json(rq, 200, STR("{}"));
}

/*
 * What the body's "refresh" holds: 1 with a text, 0 for null, which Django's view takes for a token
 * that it makes itself and spends at once, and -E_INVALID for anything else: a broken body too.
 */
static int find_refresh(struct request *rq, struct str *ret)
{
	const struct body *body;
	const struct json *value;

	if (request_body(rq, body_any, &body) < 0)
		return -E_INVALID;
	if (body->kind == BODY_JSON) {
		value = json_get(body->json, STR("refresh"));
		if (value != NULL && value->type == JSON_NULL)
			return 0;
		if (value == NULL || value->type != JSON_STRING)
			return -E_INVALID;
		*ret = json_text(&rq->arena, value);
		return 1;
	}
	for (size_t i = body->field_count; i-- > 0;) {
		if (str_eq_c(body->fields[i].name, "refresh")) {
			*ret = body->fields[i].value;
			return 1;
		}
	}
	return -E_INVALID;
}

int auth_logout(struct request *rq)
{
	struct token_claims claims;
	struct str text;
	int r;

	r = find_refresh(rq, &text);
	if (r > 0) {
		r = token_verify(&rq->arena, text, TOKEN_REFRESH, &claims);
		if (r == 0)
			r = token_store_spend(rq->thread->db, &rq->arena, text, &claims);
	}
	if (r == -E_INVALID || r == -E_BAD_TOKEN)
		return reply_json(rq, 400, STR("{\"error\":\"Invalid token\"}"));
	if (r < 0)
		return r;
	return reply_json(rq, 200, STR("{\"message\":\"Successfully logged out\"}"));
}
