#include "base/map.h"

#include <stdlib.h>

/*
 * Linear probing in a power of two of slots, at most three quarters full.  Removal moves the
 * following entries back instead of leaving a tombstone, so that a table that lives for months does
 * not fill up with them.
 */

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void map_fini(struct map *m)
{
	free(m->_slots);
	map_init(m);
}

/* The slot of this key, or the empty one where it belongs. */
static struct map_slot *slot_of(const struct map *m, struct str key, uint64_t hash)
{
	size_t mask = m->_cap - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct map_slot *slot = &m->_slots[i];

		if (slot->value == NULL || (slot->hash == hash && str_eq(slot->key, key)))
			return slot;
	}
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->_cap = old._cap == 0 ? 16 : old._cap * 2;
	m->_slots = calloc(m->_cap, sizeof(*m->_slots));
	must(m->_slots != NULL);
	for (size_t i = 0; i < old._cap; i++)
		if (old._slots[i].value != NULL)
			*slot_of(m, old._slots[i].key, old._slots[i].hash) = old._slots[i];
	free(old._slots);
}

void *map_find(const struct map *m, struct str key)
{
	return m->_cap == 0 ? NULL : slot_of(m, key, str_hash(key))->value;
}

void *map_put(struct map *m, struct str key, void *value)
{
	uint64_t hash = str_hash(key);
	struct map_slot *slot;
	void *before;

	must(value != NULL);
	if (m->_count + 1 > m->_cap / 4 * 3)
		grow(m);
	slot = slot_of(m, key, hash);
	before = slot->value;
	if (before == NULL)
		m->_count++;
	*slot = (struct map_slot){ .key = key, .value = value, .hash = hash };
	return before;
}

void *map_remove(struct map *m, struct str key)
{
	size_t mask = m->_cap - 1, hole;
	struct map_slot *slot;
	void *value;

	if (m->_cap == 0)
		return NULL;
	slot = slot_of(m, key, str_hash(key));
	value = slot->value;
	if (value == NULL)
		return NULL;
	m->_count--;
	hole = (size_t) (slot - m->_slots);
	for (size_t i = (hole + 1) & mask; m->_slots[i].value != NULL; i = (i + 1) & mask) {
		size_t home = m->_slots[i].hash & mask;

		/* Only what may not lie before its home stays where it is. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->_slots[hole] = m->_slots[i];
			hole = i;
		}
	}
	m->_slots[hole] = (struct map_slot){ 0 };
	return value;
}

size_t map_count(const struct map *m)
{
	return m->_count;
}

const struct map_slot *map_next(const struct map *m, size_t *at)
{
	while (*at < m->_cap) {
		const struct map_slot *slot = &m->_slots[(*at)++];

		if (slot->value != NULL)
			return slot;
	}
	return NULL;
}
