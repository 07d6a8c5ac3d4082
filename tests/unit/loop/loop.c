#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/world.h"
#include "support.h"

TestSuite(loop, .init = loop_up, .fini = loop_down);

Test(loop, codes_that_only_libuv_has_have_names)
{
	cr_assert_str_eq(error_name(UV_EAI_NONAME), "EAI_NONAME");
	cr_assert_str_eq(error_sentence(UV_EOF), "End of the stream.");
	cr_assert_eq(error_http(UV_EAI_AGAIN), 503);
	cr_assert_eq(error_http(UV_EINVAL), 500, "an errno stays one");
}

Test(loop, a_forked_child_has_no_loop)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(loop_current() != NULL || fiber_current() != NULL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

static struct buf trace;

static void note(const char *c)
{
	buf_add_c(&trace, c);
}

struct named_timer {
	struct timer timer;
	const char *name;
};

static void on_named(struct timer *t)
{
	cr_assert_null(t->loop, "not started any more: it may start itself again, or be freed");
	note(container_of(t, struct named_timer, timer)->name);
}

Test(loop, run_returns_when_nothing_is_left)
{
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(loop_current(), loop);
}

Test(loop, timers_come_due_in_order_and_equal_ones_as_they_were_started)
{
	struct named_timer t[4] = {
		{ .name = "a" }, { .name = "b" }, { .name = "c" }, { .name = "d" }
	};
	usec_t now = now_monotonic(), began = now;

	timer_start(loop, &t[0].timer, now + 20 * MSEC, on_named);
	timer_start(loop, &t[1].timer, now + 5 * MSEC, on_named);
	timer_start(loop, &t[2].timer, now + 5 * MSEC, on_named);
	timer_start(loop, &t[3].timer, now - SEC, on_named);
	loop_run(loop);
	cr_assert_str_eq(trace.at, "dbca");
	cr_assert(now_monotonic() - began >= 20 * MSEC, "never early");
	buf_fini(&trace);
}

Test(loop, a_stopped_timer_does_not_come_due_and_a_restarted_one_once)
{
	struct named_timer t[2] = { { .name = "a" }, { .name = "b" } };
	usec_t now = now_monotonic();

	timer_stop(&t[0].timer);
	timer_start(loop, &t[0].timer, now, on_named);
	timer_start(loop, &t[1].timer, now, on_named);
	timer_stop(&t[0].timer);
	timer_stop(&t[0].timer);
	timer_start(loop, &t[1].timer, now + MSEC, on_named);
	loop_run(loop);
	cr_assert_str_eq(trace.at, "b");
	buf_fini(&trace);
}

static bool is_readable;

static void on_readable(uv_poll_t *p, int status, int events)
{
	is_readable = true;
	uv_close((uv_handle_t *) p, NULL);
}

static void watch_readable_pipe(uv_poll_t *p)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(uv_poll_init(loop_uv(loop), p, ends[0]), 0);
	cr_assert_eq(uv_poll_start(p, UV_READABLE, on_readable), 0);
}

static unsigned rounds;

static void on_again(struct timer *t)
{
	rounds++;
	if (!is_readable)
		timer_start(loop, t, 0, on_again);
}

Test(loop, a_timer_that_restarts_itself_in_the_past_does_not_starve_poll)
{
	struct timer t = { 0 };
	uv_poll_t p;

	watch_readable_pipe(&p);
	timer_start(loop, &t, 0, on_again);
	loop_run(loop);
	cr_assert(is_readable);
	cr_assert(rounds < 10, "%u", rounds);
}

static int yield_until_readable(void *arg)
{
	while (!is_readable) {
		rounds++;
		cr_assert_eq(fiber_yield(), 0);
	}
	return 0;
}

Test(loop, a_fiber_that_yields_in_circles_does_not_starve_poll_or_let_it_sleep)
{
	usec_t began = now_monotonic();
	uv_poll_t p;

	watch_readable_pipe(&p);
	cr_assert_eq(run(yield_until_readable, NULL), 0);
	cr_assert(rounds < 200, "%u", rounds);
	cr_assert(now_monotonic() - began < 5 * SEC);
}

struct counted_flush {
	struct flush flush;
	int runs;
	bool again;
};

static void on_flush(struct flush *f)
{
	struct counted_flush *c = container_of(f, struct counted_flush, flush);

	c->runs++;
	note("F");
	if (c->again) {
		c->again = false;
		flush_later(loop, f);
	}
}

static int ask_and_yield(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note("f");
		flush_later(loop, arg);
		cr_assert_eq(fiber_yield(), 0);
	}
	return 0;
}

Test(loop, a_flush_runs_once_after_all_ready_fibers)
{
	struct counted_flush c = { 0 };

	flush_init(&c.flush, on_flush);
	fiber_detach(fiber_start(loop, "a", now_monotonic() + SEC, ask_and_yield, &c.flush), NULL,
		     NULL);
	fiber_detach(fiber_start(loop, "b", now_monotonic() + SEC, ask_and_yield, &c.flush), NULL,
		     NULL);
	loop_run(loop);
	cr_assert_str_eq(trace.at, "ffffffF");
	buf_fini(&trace);
}

Test(loop, a_flush_may_ask_again_and_may_be_cancelled)
{
	struct counted_flush c = { .again = true }, never = { 0 };

	flush_init(&c.flush, on_flush);
	flush_init(&never.flush, on_flush);
	flush_later(loop, &c.flush);
	flush_later(loop, &c.flush);
	flush_later(loop, &never.flush);
	flush_cancel(&never.flush);
	flush_cancel(&never.flush);
	loop_run(loop);
	cr_assert_eq(c.runs, 2);
	cr_assert_eq(never.runs, 0);
	buf_fini(&trace);
}

static void ask_for_flush(uv_handle_t *h)
{
	flush_later(loop, h->data);
}

Test(loop, what_a_close_callback_asks_for_is_done_before_run_returns)
{
	struct counted_flush c = { 0 };
	uv_idle_t handle;

	flush_init(&c.flush, on_flush);
	uv_idle_init(loop_uv(loop), &handle);
	handle.data = &c.flush;
	uv_close((uv_handle_t *) &handle, ask_for_flush);
	loop_run(loop);
	cr_assert_eq(c.runs, 1);
	buf_fini(&trace);
}

static int set_flag(void *arg)
{
	*(bool *) arg = true;
	return 0;
}

static bool fiber_ran;

static void start_fiber(uv_handle_t *h)
{
	fiber_detach(fiber_start(loop, "late", now_monotonic() + SEC, set_flag, &fiber_ran), NULL,
		     NULL);
}

Test(loop, a_fiber_started_by_a_close_callback_runs_though_nothing_else_is_left)
{
	uv_idle_t handle;

	uv_idle_init(loop_uv(loop), &handle);
	uv_close((uv_handle_t *) &handle, start_fiber);
	loop_run(loop);
	cr_assert(fiber_ran);
}

static void start_timer(uv_handle_t *h)
{
	timer_start(loop, h->data, now_monotonic() + 2 * MSEC, on_named);
}

Test(loop, a_timer_started_by_a_close_callback_keeps_the_loop)
{
	struct named_timer t = { .name = "t" };
	uv_idle_t handle;

	uv_idle_init(loop_uv(loop), &handle);
	handle.data = &t.timer;
	uv_close((uv_handle_t *) &handle, start_timer);
	loop_run(loop);
	cr_assert_str_eq(trace.at, "t");
	buf_fini(&trace);
}

struct numbered_post {
	struct post post;
	int number;
};

enum { POSTS = 1000 };
static struct numbered_post posts[POSTS];
static int next_number;

static void on_post(struct post *p)
{
	cr_assert_eq(container_of(p, struct numbered_post, post)->number, next_number);
	if (++next_number == POSTS)
		loop_release(loop);
}

static void *post_all(void *arg)
{
	for (int i = 0; i < POSTS; i++) {
		posts[i].number = i;
		posts[i].post.run = on_post;
		loop_post(loop, &posts[i].post);
	}
	return NULL;
}

Test(loop, posts_of_another_thread_come_in_order_while_held)
{
	pthread_t t;

	loop_hold(loop);
	cr_assert_eq(pthread_create(&t, NULL, post_all, NULL), 0);
	loop_run(loop);
	cr_assert_eq(next_number, POSTS);
	pthread_join(t, NULL);
}

static void on_stop(struct timer *t)
{
	loop_stop(loop);
}

Test(loop, stop_ends_the_run_and_it_can_go_on)
{
	struct named_timer late = { .name = "late" };
	struct timer stop = { 0 };
	usec_t now = now_monotonic();

	timer_start(loop, &late.timer, now + 5 * MSEC, on_named);
	timer_start(loop, &stop, now, on_stop);
	loop_run(loop);
	cr_assert_eq(trace.len, 0);
	loop_run(loop);
	cr_assert_str_eq(trace.at, "late");
	buf_fini(&trace);
}

static int look_at_now(void *arg)
{
	usec_t now = loop_now(loop), end = now_monotonic() + 3 * MSEC;

	while (now_monotonic() < end)
		;
	cr_assert_eq(loop_now(loop), now);
	cr_assert_eq(fiber_sleep(MSEC), 0);
	cr_assert(loop_now(loop) > now);
	return 0;
}

Test(loop, now_is_the_same_for_a_turn_and_later_in_the_next)
{
	run(look_at_now, NULL);
}

Test(loop, a_turn_sleeps_no_longer_than_asked)
{
	struct named_timer t = { .name = "t" };
	usec_t began = now_monotonic();

	timer_start(loop, &t.timer, began + HOUR, on_named);
	loop_turn(loop, 5 * MSEC);
	loop_turn(loop, 0);
	cr_assert(now_monotonic() - began < 5 * SEC);
	cr_assert_eq(trace.len, 0);
	timer_stop(&t.timer);
	loop_turn(loop, HOUR); /* nothing to wait for: no sleep */
	cr_assert(now_monotonic() - began < 5 * SEC);
}

Test(loop, timers_follow_the_world)
{
	struct fake_world f;
	struct named_timer t = { .name = "t" };

	fake_world_init(&f, 1, 0);
	world_set(&f.world);
	timer_start(loop, &t.timer, now_monotonic() + HOUR, on_named);
	loop_turn(loop, 0);
	cr_assert_eq(trace.len, 0);
	fake_world_advance(&f, HOUR - 1);
	loop_turn(loop, 0);
	cr_assert_eq(trace.len, 0);
	fake_world_advance(&f, 1);
	loop_turn(loop, 0);
	cr_assert_str_eq(trace.at, "t");
	world_set(NULL);
	buf_fini(&trace);
}

Test(loop_bugs, an_open_handle_at_the_end_aborts, .init = loop_up, .signal = SIGABRT)
{
	uv_idle_t handle;

	uv_idle_init(loop_uv(loop), &handle);
	loop_free(loop);
}

Test(loop_bugs, a_started_timer_at_the_end_aborts, .init = loop_up, .signal = SIGABRT)
{
	struct timer t = { 0 };

	timer_start(loop, &t, 0, on_again);
	loop_free(loop);
}

Test(loop_bugs, a_fiber_not_joined_at_the_end_aborts, .init = loop_up, .signal = SIGABRT)
{
	fiber_start(loop, "forgotten", now_monotonic() + SEC, set_flag, &fiber_ran);
	loop_run(loop);
	cr_assert(fiber_ran);
	loop_free(loop);
}
