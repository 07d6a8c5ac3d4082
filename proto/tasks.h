/*
 * tasks.h - this application's tasks as one list, for task_register.
 */
#ifndef PROTO_TASKS_H
#define PROTO_TASKS_H

#include <stddef.h>

#include "queue/task.h"

extern const struct task *const shop_tasks[];
extern const size_t shop_task_count;

#endif
