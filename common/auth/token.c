#include "auth/token.h"

#include <jansson.h>
#include <jwt.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "auth/token-internal.h"
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
	int bad = 0;
	if (!str_is_null(claims->others))
		bad = jwt_add_grants_json(jwt, arena_c(arena, claims->others));
	bad |= jwt_add_grant(jwt, "token_type", type_names[type]);
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
	const struct token_claims claims = { .user_id = user_id };

	return token_rotate(arena, &claims, ret);
}

int token_rotate(struct arena *arena, const struct token_claims *claims, struct token_pair *ret)
{
	int64_t now = now_realtime() / SEC;
	struct token_claims refresh = { .user_id = claims->user_id,
					.jti = new_jti(arena),
					.issued = now,
					.expires = now + TOKEN_REFRESH_LIFETIME / SEC,
					.others = claims->others };
	struct token_claims access = { .user_id = claims->user_id,
				       .jti = new_jti(arena),
				       .issued = now,
				       .expires = now + TOKEN_ACCESS_LIFETIME / SEC,
				       .others = claims->others };
	struct token_pair pair = { .refresh_jti = refresh.jti,
				   .refresh_issued = now,
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

int token_get_time(const json_t *payload, const char *name, int64_t *ret)
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

const char *token_registered_complaint(const json_t *payload, int64_t now)
{
	static const char *const not_later_than_now[] = { "nbf", "iat" };
	static const char *const texts[] = { "sub", "jti" };
	int64_t at;

	for (size_t i = 0; i < ARRAY_SIZE(not_later_than_now); i++) {
		if (json_object_get(payload, not_later_than_now[i]) == NULL)
			continue;
		if (token_get_time(payload, not_later_than_now[i], &at) < 0 || at > now)
			return "Token is invalid";
	}
	if (json_object_get(payload, "exp") != NULL) {
		if (token_get_time(payload, "exp", &at) < 0)
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
	if (json_string_length(json_object_get(payload, "jti")) > TOKEN_JTI_MOST)
		return "Token is invalid";
	if (type == TOKEN_ANY)
		return NULL;
	if (token_type == NULL)
		return "Token has no type";
	if (!json_is_string(token_type) ||
	    strcmp(json_string_value(token_type), type_names[type]) != 0)
		return "Token has wrong type";
	return NULL;
}

struct str token_get_text(struct arena *arena, const json_t *payload, const char *name)
{
	const json_t *value = json_object_get(payload, name);

	if (json_is_string(value))
		return arena_str(arena,
				 str_make(json_string_value(value), json_string_length(value)));
	if (json_is_integer(value)) /* simplejwt before 5.5.1 wrote integer keys as numbers */
		return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return value == NULL ? STR_NULL : STR("");
}

/* Sorted, so that it does not depend on the place in memory. */
static struct str other_claims(struct arena *arena, json_t *payload)
{
	static const char *const ours[] = { "token_type", "exp", "iat", "jti", "user_id" };

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		(void) json_object_del(payload, ours[i]); /* absent is fine */
	if (json_object_size(payload) == 0)
		return STR_NULL;
	char *text = json_dumps(payload, JSON_COMPACT | JSON_SORT_KEYS);
	must(text != NULL);
	struct str others = arena_str(arena, str_c(text));
	free(text);
	return others;
}

/* --- access tokens whose signature and form are known to be right --- */

#define KNOWN_TOKENS 1024
#define KNOWN_MOST   512 /* bytes of a token that is worth remembering */

struct known_token {
	uint16_t len; /* 0: empty */
	int64_t issued, not_before, expires;
	struct str user_id, jti; /* of `texts` */
	bool has_user_id;
	char token[KNOWN_MOST];
	char texts[128];
};

/* One place per hash: whoever comes last has it.  Made at a thread's first token. */
static _Thread_local struct known_token *known_tokens;

static struct known_token *known_place(struct str text)
{
	if (known_tokens == NULL) {
		known_tokens = calloc(KNOWN_TOKENS, sizeof(*known_tokens));
		must(known_tokens != NULL);
	}
	/* The end of a token is the end of its signature, which is as good as random. */
	return &known_tokens[str_hash(str_slice(text, text.len - MIN(text.len, (size_t) 16),
						text.len)) %
			     KNOWN_TOKENS];
}

void token_thread_fini(void)
{
	free(known_tokens);
	known_tokens = NULL;
}

/* Compared in constant time: how much of a guess is right must not show. */
static bool is_known(const struct known_token *k, struct str text)
{
	return k->len > 0 && k->len == text.len && CRYPTO_memcmp(k->token, text.at, text.len) == 0;
}

static void remember(struct str text, const struct token_claims *claims, int64_t not_before)
{
	struct known_token *k = known_place(text);

	if (text.len > KNOWN_MOST || claims->user_id.len + claims->jti.len > sizeof(k->texts))
		return;
	*k = (struct known_token){ .len = (uint16_t) text.len,
				   .issued = claims->issued,
				   .not_before = not_before,
				   .expires = claims->expires,
				   .has_user_id = !str_is_null(claims->user_id) };
	memcpy(k->token, text.at, text.len);
	if (k->has_user_id)
		memcpy(k->texts, claims->user_id.at, claims->user_id.len);
	memcpy(k->texts + claims->user_id.len, claims->jti.at, claims->jti.len);
	k->user_id = str_make(k->texts, claims->user_id.len);
	k->jti = str_make(k->texts + claims->user_id.len, claims->jti.len);
}

static int claims_of_known(struct arena *arena, const struct known_token *k,
			   struct token_claims *ret)
{
	int64_t now = now_realtime() / SEC;

	if (k->issued > now || k->not_before > now)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	if (k->expires <= now)
		return fail(-E_BAD_TOKEN, "Token is expired");
	*ret = (struct token_claims){ .user_id = k->has_user_id ? arena_str(arena, k->user_id)
								: STR_NULL,
				      .jti = arena_str(arena, k->jti),
				      .issued = k->issued,
				      .expires = k->expires };
	return 0;
}

/* --- reading --- */

json_t *token_payload(jwt_t *jwt)
{
	char *grants = jwt_get_grants_json(jwt, NULL);
	json_t *payload = grants == NULL ? NULL : json_loads(grants, 0, NULL);

	free(grants);
	return payload;
}

int token_verify(struct arena *arena, struct str text, enum token_type type,
		 struct token_claims *ret)
{
	_cleanup_(jwt_freep) jwt_t *jwt = NULL;
	_cleanup_(json_decrefp) json_t *payload = NULL;

	const struct known_token *known = known_place(text);
	if (type == TOKEN_ACCESS && is_known(known, text))
		return claims_of_known(arena, known, ret);
	if (text.len > TOKEN_MOST || memchr(text.at, '\0', text.len) != NULL)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	int bad = jwt_decode(&jwt, arena_c(arena, text), (const unsigned char *) secret.at,
			     (int) secret.len);
	/* libjwt takes the name in any case, PyJWT does not. */
	const char *algorithm = bad == 0 ? jwt_get_header(jwt, "alg") : NULL;
	if (algorithm == NULL || strcmp(algorithm, "HS256") != 0 ||
	    jwt_get_alg(jwt) != JWT_ALG_HS256)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	payload = token_payload(jwt);
	if (payload == NULL)
		return fail(-E_BAD_TOKEN, "Token is invalid");

	const char *complaint = token_registered_complaint(payload, now_realtime() / SEC);
	if (complaint == NULL)
		complaint = simplejwt_complaint(payload, type);
	if (complaint != NULL)
		return fail(-E_BAD_TOKEN, "%s", complaint);
	struct token_claims claims = { .user_id = token_get_text(arena, payload, "user_id"),
				       .jti = token_get_text(arena, payload, "jti") };
	(void) token_get_time(payload, "exp", &claims.expires); /* present: checked above */
	if (token_get_time(payload, "iat", &claims.issued) < 0)
		claims.issued = 0; /* not required by simplejwt */
	int64_t not_before;
	if (token_get_time(payload, "nbf", &not_before) < 0)
		not_before = 0; /* absent: its type was checked above */
	if (type == TOKEN_ACCESS)
		remember(text, &claims, not_before);
	if (type == TOKEN_REFRESH)
		claims.others = other_claims(arena, payload);
	*ret = claims;
	return 0;
}
