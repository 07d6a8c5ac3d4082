/*
 * heap.h - an intrusive binary min-heap keyed by a time.
 *
 * A node knows its place, so that removal is O(log n) and idempotent.  Equal keys come out in the
 * order in which they went in (a sequence number breaks ties): two timers due at once fire in
 * order.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/macros.h"

struct heap_node {
	usec_t key;
	uint64_t _sequence;
	size_t _place; /* index + 1; 0: in no heap */
};

struct heap {
	struct heap_node **_nodes;
	size_t _count, _cap;
	uint64_t _sequence;
};

void heap_init(struct heap *);
void heap_fini(struct heap *); /* the heap must be empty */
void heap_insert(struct heap *, struct heap_node *, usec_t key);
void heap_remove(struct heap *, struct heap_node *);
struct heap_node *heap_first(const struct heap *); /* NULL if empty */

static inline size_t heap_count(const struct heap *h)
{
	return h->_count;
}

static inline bool heap_node_is_linked(const struct heap_node *n)
{
	return n->_place != 0;
}

#endif
