/*
 * host-internal.h - what job.c and the host's producer know of host.c.
 */
#ifndef QUEUE_HOST_INTERNAL_H
#define QUEUE_HOST_INTERNAL_H

#include "queue/hostlink.h"
#include "queue/task.h"

struct host;

/* The job whose body the running fiber is; NULL: none. */
const struct job *host_job_now(struct host *);

/* The job's own state while it runs, if its result is wanted. */
void host_progress(struct job *, struct str value);

/* The body of a task by its name; NULL: not known here. */
const struct task_body *host_body(struct host *, struct str task);
/* When the job succeeds, this follows it. */
struct signature;
void host_follow(struct job *, struct signature *);

/* Sends a message to be pushed; without an answer, or waiting for it (yields; 0 or negative). */
struct push;
void host_push(struct host *, struct link_push *, const struct push *);
int host_push_waited(struct host *, struct link_push *, const struct push *) may_yield _must_check_;

#endif
