/*
 * reset_token.h - the token of a mail that lets somebody set a new password: Django's
 * PasswordResetTokenGenerator, so that a mail sent by one is good at the other.
 *
 * "<seconds since 2001 in base 36>-<32 hex digits>": an HMAC-SHA-256 with APIUM_SECRET_KEY over the
 * user's key, stored password, last login, that time and address, every second digit of it.  Any
 * change of these makes it worthless, so it works once; and it ends after three days.
 */
#ifndef AUTH_RESET_TOKEN_H
#define AUTH_RESET_TOKEN_H

#include "base/arena.h"

#define RESET_TOKEN_LIFETIME (3 * DAY)

struct reset_subject {
	struct str id, password, email;
	struct str last_login; /* "2026-01-31 12:00:00" in UTC; empty: never */
};

struct str reset_token_make(struct arena *, struct str secret, const struct reset_subject *);
bool reset_token_check(struct arena *, struct str secret, const struct reset_subject *,
		       struct str token);

#endif
