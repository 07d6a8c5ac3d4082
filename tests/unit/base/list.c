#include "base/list.h"

#include <signal.h>

#include <criterion/criterion.h>

struct item {
	int n;
	struct list link;
};

static int sum(struct list *head)
{
	int digits = 0;

	list_for_each (node, head)
		digits = digits * 10 + list_entry(node, struct item, link)->n;
	return digits;
}

static struct item items[4] = { { .n = 1 }, { .n = 2 }, { .n = 3 }, { .n = 4 } };
static struct list head = LIST_INIT(head);

static void fill(void)
{
	for (int i = 0; i < 4; i++) {
		list_init(&items[i].link);
		list_append(&head, &items[i].link);
	}
}

Test(list, keeps_order_and_removes_from_anywhere, .init = fill)
{
	cr_assert_eq(sum(&head), 1234);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	cr_assert(list_is_empty(&items[1].link));
	cr_assert_eq(sum(&head), 134);
	list_prepend(&head, &items[1].link);
	cr_assert_eq(sum(&head), 2134);
	cr_assert_eq(list_pop(&head), &items[1].link);
}

Test(list, the_body_of_a_walk_may_remove_the_current, .init = fill)
{
	list_for_each (node, &head)
		if (list_entry(node, struct item, link)->n % 2 == 0)
			list_remove(node);
	cr_assert_eq(sum(&head), 13);
}

Test(list, splice_moves_all_and_leaves_nothing, .init = fill)
{
	struct list other;

	list_init(&other);
	list_splice(&other, &head);
	cr_assert(list_is_empty(&head));
	cr_assert_eq(sum(&other), 1234);
	list_splice(&other, &head);
	cr_assert_eq(sum(&other), 1234);
	cr_assert_null(list_pop(&head));
	cr_assert_null(list_first(&head));
}

Test(list, appending_what_is_linked_is_a_bug, .init = fill, .signal = SIGABRT)
{
	list_append(&head, &items[0].link);
}
