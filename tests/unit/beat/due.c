#include "beat/due.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "base/error.h"

static const struct when every_ten = { .every = 10 * SEC };

static struct due_plan plan(enum missed missed, usec_t deadline, usec_t next, usec_t now)
{
	struct due_plan p;

	due_plan(&every_ten, missed, deadline, next, now, &p);
	return p;
}

#define STEP(p, i, planned_, is_run_, times_)                                                      \
	do {                                                                                       \
		cr_expect_eq((p).steps[i].planned, (planned_));                                    \
		cr_expect_eq((p).steps[i].is_run, (is_run_));                                      \
		cr_expect_eq((p).steps[i].times, (times_));                                        \
	} while (0)

Test(due, what_has_not_come_is_left)
{
	struct due_plan p = plan(MISSED_ALL, 0, 110 * SEC, 110 * SEC - 1);

	cr_expect_eq(p.count, 0);
	cr_expect_eq(p.next, 110 * SEC);
}

Test(due, one_in_time_runs_whatever_the_policy)
{
	for (int missed = 0; missed < MISSED_POLICIES; missed++) {
		struct due_plan p = plan((enum missed) missed, 0, 110 * SEC, 112 * SEC);

		cr_assert_eq(p.count, 1);
		STEP(p, 0, 110 * SEC, true, 1);
		cr_expect_eq(p.next, 120 * SEC);
	}
}

Test(due, a_leader_was_gone_for_five_of_them)
{
	struct due_plan p = plan(MISSED_ONE, 0, 110 * SEC, 155 * SEC);

	cr_assert_eq(p.count, 2);
	STEP(p, 0, 140 * SEC, false, 4);
	STEP(p, 1, 150 * SEC, true, 1);
	cr_expect_eq(p.next, 160 * SEC);
	p = plan(MISSED_SKIP, 0, 110 * SEC, 155 * SEC);
	cr_assert_eq(p.count, 2);
	STEP(p, 0, 140 * SEC, false, 4);
	STEP(p, 1, 150 * SEC, true, 1);
	p = plan(MISSED_ALL, 0, 110 * SEC, 155 * SEC);
	cr_assert_eq(p.count, 5);
	for (int i = 0; i < 5; i++)
		STEP(p, i, (110 + 10 * i) * SEC, true, 1);
}

Test(due, one_that_is_hours_late)
{
	static const struct when daily = { .every = DAY };
	struct due_plan p;

	due_plan(&daily, MISSED_SKIP, 0, DAY, DAY + 3 * HOUR, &p);
	cr_assert_eq(p.count, 1);
	STEP(p, 0, DAY, false, 1);
	cr_expect_eq(p.next, 2 * DAY);
	due_plan(&daily, MISSED_ONE, 0, DAY, DAY + 3 * HOUR, &p);
	STEP(p, 0, DAY, true, 1);
	due_plan(&daily, MISSED_ONE, 3 * HOUR, DAY, DAY + 3 * HOUR, &p);
	STEP(p, 0, DAY, true, 1);
	due_plan(&daily, MISSED_ONE, 3 * HOUR, DAY, DAY + 3 * HOUR + 1, &p);
	STEP(p, 0, DAY, false, 1);
}

Test(due, all_within_the_deadline)
{
	struct due_plan p = plan(MISSED_ALL, 25 * SEC, 110 * SEC, 155 * SEC);

	cr_assert_eq(p.count, 4);
	STEP(p, 0, 120 * SEC, false, 2);
	STEP(p, 1, 130 * SEC, true, 1);
	STEP(p, 3, 150 * SEC, true, 1);
}

/* Whatever is too much for one plan is left to the next: none is lost, none comes twice. */
Test(due, a_long_stretch_is_planned_in_pieces)
{
	for (int missed = 0; missed < MISSED_POLICIES; missed++) {
		usec_t next = 10 * SEC, now = 50005 * SEC, last = 0;
		int times = 0, runs = 0;

		for (int pieces = 0; next <= now && pieces < 1000; pieces++) {
			struct due_plan p = plan((enum missed) missed, 0, next, now);

			cr_assert_gt(p.count, 0);
			for (size_t i = 0; i < p.count; i++) {
				cr_assert_gt(p.steps[i].planned, last);
				last = p.steps[i].planned;
				times += p.steps[i].times;
				runs += p.steps[i].is_run;
			}
			cr_assert_eq(p.next, last + 10 * SEC);
			next = p.next;
		}
		cr_expect_eq(times, 5000);
		cr_expect_eq(runs, missed == MISSED_ALL ? 5000 : 1);
	}
}

/* A jump of the clock forward is a stretch that was missed; one back waits for what comes next. */
Test(due, the_clock_jumps)
{
	struct due_plan p = plan(MISSED_ONE, HOUR, 110 * SEC, 110 * SEC + DAY);
	usec_t next;

	next = p.next;
	for (int i = 0; next <= 110 * SEC + DAY && i < 100; i++) {
		p = plan(MISSED_ONE, HOUR, next, 110 * SEC + DAY);
		next = p.next;
	}
	cr_expect(p.steps[p.count - 1].is_run);
	cr_expect_eq(next, 110 * SEC + DAY + 10 * SEC);
	p = plan(MISSED_ONE, HOUR, next, 300 * SEC);
	cr_expect_eq(p.count, 0);
	cr_expect_eq(p.next, next);
}

Test(due, words_of_the_policy)
{
	enum missed missed = MISSED_ONE;

	cr_expect_eq(missed_parse(STR("all"), &missed), 0);
	cr_expect_eq(missed, MISSED_ALL);
	cr_expect_eq(missed_parse(STR("some"), &missed), -EINVAL);
	cr_expect_str_eq(fail_reason(-EINVAL), "missed is one of one, skip, all, not some");
}
