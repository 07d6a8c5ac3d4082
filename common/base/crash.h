/*
 * crash.h - what a dying program says: the assertion or signal, a backtrace, the running fiber.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include "base/macros.h"

/* Handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT on a stack of their own; then the
 * default. */
void crash_setup(const char *program);
/* Called once with fd 2 by the crash handler, to add what it knows; async-signal-safe work only. */
void crash_on_report(void (*report)(int fd));
/* The address of the access that is being reported; NULL outside of a report or unknown. */
const void *crash_fault_address(void);

/*
 * The handlers' own stack, which every thread needs one of: an overflowing fiber has none left for
 * them. crash_setup and loop_new do it for their thread; harmless twice and before crash_setup.
 */
void crash_thread_setup(void);
void crash_thread_fini(void);

#endif
