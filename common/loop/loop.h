/*
 * loop.h - one libuv loop and what the house adds to it: a timer heap, a ready list of fibers, work
 * done once per turn, and messages from other threads.
 *
 * A loop belongs to one thread for life; loop_current() is that thread's.  Everything here is
 * called on the loop's own thread, except loop_post.
 *
 * A turn: poll -> libuv callbacks (sockets, …) -> check: run ready fibers -> prepare: due timers,
 * ready fibers, then the flush list (everything that wants to write once per turn: the Redis
 * pipeline, the database's shared lane, frames to another process) until both are empty -> poll. An
 * idle handle keeps poll from sleeping while fibers are ready.
 *
 * Timers live in a heap of ours, in their owner's memory, and stop synchronously: unlike a
 * uv_timer_t they may lie on a fiber's stack.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <uv.h>

#include "base/heap.h"
#include "base/list.h"

struct loop;

int loop_new(struct loop **ret) _must_check_;
/* Every fiber joined, every handle closed, every timer stopped: asserted.  NULL is fine. */
struct loop *loop_free(struct loop *);

struct loop *loop_current(void); /* NULL on a thread without one */
uv_loop_t *loop_uv(struct loop *);

/* Runs until loop_stop, or until nothing is left to wait for.  Returns 0 or the libuv error. */
int loop_run(struct loop *);
void loop_stop(struct loop *);
/* One turn that does not sleep longer than `most`; for tests. */
void loop_turn(struct loop *, usec_t most);

/* The loop's own "now", refreshed once per turn: cheap, and the same for all of a turn. */
usec_t loop_now(struct loop *);

struct timer {
	struct heap_node node;
	struct loop *loop; /* NULL: not started */
	void (*on_due)(struct timer *);
};

/* (Re)starts; `due` is monotonic time.  on_due runs on the loop's stack, once. */
void timer_start(struct loop *, struct timer *, usec_t due, void (*on_due)(struct timer *));
void timer_stop(struct timer *); /* harmless when not started */

/* Work before the next poll, at most once per turn however often it is asked for. */
struct flush {
	struct list link;
	void (*run)(struct flush *);
};
void flush_init(struct flush *, void (*run)(struct flush *));
void flush_later(struct loop *, struct flush *);
void flush_cancel(struct flush *);

/* From any thread: `run` is called on the loop's thread soon, in order.  The caller keeps `post`
 * alive until then. */
struct post {
	struct list link;
	void (*run)(struct post *);
};
void loop_post(struct loop *, struct post *);

/* Keeps loop_run from returning while something outside libuv is awaited (another thread's
 * post). */
void loop_hold(struct loop *);
void loop_release(struct loop *);

#endif
