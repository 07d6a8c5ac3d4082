/*
 * cache_table.h - L1: texts by key, bounded in bytes, the oldest use first out.
 */
#ifndef COORD_CACHE_TABLE_H
#define COORD_CACHE_TABLE_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"

struct cache_table {
	struct map map;
	struct list used; /* oldest first */
	size_t bytes, most;
	uint64_t evictions;
};

void cache_table_init(struct cache_table *, size_t most_bytes);
void cache_table_fini(struct cache_table *);
/* Copies both.  A value that is larger than an eighth of the table is not kept. */
void cache_table_put(struct cache_table *, struct str key, struct str value, usec_t expires);
/* The value, valid until the table changes; absent if it is not there or has expired. */
struct str cache_table_find(struct cache_table *, struct str key, usec_t now);
void cache_table_drop(struct cache_table *, struct str key);
void cache_table_clear(struct cache_table *);

#endif
