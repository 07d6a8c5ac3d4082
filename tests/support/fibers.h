/*
 * fibers.h - test bodies on a fiber, and the test that pays for fibers: cancellation at every wait.
 */
#ifndef TESTS_SUPPORT_FIBERS_H
#define TESTS_SUPPORT_FIBERS_H

#include "loop/fiber.h"

/* Runs the body as a fiber of a fresh loop until all on it has ended; asserts that it returned 0
 * and that every counter of base/live.h is where it was.  A body that takes a minute has failed. */
void fibers_run(int (*body)(void *), void *arg);

/* Starts the body as a second fiber, and joins it.  Yields. */
int fibers_join(int (*body)(void *), void *arg) may_yield;

/*
 * Runs the body again and again, cancelled at its 1st, 2nd, 3rd … wait, until it ends before that.
 * Each cancelled run must return -ECANCELED, or 0 if it was done all the same; the last one 0.
 * `check` (may be NULL) follows each run.  Returns how many runs were cancelled.  Yields.
 */
unsigned fibers_cancel_everywhere(int (*body)(void *), void *arg, void (*check)(void *arg))
	may_yield;

/* Waits until the condition holds; aborts the test after ten seconds with its name.  Yields. */
void fibers_until(bool (*holds)(void *arg), void *arg, const char *what) may_yield;

#endif
