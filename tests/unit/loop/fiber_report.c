/* The list of fibers, by call and by SIGUSR1. */
#include <signal.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/world.h"
#include "support.h"

TestSuite(fiber_report, .init = loop_up, .fini = loop_down);

static struct buf lines;
static bool has_ended;

static void keep(void *arg, const char *text)
{
	buf_printf(&lines, "%s\n", text);
}

static int wait_for_query(void *arg)
{
	struct waiter w;

	waiter_init(&w);
	*(struct waiter **) arg = &w;
	return fiber_park(&w, "db query");
}

static int report_others(void *arg)
{
	struct waiter *w = NULL;
	struct fiber *f = start("GET /articles/7", wait_for_query, &w);

	cr_assert_eq(fiber_yield(), 0);
	fiber_report(loop, keep, NULL);
	cr_assert(str_find(buf_str(&lines), STR("running")) > 0, "%s", lines.at);
	cr_assert(str_find(buf_str(&lines), STR("GET /articles/7")) > 0, "%s", lines.at);
	cr_assert(str_find(buf_str(&lines), STR("waits for db query")) > 0, "%s", lines.at);
	cr_assert(str_find(buf_str(&lines), STR("1 switches")) > 0, "%s", lines.at);
	fiber_cancel(f);
	buf_clear(&lines);
	fiber_report(loop, keep, NULL);
	cr_assert(str_find(buf_str(&lines), STR("cancelled")) > 0, "%s", lines.at);
	return join(f);
}

Test(fiber_report, names_state_and_what_is_waited_for)
{
	cr_assert_eq(run(report_others, NULL), -ECANCELED);
	buf_fini(&lines);
}

static void keep_line(void *arg, enum log_level level, struct str line)
{
	buf_add_str(&lines, line);
	buf_add_byte(&lines, '\n');
}

static void on_ended(void *arg, int result)
{
	has_ended = true;
}

static int sleep_until_reported(void *arg)
{
	while (str_find(buf_str(&lines), STR("sleeper")) < 0) {
		int r = fiber_sleep(MSEC);

		if (r < 0)
			return r;
	}
	return 0;
}

Test(fiber_report, is_logged_at_sigusr1)
{
	log_divert(keep_line, NULL);
	cr_assert_eq(fiber_report_on_signal(loop), 0);
	fiber_detach(fiber_start(loop, "sleeper", now_monotonic() + 10 * SEC, sleep_until_reported,
				 NULL),
		     on_ended, NULL);
	loop_turn(loop, 0);
	kill(getpid(), SIGUSR1);
	turn_until(&has_ended);
	log_divert(NULL, NULL);
	cr_assert(str_find(buf_str(&lines), STR("fibers count=1")) > 0, "%s", lines.at);
	cr_assert(str_find(buf_str(&lines), STR("waits for sleep")) > 0, "%s", lines.at);
	buf_fini(&lines);
	/* It does not keep the loop. */
	cr_assert_eq(loop_run(loop), 0);
}
