/*
 * tasks.h - the bodies of the tasks that proto/tasks.def names.
 */
#ifndef WORKERS_TASKS_H
#define WORKERS_TASKS_H

#include "queue/task.h"

#define TASK(name) int name##_body(struct job *, const void *arguments) may_yield;
#define DIAG(name) TASK(name)
#include "proto/tasks.def"
#undef TASK
#undef DIAG

#endif
