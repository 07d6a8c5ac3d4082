/*
 * call-internal.h - one command of one fiber, from its sending to its answer.
 *
 * The call lies on the fiber's stack.  Its `struct redis_pending` points at it; a fiber that leaves
 * early takes that pointer out, so that the late answer finds nobody.
 */
#ifndef REDIS_CALL_INTERNAL_H
#define REDIS_CALL_INTERNAL_H

#include "redis/redis-internal.h"

struct redis_call {
	struct waiter waiter;
	struct arena *arena;
	struct redis_reply *reply;     /* in the arena */
	const char *reason;            /* of an error, in the arena */
	struct redis_pending *pending; /* NULL: answered */
};

/* Waits for the connection; then the command is appended to *ret_out.  Yields. */
int redis_call_begin(struct redis *, struct arena *, struct redis_call *, struct buf **ret_out)
	may_yield _must_check_;
/* Sends it and waits for the answer.  0 with `reply` set.  Yields. */
int redis_call_end(struct redis *, struct redis_call *) may_yield _must_check_;
/* What the fiber gets: 0 with the reply, or the error that the reply is. */
int redis_call_result(const struct redis_call *, struct redis_reply **ret_reply) _must_check_;

#endif
