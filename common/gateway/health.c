#include "gateway/health.h"

#include "db/db.h"
#include "redis/redis.h"

/* "degraded" stays 200: a deliberate departure, the replaced stack answers 503. */

#define READY_MOST (2 * SEC)
/* A Redis that is stopped keeps its connections open: only an answer says that it is there. */
#define REDIS_MOST (500 * MSEC)

int health_live(struct request *rq)
{
	return reply_json(rq, 200, STR("{\"status\": \"ok\"}"));
}

static bool redis_answers(struct request *rq)
{
	FIBER_DEADLINE(REDIS_MOST);
	struct redis_reply *reply;

	return redis_is_ready(rq->thread->redis) &&
	       redis_call(rq->thread->redis, &rq->arena, REDIS_WORDS(STR("PING")), &reply) == 0;
}

int health_ready(struct request *rq)
{
	FIBER_DEADLINE(READY_MOST);
	bool has_redis = redis_answers(rq); /* first: the other one may take all of the time */
	bool has_database = db_ping(rq->thread->db) == 0;
	const char *word = !has_database ? "unavailable" : has_redis ? "ok" : "degraded";
	struct str body = arena_printf(
		&rq->arena,
		"{\"status\": \"%s\", \"checks\": {\"database\": \"%s\", \"redis\": \"%s\"}}", word,
		has_database ? "ok" : "unavailable", has_redis ? "ok" : "unavailable");

	return reply_json(rq, has_database ? 200 : 503, body);
}
