#include "queue/flight.h"

#include <criterion/criterion.h>

#include "base/live.h"

Test(flight, a_freed_record_is_not_found_by_its_old_name)
{
	int64_t before = live_get(LIVE_jobs);
	struct flight *one, *two;
	struct flights f;
	uint32_t generation;

	flights_init(&f, 2);
	one = flight_new(&f);
	one->state = FLIGHT_OUT;
	generation = one->generation;
	cr_assert_eq(flight_find(&f, one->number, generation), one);
	flight_keep_frame(one, STR("frame"));
	cr_assert_eq(one->frame_len, 5);
	flight_free(&f, one);
	cr_assert_null(flight_find(&f, one->number, generation));
	cr_assert_null(flight_find(&f, 77, 1));
	two = flight_new(&f);
	two->state = FLIGHT_OUT;
	cr_assert_eq(two, one, "used again");
	cr_assert_null(flight_find(&f, two->number, generation));
	cr_assert_eq(flight_find(&f, two->number, two->generation), two);
	cr_assert_null(two->frame);
	flight_free(&f, two);
	cr_assert_eq(live_get(LIVE_jobs), before);
	flights_fini(&f);
}

Test(flight, the_pool_is_bounded)
{
	struct flight *all[3];
	struct flights f;

	flights_init(&f, 3);
	for (int i = 0; i < 3; i++) {
		all[i] = flight_new(&f);
		all[i]->state = FLIGHT_OUT;
	}
	cr_assert_eq(flights_left(&f), 0);
	cr_assert_null(flight_new(&f));
	flight_free(&f, all[1]);
	cr_assert_eq(flight_new(&f), all[1]);
	all[1]->state = FLIGHT_OUT;
	for (int i = 0; i < 3; i++)
		flight_free(&f, all[i]);
	flights_fini(&f);
}
