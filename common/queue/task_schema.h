/*
 * task_schema.h - the contracts of tasks as JSON Schema (draft 2020-12), for producers in any
 * language.
 *
 * One document: `$defs` holds a schema of each registered task's keyword arguments, by the task's
 * name; beside it what the declaration says (`x-queue`, `x-durability`, `x-retries`, `x-time-limit` in
 * seconds).  A whole number is JSON Schema's "integer", which 1.0 is, too: a task refuses that.
 */
#ifndef QUEUE_TASK_SCHEMA_H
#define QUEUE_TASK_SCHEMA_H

#include "queue/task.h"

void task_schema_add(struct buf *out);

#endif
