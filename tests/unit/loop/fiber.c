#include "loop/fiber.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/world.h"
#include "support.h"

TestSuite(fiber, .init = loop_up, .fini = loop_down);

static struct buf trace;

static void note(char c)
{
	buf_add_byte(&trace, c);
}

static int return_arg(void *arg)
{
	note('r');
	return (int) (intptr_t) arg;
}

static int start_and_join(void *arg)
{
	struct fiber *f = start("child", return_arg, (void *) 42);

	cr_assert_eq(trace.len, 0, "start does not run it");
	cr_assert_eq(join(f), 42);
	cr_assert_str_eq(trace.at, "r");
	return 7;
}

Test(fiber, starts_later_and_hands_its_result_to_whoever_joins)
{
	cr_assert_null(fiber_current());
	cr_assert_eq(run(start_and_join, NULL), 7);
	cr_assert_null(fiber_current());
	buf_fini(&trace);
}

static int join_ended(void *arg)
{
	struct fiber *f = start("child", return_arg, (void *) 5);
	unsigned parks = fiber_park_count(fiber_current());

	cr_assert_eq(fiber_sleep(MSEC), 0);
	cr_assert_str_eq(trace.at, "r");
	cr_assert_eq(fiber_park_count(fiber_current()), parks + 1);
	cr_assert_eq(join(f), 5);
	cr_assert_eq(fiber_park_count(fiber_current()), parks + 1, "no wait for what has ended");
	return 0;
}

Test(fiber, an_ended_one_can_still_be_joined)
{
	run(join_ended, NULL);
	buf_fini(&trace);
}

static void on_end(void *arg, int result)
{
	cr_assert_null(fiber_current());
	*(int *) arg = result;
}

static int detach_late(void *arg)
{
	struct fiber *f = start("child", return_arg, (void *) 9);
	int result = 0;

	cr_assert_eq(fiber_yield(), 0);
	fiber_detach(f, on_end, &result);
	cr_assert_eq(result, 0, "not from within detach");
	cr_assert_eq(fiber_yield(), 0);
	cr_assert_eq(result, 9);
	return 0;
}

Test(fiber, one_detached_after_its_end_ends_on_the_loops_stack)
{
	run(detach_late, NULL);
	cr_assert_eq(fiber_count(loop), 0);
	buf_fini(&trace);
}

static int note_thrice(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(char *) arg);
		cr_assert_eq(fiber_yield(), 0);
	}
	return 0;
}

static int three_in_line(void *arg)
{
	struct fiber *f[3];
	char names[] = "abc";

	for (int i = 0; i < 3; i++)
		f[i] = start("line", note_thrice, &names[i]);
	for (int i = 0; i < 3; i++)
		join(f[i]);
	return 0;
}

Test(fiber, the_ready_list_is_first_in_first_out)
{
	run(three_in_line, NULL);
	cr_assert_str_eq(trace.at, "abcabcabc");
	buf_fini(&trace);
}

static struct waiter *parked;

static int park_and_note(void *arg)
{
	struct waiter w;
	int r;

	waiter_init(&w);
	parked = &w;
	r = fiber_park(&w, "test");
	note('w');
	return r;
}

static int wake_it(void *arg)
{
	struct fiber *f = start("parked", park_and_note, NULL);

	cr_assert_eq(fiber_yield(), 0);
	cr_assert_not_null(parked);
	fiber_wake(parked, 3);
	fiber_wake(parked, 4);
	note('.');
	cr_assert_eq(join(f), 3, "the first one wins");
	return 0;
}

Test(fiber, wake_never_switches_and_the_first_wins)
{
	run(wake_it, NULL);
	cr_assert_str_eq(trace.at, ".w");
	buf_fini(&trace);
}

static int park_woken(void *arg)
{
	struct waiter w;

	waiter_init(&w);
	fiber_wake(&w, 12);
	return fiber_park(&w, "test");
}

Test(fiber, a_waiter_that_was_woken_does_not_wait)
{
	cr_assert_eq(run(park_woken, NULL), 12);
}

/* Deadlines. */

static int outlive_deadline(void *arg)
{
	usec_t began = now_monotonic();
	int r;

	{
		FIBER_DEADLINE(100 * MSEC);
		cr_assert_eq(fiber_check(), 0);
		r = fiber_sleep(HOUR);
		cr_assert_eq(r, -ETIMEDOUT);
		cr_assert_eq(fiber_sleep(0), -ETIMEDOUT, "from now on every wait");
		cr_assert_eq(fiber_yield(), -ETIMEDOUT);
		cr_assert_eq(fiber_check(), -ETIMEDOUT);
	}
	cr_assert(now_monotonic() - began >= 100 * MSEC && now_monotonic() - began < 10 * SEC);
	cr_assert_eq(fiber_sleep(MSEC), 0, "the outer deadline is in force again");
	return 0;
}

Test(fiber, a_deadline_ends_its_waits_and_no_others)
{
	cr_assert_eq(run(outlive_deadline, NULL), 0);
}

static int try_to_lengthen(void *arg)
{
	usec_t outer = fiber_deadline();

	{
		FIBER_DEADLINE(HOUR);
		cr_assert_eq(fiber_deadline(), outer);
	}
	{
		FIBER_DEADLINE(USEC_NEVER);
		cr_assert_eq(fiber_deadline(), outer);
	}
	FIBER_DEADLINE(SEC);
	cr_assert(fiber_deadline() < outer);
	outer = fiber_deadline();
	{
		FIBER_DEADLINE(2 * SEC);
		cr_assert_eq(fiber_deadline(), outer);
	}
	return 0;
}

Test(fiber, scopes_only_shorten)
{
	run(try_to_lengthen, NULL);
}

static int short_scopes_then_long_wait(void *arg)
{
	usec_t began;

	/* Each leaves the fiber's timer in the heap, due long before the outer deadline. */
	for (int i = 0; i < 5; i++) {
		FIBER_DEADLINE(100 * MSEC);
		cr_assert_eq(fiber_sleep(0), 0);
	}
	began = now_monotonic();
	cr_assert_eq(fiber_sleep(150 * MSEC), 0);
	cr_assert(now_monotonic() - began >= 150 * MSEC);
	FIBER_DEADLINE(4 * MSEC);
	return fiber_sleep(HOUR);
}

Test(fiber, a_scope_that_has_ended_does_not_cut_a_later_wait)
{
	cr_assert_eq(run(short_scopes_then_long_wait, NULL), -ETIMEDOUT);
}

static int sleep_long(void *arg)
{
	return fiber_sleep(HOUR);
}

Test(fiber, it_starts_with_the_deadline_of_its_starter)
{
	int result = 0;
	struct fiber *f = fiber_start(loop, "short", now_monotonic() + 3 * MSEC, sleep_long, NULL);

	fiber_detach(f, on_end, &result);
	loop_run(loop);
	cr_assert_eq(result, -ETIMEDOUT);
}

/* Records that are swapped with the stack. */

static int fail_and_compare(void *arg)
{
	const char *name = arg;
	struct log_context context = { .what = "job" };
	int r;

	snprintf(context.id, sizeof(context.id), "%s", name);
	cr_assert_str_eq(log_context->name, name, "its name until it has another context");
	fiber_set_log_context(fiber_current(), &context);
	(void) fail(-EIO, "of %s", name);
	for (int i = 0; i < 3; i++) {
		r = fiber_yield();
		cr_assert_eq(r, 0);
		cr_assert_eq(log_context, &context);
		cr_assert(strstr(fail_reason(-EIO), name) != NULL);
	}
	fiber_set_log_context(fiber_current(), NULL);
	cr_assert_str_eq(log_context->name, name);
	return 0;
}

static int two_that_fail(void *arg)
{
	struct fiber *a = start("alpha", fail_and_compare, "alpha");
	struct fiber *b = start("beta", fail_and_compare, "beta");

	(void) fail(-EIO, "mine");
	join(a);
	join(b);
	cr_assert_str_eq(fail_reason(-EIO), "mine");
	return 0;
}

Test(fiber, each_has_its_own_error_record_and_log_context)
{
	(void) fail(-EIO, "of the loop");
	run(two_that_fail, NULL);
	cr_assert_str_eq(fail_reason(-EIO), "of the loop");
	cr_assert_null(log_context);
}

static int look_for_old_reason(void *arg)
{
	cr_assert_str_eq(fail_reason(-EIO), "Input/output error");
	return fail(-EIO, "left behind");
}

Test(fiber, a_recycled_one_remembers_nothing)
{
	for (int i = 0; i < 3; i++)
		cr_assert_eq(run(look_for_old_reason, NULL), -EIO);
}

static int has_name(void *arg)
{
	char long_name[100];

	memset(long_name, 'x', sizeof(long_name));
	long_name[99] = '\0';
	fiber_set_name(fiber_current(), long_name);
	cr_assert_eq(strlen(log_context->name), 63);
	cr_assert_eq(fiber_loop(fiber_current()), loop);
	return 0;
}

Test(fiber, a_name_is_cut_at_63_characters)
{
	run(has_name, NULL);
}

/* A slow slice is counted and logged with the name. */

static struct buf logged;

static void keep_line(void *arg, enum log_level level, struct str line)
{
	buf_add_str(&logged, line);
}

static int burn(void *arg)
{
	usec_t end = now_monotonic() + 80 * MSEC;

	while (now_monotonic() < end)
		;
	return 0;
}

Test(fiber, a_long_slice_is_counted_and_logged)
{
	uint64_t before = fiber_slow_slices();

	log_divert(keep_line, NULL);
	cr_assert_eq(run(burn, NULL), 0);
	log_divert(NULL, NULL);
	cr_assert(fiber_slow_slices() > before);
	cr_assert(str_find(buf_str(&logged), STR("fiber=test")) > 0, "%s", logged.at);
	buf_fini(&logged);
}

/* One loop per thread: fibers of both run at once. */

static int churn(void *arg)
{
	for (int i = 0; i < 300; i++) {
		struct fiber *f = fiber_start(loop_current(), "leaf", fiber_deadline(), return_arg,
					      (void *) 1);
		int r;

		cr_assert_not_null(f);
		fiber_join(f, &r);
	}
	return 0;
}

static int quiet(void *arg)
{
	return 0;
}

static void *run_a_loop(void *arg)
{
	struct loop *mine;

	cr_assert_eq(loop_new(&mine), 0);
	for (int i = 0; i < 200; i++)
		fiber_detach(fiber_start(mine, "x", now_monotonic() + 10 * SEC, quiet, NULL), NULL,
			     NULL);
	loop_run(mine);
	cr_assert_eq(fiber_count(mine), 0);
	loop_free(mine);
	return NULL;
}

Test(fiber, loops_of_several_threads_share_stacks_only)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, run_a_loop, NULL), 0);
	cr_assert_eq(run(churn, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	buf_fini(&trace);
}

/* What is a bug aborts. */

static int wait_in_a_forbidden_stretch(void *arg)
{
	fiber_forbid_yield();
	return fiber_sleep(0);
}

Test(fiber_bugs, a_wait_where_it_is_forbidden_aborts, .init = loop_up, .signal = SIGABRT)
{
	run(wait_in_a_forbidden_stretch, NULL);
}

static int yield_in_a_forbidden_stretch(void *arg)
{
	fiber_forbid_yield();
	return fiber_yield();
}

Test(fiber_bugs, a_yield_where_it_is_forbidden_aborts, .init = loop_up, .signal = SIGABRT)
{
	run(yield_in_a_forbidden_stretch, NULL);
}

static int forbid_and_allow(void *arg)
{
	fiber_forbid_yield();
	fiber_forbid_yield();
	fiber_allow_yield();
	fiber_allow_yield();
	return fiber_yield();
}

Test(fiber, a_forbidden_stretch_ends)
{
	cr_assert_eq(run(forbid_and_allow, NULL), 0);
}

Test(fiber_bugs, a_wait_on_the_loops_own_stack_aborts, .init = loop_up, .signal = SIGABRT)
{
	(void) !fiber_sleep(0);
}

Test(fiber_bugs, a_wait_without_a_deadline_aborts, .init = loop_up, .signal = SIGABRT)
{
	fiber_detach(fiber_start(loop, "endless", USEC_NEVER, sleep_long, NULL), NULL, NULL);
	loop_run(loop);
}

static int run_the_loop(void *arg)
{
	return loop_run(loop);
}

Test(fiber_bugs, a_fiber_that_runs_the_loop_aborts, .init = loop_up, .signal = SIGABRT)
{
	run(run_the_loop, NULL);
}

static int detach_twice(void *arg)
{
	struct fiber *f = start("x", quiet, NULL);

	fiber_detach(f, NULL, NULL);
	fiber_detach(f, NULL, NULL);
	return 0;
}

Test(fiber_bugs, detaching_twice_aborts, .init = loop_up, .signal = SIGABRT)
{
	run(detach_twice, NULL);
}
