#include "loop/offload.h"

#include <pthread.h>
#include <stdatomic.h>

#include <criterion/criterion.h>

#include "base/world.h"
#include "support.h"

static struct offload_pool *pool;

static void up(void)
{
	loop_up();
	cr_assert_eq(offload_pool_new("test", 1, 2, &pool), 0);
}

static void down(void)
{
	pool = offload_pool_free(pool);
	loop_down();
}

TestSuite(offload, .init = up, .fini = down);

static pthread_t ran_on;

static int note_thread(void *arg)
{
	ran_on = pthread_self();
	cr_assert_null(loop_current());
	return *(int *) arg + 1;
}

static int call_it(void *arg)
{
	int n = 41;

	cr_assert_eq(offload(pool, note_thread, &n), 42);
	cr_assert(!pthread_equal(ran_on, pthread_self()));
	cr_assert_eq(offload(offload_files(), note_thread, &n), 42);
	return 0;
}

Test(offload, runs_on_another_thread_and_returns_its_result)
{
	run(call_it, NULL);
}

static int fail_there(void *arg)
{
	cr_assert_str_eq(log_context->name, "test", "logs under the fiber's name");
	return fail(-ENOENT, "no such thing as %s", (const char *) arg);
}

static int fail_here(void *arg)
{
	int r = offload(pool, fail_there, "that");

	cr_assert_eq(r, -ENOENT);
	cr_assert_str_eq(fail_reason(r), "no such thing as that");
	return 0;
}

Test(offload, the_reason_of_a_failure_comes_along)
{
	run(fail_here, NULL);
}

/* A job that runs until it is let go. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool has_begun, is_open;
};

static struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false };
static atomic_int runs;

static int stand_at_gate(void *arg)
{
	pthread_mutex_lock(&gate.lock);
	gate.has_begun = true;
	pthread_cond_broadcast(&gate.changed);
	while (!gate.is_open)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	atomic_fetch_add(&runs, 1);
	return 5;
}

static void wait_until_begun(void)
{
	pthread_mutex_lock(&gate.lock);
	while (!gate.has_begun)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.is_open = true;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static int count_run(void *arg)
{
	atomic_fetch_add(&runs, 1);
	return 0;
}

static int offload_gate(void *arg)
{
	return offload(pool, stand_at_gate, NULL);
}

static int offload_count(void *arg)
{
	return offload(pool, count_run, NULL);
}

static int cancel_what_runs(void *arg)
{
	struct fiber *f = start("f", offload_gate, NULL);

	cr_assert_eq(fiber_yield(), 0);
	wait_until_begun();
	fiber_cancel(f);
	cr_assert_eq(fiber_yield(), 0);
	cr_assert_eq(fiber_yield(), 0);
	cr_assert_eq(fiber_count(loop), 2, "it waits for the thread");
	cr_assert_eq(atomic_load(&runs), 0);
	open_gate();
	cr_assert_eq(join(f), -ECANCELED);
	cr_assert_eq(atomic_load(&runs), 1);
	return 0;
}

Test(offload, what_has_begun_is_waited_for_also_when_cancelled)
{
	run(cancel_what_runs, NULL);
}

static int cancel_what_waits(void *arg)
{
	struct fiber *first = start("first", offload_gate, NULL), *second;

	cr_assert_eq(fiber_yield(), 0);
	wait_until_begun();
	second = start("second", offload_count, NULL);
	cr_assert_eq(fiber_yield(), 0);
	fiber_cancel(second);
	cr_assert_eq(join(second), -ECANCELED, "while the thread is still busy");
	open_gate();
	cr_assert_eq(join(first), 5);
	cr_assert_eq(atomic_load(&runs), 1, "never run");
	return 0;
}

Test(offload, what_has_not_begun_never_runs_once_cancelled)
{
	run(cancel_what_waits, NULL);
}

static int offload_count_briefly(void *arg)
{
	FIBER_DEADLINE(3 * MSEC);
	return offload(pool, count_run, NULL);
}

static int time_out(void *arg)
{
	struct fiber *first = start("first", offload_gate, NULL), *second;

	cr_assert_eq(fiber_yield(), 0);
	wait_until_begun();
	second = start("second", offload_count_briefly, NULL);
	cr_assert_eq(join(second), -ETIMEDOUT);
	open_gate();
	cr_assert_eq(join(first), 5);
	cr_assert_eq(atomic_load(&runs), 1);
	return 0;
}

Test(offload, the_line_is_left_at_the_deadline)
{
	run(time_out, NULL);
}

static int fill_the_line(void *arg)
{
	struct fiber *f[3];

	f[0] = start("0", offload_gate, NULL);
	cr_assert_eq(fiber_yield(), 0);
	wait_until_begun();
	f[1] = start("1", offload_count, NULL);
	f[2] = start("2", offload_count, NULL);
	cr_assert_eq(fiber_yield(), 0);
	cr_assert_eq(offload(pool, count_run, NULL), -E_UNAVAILABLE);
	cr_assert_str_eq(fail_reason(-E_UNAVAILABLE), "test: 2 jobs are waiting already");
	open_gate();
	for (int i = 0; i < 3; i++)
		cr_assert(join(f[i]) >= 0);
	cr_assert_eq(atomic_load(&runs), 3);
	return 0;
}

Test(offload, a_full_line_refuses)
{
	run(fill_the_line, NULL);
}

static int cancelled_before(void *arg)
{
	fiber_cancel(fiber_current());
	cr_assert_eq(offload(pool, count_run, NULL), -ECANCELED);
	cr_assert_eq(atomic_load(&runs), 0);
	return 0;
}

Test(offload, a_cancelled_fiber_offloads_nothing)
{
	run(cancelled_before, NULL);
}

static int cancel_at_its_wait(void *arg)
{
	struct fiber *f = start("f", offload_count, NULL);
	int r;

	fiber_cancel_at(f, 1);
	r = join(f);
	cr_assert_eq(r, -ECANCELED);
	return 0;
}

Test(offload, cancelled_at_its_wait_it_leaves_in_order)
{
	for (int i = 0; i < 200; i++)
		run(cancel_at_its_wait, NULL);
}

static int many(void *arg)
{
	for (int i = 0; i < 500; i++)
		cr_assert_eq(offload(offload_files(), count_run, NULL), 0);
	return 0;
}

static void *other_loop(void *arg)
{
	struct loop *l;

	cr_assert_eq(loop_new(&l), 0);
	fiber_detach(fiber_start(l, "other", now_monotonic() + 20 * SEC, many, NULL), NULL, NULL);
	loop_run(l);
	loop_free(l);
	return NULL;
}

Test(offload, loops_of_two_threads_share_a_pool)
{
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, other_loop, NULL), 0);
	cr_assert_eq(run(many, NULL), 0);
	pthread_join(t, NULL);
	cr_assert_eq(atomic_load(&runs), 1000);
}
