/* Stacks: bounded, recycled, guarded, given back when they were used deep. */
#include <stdlib.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include "base/live.h"
#include "base/world.h"
#include "support.h"

TestSuite(fiber_stack, .init = loop_up, .fini = loop_down);

#ifdef __SANITIZE_ADDRESS__
#define STACK_SIZE (4 * 256 * KIB)
#else
#define STACK_SIZE (256 * KIB)
#endif
#define MOST 8192

static int nothing(void *arg)
{
	return 0;
}

static unsigned ended;

static void on_end(void *arg, int result)
{
	ended++;
}

static unsigned start_until_refused(void)
{
	unsigned n = 0;
	struct fiber *f;

	while ((f = fiber_start(loop, "one of many", now_monotonic() + 60 * SEC, nothing, NULL)) !=
	       NULL) {
		fiber_detach(f, on_end, NULL);
		cr_assert(++n <= MOST);
	}
	return n;
}

Test(fiber_stack, there_are_8192_and_they_come_back)
{
	cr_assert_eq(start_until_refused(), MOST);
	loop_run(loop);
	cr_assert_eq(ended, MOST);
	cr_assert_eq(start_until_refused(), MOST);
	loop_run(loop);
	cr_assert_eq(ended, 2 * MOST);
	cr_assert_eq(live_get(LIVE_fibers), 0);
}

static uintptr_t seen[1000];
static unsigned seen_count;

static int note_stack(void *arg)
{
	char here;

	seen[seen_count++] = (uintptr_t) &here;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *) a, y = *(const uintptr_t *) b;

	return x < y ? -1 : x > y;
}

Test(fiber_stack, the_one_used_last_is_used_next)
{
	unsigned distinct = 1;

	for (int i = 0; i < 1000; i++)
		run(note_stack, NULL);
	qsort(seen, seen_count, sizeof(seen[0]), compare);
	for (unsigned i = 1; i < seen_count; i++)
		distinct += seen[i] - seen[i - 1] > STACK_SIZE / 2;
	cr_assert_eq(distinct, 1);
}

/* Goes down about `depth` bytes and fills them. */
static int dig(size_t depth)
{
	volatile char frame[1024];

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = 0x55;
	return depth > sizeof(frame) ? dig(depth - sizeof(frame)) + frame[7] : frame[7];
}

static int dig_deep(void *arg)
{
	(void) dig((size_t) arg);
	return 0;
}

Test(fiber_stack, most_of_it_can_be_used_and_the_depth_is_known)
{
	size_t depth = 200 * KIB;

	run(dig_deep, (void *) depth);
	cr_assert(fiber_stack_high_water() >= depth, "%zu", fiber_stack_high_water());
	cr_assert(fiber_stack_high_water() <= STACK_SIZE);
}

#ifndef __SANITIZE_ADDRESS__ /* which has its say about reading below a frame */
static int read_deep(void *arg)
{
	/* Below this frame, within the stack: what an earlier use has left. */
	*(unsigned char *) arg = *(volatile unsigned char *) ((char *) __builtin_frame_address(0) -
							      150 * KIB);
	return 0;
}

Test(fiber_stack, deep_pages_are_given_back_when_it_is_used_again)
{
	unsigned char byte;
	int uses = 0;

	run(dig_deep, (void *) (200 * KIB));
	run(read_deep, &byte);
	cr_assert_eq(byte, 0x55, "the same stack, as it was left");
	do
		run(read_deep, &byte);
	while (byte != 0 && ++uses < 3000);
	cr_assert_eq(byte, 0);
}
#endif

static void overflow(void)
{
	struct loop *l;

	if (loop_new(&l) < 0)
		return;
	fiber_detach(fiber_start(l, "digger", now_monotonic() + SEC, dig_deep, (void *) (64 * MIB)),
		     NULL, NULL);
	loop_run(l);
}

Test(fiber_stack_guard, an_overflow_kills_and_says_whose)
{
	_cleanup_(buf_fini) struct buf said = BUF_INIT;
	int status = run_in_child(overflow, &said);

	cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
#ifdef __SANITIZE_ADDRESS__
	cr_assert(str_find(buf_str(&said), STR("AddressSanitizer")) >= 0, "%s", said.at);
#else
	cr_assert(WIFSIGNALED(status));
	cr_assert(str_find(buf_str(&said), STR("fiber: digger\n")) > 0, "%s", said.at);
	cr_assert(str_find(buf_str(&said), STR("its stack has overflowed\n")) > 0, "%s", said.at);
#endif
}

static int fail_an_assertion(void *arg)
{
	must(arg == NULL);
	return 0;
}

static void fail_on_fiber(void)
{
	struct loop *l;

	if (loop_new(&l) < 0)
		return;
	fiber_detach(fiber_start(l, "wrong one", now_monotonic() + SEC, fail_an_assertion, l), NULL,
		     NULL);
	loop_run(l);
}

Test(fiber_stack_guard, an_assertion_says_which_fiber_ran)
{
	_cleanup_(buf_fini) struct buf said = BUF_INIT;
	int status = run_in_child(fail_on_fiber, &said);

	cr_assert(WIFSIGNALED(status));
	cr_assert(str_find(buf_str(&said), STR("this must hold: arg == NULL\nfiber: wrong one\n")) >
			  0,
		  "%s", said.at);
	cr_assert_eq(str_find(buf_str(&said), STR("overflowed")), -1);
}
