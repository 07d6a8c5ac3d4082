/*
 * throttle.h - how often somebody may: DRF's sliding log, and a fixed window.
 *
 * Sliding log (throttle_ask).  A rate is "100/day": a number and a period by its first letter (s, m,
 * h, d).  Each scope keeps the times of the accepted requests of one identity; a request is refused
 * when as many as the rate allows are younger than the period.  All scopes of a request are asked in
 * one script, so that two requests at once cannot both take the last place; as in DRF a scope that
 * refuses does not log the request, and the others do (drf-wire §13).  The wait is the longest of
 * those that refused: what remains of the oldest stamp / (limit - count + 1), rounded up to seconds.
 * Times are Redis's own, so that gateways with different clocks agree.
 *
 * Fixed window (window_take).  One counter that expires with its window: the deadline is set by its
 * first hit only, so that a busy client recovers.
 *
 * Redis away: both fail open and are counted (throttle_stats); scopes marked `is_kept_locally` fall back
 * to the same rule over a table in this process, bounded to 10,000 identities (login).
 *
 * Keys: "throttle:{<identity>}:<scope>" (one slot for all scopes of an identity),
 * "rate_limit:<user>:<action>".
 */
#ifndef COORD_THROTTLE_H
#define COORD_THROTTLE_H

#include "base/arena.h"
#include "redis/redis.h"

struct rate {
	unsigned count; /* 0: no limit */
	usec_t period;
};
/* "3/min", from 1 to a million; "" is no limit.  0, or -E_BAD_SETTING with a sentence. */
int rate_parse(struct str, struct rate *ret) _must_check_;

#define THROTTLE_SCOPES 4

struct throttle_scope {
	const char *name; /* "anon", "user", "login" */
	struct rate rate;
	bool is_kept_locally; /* counts in this process while Redis is away */
};

/*
 * May this identity once more?  0; or -E_THROTTLED with the seconds to wait in *ret_wait (0: not
 * known, as DRF's None).  Nothing else: Redis away is 0.  Scopes without a limit are not asked; with
 * none left nothing is sent.  At most THROTTLE_SCOPES.  Yields.
 */
int throttle_ask(struct redis *, struct arena *, struct str identity,
		 const struct throttle_scope *const *scopes, size_t count, unsigned *ret_wait)
	may_yield _must_check_;

/* 0; -E_THROTTLED with the reason "Limit <limit> per <window>s exceeded".  Yields. */
int window_take(struct redis *, struct arena *, struct str user, struct str action, unsigned limit,
		usec_t window) may_yield _must_check_;

/* Counted since the start, all threads; for /metrics and tests. */
struct throttle_stats {
	uint64_t asked, refused;
	uint64_t unasked; /* let through, or asked here, because Redis did not answer */
	uint64_t local;   /* scopes that were counted in this process instead */
};
void throttle_stats(struct throttle_stats *ret);

#endif
