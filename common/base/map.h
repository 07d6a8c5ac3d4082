/*
 * map.h - an open-addressed table from a text to a pointer.
 *
 * Keys are borrowed: they must live as long as their entry (usually inside the value).  Not for
 * keys that a stranger chooses without bound on their number.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot {
	struct str key;
	void *value; /* NULL: empty */
	uint64_t hash;
};

struct map {
	struct map_slot *_slots;
	size_t _count, _cap;
};

void map_init(struct map *);
void map_fini(struct map *);
void *map_find(const struct map *, struct str key); /* NULL if absent */
/* Value must not be NULL.  Returns what stood there before, or NULL. */
void *map_put(struct map *, struct str key, void *value);
void *map_remove(struct map *, struct str key);
size_t map_count(const struct map *);
/* Visits every entry in no order: `for (size_t at = 0; (slot = map_next(m, &at));)`.  No changes
 * meanwhile. */
const struct map_slot *map_next(const struct map *, size_t *at);

#endif
