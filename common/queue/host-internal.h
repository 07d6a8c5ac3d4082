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

/* Sends a message to be pushed; without an answer, or waiting for it (yields; 0 or negative). */
void host_push(struct host *, struct link_push *, struct str queue, struct str id,
	       struct str message);
int host_push_waited(struct host *, struct link_push *, struct str queue, struct str id,
		     struct str message) may_yield _must_check_;

#endif
