/*
 * cached.h - answers of a resource that the cache keeps, and what ends them.
 *
 * A key names the caller, and hashes all else that an answer may depend on: the host that its links
 * name, the path, the query's parameters in order, and whether the caller is staff.  So what was made
 * for one caller is found by that caller only.
 *
 * A resource's answers are one group, named by its table.  A write through the engine drops it after
 * the COMMIT and before the answer, and with it the groups of the resources that refer to it, in
 * whatever way and also through a third: they may show its rows, be filtered by them, or lose a row
 * by a foreign key.  So do those that its rows point at: they may count them.  Hand-written handlers call
 * resource_forget.
 *
 * Other programs' writes are heard of: triggers on these tables, once a statement, and the channel of
 * auth/identity_cache.h, on which a loop listens.  While it does not, it neither reads nor fills the cache, and
 * when that begins or ends it forgets all, so that no missed notice leaves an old answer behind.
 *
 * Three kinds of entry:
 *
 *     api:<endpoint>:<user>:<hash>   an answer, for its caller alone (list_ttl, detail_ttl)
 *     <resource>:<key>               a row as retrieve reads it, the same for everybody (row_ttl), from
 *                                    which each caller's answer is made; five minutes of it in L1
 *     what a handler names           cached_value
 */
#ifndef RESOURCE_CACHED_H
#define RESOURCE_CACHED_H

#include "coord/cache.h"
#include "resource/resource.h"

/* Before threads start: its groups are known from now on. */
void cached_register(const struct resource *);
/* Answers by `make`, which sets a JSON answer of 200 or fails; or with what it answered less than
 * `ttl` ago.  0: never kept.  Yields. */
int cached_reply(struct request *, usec_t ttl, route_handler *make) may_yield _must_check_;
/* cache_get where there is a cache and the loop hears of what ends its values; else what is made.  The maker
 * reads the primary, and its arena is the request's.  Yields. */
int cached_value(struct request *, const struct cache_entry *, cache_maker *, void *arg,
		 struct str *ret_value) may_yield _must_check_;
/* Reads a row of the primary in VIEW_RETRIEVAL.  0 or an error.  Yields. */
typedef int cached_finder(struct request *, const struct resource *, struct str key,
			  struct row *ret);
/* The row that `find` finds with `key`; what is kept under `name` is the row, not its JSON: links name the host that is asked.  Not
 * asked is who may see it.  Yields. */
int cached_row(struct request *, const struct resource *, struct str name, usec_t ttl,
	       cached_finder *find, struct str key, struct row *ret) may_yield _must_check_;
/* 0, or -EINVAL with a sentence: its rows are not the same for everybody, but row_ttl would keep them so. */
int cached_check(const struct resource *) _must_check_;

/* On the loop's stack.  Somebody wrote this table; the loop begins or ceases to hear of it: all is forgotten. */
void cached_on_write(struct cache *, struct str table);
void cached_on_listening(struct cache *);

#endif
