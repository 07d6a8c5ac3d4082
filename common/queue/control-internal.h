/*
 * control-internal.h - what control.c (requests, replies), control_inspect.c (commands that only
 * look) and control_change.c (commands that change something) share.
 */
#ifndef QUEUE_CONTROL_INTERNAL_H
#define QUEUE_CONTROL_INTERNAL_H

#include "base/json.h"
#include "queue/control.h"
#include "queue/revoked.h"
#include "queue/supervisor-internal.h"

#define CONTROL_DEPTH 200

/* By the task's number. */
struct control_task {
	uint64_t total;
	bool has_limits;
	usec_t hard, soft;     /* 0: none */
	usec_t interval, next; /* of the rate: the generic cell rate algorithm; interval 0: none */
	usec_t reserved;       /* until here moments were given to jobs that wait */
};

/* Jobs with this header stamped with one of these values are revoked. */
struct control_stamp {
	struct list link;
	struct str header, value; /* behind the struct */
};

struct control {
	struct supervisor *s;
	struct redis *subscription;
	struct buf channel;
	struct list requests;
	unsigned request_count;
	struct waiter *waiter; /* the fiber's, while it has nothing to do */
	bool is_loaded;
	usec_t started_at;
	struct revoked revoked;
	struct list stamps;
	unsigned stamp_count;
	struct control_task *tasks;
	bool *is_cancelled; /* by queue */
};

/* A command being run.  `out` takes the reply's value; nothing written: null. */
struct control_call {
	struct control *c;
	struct arena *arena;
	const char *name;
	const struct json *arguments; /* an object */
	struct json_writer *out;
};

/* 0, or negative: the reply is {"error": the reason}. */
typedef int control_command(struct control_call *) may_yield;

struct control_row {
	const char *name;
	control_command *run;
};

extern const struct control_row control_inspect_rows[], control_change_rows[];
extern const size_t control_inspect_count, control_change_count;

/* An argument that must be there; else the words in which Python would complain. */
int control_argument(struct control_call *, const char *name, const struct json **ret) _must_check_;
/* An argument that Python would call true: Flower says 1, Celery true. */
bool control_flag(struct control_call *, const char *name);
/* The reply {"ok": …} */
void control_ok(struct control_call *, struct str text);
struct str control_text(struct control_call *, const struct json *); /* "" if it is no string */

/* A message that this worker holds, read back from Redis. */
struct control_job {
	struct flight *flight;
	const struct message *message;
	struct str queue;
	bool has_started;
};
/* Visits what the lanes hold, up to CONTROL_JOBS in each; 0, or what Redis said.  The job is valid
 * during the call. */
#define CONTROL_JOBS 1000
int control_each_job(struct control_call *, void (*visit)(void *arg, const struct control_job *),
		     void *arg) may_yield _must_check_;

#endif
