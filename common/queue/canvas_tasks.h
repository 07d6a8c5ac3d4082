/*
 * canvas_tasks.h - the tasks that Celery itself brings, run here.
 *
 *   celery.map, celery.starmap   one job runs a task once for each item, one after the other, and
 *                                returns the list of results.  Effects of an item have the key
 *                                <job's key>:<index>.  Alone, because the task may be
 *   celery.group, .chain, .chord, .chunks
 *                                a signature that somebody sent as a job: what it stands for follows it
 *   celery.accumulate            returns its arguments, or the one at `index` (what Task.replace puts
 *                                behind a group)
 *
 * They stand behind the program's own in every worker.
 */
#ifndef QUEUE_CANVAS_TASKS_H
#define QUEUE_CANVAS_TASKS_H

#include "queue/task.h"

extern const struct task_body canvas_tasks[];
extern const size_t canvas_task_count;

#endif
