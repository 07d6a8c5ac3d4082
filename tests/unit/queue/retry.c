#include "queue/retry.h"

#include <criterion/criterion.h>

#include "base/world.h"

Test(retry, the_ceiling_doubles_up_to_the_most)
{
	static const struct task_retry usual = TASK_RETRY_USUAL;
	static const struct {
		int64_t retries;
		usec_t ceiling;
	} cases[] = { { 0, 1 * SEC },    { 1, 2 * SEC },          { 2, 4 * SEC },
		      { 8, 256 * SEC },  { 9, 512 * SEC },        { 10, 600 * SEC },
		      { 63, 600 * SEC }, { INT64_MAX, 600 * SEC } };
	struct task_retry odd = { .first = 7, .most = INT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(retry_ceiling(&usual, cases[i].retries), cases[i].ceiling, "%d",
			     (int) cases[i].retries);
	cr_assert_eq(retry_ceiling(&odd, 1000), INT64_MAX, "no overflow");
	odd.first = 0;
	cr_assert_eq(retry_ceiling(&odd, 3), 0);
}

Test(retry, the_wait_is_anywhere_below_the_ceiling)
{
	static const struct task_retry p = { .times = 3, .first = 1 * SEC, .most = 600 * SEC };
	struct fake_world w;
	usec_t least = USEC_NEVER, most = 0, sum = 0;

	fake_world_init(&w, 42, 0);
	world_set(&w.world);
	for (int i = 0; i < 2000; i++) {
		usec_t wait = retry_wait(&p, 2);

		least = MIN(least, wait);
		most = MAX(most, wait);
		sum += wait;
	}
	world_set(NULL);
	cr_assert(least >= 0 && least < 50 * MSEC, "%ld", (long) least);
	cr_assert(most <= 4 * SEC && most > 4 * SEC - 50 * MSEC, "%ld", (long) most);
	cr_assert(sum / 2000 > 1900 * MSEC && sum / 2000 < 2100 * MSEC, "%ld", (long) sum);
}

Test(retry, times_are_after_the_first_attempt)
{
	struct task_retry p = { .times = 3 };

	cr_assert(retry_is_left(&p, 0) && retry_is_left(&p, 2));
	cr_assert(!retry_is_left(&p, 3) && !retry_is_left(&p, 100));
	p.times = 0;
	cr_assert(!retry_is_left(&p, 0));
	p.times = -1;
	cr_assert(retry_is_left(&p, INT64_MAX));
}
