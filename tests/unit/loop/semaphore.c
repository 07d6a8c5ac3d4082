/* The semaphore of loop/fiber.h. */
#include <criterion/criterion.h>

#include "support.h"

TestSuite(semaphore, .init = loop_up, .fini = loop_down);

static struct semaphore s;
static struct buf trace;

static int take_and_note(void *arg)
{
	int r = semaphore_take(&s, "semaphore");

	if (r == 0)
		buf_add_byte(&trace, *(char *) arg);
	return r;
}

static int in_order(void *arg)
{
	char names[] = "abc";
	struct fiber *f[3];

	semaphore_init(&s, 1);
	cr_assert_eq(semaphore_take(&s, "first"), 0);
	for (int i = 0; i < 3; i++)
		f[i] = start("w", take_and_note, &names[i]);
	cr_assert_eq(fiber_yield(), 0);
	semaphore_give(&s);
	cr_assert(!semaphore_try(&s), "handed over, nobody overtakes");
	semaphore_give(&s);
	semaphore_give(&s);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(join(f[i]), 0);
	cr_assert_str_eq(trace.at, "abc");
	cr_assert_eq(s.free, 0);
	semaphore_give(&s);
	cr_assert(semaphore_try(&s));
	return 0;
}

Test(semaphore, serves_in_order_and_hands_over)
{
	run(in_order, NULL);
	buf_fini(&trace);
}

static int cancelled_waiter(void *arg)
{
	char names[] = "ab";
	struct fiber *a, *b;

	semaphore_init(&s, 0);
	a = start("a", take_and_note, &names[0]);
	b = start("b", take_and_note, &names[1]);
	cr_assert_eq(fiber_yield(), 0);
	fiber_cancel(a);
	/* Before a runs: what is given must not go to it. */
	semaphore_give(&s);
	cr_assert_eq(join(a), -ECANCELED);
	cr_assert_eq(join(b), 0);
	cr_assert_eq(s.free, 0);
	return 0;
}

Test(semaphore, gives_nothing_to_the_cancelled)
{
	run(cancelled_waiter, NULL);
	buf_fini(&trace);
}

static int handed_over_then_cancelled(void *arg)
{
	char name = 'a';
	struct fiber *a;

	semaphore_init(&s, 0);
	a = start("a", take_and_note, &name);
	cr_assert_eq(fiber_yield(), 0);
	semaphore_give(&s);
	fiber_cancel(a);
	cr_assert_eq(join(a), 0, "it has it, and must give it back as any other");
	return 0;
}

Test(semaphore, what_was_handed_over_is_not_lost_by_cancellation)
{
	run(handed_over_then_cancelled, NULL);
	buf_fini(&trace);
}

static int take_when_cancelled(void *arg)
{
	semaphore_init(&s, 1);
	fiber_cancel(fiber_current());
	cr_assert_eq(semaphore_take(&s, "x"), -ECANCELED);
	cr_assert_eq(s.free, 1);
	return 0;
}

Test(semaphore, refuses_the_cancelled_also_when_free)
{
	run(take_when_cancelled, NULL);
}

static int time_out(void *arg)
{
	semaphore_init(&s, 0);
	{
		FIBER_DEADLINE(2 * MSEC);
		cr_assert_eq(semaphore_take(&s, "x"), -ETIMEDOUT);
	}
	cr_assert(list_is_empty(&s.waiters));
	semaphore_give(&s);
	return semaphore_take(&s, "x");
}

Test(semaphore, a_wait_has_a_deadline)
{
	cr_assert_eq(run(time_out, NULL), 0);
}
