/*
 * token-internal.h - what our own tokens and those of an outside provider are both asked.
 */
#ifndef AUTH_TOKEN_INTERNAL_H
#define AUTH_TOKEN_INTERNAL_H

#include <jansson.h>
#include <jwt.h>

#include "base/arena.h"

static inline void jwt_freep(jwt_t **jwt)
{
	jwt_free(*jwt);
}

/* The claims of a decoded token, the caller's own, or NULL if they are no JSON that jansson reads. */
json_t *token_payload(jwt_t *);
/* What PyJWT refuses before simplejwt looks: times out of bounds, claims of the wrong type.
 * simplejwt's inner message, or NULL. */
const char *token_registered_complaint(const json_t *payload, int64_t now);
/* Present and a number: 0 with it in seconds.  A float is taken, as PyJWT does. */
int token_get_time(const json_t *payload, const char *name, int64_t *ret);
/* Absent if the claim is; empty, which names nobody, if it is no text. */
struct str token_get_text(struct arena *, const json_t *payload, const char *name);

#endif
