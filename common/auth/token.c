#include "auth/token.h"

#include <jansson.h>
#include <jwt.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/uuid.h"
#include "base/world.h"

static const char *const type_names[] = { [TOKEN_ACCESS] = "access", [TOKEN_REFRESH] = "refresh" };

static struct str secret;

void token_setup(struct str key)
{
	must(key.len > 0);
	secret = key;
}

static void jwt_freep(jwt_t **jwt)
{
	jwt_free(*jwt);
}

static void payload_freep(json_t **json)
{
	json_decref(*json);
}

static struct str new_jti(struct arena *arena)
{
	char text[UUID_TEXT + 1];
	struct uuid id = uuid_v4();
	struct buf hex = BUF_INIT;

	uuid_format(&id, text);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c != '-')
			buf_add_byte(&hex, *c);
	}
	struct str jti = arena_str(arena, buf_str(&hex));
	buf_fini(&hex);
	return jti;
}

static int sign(struct arena *arena, enum token_type type, const struct token_claims *claims,
		struct str *ret_text)
{
	_cleanup_(jwt_freep) jwt_t *jwt = NULL;

	if (jwt_new(&jwt) != 0)
		return fail(-E_INTERNAL, "libjwt cannot make a token");
	int bad = jwt_add_grant(jwt, "token_type", type_names[type]);
	bad |= jwt_add_grant_int(jwt, "exp", (long) claims->expires);
	bad |= jwt_add_grant_int(jwt, "iat", (long) claims->issued);
	bad |= jwt_add_grant(jwt, "jti", arena_c(arena, claims->jti));
	bad |= jwt_add_grant(jwt, "user_id", arena_c(arena, claims->user_id));
	bad |= jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *) secret.at, (int) secret.len);
	char *text = bad == 0 ? jwt_encode_str(jwt) : NULL;
	if (text == NULL)
		return fail(-E_INTERNAL, "libjwt cannot sign a token");
	*ret_text = arena_str(arena, str_c(text));
	free(text);
	return 0;
}

int token_issue(struct arena *arena, struct str user_id, struct token_pair *ret)
{
	int64_t now = now_realtime() / SEC;
	struct token_claims refresh = { .user_id = user_id, .jti = new_jti(arena), .issued = now,
					.expires = now + TOKEN_REFRESH_LIFETIME / SEC };
	struct token_claims access = { .user_id = user_id, .jti = new_jti(arena), .issued = now,
				       .expires = now + TOKEN_ACCESS_LIFETIME / SEC };
	struct token_pair pair = { .refresh_jti = refresh.jti, .refresh_issued = now,
				   .refresh_expires = refresh.expires };
	int r;

	r = sign(arena, TOKEN_REFRESH, &refresh, &pair.refresh);
	if (r < 0)
		return r;
	r = sign(arena, TOKEN_ACCESS, &access, &pair.access);
	if (r < 0)
		return r;
	*ret = pair;
	return 0;
}

/* Present and a number: 0 with it in seconds.  A float is taken, as PyJWT does. */
static int get_time(const json_t *payload, const char *name, int64_t *ret)
{
	const json_t *value = json_object_get(payload, name);

	if (!json_is_number(value))
		return -EINVAL;
	double number = json_number_value(value);
	if (!(number > -1e15 && number < 1e15))
		return -EINVAL;
	*ret = (int64_t) number;
	return 0;
}

/* What PyJWT refuses before simplejwt looks: times out of bounds, claims of the wrong type. */
static const char *registered_claims_complaint(const json_t *payload, int64_t now)
{
	static const char *const not_later_than_now[] = { "nbf", "iat" };
	static const char *const texts[] = { "sub", "jti" };
	int64_t at;

	for (size_t i = 0; i < ARRAY_SIZE(not_later_than_now); i++) {
		if (json_object_get(payload, not_later_than_now[i]) == NULL)
			continue;
		if (get_time(payload, not_later_than_now[i], &at) < 0 || at > now)
			return "Token is invalid";
	}
	if (json_object_get(payload, "exp") != NULL) {
		if (get_time(payload, "exp", &at) < 0)
			return "Token is invalid";
		if (at <= now)
			return "Token is expired";
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const json_t *value = json_object_get(payload, texts[i]);

		if (value != NULL && !json_is_string(value))
			return "Token is invalid";
	}
	return NULL;
}

static const char *simplejwt_complaint(const json_t *payload, enum token_type type)
{
	const json_t *token_type = json_object_get(payload, "token_type");

	if (json_object_get(payload, "exp") == NULL)
		return "Token has no 'exp' claim";
	if (json_object_get(payload, "jti") == NULL)
		return "Token has no id";
	if (token_type == NULL)
		return "Token has no type";
	if (!json_is_string(token_type) || strcmp(json_string_value(token_type), type_names[type]) != 0)
		return "Token has wrong type";
	return NULL;
}

/* Absent if the claim is; empty, which names nobody, if it is no text. */
static struct str get_text(struct arena *arena, const json_t *payload, const char *name)
{
	const json_t *value = json_object_get(payload, name);

	if (json_is_string(value))
		return arena_str(arena, str_make(json_string_value(value), json_string_length(value)));
	if (json_is_integer(value)) /* simplejwt before 5.5.1 wrote integer keys as numbers */
		return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return value == NULL ? STR_NULL : STR("");
}

int token_verify(struct arena *arena, struct str text, enum token_type type, struct token_claims *ret)
{
	_cleanup_(jwt_freep) jwt_t *jwt = NULL;
	_cleanup_(payload_freep) json_t *payload = NULL;

	if (text.len > TOKEN_MOST || memchr(text.at, '\0', text.len) != NULL)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	int bad = jwt_decode(&jwt, arena_c(arena, text), (const unsigned char *) secret.at, (int) secret.len);
	if (bad != 0 || jwt_get_alg(jwt) != JWT_ALG_HS256)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	char *grants = jwt_get_grants_json(jwt, NULL);
	if (grants == NULL)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	payload = json_loads(grants, 0, NULL);
	free(grants);

	const char *complaint = registered_claims_complaint(payload, now_realtime() / SEC);
	if (complaint == NULL)
		complaint = simplejwt_complaint(payload, type);
	if (complaint != NULL)
		return fail(-E_BAD_TOKEN, "%s", complaint);
	struct token_claims claims = { .user_id = get_text(arena, payload, "user_id"),
				       .jti = get_text(arena, payload, "jti") };
	(void) get_time(payload, "exp", &claims.expires); /* present: checked above */
	if (get_time(payload, "iat", &claims.issued) < 0)
		claims.issued = 0; /* not required by simplejwt */
	*ret = claims;
	return 0;
}
