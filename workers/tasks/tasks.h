/*
 * tasks.h - what the task bodies of this application share: things made once per host process.
 */
#ifndef WORKERS_TASKS_TASKS_H
#define WORKERS_TASKS_TASKS_H

#include "image/sandbox.h"
#include "mail/mailer.h"
#include "queue/task.h"
#include "storage/storage.h"

/* job->application */
struct shop_host {
	struct mailer *mailer;
	struct sandbox_pool *sandboxes;
	struct storage storage;
};

#define TASK(name) int name(struct job *, const void *arguments) may_yield;
#include "proto/tasks.def"
#undef TASK

#endif
