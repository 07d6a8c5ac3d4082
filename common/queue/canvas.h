/*
 * canvas.h - jobs that belong together: chains, groups, chords, and what follows a job.
 *
 * A signature is a job that is not asked for yet, or several: Celery's word and Celery's shape, so
 * that a canvas made here runs on Python workers, one made there runs here, and their parts may be
 * split.
 *
 *   chain   each step gets the result of the one before it as its first positional argument
 *   group   all at once
 *   chord   a group (the header), then the body once, with the list of all results in their order
 *   link    runs when the job has succeeded, with its result; link_error when it has failed, with
 *           the failed job's id
 *   immutable: gets nothing put before its arguments
 *
 * What follows a job is published by the same script as its result and its acknowledgement
 * (queue/ending-internal.h): a worker that dies neither loses nor doubles a step.  A chord's body is
 * published once when all parts ran here; with Python parts no worse than Celery
 * (docs/celery.md).
 *
 * Signatures live in the arena they were made in; texts are copied into it.  One signature
 * may be put into one place only: linking or enqueueing it gives it its ids.
 *
 * Durability.  canvas_enqueue asks for one job per message that can start at once (a chain: its
 * first step, whose message carries the rest; a group: each member; a chord: each part of its
 * header), each as its task's word says.  With a transaction these are rows of job_outbox, as
 * durable as the commit, until that first job has ended.  What follows it lives in Redis only: when
 * Redis is wiped, a chain whose first step has not ended starts from its row, and one that is
 * further on is lost, as a job pushed straight into Redis is.  Of a chord the parts whose rows are
 * open run again and count anew, but the count of parts that had ended is gone, so the body of a
 * chord that was half done stays out.  Its size is not lost: every part carries it.  Who needs more
 * asks for the next job from the body of the one before it: enqueue() within the transaction of its
 * effects.
 */
#ifndef QUEUE_CANVAS_H
#define QUEUE_CANVAS_H

#include "queue/enqueue.h"

enum signature_kind {
	SIGNATURE_TASK,
	SIGNATURE_MAP, /* and starmap: one job that runs a task for each item */
	SIGNATURE_STARMAP,
	SIGNATURE_GROUP,
	SIGNATURE_CHAIN,
	SIGNATURE_CHORD,
};

/* An option as Celery names it; its value as JSON. */
struct signature_option {
	struct str name, value;
	struct signature_option *next;
};

/* To be made and changed by the functions only. */
struct signature {
	enum signature_kind kind;
	bool is_immutable;
	struct arena *arena;
	struct str task;
	struct str args, kwargs;          /* JSON array and object; TASK, MAP, STARMAP */
	struct signature *first, *last;   /* GROUP, CHAIN: the members, by `next` */
	struct signature *header, *body;  /* CHORD; the header is a GROUP */
	size_t chord_size;                /* a body's: how many parts it waits for; 0: not told */
	struct signature_option *options; /* in the order in which they were set */
	struct signature *next;
};

/* A task with its kwargs (a JSON object). */
struct signature *canvas_task(struct arena *, const struct task *, struct str kwargs);
/* A task by its name, which need not be known here, with positional arguments (a JSON array). */
struct signature *canvas_named(struct arena *, struct str task, struct str args, struct str kwargs);
struct signature *canvas_chain(struct arena *, struct signature *const *steps, size_t count);
struct signature *canvas_group(struct arena *, struct signature *const *members, size_t count);
struct signature *canvas_chord(struct arena *, struct signature *const *parts, size_t count,
			       struct signature *body);
/* `items` is a JSON array; an item is the argument (map) or the array of arguments (starmap). */
struct signature *canvas_map(struct arena *, const struct task *, struct str items);
struct signature *canvas_starmap(struct arena *, const struct task *, struct str items);

/* Return the signature they were given first. */
struct signature *canvas_link(struct signature *, struct signature *callback);
struct signature *canvas_link_error(struct signature *, struct signature *errback);
struct signature *canvas_immutable(struct signature *);
/* Options of Celery's: queue, task_id, eta, expires, shadow, reply_to … ; priority, countdown,
 * retries, time_limit, soft_time_limit, … ; any, as JSON (headers, stamps). */
struct signature *canvas_set(struct signature *, const char *option, struct str text);
struct signature *canvas_set_i64(struct signature *, const char *option, int64_t);
struct signature *canvas_set_json(struct signature *, const char *option, struct str json);

/* Most messages that one canvas, or what follows one job, may come to. */
#define CANVAS_MOST  4096
/* Their bytes together; a chord's body lies in each part of its header. */
#define CANVAS_BYTES (32 * MIB)

/*
 * Asks for it, as enqueue does for one job: with a transaction *ret_enqueued must be given to
 * enqueue_push after the commit.  *ret_id is the id whose result is the whole's: a chain's last
 * step, a chord's body, a group's id.  0; -E_DROPPED with the reason (nothing was asked for), or
 * what the database or Redis said (without a transaction some parts may have been).  Yields.
 */
int canvas_enqueue(struct producer *, struct db_tx *, struct arena *, struct signature *,
		   struct enqueued **ret_enqueued, struct str *ret_id) may_yield _must_check_;

#endif
