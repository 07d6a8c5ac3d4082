#include "base/heap.h"

#include <stdlib.h>

void heap_init(struct heap *h)
{
	*h = (struct heap){ 0 };
}

void heap_fini(struct heap *h)
{
	must(h->_count == 0);
	free(h->_nodes);
	heap_init(h);
}

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->_sequence < b->_sequence;
}

static void set(struct heap *h, size_t at, struct heap_node *n)
{
	h->_nodes[at] = n;
	n->_place = at + 1;
}

static void sift_up(struct heap *h, size_t at, struct heap_node *n)
{
	while (at > 0) {
		size_t parent = (at - 1) / 2;

		if (!is_before(n, h->_nodes[parent]))
			break;
		set(h, at, h->_nodes[parent]);
		at = parent;
	}
	set(h, at, n);
}

static void sift_down(struct heap *h, size_t at, struct heap_node *n)
{
	for (;;) {
		size_t child = at * 2 + 1;

		if (child >= h->_count)
			break;
		if (child + 1 < h->_count && is_before(h->_nodes[child + 1], h->_nodes[child]))
			child++;
		if (!is_before(h->_nodes[child], n))
			break;
		set(h, at, h->_nodes[child]);
		at = child;
	}
	set(h, at, n);
}

void heap_insert(struct heap *h, struct heap_node *n, usec_t key)
{
	must(!heap_node_is_linked(n));
	if (h->_count == h->_cap) {
		h->_cap = MAX(h->_cap * 2, (size_t) 16);
		h->_nodes = reallocarray(h->_nodes, h->_cap, sizeof(struct heap_node *));
		must(h->_nodes != NULL);
	}
	n->key = key;
	n->_sequence = h->_sequence++;
	sift_up(h, h->_count++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *last;
	size_t at;

	if (!heap_node_is_linked(n))
		return;
	at = n->_place - 1;
	must(at < h->_count && h->_nodes[at] == n); /* else it is in another heap */
	n->_place = 0;
	last = h->_nodes[--h->_count];
	if (last == n)
		return;
	if (at > 0 && is_before(last, h->_nodes[(at - 1) / 2]))
		sift_up(h, at, last);
	else
		sift_down(h, at, last);
}

struct heap_node *heap_first(const struct heap *h)
{
	return h->_count == 0 ? NULL : h->_nodes[0];
}
