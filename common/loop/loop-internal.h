/*
 * loop-internal.h - what loop.c and the fiber files know of each other.
 */
#ifndef LOOP_LOOP_INTERNAL_H
#define LOOP_LOOP_INTERNAL_H

#include <pthread.h>

#include "loop/fiber-internal.h"
#include "loop/loop.h"

struct scheduler {
	struct list ready; /* fibers by ready_link, first in, first out */
	struct list all;   /* fibers by all_link */
	size_t count;
	struct fiber *current;
	struct fiber_context own; /* the loop's stack */
	struct list idle_stacks;  /* fibers by ready_link, to be used again */
	size_t idle_count;
	uint64_t *switches; /* counted for somebody outside; NULL: nobody */
	const struct log_context *own_log;
	struct error_record *own_error;
	uv_signal_t report_signal;
	bool has_report_signal;
};

#define LOOP_MAGIC UINT32_C(0x6c6f6f70)

struct loop {
	uint32_t magic;
	usec_t now;
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;   /* started while something waits for the next turn, so that poll does not
			     sleep */
	uv_async_t async; /* referenced while held */
	uv_timer_t timer; /* stands for the first of `timers` */
	uv_timer_t turn_end;
	struct heap timers;
	usec_t timer_armed_for; /* USEC_NEVER: not armed */
	struct list flushes;
	size_t holds;
	struct scheduler scheduler;
	pthread_mutex_t post_lock;
	struct list posts; /* under post_lock */
};

/* There is something to do before the next poll, and the loop may not end before it is done. */
void loop_want_turn(struct loop *);

void scheduler_init(struct loop *);
void scheduler_fini(struct loop *);
/* Runs the fibers that are ready now; those that become ready meanwhile wait for the next call. */
void scheduler_run(struct loop *);

static inline bool scheduler_has_ready(const struct loop *l)
{
	return !list_is_empty(&l->scheduler.ready);
}

#endif
