/*
 * tasks.h - the bodies that tasks.def names.
 */
#ifndef WORKERS_TASKS_H
#define WORKERS_TASKS_H

#include "queue/task.h"

#define TASK(name) int name##_body(struct job *, const void *arguments) may_yield;
#define DIAG(name) TASK(name)
#include "workers/tasks.def"
#undef TASK
#undef DIAG

#endif
