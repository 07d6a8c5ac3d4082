/*
 * support.h - a loop for each test, and a check that it leaves nothing behind.
 *
 * TestSuite(x, .init = loop_up, .fini = loop_down): loop_down frees the loop, which asserts that
 * every fiber, timer and handle is gone, and compares the counters of live objects.
 */
#ifndef TESTS_LOOP_SUPPORT_H
#define TESTS_LOOP_SUPPORT_H

#include "base/buf.h"
#include "loop/fiber.h"
#include "loop/loop.h"

extern struct loop *loop;

void loop_up(void);
void loop_down(void);

/* Starts a fiber with half a minute to live and runs the loop until it has ended.  The body's
 * result. */
int run(int (*body)(void *), void *arg);
/* The same within a fiber: started, and to be joined. */
struct fiber *start(const char *name, int (*body)(void *), void *arg);
int join(struct fiber *);

/* Turns the loop until *flag, or fails the test after ten seconds. */
void turn_until(const bool *flag);

/*
 * Runs `how` in a forked child that has a crash handler and its standard error in *ret_said.
 * Returns the status of waitpid.
 */
int run_in_child(void (*how)(void), struct buf *ret_said);

#endif
