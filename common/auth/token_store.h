/*
 * token_store.h - what the database knows of refresh tokens, in simplejwt's two tables (drf-wire
 * §10.3): token_blacklist_outstandingtoken holds every one that was made,
 * token_blacklist_blacklistedtoken names those that may no longer be used ("spent").
 *
 * PostgreSQL is the truth, and decides races too.  Making, rotating and revoking lock the user's row
 * first, so that a token made beside a deactivation or a new password is either refused or revoked
 * with the others; and of two that spend one token at once exactly one succeeds (simplejwt: both).
 *
 * All yield.  Errors of the database pass through.
 */
#ifndef AUTH_TOKEN_STORE_H
#define AUTH_TOKEN_STORE_H

#include "auth/token.h"
#include "db/db.h"

/* A pair for somebody whose password was right: notes the refresh token and last_login.
 * -E_NOT_FOUND: the user is gone or inactive meanwhile. */
int token_store_sign_in(struct db *, struct arena *, struct str user_id, struct token_pair *ret)
	may_yield _must_check_;
/*
 * Spends the verified refresh token `text` and makes the next pair, which keeps its other claims.
 * -E_BAD_TOKEN "Token is blacklisted"; -E_UNAUTHENTICATED "No active account found for the given
 * token."
 */
int token_store_rotate(struct db *, struct arena *, struct str text, const struct token_claims *,
		       struct token_pair *ret) may_yield _must_check_;
/* Only spends it.  -E_BAD_TOKEN "Token is blacklisted". */
int token_store_spend(struct db *, struct arena *, struct str text, const struct token_claims *)
	may_yield _must_check_;
/* 1, 0 or an error. */
int token_store_is_spent(struct db *, struct arena *, struct str jti) may_yield _must_check_;
/* Every token of a user, in a transaction that has written to the user's row. */
int token_store_spend_all(struct db_tx *, struct arena *, struct str user_id)
	may_yield _must_check_;
/* Forgets tokens that have expired, as simplejwt's flushexpiredtokens, a few thousand a statement;
 * how many. */
int token_store_flush(struct db *, struct arena *, int64_t *ret_count) may_yield _must_check_;

#endif
