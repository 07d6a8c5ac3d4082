#include "support.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/crash.h"
#include "base/live.h"
#include "base/world.h"

struct loop *loop;
static int64_t live_before[LIVE_COUNT];

void loop_up(void)
{
	for (int i = 0; i < LIVE_COUNT; i++)
		live_before[i] = live_get(i);
	cr_assert_eq(loop_new(&loop), 0);
}

void loop_down(void)
{
	loop = loop_free(loop);
	cr_assert_null(loop_current());
	for (int i = 0; i < LIVE_COUNT; i++)
		cr_assert_eq(live_get(i), live_before[i], "%s: %ld more than before", live_name(i),
			     (long) (live_get(i) - live_before[i]));
}

static void keep_result(void *arg, int result)
{
	cr_assert_null(fiber_current());
	*(int *) arg = result;
}

int run(int (*body)(void *), void *arg)
{
	int result = INT32_MIN;
	struct fiber *f = fiber_start(loop, "test", now_monotonic() + 30 * SEC, body, arg);

	cr_assert_not_null(f);
	fiber_detach(f, keep_result, &result);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_neq(result, INT32_MIN, "the loop has ended before the fiber");
	return result;
}

struct fiber *start(const char *name, int (*body)(void *), void *arg)
{
	struct fiber *f = fiber_start(loop, name, fiber_deadline(), body, arg);

	cr_assert_not_null(f);
	return f;
}

int join(struct fiber *f)
{
	int result = INT32_MIN;

	fiber_join(f, &result);
	return result;
}

void turn_until(const bool *flag)
{
	usec_t end = now_monotonic() + 10 * SEC;

	while (!*flag) {
		cr_assert(now_monotonic() < end, "it never came");
		loop_turn(loop, 100 * MSEC);
	}
}

int run_in_child(void (*how)(void), struct buf *ret_said)
{
	struct rlimit no_core = { 0, 0 };
	int ends[2], status;
	char piece[512];
	ssize_t n;
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	cr_assert_neq(child, -1);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
#ifndef __SANITIZE_ADDRESS__
		signal(SIGSEGV, SIG_DFL);
#endif
		signal(SIGABRT, SIG_DFL);
		crash_setup("child");
		how();
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], piece, sizeof(piece))) > 0)
		buf_add(ret_said, piece, (size_t) n);
	close(ends[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	return status;
}
