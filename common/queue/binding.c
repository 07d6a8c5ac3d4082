#include "queue/binding.h"

#include "base/log.h"

static void on_bound(void *arg _unused_, int error, const struct redis_reply *reply)
{
	if (error == 0 && reply->type == REDIS_ERROR)
		log_warn("a binding could not be written: %.*s, ignoring", STR_ARG(reply->text));
}

void binding_write(struct redis *redis, const struct queue_keys *queues, size_t count)
{
	static const char *const sets[] = { "_kombu.binding.", "_kombu.binding_permanent." };

	for (size_t i = 0; i < count * ARRAY_SIZE(sets); i++) {
		_cleanup_(buf_fini) struct buf key = BUF_INIT, member = BUF_INIT;

		queue_binding(&key, &member, sets[i % ARRAY_SIZE(sets)],
			      queues[i / ARRAY_SIZE(sets)].queue);
		if (redis_send(redis, REDIS_WORDS(STR("SADD"), buf_str(&key), buf_str(&member)),
			       on_bound, NULL) < 0)
			return; /* the connection was lost: there will be another */
	}
}
