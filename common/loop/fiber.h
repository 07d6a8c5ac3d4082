/*
 * fiber.h - one loop, many fibers, no threads: straight-line C that may wait.
 *
 * docs/fibers.md has the rules and why.  In short: functions marked may_yield ("Yields") are called
 * on a fiber only; every wait has a deadline in force and is arm -> park -> disarm within one
 * function; no libuv handle lies on a fiber's stack; after a wait, shared state must be read again.
 *
 * Cancellation is a return value.  fiber_cancel sets a flag and wakes; from then on every wait
 * returns -ECANCELED at once, for ever (sticky), except inside a shield.  Handlers pass it on like
 * any error.
 *
 * A deadline is a scope: an inner one can only shorten the outer one; expiry shows as -ETIMEDOUT
 * from the wait.  A fiber starts with the deadline its starter gives; there is no wait without one
 * (asserted).
 *
 * Waking is queueing: fiber_wake never switches.  The ready list is first in, first out.
 *
 * Stacks: 256 KiB virtual with a guard page, recycled (fiber_stack.c); at most 8,192 per process.
 * Each fiber has a log context and an error record, swapped in with it.
 *
 * For tests, fiber_cancel_at(f, n) cancels the fiber at its n-th park (docs/fibers.md, "Testing").
 */
#ifndef LOOP_FIBER_H
#define LOOP_FIBER_H

#include "base/error.h"
#include "base/log.h"
#include "loop/loop.h"

struct fiber;

/* From now: the deadline of those that live as long as their program. */
#define FIBER_NO_LIMIT (3650 * DAY)

/*
 * Makes a fiber, ready to run in this or the next turn.  `name` is copied (63 characters).  The
 * body's result goes to fiber_join, or to on_end.  NULL when the process has no stack left (8,192):
 * a caller that serves strangers answers 503.
 *
 * A fiber is either joined by another one or detached with fiber_detach; exactly one of the two.
 */
struct fiber *fiber_start(struct loop *, const char *name, usec_t deadline, int (*body)(void *),
			  void *arg);
/* Nobody will join: on_end (may be NULL) is called on the loop's stack with the result, then it is
 * freed. */
void fiber_detach(struct fiber *, void (*on_end)(void *arg, int result), void *arg);
/* Waits for its end and frees it.  A cancelled caller still waits, but the joined one is cancelled
 * too. Yields.  Returns 0 with the body's result in *ret_result. */
void fiber_join(struct fiber *, int *ret_result) may_yield;

struct fiber *fiber_current(void); /* NULL on the loop's own stack */
struct loop *fiber_loop(struct fiber *);
void fiber_set_name(struct fiber *, const char *name);
/* Attached to every log line of this fiber; borrowed until the fiber ends or another is set. */
void fiber_set_log_context(struct fiber *, const struct log_context *);

void fiber_cancel(struct fiber *);             /* from anywhere on its loop; idempotent */
bool fiber_is_cancelled(const struct fiber *); /* flag is set, shielded or not */
/* 0, -ECANCELED or -ETIMEDOUT without waiting: for loops that compute. */
int fiber_check(void) _must_check_;
/* Cancels at the n-th park from now (1: the next); 0 switches it off. */
void fiber_cancel_at(struct fiber *, unsigned n);
unsigned fiber_park_count(const struct fiber *);

/* The one primitive.  The waiter lies on the fiber's stack and is linked into a structure of
 * ours. */
struct waiter {
	struct fiber *fiber;
	struct list link; /* for whoever keeps waiters in a list; unlink after park */
	int result;
	bool is_woken;
};
void waiter_init(struct waiter *);
/*
 * Suspends until fiber_wake (returns its result), cancellation (-ECANCELED) or the deadline
 * (-ETIMEDOUT). An interrupted waiter's link is removed from its list at once, so that nobody hands
 * it anything in vain. If the waiter was woken already, returns at once, unless cancelled.  A wake
 * that came before the cancellation wins.  Yields.  `why` is a literal for the fiber list.
 */
int fiber_park(struct waiter *, const char *why) may_yield _must_check_;
void fiber_wake(struct waiter *, int result); /* first one wins; never switches */

int fiber_sleep(usec_t duration) may_yield _must_check_; /* 0, -ECANCELED, -ETIMEDOUT */
/* To the end of the ready list and back.  Yields. */
int fiber_yield(void) may_yield _must_check_;

/* Until the end of the block no wait goes beyond it. */
struct fiber_scope {
	struct fiber *fiber;
	usec_t outer_deadline;
	bool is_shield, outer_shield;
};
struct fiber_scope fiber_scope_deadline(usec_t duration);
/* Cancellation and the outer deadline wait outside, but not longer than `most`.  No nesting. */
struct fiber_scope fiber_scope_shield(usec_t most);
void fiber_scope_end(struct fiber_scope *);
#define FIBER_SCOPE_NAME_(line) fiber_scope_##line
#define FIBER_SCOPE_NAME(line)  FIBER_SCOPE_NAME_(line)
#define FIBER_DEADLINE(duration)                                                                   \
	_cleanup_(fiber_scope_end) _unused_ struct fiber_scope FIBER_SCOPE_NAME(                   \
		__LINE__) = fiber_scope_deadline(duration)
#define FIBER_SHIELD(most)                                                                         \
	_cleanup_(fiber_scope_end) _unused_ struct fiber_scope FIBER_SCOPE_NAME(                   \
		__LINE__) = fiber_scope_shield(most)

usec_t fiber_deadline(void); /* of the running fiber, monotonic */

/* A stretch in which a wait is a bug: asserted by every wait. */
void fiber_forbid_yield(void);
void fiber_allow_yield(void);

/* A semaphore of waiters: first come, first served.  For pools and bounds. */
struct semaphore {
	size_t free;
	struct list waiters;
};
void semaphore_init(struct semaphore *, size_t free);
int semaphore_take(struct semaphore *, const char *why) may_yield _must_check_;
bool semaphore_try(struct semaphore *);
void semaphore_give(struct semaphore *);

/* All fibers of this loop, on its own thread: name, state, what it waits for, age, switches. */
void fiber_report(struct loop *, void (*line)(void *arg, const char *text), void *arg);
/* Logs the report of this loop at SIGUSR1 (uv_signal; unreferenced).  Every loop of a process may
 * ask. */
int fiber_report_on_signal(struct loop *) _must_check_;
/* Bytes of stack that the deepest fiber so far has touched. */
size_t fiber_stack_high_water(void);
/* Logs and counts a fiber that runs longer than this without yielding (50 ms). */
uint64_t fiber_slow_slices(void);
size_t fiber_count(const struct loop *);
/* What a fiber has asked others for; whoever asks counts. */
enum fiber_tally_kind { TALLY_DATABASE, TALLY_REDIS, TALLY_KINDS };
struct fiber_tally {
	unsigned count; /* statements, commands */
	usec_t waited;
};
/* For the running fiber; the wait has lasted since `began` (now_monotonic). */
void fiber_tally_add(enum fiber_tally_kind, unsigned count, usec_t began);
const struct fiber_tally *fiber_tally(const struct fiber *, enum fiber_tally_kind);
/* Adds one at `at` (may lie in memory shared with another process, which watches it) at each switch
 * to a fiber of this loop; NULL: no longer. */
void fiber_count_switches(struct loop *, uint64_t *at);

#endif
