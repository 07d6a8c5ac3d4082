/*
 * push.h - a message on its way into Redis, by whoever may write there (gateway, supervisor,
 * relay).
 *
 * `outbox` jobs go by the script that sets their mark in the queue's `live` hash first: pushing
 * twice is harmless, and one that has ended is not pushed again.  Others go by plain LPUSH or ZADD;
 * `waited` ones with WAIT behind it, for APIUM_WAIT_REPLICAS replicas and APIUM_WAIT_TIMEOUT.  WAIT
 * holds up its connection: it is given one that nobody else uses.
 */
#ifndef QUEUE_PUSH_H
#define QUEUE_PUSH_H

#include "queue/keys.h"
#include "queue/task.h"
#include "redis/redis.h"

struct push {
	const struct queue_keys *keys;
	struct str id, message;
	enum task_durability durability;
	int priority;
	usec_t eta; /* real time; 0: now */
	/* Of a part of a chord: how many there are is told first, as Celery's producer does; absent
	 * and 0: no part, or told by somebody else. */
	struct str chord;
	int64_t chord_size;
};

/* What the script says; a plain push is always PUSH_DONE. */
enum push_answer { PUSH_THERE_ALREADY = 0, PUSH_DONE = 1, PUSH_HAS_ENDED = 2 };

/* Returns at once; on_reply gets Redis's answer (INTEGER); for `waited`,
 * -E_UNAVAILABLE if too few replicas say so in time.  0 or -E_UNAVAILABLE. */
int push_send(struct redis *, const struct push *, redis_on_reply *, void *arg) _must_check_;
/* Waits for the answer; for `waited`, that a replica has it, too (-E_UNAVAILABLE if none says so in
 * time: the message is in Redis then).  enum push_answer, or negative.  Yields. */
int push_call(struct redis *, struct arena *, const struct push *) may_yield _must_check_;

#endif
