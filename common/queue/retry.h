/*
 * retry.h - whether and when a failed job is tried again.
 *
 * wait = random in [0, min(most, first * 2^retries)]: exponential backoff with full jitter, so that
 * jobs which failed together do not come back together.  Pure: chance comes from base/world.h.
 */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include "queue/task.h"

/* The longest wait that retry_wait may answer after this many retries. */
usec_t retry_ceiling(const struct task_retry *, int64_t retries);
usec_t retry_wait(const struct task_retry *, int64_t retries);
bool retry_is_left(const struct task_retry *, int64_t retries);

#endif
