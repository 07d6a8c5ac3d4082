/*
 * tasks.h - the application's tasks, known to all of its programs.
 *
 * To declare one: its arguments and declaration in proto/<family>.h and .c, a row in tasks.def.
 */
#ifndef PROTO_TASKS_H
#define PROTO_TASKS_H

#include "queue/task.h"

/* Registers all that the settings allow (queue/task.h); for programs that enqueue and run none.  A
 * worker registers what it has bodies for, which is the same list.  After settings_load. */
int tasks_register(void) _must_check_;

#endif
