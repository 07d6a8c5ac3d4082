/*
 * enqueue-internal.h - how a producer gets its messages to Redis.
 */
#ifndef QUEUE_ENQUEUE_INTERNAL_H
#define QUEUE_ENQUEUE_INTERNAL_H

#include "queue/enqueue.h"
#include "queue/push.h"

struct host;

/* A host's: frames to the supervisor. */
int producer_new_in_host(struct loop *, struct db *, struct host *, struct producer **ret)
	_must_check_;

#endif
