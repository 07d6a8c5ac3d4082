#include "loop/loop.h"

#include <stdlib.h>

#include "base/crash.h"
#include "base/error.h"
#include "base/live.h"
#include "base/world.h"
#include "loop/loop-internal.h"

/*
 * How often one turn may run the ready list.  Fibers that wake each other settle in far fewer;
 * fibers that yield in circles must let sockets be polled in between.
 */
#define PASSES_MOST 16

static _Thread_local struct loop *current_loop;

/*
 * What only libuv says, so that a failed name look-up has a name and a sentence.  Its other codes
 * are errnos.
 */
static const struct error_row uv_rows[] = {
	{ -UV_EAI_AGAIN, "EAI_AGAIN", 503, ERROR_RETRY,
	  "The name server does not answer; try again." },
	{ -UV_EAI_FAIL, "EAI_FAIL", 503, ERROR_RETRY, "The name server has failed for good." },
	{ -UV_EAI_FAMILY, "EAI_FAMILY", 503, ERROR_RETRY, "The address family is not supported." },
	{ -UV_EAI_MEMORY, "EAI_MEMORY", 503, ERROR_RETRY, "A name look-up ran out of memory." },
	{ -UV_EAI_NODATA, "EAI_NODATA", 503, ERROR_RETRY, "The name has no address." },
	{ -UV_EAI_NONAME, "EAI_NONAME", 503, ERROR_RETRY, "The name is not known." },
	{ -UV_EAI_SERVICE, "EAI_SERVICE", 503, ERROR_RETRY, "The service is not known." },
	{ -UV_EOF, "EOF", 503, ERROR_RETRY, "End of the stream." },
};
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A forked child has the parent's memory but is none of its threads: it has no loop and runs no
 * fiber. */
static void forget_loop(void)
{
	current_loop = NULL;
}

static void setup_once(void)
{
	must(pthread_atfork(NULL, NULL, forget_loop) == 0);
	error_register(uv_rows, ARRAY_SIZE(uv_rows));
	crash_on_report(fiber_report_crash);
}

static void run_due_timers(struct loop *l)
{
	/* A timer that starts itself again for a time that is past may not keep poll waiting. */
	size_t most = heap_count(&l->timers);

	while (most-- > 0 && heap_count(&l->timers) > 0 && heap_first(&l->timers)->key <= l->now) {
		struct timer *t = container_of(heap_first(&l->timers), struct timer, node);

		timer_stop(t);
		t->on_due(t);
	}
}

static void run_flushes(struct loop *l)
{
	struct list due;
	struct list *link;

	list_init(&due);
	list_splice(&due, &l->flushes);
	while ((link = list_pop(&due)) != NULL) {
		struct flush *f = list_entry(link, struct flush, link);

		f->run(f);
	}
}

/* libuv's timer only ends poll's sleep; the heap is served in prepare, which follows. */
static void on_uv_timer(uv_timer_t *t)
{
	struct loop *l = t->data;

	l->timer_armed_for = USEC_NEVER;
}

static void arm_timer(struct loop *l)
{
	struct heap_node *first = heap_first(&l->timers);
	usec_t due = first == NULL ? USEC_NEVER : first->key;

	if (due == l->timer_armed_for)
		return;
	l->timer_armed_for = due;
	if (first == NULL) {
		uv_timer_stop(&l->timer);
	} else {
		usec_t left = MAX(due - l->now, (usec_t) 0);

		/* Rounded up: waking early would mean another turn for nothing. */
		must(uv_timer_start(&l->timer, on_uv_timer,
				    (uint64_t) (left / MSEC + (left % MSEC != 0)), 0) == 0);
	}
}

static bool is_settled(const struct loop *l)
{
	return !scheduler_has_ready(l) && list_is_empty(&l->flushes);
}

/*
 * Everything that is due before poll.  Fibers first, until none is ready, so that what they all
 * want to write leaves in one flush.
 */
static void settle(struct loop *l)
{
	int passes = 0;

	l->now = now_monotonic();
	do {
		run_due_timers(l);
		while (scheduler_has_ready(l) && passes++ < PASSES_MOST)
			scheduler_run(l);
		run_flushes(l);
	} while (!is_settled(l) && passes++ < PASSES_MOST);
	if (is_settled(l))
		uv_idle_stop(&l->idle);
	arm_timer(l);
}

static void on_prepare(uv_prepare_t *p)
{
	settle(p->data);
}

static void on_check(uv_check_t *c)
{
	struct loop *l = c->data;

	l->now = now_monotonic();
	if (scheduler_has_ready(l))
		scheduler_run(l);
}

static void on_idle(uv_idle_t *i)
{
	/* That it is started is all it does. */
}

void loop_want_turn(struct loop *l)
{
	/* Harmless when it is started. */
	uv_idle_start(&l->idle, on_idle);
}

static void on_async(uv_async_t *async)
{
	struct loop *l = async->data;
	struct list due;
	struct list *link;

	list_init(&due);
	pthread_mutex_lock(&l->post_lock);
	list_splice(&due, &l->posts);
	pthread_mutex_unlock(&l->post_lock);
	while ((link = list_pop(&due)) != NULL) {
		struct post *p = list_entry(link, struct post, link);

		p->run(p);
	}
}

int loop_new(struct loop **ret)
{
	struct loop *l;
	int r;

	must(current_loop == NULL);
	pthread_once(&once, setup_once);
	l = calloc(1, sizeof(*l));
	must(l != NULL);
	r = uv_loop_init(&l->uv);
	if (r < 0) {
		free(l);
		return r;
	}
	r = uv_async_init(&l->uv, &l->async, on_async);
	if (r < 0) {
		must(uv_loop_close(&l->uv) == 0);
		free(l);
		return r;
	}
	l->magic = LOOP_MAGIC;
	l->uv.data = l->prepare.data = l->check.data = l->idle.data = l->async.data =
		l->timer.data = l;
	/* None of these can fail: they only link the handle in. */
	(void) uv_prepare_init(&l->uv, &l->prepare);
	(void) uv_check_init(&l->uv, &l->check);
	(void) uv_idle_init(&l->uv, &l->idle);
	(void) uv_timer_init(&l->uv, &l->timer);
	(void) uv_timer_init(&l->uv, &l->turn_end);
	(void) uv_prepare_start(&l->prepare, on_prepare);
	(void) uv_check_start(&l->check, on_check);
	uv_unref((uv_handle_t *) &l->prepare);
	uv_unref((uv_handle_t *) &l->check);
	uv_unref((uv_handle_t *) &l->async);
	uv_unref((uv_handle_t *) &l->turn_end);
	heap_init(&l->timers);
	l->timer_armed_for = USEC_NEVER;
	list_init(&l->flushes);
	list_init(&l->posts);
	must(pthread_mutex_init(&l->post_lock, NULL) == 0);
	l->now = now_monotonic();
	scheduler_init(l);
	crash_thread_setup();
	current_loop = l;
	*ret = l;
	return 0;
}

static void close_own(uv_handle_t *handle, void *arg)
{
	struct loop *l = arg;
	const void *own[] = { &l->prepare,
			      &l->check,
			      &l->idle,
			      &l->async,
			      &l->timer,
			      &l->turn_end,
			      &l->scheduler.report_signal };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (handle == own[i]) {
			uv_close(handle, NULL);
			return;
		}
	}
	must(uv_is_closing(handle)); /* somebody forgot to close it */
}

struct loop *loop_free(struct loop *l)
{
	if (l == NULL)
		return NULL;
	must(l == current_loop);
	scheduler_fini(l);
	must(heap_count(&l->timers) == 0);
	must(list_is_empty(&l->flushes));
	must(l->holds == 0);
	uv_prepare_stop(&l->prepare);
	uv_check_stop(&l->check);
	uv_walk(&l->uv, close_own, l);
	must(uv_run(&l->uv, UV_RUN_DEFAULT) == 0);
	/* Close callbacks may not begin anything anew. */
	must(heap_count(&l->timers) == 0 && is_settled(l) && l->scheduler.count == 0);
	must(list_is_empty(&l->posts));
	must(uv_loop_close(&l->uv) == 0);
	heap_fini(&l->timers);
	pthread_mutex_destroy(&l->post_lock);
	crash_thread_fini();
	l->magic = 0;
	free(l);
	current_loop = NULL;
	return NULL;
}

struct loop *loop_current(void)
{
	return current_loop;
}

uv_loop_t *loop_uv(struct loop *l)
{
	OBJ_CHECK(l, LOOP_MAGIC);
	return &l->uv;
}

int loop_run(struct loop *l)
{
	OBJ_CHECK(l, LOOP_MAGIC);
	must(l == current_loop && fiber_current() == NULL);
	arm_timer(l);
	/* Not 0 only says that handles are left after loop_stop. */
	(void) uv_run(&l->uv, UV_RUN_DEFAULT);
	return 0;
}

void loop_stop(struct loop *l)
{
	OBJ_CHECK(l, LOOP_MAGIC);
	uv_stop(&l->uv);
}

static void on_turn_end(uv_timer_t *t)
{
	/* Its being due has ended poll's sleep. */
}

void loop_turn(struct loop *l, usec_t most)
{
	OBJ_CHECK(l, LOOP_MAGIC);
	must(l == current_loop && fiber_current() == NULL);
	arm_timer(l);
	if (most > 0)
		must(uv_timer_start(&l->turn_end, on_turn_end,
				    (uint64_t) ((most + MSEC - 1) / MSEC), 0) == 0);
	(void) uv_run(&l->uv, most > 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	uv_timer_stop(&l->turn_end);
	/* So that a test sees the effects of what poll brought. */
	settle(l);
}

usec_t loop_now(struct loop *l)
{
	return l->now;
}

void timer_start(struct loop *l, struct timer *t, usec_t due, void (*on_due)(struct timer *))
{
	timer_stop(t);
	t->loop = l;
	t->on_due = on_due;
	heap_insert(&l->timers, &t->node, due);
	live_add(LIVE_timers, 1);
	/* libuv's timer is armed in prepare; until then something must say that the loop is not
	 * done. */
	if (heap_first(&l->timers) == &t->node)
		loop_want_turn(l);
}

void timer_stop(struct timer *t)
{
	if (t->loop == NULL)
		return;
	heap_remove(&t->loop->timers, &t->node);
	t->loop = NULL;
	live_add(LIVE_timers, -1);
}

void flush_init(struct flush *f, void (*run)(struct flush *))
{
	list_init(&f->link);
	f->run = run;
}

void flush_later(struct loop *l, struct flush *f)
{
	if (!list_is_empty(&f->link))
		return;
	list_append(&l->flushes, &f->link);
	loop_want_turn(l);
}

void flush_cancel(struct flush *f)
{
	list_remove(&f->link);
}

void loop_post(struct loop *l, struct post *p)
{
	OBJ_CHECK(l, LOOP_MAGIC);
	list_init(&p->link);
	pthread_mutex_lock(&l->post_lock);
	list_append(&l->posts, &p->link);
	/*
	 * Within the lock: the loop cannot take the post, act on it and be freed before this thread
	 * is done with its handle.
	 */
	must(uv_async_send(&l->async) == 0);
	pthread_mutex_unlock(&l->post_lock);
}

void loop_hold(struct loop *l)
{
	if (l->holds++ == 0)
		uv_ref((uv_handle_t *) &l->async);
}

void loop_release(struct loop *l)
{
	must(l->holds > 0);
	if (--l->holds == 0)
		uv_unref((uv_handle_t *) &l->async);
}
