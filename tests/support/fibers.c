#include "fibers.h"

#include <criterion/criterion.h>

#include "base/live.h"
#include "base/world.h"

#define PATIENCE (60 * SEC)

struct run {
	struct loop *loop;
	int result;
};

static void on_end(void *arg, int result)
{
	struct run *run = arg;

	run->result = result;
}

void fibers_run(int (*body)(void *), void *arg)
{
	struct run run = { .result = -EINPROGRESS };
	int64_t before[LIVE_COUNT];

	for (int i = 0; i < LIVE_COUNT; i++)
		before[i] = live_get((enum live_counter) i);
	cr_assert_eq(loop_new(&run.loop), 0);
	fiber_detach(fiber_start(run.loop, "test", now_monotonic() + PATIENCE, body, arg), on_end,
		     &run);
	cr_assert_eq(loop_run(run.loop), 0);
	loop_free(run.loop);
	cr_assert_eq(run.result, 0, "the body returned %s: %s", error_name(run.result),
		     fail_reason(run.result));
	for (int i = 0; i < LIVE_COUNT; i++)
		cr_assert_eq(live_get((enum live_counter) i), before[i], "%s: %ld left",
			     live_name((enum live_counter) i),
			     (long) (live_get((enum live_counter) i) - before[i]));
}

int fibers_join(int (*body)(void *), void *arg)
{
	struct fiber *f = fiber_start(fiber_loop(fiber_current()), "second", fiber_deadline(), body,
				      arg);
	int result;

	cr_assert_not_null(f);
	fiber_join(f, &result);
	return result;
}

struct watched {
	int (*body)(void *);
	void *arg;
	bool was_cancelled;
};

static int watched_body(void *arg)
{
	struct watched *w = arg;
	int result = w->body(w->arg);

	w->was_cancelled = fiber_is_cancelled(fiber_current());
	return result;
}

unsigned fibers_cancel_everywhere(int (*body)(void *), void *arg, void (*check)(void *))
{
	for (unsigned n = 1;; n++) {
		struct watched w = { .body = body, .arg = arg };
		struct fiber *f = fiber_start(fiber_loop(fiber_current()), "watched",
					      fiber_deadline(), watched_body, &w);
		int result;

		cr_assert_not_null(f);
		fiber_cancel_at(f, n);
		fiber_join(f, &result);
		cr_assert(result == 0 || (w.was_cancelled && result == -ECANCELED),
			  "cancelled at wait %u: %s", n, error_name(result));
		if (check != NULL)
			check(arg);
		if (!w.was_cancelled)
			return n - 1;
	}
}

void fibers_until(bool (*holds)(void *), void *arg, const char *what)
{
	usec_t until = now_monotonic() + 10 * SEC;

	while (!holds(arg)) {
		cr_assert_lt(now_monotonic(), until, "never: %s", what);
		cr_assert_eq(fiber_sleep(1 * MSEC), 0);
	}
}
