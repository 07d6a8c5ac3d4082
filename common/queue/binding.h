/*
 * binding.h - what kombu keeps of a queue: members of `_kombu.binding.<queue>` and
 * `_kombu.binding_permanent.<queue>`.
 *
 * A Python worker writes them for the queues that it consumes.  A Python client that publishes to
 * the exchange of that name looks there, and drops what is bound to nobody.
 */
#ifndef QUEUE_BINDING_H
#define QUEUE_BINDING_H

#include "queue/keys.h"
#include "redis/redis.h"

/* To be called for each new connection: Redis may have lost them.  Nobody waits for the answers. */
void binding_write(struct redis *, const struct queue_keys *queues, size_t count);

#endif
