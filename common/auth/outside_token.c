#include "auth/outside_token.h"

#include <jwt.h>
#include <stdlib.h>

#include "auth/jwks.h"
#include "auth/token-internal.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/settings.h"
#include "base/world.h"

#define HEADER_MOST 1024

/* clang-format off */
static const struct {
	const char *name;
	enum jwks_algorithm algorithm;
	jwt_alg_t jwt;
} algorithms[] = {
	{ "RS256", JWKS_RS256, JWT_ALG_RS256 },
	{ "ES256", JWKS_ES256, JWT_ALG_ES256 },
};
/* clang-format on */

struct head {
	size_t algorithm; /* row of the table */
	struct str kid;   /* absent: not said */
};

static bool read_head(struct arena *arena, struct str text, struct head *ret)
{
	char bytes[HEADER_MOST];
	struct str head;
	size_t len;

	if (text.len > OUTSIDE_TOKEN_MOST || !str_cut(&text, '.', &head) || str_is_null(text) ||
	    head.len > HEADER_MOST || base64url_decode(head, bytes, &len) < 0)
		return false;
	_cleanup_(json_decrefp) json_t *json = json_loadb(bytes, len, 0, NULL);
	struct str name = token_get_text(arena, json, "alg");
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
		if (!str_eq_c(name, algorithms[i].name))
			continue;
		*ret = (struct head){ .algorithm = i, .kid = token_get_text(arena, json, "kid") };
		return true;
	}
	return false;
}

bool outside_token_is(struct arena *arena, struct str text)
{
	struct head head;

	return jwks_is_used() && read_head(arena, text, &head);
}

/* A text, or an array that holds it. */
static bool is_or_holds(const json_t *value, const char *text)
{
	const json_t *item;
	size_t i;

	if (json_is_string(value))
		return strcmp(json_string_value(value), text) == 0;
	json_array_foreach(value, i, item)
	{
		if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

static const char *complaint_of(const json_t *payload)
{
	const char *complaint = token_registered_complaint(payload, now_realtime() / SEC);
	const json_t *type = json_object_get(payload, "token_type");
	const json_t *issuer = json_object_get(payload, "iss");

	if (complaint != NULL)
		return complaint;
	if (json_object_get(payload, "exp") == NULL)
		return "Token has no 'exp' claim";
	if (!json_is_string(issuer) || !is_or_holds(issuer, settings.jwt_issuer))
		return "Token is invalid";
	if (settings.jwt_audience[0] != '\0' &&
	    !is_or_holds(json_object_get(payload, "aud"), settings.jwt_audience))
		return "Token is invalid";
	if (type != NULL && (!json_is_string(type) || !is_or_holds(type, "access")))
		return "Token has wrong type";
	return NULL;
}

int outside_token_verify(struct arena *arena, struct str text, struct token_claims *ret)
{
	_cleanup_(jwt_freep) jwt_t *jwt = NULL;
	_cleanup_(json_decrefp) json_t *payload = NULL;
	struct head head;
	struct str pem;
	int r;

	if (!read_head(arena, text, &head) || memchr(text.at, '\0', text.len) != NULL)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	r = jwks_find(arena, head.kid, algorithms[head.algorithm].algorithm, &pem);
	if (r == -E_NOT_FOUND)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	if (r < 0)
		return r;
	int bad = jwt_decode(&jwt, arena_c(arena, text), (const unsigned char *) pem.at,
			     (int) pem.len);
	if (bad != 0 || jwt_get_alg(jwt) != algorithms[head.algorithm].jwt)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	payload = token_payload(jwt);
	if (payload == NULL)
		return fail(-E_BAD_TOKEN, "Token is invalid");
	const char *complaint = complaint_of(payload);
	if (complaint != NULL)
		return fail(-E_BAD_TOKEN, "%s", complaint);
	struct token_claims claims = {
		.user_id = token_get_text(arena, payload, settings.jwt_user_claim),
		.jti = token_get_text(arena, payload, "jti"),
	};
	(void) token_get_time(payload, "exp", &claims.expires); /* present: checked above */
	if (token_get_time(payload, "iat", &claims.issued) < 0)
		claims.issued = 0;
	*ret = claims;
	return 0;
}
