/*
 * outbox.h - the table job_outbox: jobs that are part of a transaction.
 *
 * A row is written with what it is for, pushed after the commit, and deleted when the job has
 * ended.  Rows are written here (queue/enqueue.h) and by apium_enqueue() in SQL; whoever pushes one
 * makes the same message from it.  Two writes a job: the INSERT, and a DELETE of many at once.
 */
#ifndef QUEUE_OUTBOX_H
#define QUEUE_OUTBOX_H

#include "db/db.h"
#include "queue/keys.h"
#include "queue/push.h"

/* Absent texts are NULL in the row. */
struct outbox_row {
	struct str id, task, kwargs, queue, key;
	struct str root_id, parent_id, traceparent;
	struct str canvas; /* JSON, by outbox_canvas: its place in a canvas; absent: none */
	usec_t at;         /* when the row was written; 0: now */
	usec_t eta;        /* 0: none */
	int priority;
};

int outbox_insert(struct db_at, struct arena *, const struct outbox_row *) may_yield _must_check_;

/*
 * The push that the row asks for.  The queue is the row's, else the declaration's, else "default".
 * 0, or -E_DROPPED when it can never be pushed: its arguments do not fit the task, its queue has no
 * usable name. A task that this program does not know is pushed unchecked: its worker will say.
 * `ret` borrows the arena. Also for jobs that never become a row: then `durability` is another.
 */
int outbox_to_push(struct arena *, struct queue_book *, const struct outbox_row *,
		   enum task_durability, struct push *ret) _must_check_;
/* What of a message that is part of a canvas has no column of its own; with the group and size of
 * the chord that begins with it (absent and 0: none). */
struct message_new;
struct str outbox_canvas(struct arena *, const struct message_new *, struct str chord,
			 int64_t chord_size);
/* The queue whose keys tell about the row, also when outbox_to_push refuses it. */
struct str outbox_queue(const struct outbox_row *);

/* Rows that are where: newer than (after_at, after_id) and at least `age` old, oldest first. */
struct outbox_place {
	struct str id, queue, task, at;
};
int outbox_look(struct db *, struct arena *, struct str after_at, struct str after_id, usec_t age,
		struct outbox_place **ret, size_t *ret_count) may_yield _must_check_;
#define OUTBOX_LOOK 200 /* most rows of one look */

/* The rows of these ids that nobody else holds, locked until the transaction ends. */
int outbox_lock(struct db_tx *, struct arena *, const struct str *ids, size_t count,
		struct outbox_row **ret, size_t *ret_count) may_yield _must_check_;
int outbox_delete(struct db_at, struct arena *, const struct str *ids, size_t count)
	may_yield _must_check_;

#endif
