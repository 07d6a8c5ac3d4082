/*
 * fiber_switch.c - from one stack to another, and everything that tools must be told about it.
 *
 * Boost.Context's two assembler functions do it in about 5 ns; -Dfiber=ucontext builds without
 * Boost, with a system call for the signal mask at each switch.  Nothing else in the house knows
 * which.
 *
 * The tools: AddressSanitizer must know the bounds of the stack it checks, and forgets a stack's
 * fake frames at the last switch away from it; ThreadSanitizer must see each fiber as a context of
 * its own; Valgrind must know that a jump of the stack pointer is no huge frame.
 */
#include "loop/fiber-internal.h"

#include <stdlib.h>

#ifdef __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id)      ((void) (id))
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

/*
 * Just before the switch, in the frame that switches: ThreadSanitizer would miss the return of a
 * function that was entered under one fiber and left under another.
 */
static inline __attribute__((always_inline)) void
tell_before(struct fiber_context *from, struct fiber_context *to, bool is_last)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(is_last ? NULL : &from->asan_fake_stack, to->stack,
				       to->stack_size);
#endif
#ifdef __SANITIZE_THREAD__
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
}

/* First thing on the other side. */
static inline __attribute__((always_inline)) void tell_after(struct fiber_context *to)
{
#ifdef __SANITIZE_ADDRESS__
	struct fiber_context *from = to->came_from;

	/* The loop's own stack is nobody's to tell us: its bounds are learnt from the first switch
	 * away. */
	__sanitizer_finish_switch_fiber(to->asan_fake_stack,
					from->stack == NULL ? &from->stack : NULL,
					from->stack_size == 0 ? &from->stack_size : NULL);
	to->asan_fake_stack = NULL;
#endif
}

/* The last frames of a stack's last use were left, not returned from: their shadow is still
 * poisoned. */
static void forget_frames(struct fiber_context *c)
{
#ifdef __SANITIZE_ADDRESS__
	ASAN_UNPOISON_MEMORY_REGION(c->stack, c->stack_size);
	c->asan_fake_stack = NULL;
#endif
}

#ifndef FIBER_UCONTEXT

/* Boost.Context's C symbols; its header is C++ only. */
struct transfer {
	void *resume; /* whoever jumped here, suspended */
	void *data;
};
struct transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *stack_top, size_t size, void (*entry)(struct transfer));

static void resume_init(struct fiber_context *c) {}

static void resume_fini(struct fiber_context *c) {}

/* Control has come to `t.data`; what it came from may be resumed later. */
static inline struct fiber_context *arrive(struct transfer t)
{
	struct fiber_context *here = t.data;

	here->came_from->resume = t.resume;
	tell_after(here);
	return here;
}

static void entrance(struct transfer t)
{
	struct fiber_context *here = arrive(t);

	here->entry(here->arg);
	must_not_reach("an entry leaves by context_leave");
}

static void resume_prepare(struct fiber_context *c)
{
	c->resume = make_fcontext((char *) c->stack + c->stack_size, c->stack_size, entrance);
}

static inline __attribute__((always_inline)) void do_switch(struct fiber_context *from,
							    struct fiber_context *to, bool is_last)
{
	to->came_from = from;
	tell_before(from, to, is_last);
	arrive(jump_fcontext(to->resume, to));
}

#else /* FIBER_UCONTEXT */

#include <ucontext.h>

static void resume_init(struct fiber_context *c)
{
	c->resume = malloc(sizeof(ucontext_t));
	must(c->resume != NULL);
}

static void resume_fini(struct fiber_context *c)
{
	free(c->resume);
}

/* makecontext passes ints only. */
static void entrance(unsigned high, unsigned low)
{
	struct fiber_context *here = (struct fiber_context *) (uintptr_t) ((uint64_t) high << 32 |
									   (uint64_t) low);

	tell_after(here);
	here->entry(here->arg);
	must_not_reach("an entry leaves by context_leave");
}

static void resume_prepare(struct fiber_context *c)
{
	ucontext_t *u = c->resume;
	uint64_t address = (uint64_t) (uintptr_t) c;

	must(getcontext(u) == 0);
	u->uc_stack.ss_sp = (void *) c->stack;
	u->uc_stack.ss_size = c->stack_size;
	u->uc_link = NULL;
	makecontext(u, (void (*)(void)) entrance, 2, (unsigned) (address >> 32),
		    (unsigned) address);
}

static inline __attribute__((always_inline)) void do_switch(struct fiber_context *from,
							    struct fiber_context *to, bool is_last)
{
	to->came_from = from;
	tell_before(from, to, is_last);
	must(swapcontext(from->resume, to->resume) == 0);
	tell_after(from);
}

#endif

void context_init_own(struct fiber_context *c)
{
	*c = (struct fiber_context){ 0 };
	resume_init(c);
#ifdef __SANITIZE_THREAD__
	c->tsan_fiber = __tsan_get_current_fiber();
#endif
}

void context_fini_own(struct fiber_context *c)
{
	resume_fini(c);
	*c = (struct fiber_context){ 0 };
}

void context_stack_added(struct fiber_context *c, void *stack, size_t size)
{
	*c = (struct fiber_context){ .stack = stack, .stack_size = size };
	resume_init(c);
	c->valgrind_id = VALGRIND_STACK_REGISTER(stack, (char *) stack + size);
#ifdef __SANITIZE_THREAD__
	c->tsan_fiber = __tsan_create_fiber(0);
#endif
}

void context_stack_removed(struct fiber_context *c)
{
	forget_frames(c);
	resume_fini(c);
	VALGRIND_STACK_DEREGISTER(c->valgrind_id);
#ifdef __SANITIZE_THREAD__
	__tsan_destroy_fiber(c->tsan_fiber);
#endif
}

void context_prepare(struct fiber_context *c, void (*entry)(void *arg), void *arg)
{
	forget_frames(c);
	c->entry = entry;
	c->arg = arg;
	resume_prepare(c);
}

void context_switch(struct fiber_context *from, struct fiber_context *to)
{
	do_switch(from, to, false);
}

void context_leave(struct fiber_context *from, struct fiber_context *to)
{
	do_switch(from, to, true);
	must_not_reach("a stack was resumed after it was left");
}
