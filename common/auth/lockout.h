/*
 * lockout.h - after how many wrong passwords an account is locked, for whom and for how long.
 *
 * Off unless APIUM_LOGIN_FAILURES is set.  Counted per account and address together, so that a
 * stranger cannot lock out the account's owner, who sits elsewhere.  An attempt is counted before
 * its password is looked at, in one step, so that many at once get no further than many in a row;
 * the right password takes the count back.  Attempts while locked neither count nor prolong.
 *
 * The counts lie in Redis, shared by all gateways; while Redis is away each process counts for
 * itself, 10,000 pairs at most (the oldest are forgotten).  What is answered is what django-axes
 * answers: 429, here with Retry-After.
 */
#ifndef AUTH_LOCKOUT_H
#define AUTH_LOCKOUT_H

#include "redis/redis.h"

/* Once, before threads.  failures 0: off. */
void lockout_setup(unsigned failures, usec_t cooloff);

/* 0, or -E_THROTTLED with axes' sentence; *ret_wait is then how long it stays.  Yields. */
int lockout_attempt(struct redis *, struct arena *, struct str account, struct str address,
		    usec_t *ret_wait) may_yield _must_check_;
/* The password was right.  Yields. */
int lockout_forgive(struct redis *, struct arena *, struct str account, struct str address)
	may_yield _must_check_;

#endif
