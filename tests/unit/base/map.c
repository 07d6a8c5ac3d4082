#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

Test(map, finds_what_was_put_and_returns_what_stood_there)
{
	struct map m;
	int one, two;

	map_init(&m);
	cr_assert_null(map_find(&m, STR("a")));
	cr_assert_null(map_remove(&m, STR("a")));
	cr_assert_null(map_put(&m, STR("a"), &one));
	cr_assert_eq(map_put(&m, STR("a"), &two), &one);
	cr_assert_eq(map_find(&m, STR("a")), &two);
	cr_assert_eq(map_count(&m), 1);
	cr_assert_eq(map_remove(&m, STR("a")), &two);
	cr_assert_eq(map_count(&m), 0);
	cr_assert_null(map_put(&m, STR(""), &one));
	cr_assert_eq(map_find(&m, STR("")), &one);
	map_fini(&m);
}

/* Against a plain table: many puts and removals, so that moved-back entries are met. */
Test(map, agrees_with_a_table_over_many_changes)
{
	enum { KEYS = 500 };
	static char keys[KEYS][8];
	static void *table[KEYS];
	struct map m;
	unsigned seed = 3;
	size_t count = 0, visited = 0, at = 0;

	map_init(&m);
	for (int i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
	for (int step = 0; step < 50000; step++) {
		int i = rand_r(&seed) % KEYS;
		void *value = rand_r(&seed) % 2 ? keys[i] : NULL;
		void *before = value != NULL ? map_put(&m, str_c(keys[i]), value)
					     : map_remove(&m, str_c(keys[i]));

		cr_assert_eq(before, table[i]);
		count += (value != NULL) - (table[i] != NULL);
		table[i] = value;
		cr_assert_eq(map_count(&m), count);
	}
	for (int i = 0; i < KEYS; i++)
		cr_assert_eq(map_find(&m, str_c(keys[i])), table[i]);
	while (map_next(&m, &at) != NULL)
		visited++;
	cr_assert_eq(visited, count);
	map_fini(&m);
}
