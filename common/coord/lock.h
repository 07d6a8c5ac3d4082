/*
 * lock.h - one holder at a time across processes, by a key in Redis.
 *
 * SET lock:<name> <token> NX PX, as redis-py's Lock does, so that Python and C exclude each other; the
 * release and the renewal compare the token in a script.  While it is held a timer renews it at a third
 * of its time; when a renewal fails or comes too late the lock counts as lost (lock_is_held says so,
 * and `on_lost` cancels the holder's fiber if asked for).
 *
 * A lock in Redis is a courtesy, not a proof: after a failover or a stopped process two may believe to
 * hold it.  Whoever must not be overtaken passes the fencing number on (it grows with each holder) and
 * lets the last resource refuse an older one: `WHERE fence <= $n`.
 *
 * Keys: "lock:<name>"; its counter is "apium:fence:<name>".
 */
#ifndef COORD_LOCK_H
#define COORD_LOCK_H

#include "base/arena.h"
#include "loop/fiber.h"
#include "redis/redis.h"

struct lock;

struct lock_options {
	struct str name;
	usec_t hold;         /* time to live, renewed; 0: 10 s */
	usec_t wait;         /* how long to try; 0: once.  Asks again every 100 ms with jitter */
	bool cancels_holder; /* the fiber that took it is cancelled when the lock is lost */
};

/* 0; -E_CONFLICT ("Could not acquire lock for <name>"); -E_UNAVAILABLE.  Yields. */
int lock_take(struct redis *, const struct lock_options *, struct lock **ret)
	may_yield _must_check_;
bool lock_is_held(const struct lock *);
uint64_t lock_fence(const struct lock *);
/* Stops the renewal at once, deletes the key behind if it is still ours.  Returns NULL; NULL is fine.  Does
 * not yield: may run on every way out of a scope. */
struct lock *lock_release(struct lock *);
static inline void lock_releasep(struct lock **l)
{
	*l = lock_release(*l);
}

#endif
