/*
 * result.h - the document of a job's state, as Celery's Redis result backend stores it.
 *
 * Key and channel: celery-task-meta-<id> (queue/keys.h).  Members in Python's order: status,
 * result, traceback, children, date_done, [group_id], [parent_id], with APIUM_RESULT_EXTENDED
 * [name, args, kwargs, worker, retries, queue], task_id.
 *
 * Which state may replace which is the scripts' business (queue/scripts.h): SUCCESS stays, and
 * nothing that is not final replaces what is.
 *
 * Source: recordings of Celery 5.7 (tests/golden/celery/results.json).
 */
#ifndef QUEUE_RESULT_H
#define QUEUE_RESULT_H

#include "base/buf.h"
#include "base/json.h"
#include "queue/message.h"

/* A stored document's JSON: what stands in the key, or what Celery's result_compression made of it
 * (a Python worker's; none is compressed here).  0, or -EINVAL with the reason. */
int result_text(struct arena *, struct str stored, struct str *ret) _must_check_;

/* APIUM_RESULT_EXPIRES in seconds; without settings (a test, say) Celery's day. */
int64_t result_ttl(void);

enum result_state { RESULT_SUCCESS, RESULT_FAILURE, RESULT_RETRY, RESULT_REVOKED, RESULT_STATES };

/* What result_extended adds.  Texts but for the two that are JSON. */
struct result_more {
	struct str name, args_json, kwargs_json, queue;
	int64_t retries;
};

struct result_about {
	struct str id;                  /* value, not JSON */
	struct str group;               /* absent: not in a group */
	struct str parent;              /* absent: none */
	struct str children;            /* JSON array; absent: [] */
	const struct result_more *more; /* NULL: not asked for */
};

/* From a message that was scanned; its body is decoded if APIUM_RESULT_EXTENDED asks for it and it
 * is not too large for that (args and kwargs are null then).  Slices borrow the arena. */
void result_about_message(struct arena *, const struct message *, struct str queue,
			  struct result_about *ret);

/* SUCCESS with a value (JSON; absent: null). */
void result_add_success(struct buf *out, const struct result_about *, struct str value);
/* STARTED, by the process `pid` of this worker. */
void result_add_started(struct buf *out, const struct result_about *, int64_t pid);
/* A state of the task's own, "PROGRESS" say, with its value; date_done stays null. */
void result_add_custom(struct buf *out, const struct result_about *, struct str state,
		       struct str value);

/* What Python raises for it: exc_type in exc_module. */
struct result_exception {
	const char *type;
	const char *module;
};
extern const struct result_exception result_job_error; /* apium.JobError */
extern const struct result_exception result_not_registered;
extern const struct result_exception result_revoked;
extern const struct result_exception result_time_limit;
extern const struct result_exception result_soft_time_limit;
extern const struct result_exception result_worker_lost;
extern const struct result_exception result_rejected; /* the input's own fault */
extern const struct result_exception result_chord_error;

/* FAILURE, RETRY or REVOKED with an exception whose only argument is `message`.  The first two have
 * a traceback in Python's form, which names the exception and no line of any source. */
void result_add_exception(struct buf *out, const struct result_about *, enum result_state,
			  const struct result_exception *, struct str message);

/* The exception alone, as a state's result has it. */
void result_put_exception(struct json_writer *, const struct result_exception *,
			  struct str message);
/* A state's name, as Celery writes it. */
const char *result_state_name(enum result_state);

#endif
