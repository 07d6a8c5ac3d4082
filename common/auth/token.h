/*
 * token.h - access and refresh tokens, as simplejwt makes and reads them (drf-wire §10).
 *
 * HS256 by libjwt with APIUM_SECRET_KEY.  libjwt 1.10 checks the signature and nothing else: it
 * takes expired tokens and whatever algorithm the header names, so the algorithm is pinned here and
 * exp, nbf, iat, jti and token_type are checked here.  What the database knows of refresh tokens is
 * auth/token_store.h's.  Claims are written in sorted order (a
 * deliberate departure: simplejwt keeps the order of insertion).
 *
 * Checking a signature and reading its JSON cost several times what the rest of a small request
 * does, and clients send the same access token for an hour.  So each thread remembers the last
 * access tokens whose signature and form were right, byte for byte; the times are checked at every use.
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "base/arena.h"

/* ANY: for whoever verifies only; never issued. */
enum token_type { TOKEN_ACCESS, TOKEN_REFRESH, TOKEN_ANY };

#define TOKEN_ACCESS_LIFETIME  HOUR
#define TOKEN_REFRESH_LIFETIME (7 * DAY)
/* A longer one is refused unread: real ones have some 250 bytes. */
#define TOKEN_MOST             4096
/* What simplejwt's table holds. */
#define TOKEN_JTI_MOST         255

struct token_claims {
	struct str user_id; /* absent: no such claim; empty: null or of another type */
	struct str jti;
	int64_t issued, expires; /* seconds since 1970 */
	/* Of a refresh token: its claims beside these and the type, as a JSON object. */
	struct str others;
};

/* Once, before threads.  The secret stays the caller's. */
void token_setup(struct str secret);

/* At the end of a thread that verified tokens. */
void token_thread_fini(void);

struct token_pair {
	struct str refresh, access;
	struct str refresh_jti;
	int64_t refresh_issued, refresh_expires;
};
/* Both share their start time. */
int token_issue(struct arena *, struct str user_id, struct token_pair *ret) _must_check_;
/* The pair after this refresh token: new times and jti, the other claims are kept. */
int token_rotate(struct arena *, const struct token_claims *, struct token_pair *ret) _must_check_;

/*
 * 0 with the claims, or -E_BAD_TOKEN with simplejwt's inner message as the reason ("Token is
 * expired", "Token has wrong type", …).
 */
int token_verify(struct arena *, struct str text, enum token_type, struct token_claims *ret)
	_must_check_;

#endif
