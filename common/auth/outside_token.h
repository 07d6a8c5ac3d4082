/*
 * outside_token.h - access tokens of an outside identity provider: RS256 or ES256, with its keys
 * (auth/jwks.h).
 *
 * Beside our own HS256 tokens, never instead: which key is used follows from the algorithm, and each
 * key has one algorithm only, so that a public key is never taken for the secret.  Refused with
 * simplejwt's words: a wrong signature, an unknown key, times out of bounds, no exp, an `iss` other
 * than APIUM_JWT_ISSUER, an `aud` without APIUM_JWT_AUDIENCE (when set), a token_type (when there)
 * other than "access".  Who it is stands in the claim APIUM_JWT_USER_CLAIM: the key of a row of
 * `users`, which must exist and be active.
 */
#ifndef AUTH_OUTSIDE_TOKEN_H
#define AUTH_OUTSIDE_TOKEN_H

#include "auth/token.h"
#include "loop/fiber.h"

/* Providers write more into them than we do. */
#define OUTSIDE_TOKEN_MOST (16 * KIB)

/* Keys are set up, and the header names an algorithm that they serve. */
bool outside_token_is(struct arena *, struct str text);
/* As token_verify for an access token; also -ECANCELED, -ETIMEDOUT.  Yields when keys are to be
 * fetched. */
int outside_token_verify(struct arena *, struct str text, struct token_claims *ret)
	may_yield _must_check_;

#endif
