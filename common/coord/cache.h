/*
 * cache.h - values by key in two tiers: this process (L1) and Redis (L2).
 *
 * L1 is one table per event loop, bounded in bytes, oldest use first out.  It is kept true by Redis
 * itself: a second connection subscribes to __redis__:invalidate and the first one's CLIENT TRACKING
 * redirects there (Redis 6), so that a key that any program changes or deletes is dropped here within
 * the time a message takes.  While that connection is not up L1 is empty and stays so.
 *
 * A value that is not there is made once per process and key (single flight): whoever asks meanwhile
 * waits for the first one's result, an error too; a maker that is cancelled hands the turn to the next in line.
 * A value made while its key was invalidated is returned but not kept.
 *
 * Redis away: every look-up misses and makes, nothing fails.
 *
 * Keys are written as they are below APIUM_CACHE_PREFIX ("myapp:1:"; empty by default) and
 * are "api:<endpoint>:<user id or anon>:<hash of the sorted query>".  A key of an answer that depends on
 * the caller names the caller; `user` has no default, so that nobody forgets.
 * Groups: a key may be recorded in sets ("apium:cache:group:<name>"), and cache_drop_group ends all of
 * them in bounded steps: what a written row invalidates.
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

/* Opens the two connections; returns at once. */
int cache_open(struct loop *, const struct cache_options *, struct cache **ret) _must_check_;
void cache_close(struct cache *, void (*on_closed)(void *arg), void *arg);

struct cache_entry {
	struct str key;
	usec_t l1, l2;             /* times to live; 0: not in that tier */
	const char *const *groups; /* NULL-terminated, or NULL */
};

/* Makes the value into the arena.  0 or an error, which is passed on and not kept.  Yields. */
typedef int cache_maker(void *arg, struct arena *, struct str *ret_value);

/* The value, copied into the arena.  0 or the maker's error.  *ret_hit (may be NULL): 0 made, 1 L1, 2 L2.  Yields. */
int cache_get(struct cache *, struct arena *, const struct cache_entry *, cache_maker *, void *arg,
	      struct str *ret_value, int *ret_hit) may_yield _must_check_;
/* Deletes keys, here and in Redis.  Never fails the caller: a Redis that is away has nothing to serve
 * either, and what it keeps ends with its time; counted.  Yields. */
void cache_drop(struct cache *, struct arena *, const struct str *keys, size_t count) may_yield;
void cache_drop_group(struct cache *, struct arena *, struct str group) may_yield;

/* "api:<endpoint>:<user>:<hash>"; the hash is SHA-256 of the sorted, re-quoted query, 16 hex digits. `user`
 * absent: "anon". */
struct str cache_key(struct arena *, struct str endpoint, struct str user, struct str sorted_query);

struct cache_stats {
	uint64_t l1_hits, l2_hits, misses, invalidations, redis_failures, evictions;
	size_t bytes, entries;
	bool is_tracking;
};
void cache_stats(const struct cache *, struct cache_stats *ret);

#endif
