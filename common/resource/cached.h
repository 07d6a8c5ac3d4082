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
 * by a foreign key.  So do those that its rows point at: they may count them.  Who writes these tables in another way calls resource_forget, or
 * cache_drop_from where there is no request.
 */
#ifndef RESOURCE_CACHED_H
#define RESOURCE_CACHED_H

#include "resource/resource.h"

/* Before threads start: its groups are known from now on. */
void cached_register(const struct resource *);
/* Answers by `make`, which sets a JSON answer of 200 or fails; or with what it answered less than
 * `ttl` ago.  0: never kept.  Yields. */
int cached_reply(struct request *, usec_t ttl, route_handler *make) may_yield _must_check_;

#endif
