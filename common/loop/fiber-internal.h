/*
 * fiber-internal.h - the parts of a fiber, for the files in which it is scheduled, switched, given
 * its stack and reported.
 */
#ifndef LOOP_FIBER_INTERNAL_H
#define LOOP_FIBER_INTERNAL_H

#include "loop/fiber.h"

struct scheduler;

/* A stack on which something can be resumed, and what the sanitizers must know of it. */
struct fiber_context {
	void *resume; /* Boost: where to jump; ucontext: an allocated ucontext_t */
	struct fiber_context *came_from; /* the last switch to here */
	void (*entry)(void *arg);
	void *arg;
	const void *stack;
	size_t stack_size;
	void *asan_fake_stack;
	void *tsan_fiber;
	unsigned valgrind_id;
};

/* fiber_switch.c: the loop's own stack, whose bounds are learnt at the first switch away from
 * it. */
void context_init_own(struct fiber_context *);
void context_fini_own(struct fiber_context *);
/* Once for each mapping, and when it goes away. */
void context_stack_added(struct fiber_context *, void *stack, size_t size);
void context_stack_removed(struct fiber_context *);
/* The next switch to it calls entry(arg), which ends in context_leave.  Again and again on one
 * stack. */
void context_prepare(struct fiber_context *, void (*entry)(void *arg), void *arg);
void context_switch(struct fiber_context *from, struct fiber_context *to);
_noreturn_ void context_leave(struct fiber_context *from, struct fiber_context *to);

enum fiber_state {
	FIBER_IDLE,  /* a stack that nobody uses */
	FIBER_READY, /* in the ready list */
	FIBER_RUNNING,
	FIBER_PARKED, /* `waiter` will wake it */
	FIBER_ENDED,  /* has a result; waits to be joined or detached */
};

#define FIBER_MAGIC UINT32_C(0x66696272)

/*
 * Lies at the upper end of its own stack: one mapping, one page touched by a short fiber, nothing
 * allocated when a stack is used again.
 */
struct fiber {
	uint32_t magic;
	enum fiber_state state;
	struct fiber_context context;
	struct loop *loop;
	struct list ready_link;
	struct list all_link;

	int (*body)(void *);
	void *arg;
	int result;
	bool is_detached;
	void (*on_end)(void *arg, int result);
	void *on_end_arg;
	struct waiter *joiner;

	struct waiter *waiter; /* parked on it */
	bool is_uninterrupted; /* parked so that neither cancellation nor deadline ends it */
	bool is_cancelled;
	bool is_shielded;
	struct fiber *joins; /* is cancelled together with this one while it is waited for */
	unsigned cancel_at;  /* parks left until cancelled; 0: off */
	unsigned parks;
	uint64_t switches;
	struct fiber_tally tallies[TALLY_KINDS];
	usec_t deadline;
	struct timer timer; /* due at or before `deadline`; see fiber.c */

	const char *why;
	usec_t started_at, parked_at;
	const struct log_context *log;
	struct error_record *error;
	struct log_context own_log; /* its `name` is the fiber's name */
	struct error_record own_error;

	/* Of the stack, kept from one use to the next. */
	char *mapping;
	unsigned uses;
	size_t place; /* in the table of all stacks */
};

/* fiber_stack.c: NULL if the process has its 8,192, or has no memory left. */
struct fiber *fiber_stack_take(struct scheduler *);
void fiber_stack_give(struct scheduler *, struct fiber *);
/* At the end of a loop. */
void fiber_stack_give_all(struct scheduler *);
/* Is it in the page below this fiber's stack? */
bool fiber_stack_is_guard(const struct fiber *, const void *address);

/*
 * Suspends until fiber_wake, whatever happens: for waits that cannot be abandoned and end by
 * themselves (a fiber's end, a thread's).  Yields.  The wake's result.
 */
int fiber_park_uninterrupted(struct waiter *, const char *why) may_yield;

/* fiber_report.c: says which fiber died, from a signal handler. */
void fiber_report_crash(int fd);

#endif
