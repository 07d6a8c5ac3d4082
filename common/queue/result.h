/*
 * result.h - the document of a job's state, as Celery's Redis result backend stores it.
 *
 * Key and channel: celery-task-meta-<id> (queue/keys.h).  Members in Python's order: status,
 * result, traceback, children, date_done, [group_id], [parent_id], task_id.  Children are not
 * recorded ([]). Source: recordings of Celery 5.7 (results.json), celery-wire §2.2.
 */
#ifndef QUEUE_RESULT_H
#define QUEUE_RESULT_H

#include "base/buf.h"

#define RESULT_TTL_SECONDS 86400 /* Celery's result_expires */

enum result_state { RESULT_SUCCESS, RESULT_FAILURE, RESULT_RETRY, RESULT_REVOKED, RESULT_STATES };

struct result_about {
	struct str id;     /* value, not JSON */
	struct str group;  /* absent: not in a group */
	struct str parent; /* absent: none */
};

/* SUCCESS with a value (JSON; absent: null). */
void result_add_success(struct buf *out, const struct result_about *, struct str value);
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

/* FAILURE, RETRY or REVOKED with an exception whose only argument is `message`. */
void result_add_exception(struct buf *out, const struct result_about *, enum result_state,
			  const struct result_exception *, struct str message);

#endif
