/* Cancellation and shields of loop/fiber.h. */
#include <signal.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/arena.h"
#include "base/live.h"
#include "base/world.h"
#include "support.h"

TestSuite(fiber_cancel, .init = loop_up, .fini = loop_down);

static bool is_waiting;

static int expect_sticky(void *arg)
{
	struct waiter w;

	is_waiting = true;
	cr_assert_eq(fiber_sleep(HOUR), -ECANCELED);
	/* For ever, at once, in every way. */
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(fiber_sleep(0), -ECANCELED);
		cr_assert_eq(fiber_yield(), -ECANCELED);
		cr_assert_eq(fiber_check(), -ECANCELED);
	}
	waiter_init(&w);
	fiber_wake(&w, 0);
	cr_assert_eq(fiber_park(&w, "woken"), -ECANCELED, "woken or not");
	{
		FIBER_DEADLINE(SEC);
		cr_assert_eq(fiber_sleep(0), -ECANCELED);
	}
	cr_assert(fiber_is_cancelled(fiber_current()));
	return -ECANCELED;
}

static int cancel_it(void *arg)
{
	struct fiber *f = start("victim", expect_sticky, NULL);

	cr_assert_eq(fiber_yield(), 0);
	cr_assert(is_waiting);
	fiber_cancel(f);
	fiber_cancel(f);
	cr_assert(fiber_is_cancelled(f));
	cr_assert_eq(join(f), -ECANCELED);
	return 0;
}

Test(fiber_cancel, is_sticky)
{
	run(cancel_it, NULL);
}

static int check_at_once(void *arg)
{
	return fiber_check();
}

static int cancel_before_it_runs(void *arg)
{
	struct fiber *f = start("victim", check_at_once, NULL);

	fiber_cancel(f);
	return join(f);
}

Test(fiber_cancel, of_one_that_has_not_run_is_seen_when_it_runs)
{
	cr_assert_eq(run(cancel_before_it_runs, NULL), -ECANCELED);
}

static struct waiter *parked;

static int park_twice(void *arg)
{
	struct waiter w;
	int first;

	waiter_init(&w);
	parked = &w;
	first = fiber_park(&w, "first");
	waiter_init(&w);
	cr_assert_eq(fiber_park(&w, "second"), -ECANCELED);
	return first;
}

static int wake_then_cancel(void *arg)
{
	struct fiber *f = start("victim", park_twice, NULL);

	cr_assert_eq(fiber_yield(), 0);
	fiber_wake(parked, 5);
	fiber_cancel(f);
	return join(f);
}

Test(fiber_cancel, a_wake_that_came_before_wins)
{
	cr_assert_eq(run(wake_then_cancel, NULL), 5);
}

static int cancel_then_wake(void *arg)
{
	struct fiber *f = start("victim", park_twice, NULL);

	cr_assert_eq(fiber_yield(), 0);
	fiber_cancel(f);
	fiber_wake(parked, 5);
	return join(f);
}

Test(fiber_cancel, a_wake_that_came_after_is_lost)
{
	cr_assert_eq(run(cancel_then_wake, NULL), -ECANCELED);
}

static struct list owner = LIST_INIT(owner);

static int wait_in_list(void *arg)
{
	struct waiter w;
	int r;

	waiter_init(&w);
	list_append(&owner, &w.link);
	r = fiber_park(&w, "list");
	cr_assert(list_is_empty(&w.link), "left its list when it was interrupted");
	return r;
}

static int look_at_the_list(void *arg)
{
	struct fiber *f = start("victim", wait_in_list, NULL);

	cr_assert_eq(fiber_yield(), 0);
	cr_assert(!list_is_empty(&owner));
	fiber_cancel(f);
	cr_assert(list_is_empty(&owner), "before it runs");
	return join(f);
}

Test(fiber_cancel, takes_the_waiter_out_of_its_list_at_once)
{
	cr_assert_eq(run(look_at_the_list, NULL), -ECANCELED);
}

/* Shields. */

static int shielded(void *arg)
{
	{
		FIBER_SHIELD(10 * SEC);
		is_waiting = true;
		cr_assert_eq(fiber_sleep(5 * MSEC), 0, "not cut short");
		cr_assert(fiber_is_cancelled(fiber_current()));
		cr_assert_eq(fiber_check(), 0);
		cr_assert_eq(fiber_yield(), 0);
	}
	return fiber_sleep(0);
}

static int cancel_shielded(void *arg)
{
	struct fiber *f = start("victim", shielded, NULL);

	cr_assert_eq(fiber_yield(), 0);
	cr_assert(is_waiting);
	fiber_cancel(f);
	return join(f);
}

Test(fiber_cancel, waits_outside_a_shield)
{
	cr_assert_eq(run(cancel_shielded, NULL), -ECANCELED);
}

static int shield_after_expiry(void *arg)
{
	FIBER_DEADLINE(2 * MSEC);
	cr_assert_eq(fiber_sleep(HOUR), -ETIMEDOUT);
	{
		usec_t began = now_monotonic();

		FIBER_SHIELD(100 * MSEC);
		cr_assert_eq(fiber_sleep(MSEC), 0, "the outer deadline waits too");
		cr_assert_eq(fiber_sleep(HOUR), -ETIMEDOUT, "but the shield is bounded itself");
		cr_assert(now_monotonic() - began >= 100 * MSEC);
	}
	return fiber_sleep(0);
}

Test(fiber_cancel, a_shield_also_stands_before_the_deadline_and_has_its_own)
{
	cr_assert_eq(run(shield_after_expiry, NULL), -ETIMEDOUT);
}

static int deadline_in_shield(void *arg)
{
	FIBER_SHIELD(10 * SEC);
	{
		FIBER_DEADLINE(2 * MSEC);
		cr_assert_eq(fiber_sleep(HOUR), -ETIMEDOUT);
	}
	return fiber_sleep(0);
}

Test(fiber_cancel, a_scope_in_a_shield_shortens)
{
	cr_assert_eq(run(deadline_in_shield, NULL), 0);
}

static int nest_shields(void *arg)
{
	FIBER_SHIELD(SEC);
	{
		FIBER_SHIELD(SEC);
	}
	return 0;
}

Test(fiber_cancel_bugs, nested_shields_abort, .init = loop_up, .signal = SIGABRT)
{
	run(nest_shields, NULL);
}

/* Join. */

static int slow_to_stop(void *arg)
{
	int r = fiber_sleep(HOUR);

	FIBER_SHIELD(SEC);
	cr_assert_eq(fiber_sleep(5 * MSEC), 0);
	*(bool *) arg = true;
	return r;
}

static int join_long(void *arg)
{
	bool is_done = false;
	struct fiber *f = start("inner", slow_to_stop, &is_done);
	int r = join(f);

	cr_assert(is_done, "waited for to its end");
	cr_assert_eq(fiber_check(), -ECANCELED);
	return r;
}

static int cancel_the_joiner(void *arg)
{
	struct fiber *f = start("outer", join_long, NULL);

	for (int i = 0; i < 3; i++)
		cr_assert_eq(fiber_yield(), 0);
	fiber_cancel(f);
	return join(f);
}

Test(fiber_cancel, of_a_joiner_goes_on_to_the_joined_and_waits_for_it)
{
	cr_assert_eq(run(cancel_the_joiner, NULL), -ECANCELED);
}

static int join_when_cancelled(void *arg)
{
	bool is_done = false;
	struct fiber *f = start("inner", slow_to_stop, &is_done);

	fiber_cancel(fiber_current());
	cr_assert_eq(join(f), -ECANCELED);
	cr_assert(is_done);
	return 0;
}

Test(fiber_cancel, a_cancelled_joiner_cancels_what_it_joins)
{
	cr_assert_eq(run(join_when_cancelled, NULL), 0);
}

static int join_until_deadline(void *arg)
{
	bool is_done = false;
	/* With more time than its joiner. */
	struct fiber *f = start("inner", slow_to_stop, &is_done);

	FIBER_DEADLINE(3 * MSEC);
	cr_assert_eq(join(f), -ECANCELED);
	cr_assert(is_done);
	return fiber_check();
}

Test(fiber_cancel, the_deadline_of_a_joiner_cancels_the_joined)
{
	cr_assert_eq(run(join_until_deadline, NULL), -ETIMEDOUT);
}

/* Rule 24: cancelled at its first, second, … wait, until it comes through. */

static struct semaphore pool;
static int replies;

static int leaf(void *arg)
{
	return fiber_sleep(0);
}

static int handler(void *arg)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct fiber *child;
	int r, result;

	(void) arena_alloc(&a, 100);
	r = semaphore_take(&pool, "pool");
	if (r < 0)
		return r;
	r = fiber_sleep(0);
	if (r == 0)
		r = fiber_yield();
	if (r == 0) {
		child = start("leaf", leaf, NULL);
		fiber_join(child, &result);
		r = result;
	}
	if (r == 0) {
		FIBER_SHIELD(SEC);
		r = fiber_sleep(0);
	}
	semaphore_give(&pool);
	if (r == 0)
		r = fiber_check();
	if (r == 0)
		replies++;
	return r;
}

static int cancel_everywhere(void *arg)
{
	unsigned n = 1, cancelled = 0;
	int r;

	semaphore_init(&pool, 1);
	do {
		struct fiber *f = start("handler", handler, NULL);
		int64_t arenas = live_get(LIVE_arenas);

		replies = 0;
		fiber_cancel_at(f, n);
		r = join(f);
		cr_assert_eq(live_get(LIVE_arenas), arenas, "n = %u", n);
		cr_assert_eq(pool.free, 1, "n = %u", n);
		cr_assert_eq(fiber_count(loop), 1, "n = %u", n);
		cr_assert_eq(replies, r == 0 ? 1 : 0, "n = %u", n);
		cr_assert(r == 0 || r == -ECANCELED);
		cancelled += r < 0;
		n++;
	} while (r < 0);
	cr_assert_eq(cancelled, 4, "sleep, yield, join, sleep in the shield: %u", cancelled);
	return 0;
}

Test(fiber_cancel, at_every_wait_leaves_nothing_behind)
{
	run(cancel_everywhere, NULL);
}

static int count_parks(void *arg)
{
	struct fiber *me = fiber_current();
	unsigned before = fiber_park_count(me);

	fiber_cancel_at(me, 5);
	fiber_cancel_at(me, 0);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(fiber_sleep(0), 0, "switched off");
	cr_assert_eq(fiber_park_count(me), before + 8);
	return 0;
}

Test(fiber_cancel, at_can_be_switched_off_and_parks_are_counted)
{
	run(count_parks, NULL);
}
