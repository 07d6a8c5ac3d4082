#include "loop/fiber.h"

#include <stdatomic.h>
#include <time.h>

#include "base/live.h"
#include "base/world.h"
#include "loop/fiber-internal.h"
#include "loop/loop-internal.h"

/*
 *             fiber_start                     runs                    body returned
 *   [IDLE] ---------------> READY ------------------------> RUNNING ---------------> ENDED
 *      ^                     ^  ^        fiber_yield         |  |                      |
 *      |                     |  `----------------------------'  | fiber_park           |
 *      |                     |                                  v                      |
 *      |                     `------------------------------- PARKED                   |
 *      |                       wake, cancellation, deadline                            |
 *      `-------------------------------------------------------------------------------'
 *                          joined, or detached and on_end called
 *
 * The deadline's timer is lazy.  It is started at the first wait and then left in the heap; a wait
 * restarts it only if the deadline in force is earlier.  When it comes due too early (a scope has
 * ended) or while the fiber does not wait, it is not worth more than a look.  So a fiber with many
 * short waits pays for the heap once.
 */

#define SLICE_MOST (50 * MSEC)

static _Thread_local unsigned forbidden_depth;
static _Atomic uint64_t slow_slices;

static struct scheduler *scheduler_here(void)
{
	struct loop *l = loop_current();

	return l == NULL ? NULL : &l->scheduler;
}

struct fiber *fiber_current(void)
{
	struct scheduler *s = scheduler_here();

	return s == NULL ? NULL : s->current;
}

/* The running fiber of a function that needs one. */
static struct fiber *self(void)
{
	struct fiber *f = fiber_current();

	must(f != NULL);
	return f;
}

static void make_ready(struct fiber *f)
{
	struct scheduler *s = &f->loop->scheduler;

	f->state = FIBER_READY;
	list_append(&s->ready, &f->ready_link);
	loop_want_turn(f->loop);
}

/* Good to 4 ms, and a fifth of the price of the exact clock; it only guards the slices. */
static usec_t coarse_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * SEC + t.tv_nsec / 1000;
}

static void body_entry(void *arg)
{
	struct fiber *f = arg;

	f->result = f->body(f->arg);
	must(forbidden_depth == 0);
	f->state = FIBER_ENDED;
	context_leave(&f->context, &f->loop->scheduler.own);
}

struct fiber *fiber_start(struct loop *l, const char *name, usec_t deadline, int (*body)(void *),
			  void *arg)
{
	struct scheduler *s = &l->scheduler;
	struct fiber *f;

	OBJ_CHECK(l, LOOP_MAGIC);
	must(l == loop_current());
	f = fiber_stack_take(s);
	if (f == NULL)
		return NULL;
	f->magic = FIBER_MAGIC;
	f->loop = l;
	f->body = body;
	f->arg = arg;
	f->is_detached = false;
	f->joiner = NULL;
	f->waiter = NULL;
	f->is_uninterrupted = false;
	f->is_cancelled = false;
	f->is_shielded = false;
	f->joins = NULL;
	f->cancel_at = 0;
	f->parks = 0;
	f->switches = 0;
	memset(f->tallies, 0, sizeof(f->tallies));
	f->deadline = deadline;
	f->timer.loop = NULL;
	f->timer.node._place = 0;
	f->why = "start";
	f->started_at = f->parked_at = l->now;
	f->own_log.what = "fiber";
	f->own_log.id[0] = '\0';
	f->log = &f->own_log;
	f->own_error.code = 0;
	f->own_error.reason[0] = '\0';
	f->error = &f->own_error;
	fiber_set_name(f, name);
	context_prepare(&f->context, body_entry, f);
	list_append(&s->all, &f->all_link);
	s->count++;
	live_add(LIVE_fibers, 1);
	make_ready(f);
	return f;
}

static void release(struct fiber *f)
{
	struct scheduler *s = &f->loop->scheduler;

	timer_stop(&f->timer);
	list_remove(&f->all_link);
	s->count--;
	live_add(LIVE_fibers, -1);
	f->magic = 0;
	f->state = FIBER_IDLE;
	fiber_stack_give(s, f);
}

/* On the loop's stack. */
static void end_detached(struct fiber *f)
{
	void (*on_end)(void *, int) = f->on_end;
	void *arg = f->on_end_arg;
	int result = f->result;

	release(f);
	if (on_end != NULL)
		on_end(arg, result);
}

static void after_end(struct fiber *f)
{
	if (f->is_detached)
		end_detached(f);
	else if (f->joiner != NULL)
		fiber_wake(f->joiner, 0);
}

static void resume(struct scheduler *s, struct fiber *f)
{
	s->current = f;
	f->state = FIBER_RUNNING;
	f->switches++;
	if (s->switches != NULL)
		__atomic_fetch_add(s->switches, 1, __ATOMIC_RELAXED);
	s->own_log = log_context;
	s->own_error = error_current;
	log_context = f->log;
	error_current = f->error;
	context_switch(&s->own, &f->context);
	f->log = log_context;
	f->error = error_current;
	log_context = s->own_log;
	error_current = s->own_error;
	s->current = NULL;
}

static void complain(struct fiber *f, usec_t took)
{
	atomic_fetch_add(&slow_slices, 1);
	log_event(LOG_WARN, "a fiber ran long without yielding, ignoring",
		  LOG_STR("fiber", str_c(f->own_log.name)), LOG_INT("ms", took / MSEC));
}

void fiber_count_switches(struct loop *l, uint64_t *at)
{
	OBJ_CHECK(l, LOOP_MAGIC);
	l->scheduler.switches = at;
}

void scheduler_run(struct loop *l)
{
	struct scheduler *s = &l->scheduler;
	usec_t before = coarse_now(), after;
	struct list batch;
	struct list *link;

	must(s->current == NULL); /* a fiber may not run the loop */
	list_init(&batch);
	list_splice(&batch, &s->ready);
	while ((link = list_pop(&batch)) != NULL) {
		struct fiber *f = list_entry(link, struct fiber, ready_link);

		OBJ_CHECK(f, FIBER_MAGIC);
		if (f->state == FIBER_ENDED) {
			end_detached(f); /* detached after its end */
			continue;
		}
		resume(s, f);
		after = coarse_now();
		if (unlikely(after - before > SLICE_MOST))
			complain(f, after - before);
		before = after;
		if (f->state == FIBER_ENDED)
			after_end(f);
	}
}

void scheduler_init(struct loop *l)
{
	struct scheduler *s = &l->scheduler;

	list_init(&s->ready);
	list_init(&s->all);
	list_init(&s->idle_stacks);
	context_init_own(&s->own);
}

void scheduler_fini(struct loop *l)
{
	struct scheduler *s = &l->scheduler;

	must(s->current == NULL);
	must(s->count == 0); /* all fibers are joined, or have ended detached */
	fiber_stack_give_all(s);
	context_fini_own(&s->own);
}

struct loop *fiber_loop(struct fiber *f)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	return f->loop;
}

void fiber_set_name(struct fiber *f, const char *name)
{
	size_t len = strnlen(name, sizeof(f->own_log.name) - 1);

	OBJ_CHECK(f, FIBER_MAGIC);
	memcpy(f->own_log.name, name, len);
	f->own_log.name[len] = '\0';
}

void fiber_set_log_context(struct fiber *f, const struct log_context *context)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	f->log = context == NULL ? &f->own_log : context;
	if (f->state == FIBER_RUNNING)
		log_context = f->log;
}

/* Ends a wait before its time.  The waiter leaves its owner's list, so that nobody wakes it in
 * vain. */
static void interrupt(struct fiber *f, int code)
{
	struct waiter *w = f->waiter;

	if (f->state != FIBER_PARKED || w->is_woken || f->is_uninterrupted)
		return;
	list_remove(&w->link);
	fiber_wake(w, code);
}

void fiber_cancel(struct fiber *f)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	must(f->loop == loop_current());
	if (f->is_cancelled || f->state == FIBER_ENDED)
		return;
	f->is_cancelled = true;
	if (f->is_shielded)
		return;
	if (f->joins != NULL)
		fiber_cancel(f->joins);
	interrupt(f, -ECANCELED);
}

bool fiber_is_cancelled(const struct fiber *f)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	return f->is_cancelled;
}

static int check(const struct fiber *f, usec_t now)
{
	if (f->is_cancelled && !f->is_shielded)
		return -ECANCELED;
	return now >= f->deadline ? -ETIMEDOUT : 0;
}

int fiber_check(void)
{
	return check(self(), now_monotonic());
}

void fiber_cancel_at(struct fiber *f, unsigned n)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	f->cancel_at = n;
}

unsigned fiber_park_count(const struct fiber *f)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	return f->parks;
}

void fiber_tally_add(enum fiber_tally_kind kind, unsigned count, usec_t began)
{
	struct fiber *f = fiber_current();

	must(f != NULL && kind < TALLY_KINDS);
	f->tallies[kind].count += count;
	f->tallies[kind].waited += now_monotonic() - began;
}

const struct fiber_tally *fiber_tally(const struct fiber *f, enum fiber_tally_kind kind)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	must(kind < TALLY_KINDS);
	return &f->tallies[kind];
}

static void on_deadline(struct timer *t)
{
	struct fiber *f = container_of(t, struct fiber, timer);

	OBJ_CHECK(f, FIBER_MAGIC);
	if (f->state != FIBER_PARKED)
		return;
	if (f->loop->now < f->deadline)
		timer_start(f->loop, t, f->deadline, on_deadline);
	else if (f->joins != NULL)
		fiber_cancel(f->joins);
	else
		interrupt(f, -ETIMEDOUT);
}

/* What every way to wait begins with. */
static struct fiber *begin_wait(void)
{
	struct fiber *f = self();

	must(forbidden_depth == 0);
	f->parks++;
	if (f->cancel_at != 0 && --f->cancel_at == 0)
		f->is_cancelled = true;
	return f;
}

static void leave_to_loop(struct fiber *f, const char *why)
{
	f->why = why;
	f->parked_at = f->loop->now;
	context_switch(&f->context, &f->loop->scheduler.own);
}

static int park(struct fiber *f, struct waiter *w, const char *why)
{
	if (f->deadline != USEC_NEVER && (f->timer.loop == NULL || f->timer.node.key > f->deadline))
		timer_start(f->loop, &f->timer, f->deadline, on_deadline);
	f->waiter = w;
	f->state = FIBER_PARKED;
	leave_to_loop(f, why);
	f->waiter = NULL;
	return w->result;
}

void waiter_init(struct waiter *w)
{
	w->fiber = self();
	list_init(&w->link);
	w->result = 0;
	w->is_woken = false;
}

int fiber_park(struct waiter *w, const char *why)
{
	struct fiber *f = begin_wait();

	must(w->fiber == f);
	must(f->deadline != USEC_NEVER);
	if (f->is_cancelled && !f->is_shielded)
		return -ECANCELED;
	if (w->is_woken)
		return w->result;
	if (f->loop->now >= f->deadline)
		return -ETIMEDOUT;
	return park(f, w, why);
}

int fiber_park_uninterrupted(struct waiter *w, const char *why)
{
	struct fiber *f = begin_wait();
	int r;

	must(w->fiber == f);
	if (w->is_woken)
		return w->result;
	/* The wait goes on, but what it is for is told to hurry. */
	if (f->joins != NULL && check(f, f->loop->now) < 0)
		fiber_cancel(f->joins);
	f->is_uninterrupted = true;
	r = park(f, w, why);
	f->is_uninterrupted = false;
	return r;
}

void fiber_wake(struct waiter *w, int result)
{
	struct fiber *f = w->fiber;

	if (w->is_woken)
		return;
	must(f->loop == loop_current());
	w->is_woken = true;
	w->result = result;
	if (f->state == FIBER_PARKED && f->waiter == w)
		make_ready(f);
}

static usec_t from_now(usec_t duration)
{
	usec_t at;

	return __builtin_add_overflow(now_monotonic(), duration, &at) ? USEC_NEVER : at;
}

struct sleep {
	struct timer timer;
	struct waiter waiter;
};

static void on_slept(struct timer *t)
{
	fiber_wake(&container_of(t, struct sleep, timer)->waiter, 0);
}

int fiber_sleep(usec_t duration)
{
	struct sleep s = { 0 };
	struct loop *l;
	int r;

	waiter_init(&s.waiter);
	l = s.waiter.fiber->loop;
	/* No time at all is due in the next turn; counted from the exact clock it would be due
	 * after it. */
	timer_start(l, &s.timer, duration > 0 ? from_now(duration) : l->now, on_slept);
	r = fiber_park(&s.waiter, "sleep");
	timer_stop(&s.timer);
	return r;
}

int fiber_yield(void)
{
	struct fiber *f = begin_wait();
	int r;

	must(f->deadline != USEC_NEVER);
	r = check(f, f->loop->now);
	if (r < 0)
		return r;
	make_ready(f);
	leave_to_loop(f, "yield");
	return check(f, f->loop->now);
}

void fiber_detach(struct fiber *f, void (*on_end)(void *arg, int result), void *arg)
{
	OBJ_CHECK(f, FIBER_MAGIC);
	must(!f->is_detached && f->joiner == NULL);
	f->is_detached = true;
	f->on_end = on_end;
	f->on_end_arg = arg;
	if (f->state == FIBER_ENDED) {
		/* on_end belongs on the loop's stack, and after its owner has returned from
		 * here. */
		list_append(&f->loop->scheduler.ready, &f->ready_link);
		loop_want_turn(f->loop);
	}
}

void fiber_join(struct fiber *f, int *ret_result)
{
	struct fiber *caller = self();
	struct waiter w;
	int result;

	OBJ_CHECK(f, FIBER_MAGIC);
	must(f != caller && f->loop == caller->loop);
	must(!f->is_detached && f->joiner == NULL);
	waiter_init(&w);
	if (f->state != FIBER_ENDED) {
		f->joiner = &w;
		caller->joins = f;
		(void) fiber_park_uninterrupted(&w, "join"); /* the wake says nothing */
		caller->joins = NULL;
	}
	must(f->state == FIBER_ENDED);
	result = f->result;
	release(f);
	if (ret_result != NULL)
		*ret_result = result;
}

usec_t fiber_deadline(void)
{
	return self()->deadline;
}

static struct fiber_scope scope_begin(struct fiber *f)
{
	return (struct fiber_scope){
		.fiber = f,
		.outer_deadline = f->deadline,
		.outer_shield = f->is_shielded,
	};
}

struct fiber_scope fiber_scope_deadline(usec_t duration)
{
	struct fiber *f = self();
	struct fiber_scope scope = scope_begin(f);

	f->deadline = MIN(f->deadline, from_now(duration));
	return scope;
}

struct fiber_scope fiber_scope_shield(usec_t most)
{
	struct fiber *f = self();
	struct fiber_scope scope = scope_begin(f);

	must(!f->is_shielded);
	scope.is_shield = true;
	f->is_shielded = true;
	f->deadline = from_now(most);
	return scope;
}

void fiber_scope_end(struct fiber_scope *scope)
{
	struct fiber *f = scope->fiber;

	must(f == fiber_current());
	f->deadline = scope->outer_deadline;
	f->is_shielded = scope->outer_shield;
}

void fiber_forbid_yield(void)
{
	forbidden_depth++;
}

void fiber_allow_yield(void)
{
	must(forbidden_depth > 0);
	forbidden_depth--;
}

uint64_t fiber_slow_slices(void)
{
	return atomic_load(&slow_slices);
}

size_t fiber_count(const struct loop *l)
{
	return l->scheduler.count;
}
