/*
 * identity.h - who is asking: the row of `users` behind an access token, as simplejwt's
 * JWTAuthentication finds it (drf-wire §10.2); or behind a token of an outside provider
 * (auth/outside_token.h); or, with APIUM_TOKEN_AUTHENTICATION, behind a key of the table
 * authtoken_token, as DRF's TokenAuthentication.
 *
 * The row is read once and then kept until it changes (auth/identity_cache.h), so that a user who
 * was deactivated or deleted is refused at once and everybody else costs no statement.  An identity
 * lies in the request's arena.
 */
#ifndef AUTH_IDENTITY_H
#define AUTH_IDENTITY_H

#include "http/request.h"

struct rights; /* auth/rights.h */

struct identity {
	struct str id; /* 36 characters */
	struct str email, username, first_name, last_name;
	bool is_staff, is_superuser;
	const struct rights *rights; /* NULL: not asked for yet */
};

/*
 * For struct http_options: sets rq->caller.  0 also when nobody is named (no Authorization, another
 * scheme); -E_BAD_TOKEN after the 401 of simplejwt was set as the reply (body with `code` and
 * `messages`); -E_UNAUTHENTICATED with TokenAuthentication's sentence.  Yields.
 */
int identity_authenticate(struct request *) may_yield _must_check_;

/* For struct http_options: the caller's `id`; absent: anonymous. */
struct str identity_key(const struct request *);

/* Permissions for route rows.  None yields. */
int permit_signed_in(struct request *);              /* IsAuthenticated */
int permit_staff(struct request *);                  /* signed in and staff */
int permit_signed_in_writes(struct request *);       /* IsAuthenticatedOrReadOnly */
int permit_signed_in_staff_writes(struct request *); /* read: signed in; write: staff */

#endif
