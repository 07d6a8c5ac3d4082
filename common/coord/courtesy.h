/*
 * courtesy.h - asks Redis for what the caller can do without: throttles, caches.
 *
 * Whoever does without must not wait for it.  So nothing is sent while the connection is not ready,
 * an answer has 250 ms, and when it did not come (a server that is stopped keeps its sockets open)
 * nobody of this thread asks for the next second.
 */
#ifndef COORD_COURTESY_H
#define COORD_COURTESY_H

#include "base/arena.h"
#include "redis/redis.h"

/* As redis_call and redis_eval; -E_UNAVAILABLE or -ETIMEDOUT when there is no answer.  Yield. */
int courtesy_call(struct redis *, struct arena *, const struct str *words, size_t count,
		  struct redis_reply **ret_reply) may_yield _must_check_;
int courtesy_eval(struct redis *, struct arena *, struct redis_script *, size_t keys,
		  const struct str *words, size_t count, struct redis_reply **ret_reply)
	may_yield _must_check_;

#endif
