/*
 * enqueue-internal.h - how a producer gets its messages to Redis.
 */
#ifndef QUEUE_ENQUEUE_INTERNAL_H
#define QUEUE_ENQUEUE_INTERNAL_H

#include "queue/enqueue.h"
#include "queue/outbox.h"
#include "queue/push.h"

struct host;

/* A host's: frames to the supervisor. */
int producer_new_in_host(struct loop *, struct db *, struct host *, struct producer **ret)
	_must_check_;

/* What enqueue does, of a row that is complete but for root_id and parent_id; its id is a UUID's
 * text. */
int enqueue_row(struct producer *, struct db_tx *, struct arena *, struct outbox_row *,
		enum task_durability, struct enqueued **ret_enqueued) may_yield _must_check_;
struct db *enqueue_db(const struct producer *);

#endif
