#include "queue/revoked.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct seen {
	size_t count;
	char first[16];
};

static void see(void *arg, struct str id)
{
	struct seen *s = arg;

	if (s->count++ == 0)
		(void) snprintf(s->first, sizeof(s->first), "%.*s", STR_ARG(id));
}

Test(revoked, is_forgotten_in_time)
{
	struct revoked r;

	revoked_init(&r);
	cr_assert_not(revoked_has(&r, STR("a"), 0));
	revoked_add(&r, STR("a"), 0);
	revoked_add(&r, STR("b"), 1 * HOUR);
	revoked_add(&r, STR("b"), 1 * HOUR);
	cr_assert_eq(revoked_count(&r), 2);
	cr_assert(revoked_has(&r, STR("a"), REVOKED_FOR - 1));
	cr_assert_not(revoked_has(&r, STR("a"), REVOKED_FOR));
	cr_assert(revoked_has(&r, STR("b"), REVOKED_FOR));
	revoked_add(&r, STR("b"), REVOKED_FOR); /* said again: it lasts again */
	cr_assert(revoked_has(&r, STR("b"), REVOKED_FOR + 2 * HOUR));
	revoked_fini(&r);
}

Test(revoked, is_bounded_and_the_oldest_goes)
{
	struct seen seen = { 0 };
	struct revoked r;
	char id[16];

	revoked_init(&r);
	for (int i = 0; i < REVOKED_MOST + 3; i++) {
		(void) snprintf(id, sizeof(id), "%d", i);
		revoked_add(&r, str_c(id), 1);
	}
	cr_assert_eq(revoked_count(&r), REVOKED_MOST);
	cr_assert_not(revoked_has(&r, STR("2"), 1));
	cr_assert(revoked_has(&r, STR("3"), 1));
	revoked_visit(&r, see, &seen);
	cr_assert_eq(seen.count, REVOKED_MOST);
	cr_assert_str_eq(seen.first, "3");
	revoked_fini(&r);
}
