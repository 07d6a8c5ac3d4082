/*
 * crash.h - what a dying program says: the assertion or signal, a backtrace, the running fiber.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include "base/macros.h"

/* Handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT on a stack of their own; then the default. */
void crash_setup(const char *program);
/* Called once with fd 2 by the crash handler, to add what it knows; async-signal-safe work only. */
void crash_on_report(void (*report)(int fd));

#endif
