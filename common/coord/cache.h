/*
 * cache.h - values by key in two tiers: this event loop (L1) and Redis (L2).
 *
 * L2 is a string in Redis with a time to live.  L1 is a table of this loop, bounded in bytes, the
 * oldest use first out; it holds only what was read from Redis, and Redis keeps it true: a second
 * connection subscribes to __redis__:invalidate, and the reading one's CLIENT TRACKING redirects
 * there (Redis 6; https://redis.io/docs/latest/develop/reference/client-side-caching/), so that a
 * key that any program changes or deletes is dropped here within the time that a message takes.
 * While either connection is not up L1 is empty and stays so.
 *
 * Groups say what a value was made of.  Each group has a generation in Redis, a random text; a value
 * carries those of its groups, read before it was made, and counts only while they are still the
 * same.  So one SET ends all values of a group, however many there are, also those that somebody is
 * making from what was true before: a reader that began before a write can never leave its old value
 * behind.  What no longer counts ends with its time.
 *
 * A value that is not there is made once per loop and key (single flight): whoever asks meanwhile
 * waits for the first one's result, an error too; one that is cancelled or out of time hands the turn
 * to the next in line.  A making that began before one of its groups ended, as far as this loop has
 * heard, is not waited for by whoever comes after: who has written, and asks on the same loop, finds what he wrote.
 *
 * Redis away: every look-up makes, nothing fails.  A group that could not be dropped then is
 * dropped before the next look-up that reaches Redis.
 *
 * In Redis: <prefix><key> holds the generations (16 characters each), then the value;
 * <prefix>apium:cache:group:<name> a generation.
 */
#ifndef COORD_CACHE_H
#define COORD_CACHE_H

#include "base/arena.h"
#include "loop/fiber.h"
#include "redis/redis.h"

struct cache;

struct cache_options {
	const char *redis_url;
	const char *prefix;
	size_t most_bytes; /* of L1; 0: no L1 */
};

/* Opens the two connections; returns at once.  0 or -E_BAD_SETTING. */
int cache_open(struct loop *, const struct cache_options *, struct cache **ret) _must_check_;
/* No look-up may be under way. */
void cache_close(struct cache *, void (*on_closed)(void *arg), void *arg);

#define CACHE_GROUPS 4

struct cache_entry {
	struct str key;
	usec_t ttl;    /* in either tier, counted from the making */
	usec_t l1_ttl; /* the most in L1, counted from the reading; 0: a minute */
	const char *groups[CACHE_GROUPS]; /* NULL behind the last */
};

/* Makes the value into the arena.  0 or an error, which is passed on and not kept.  Yields. */
typedef int cache_maker(void *arg, struct arena *, struct str *ret_value);

enum cache_tier { CACHE_MADE, CACHE_L1, CACHE_L2, CACHE_SHARED };

/* The value, copied into the arena.  0 or the maker's error.  *ret_tier (may be NULL): where it came
 * from; CACHE_SHARED: made by another fiber meanwhile.  Yields. */
int cache_get(struct cache *, struct arena *, const struct cache_entry *, cache_maker *, void *arg,
	      struct str *ret_value, enum cache_tier *ret_tier) may_yield _must_check_;

/* Ends all values of these groups.  Never fails the caller.  Yields. */
void cache_drop(struct cache *, const char *const *groups, size_t count) may_yield;

/* The same from the loop's own stack, for who has heard of a write: L1 at once, Redis before this loop
 * reads from it again. */
void cache_end(struct cache *, const char *const *groups, size_t count);

/*
 * "api:<endpoint>:<user>:<hash>"; `user` absent: "anon".  `variant` is all else that the answer
 * depends on (the sorted query, the host its links name …); the hash is 16 hexadecimal digits of
 * SHA-256.  An answer that depends on its caller names the caller: there is no form without.
 */
struct str cache_key(struct arena *, struct str endpoint, struct str user, struct str variant);

/* Of one loop, since it was opened. */
struct cache_stats {
	uint64_t l1_hits, l2_hits, shared, made, invalidations, evictions;
	uint64_t unasked; /* look-ups and drops that Redis did not answer */
	size_t bytes, entries;
	bool is_tracking;
};
void cache_stats(const struct cache *, struct cache_stats *ret);

#endif
