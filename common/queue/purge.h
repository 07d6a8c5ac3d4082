/*
 * purge.h - throwing away what waits in a queue, as `celery purge` and `celery worker --purge` do.
 *
 * Only what waits: not what is in flight, nor what waits for its time in the schedule.  A job that came
 * through the outbox has a row, from which a relay would push it again: it gets a receipt, loses its
 * mark, and its row goes.  Whoever dies in the middle leaves a receipt, by which the relay removes the
 * row later.  Somebody else may fetch meanwhile: a message is either his or thrown away.
 */
#ifndef QUEUE_PURGE_H
#define QUEUE_PURGE_H

#include "db/db.h"
#include "queue/keys.h"
#include "redis/redis.h"

/* Adds to *count what was thrown away, also when it fails.  `db` NULL: rows are left to the relay.
 * 0, or what Redis or the database said.  Yields. */
int queue_purge(struct redis *, struct db *, struct arena *, const struct queue_keys *,
		int64_t *count) may_yield _must_check_;

#endif
