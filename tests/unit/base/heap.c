#include "base/heap.h"

#include <signal.h>
#include <stdlib.h>

#include <criterion/criterion.h>

Test(heap, comes_out_sorted_and_equal_keys_in_order_of_insertion)
{
	struct heap h;
	static struct heap_node nodes[1000];
	unsigned seed = 1;
	struct heap_node *last = NULL, *n;

	heap_init(&h);
	for (size_t i = 0; i < 1000; i++)
		heap_insert(&h, &nodes[i], rand_r(&seed) % 50);
	cr_assert_eq(heap_count(&h), 1000);
	while ((n = heap_first(&h)) != NULL) {
		if (last != NULL)
			cr_assert(n->key > last->key || (n->key == last->key && n > last));
		last = n;
		heap_remove(&h, n);
		cr_assert(!heap_node_is_linked(n));
	}
	heap_fini(&h);
}

Test(heap, removal_from_the_middle_keeps_order_and_is_idempotent)
{
	struct heap h;
	static struct heap_node nodes[300];
	unsigned seed = 7;
	usec_t last = -1;

	heap_init(&h);
	for (size_t i = 0; i < 300; i++)
		heap_insert(&h, &nodes[i], rand_r(&seed) % 1000);
	for (size_t i = 0; i < 300; i += 3) {
		heap_remove(&h, &nodes[i]);
		heap_remove(&h, &nodes[i]);
	}
	cr_assert_eq(heap_count(&h), 200);
	while (heap_count(&h) > 0) {
		struct heap_node *n = heap_first(&h);

		cr_assert(n->key >= last);
		cr_assert_neq((n - nodes) % 3, 0);
		last = n->key;
		heap_remove(&h, n);
	}
	heap_fini(&h);
}

Test(heap, a_node_in_another_heap_is_a_bug, .signal = SIGABRT)
{
	struct heap a, b;
	struct heap_node n = { 0 };

	heap_init(&a);
	heap_init(&b);
	heap_insert(&a, &n, 1);
	heap_remove(&b, &n);
}
