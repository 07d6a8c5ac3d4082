/*
 * enqueue.h - asking for a job: from a handler, from a task's body, from the operator's command.
 *
 * How it is kept is the task's word (task.h).  `outbox`: a row of job_outbox within the caller's
 * transaction; after the commit the caller's program pushes it at once, and if it dies before that,
 * a relay finds the row.  `waited` and `fast` push straight to Redis.
 *
 * A producer is made once per event loop.  In a gateway it writes to Redis; in a host process it
 * hands frames to the supervisor, because hosts never touch queue keys.
 */
#ifndef QUEUE_ENQUEUE_H
#define QUEUE_ENQUEUE_H

#include "queue/task.h"

struct producer;

struct enqueue_options {
	const char *queue;      /* NULL: the task's */
	struct str key;         /* idempotency key; absent: none */
	usec_t eta;             /* real time; 0: now */
	struct str traceparent; /* absent: a child of the caller's trace (base/log.h), if any */
	struct str id;          /* absent: a new one; a UUID */
	struct str root_id, parent_id; /* absent: the job whose body asks, else none */
	int priority;                  /* 0, the most urgent, to 9 */
};

#define ENQUEUE_ID 37

/* What was written within one transaction and is to be pushed after its commit.  In the caller's
 * arena.  Several may be hung together by `next`: enqueue_push takes the whole chain. */
struct enqueued {
	char id[ENQUEUE_ID];
	enum task_durability durability; /* to be told to whoever asked (task_durability_names) */
	struct enqueued *next;
	void *_push;
};

/*
 * `kwargs` is a JSON object.  With a transaction the row is part of it and *ret_enqueued must be
 * given to enqueue_push after db_commit; without one (tx NULL) a transaction of its own is made and
 * the job pushed. A `waited` or `fast` task has no row: with a transaction it is pushed by
 * enqueue_push and nobody waits for the answer; without one the answer is waited for.  `options`
 * may be NULL. 0; -E_DROPPED (arguments do not fit the task), or what the database or Redis said.
 * Yields.
 */
int enqueue(struct producer *, struct db_tx *tx, struct arena *, const struct task *,
	    struct str kwargs, const struct enqueue_options *, struct enqueued **ret_enqueued)
	may_yield _must_check_;
/* The same from the arguments' struct. */
int enqueue_args(struct producer *, struct db_tx *tx, struct arena *, const struct task *,
		 const void *args, const struct enqueue_options *, struct enqueued **ret_enqueued)
	may_yield _must_check_;
/* After the commit.  Does not wait and cannot fail: what is not pushed now, the relay pushes. */
void enqueue_push(struct producer *, struct enqueued *);

/* The gateway's producer.  `relay` also starts the relay of DESIGN §6 on this loop. */
struct producer_options {
	struct loop *loop;
	struct db *db;
	struct redis *redis;
	bool has_relay;
};
int producer_new(const struct producer_options *, struct producer **ret) _must_check_;
/* Stops the relay; on_closed when its fiber has ended. */
void producer_close(struct producer *, void (*on_closed)(void *arg), void *arg);

#endif
