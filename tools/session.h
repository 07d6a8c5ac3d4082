/*
 * session.h - a loop with its stores for a command that talks to Redis and PostgreSQL, and one
 * fiber that does the work.
 */
#ifndef TOOLS_SESSION_H
#define TOOLS_SESSION_H

#include "base/arena.h"
#include "db/db.h"
#include "queue/enqueue.h"
#include "redis/redis.h"

struct session {
	struct loop *loop;
	struct db *db;
	struct redis *redis;
	struct redis *results; /* where results lie: perhaps the same */
	struct producer *producer;
	struct arena arena;
};

/* Runs `work` on a fiber with this much time; its result. */
int session_run(int (*work)(struct session *, void *arg) may_yield, void *arg, usec_t most)
	_must_check_;

/* The same without PostgreSQL: `db` and `producer` are NULL. */
int session_run_redis(int (*work)(struct session *, void *arg) may_yield, void *arg, usec_t most)
	_must_check_;

#endif
