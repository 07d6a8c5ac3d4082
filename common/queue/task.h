/*
 * task.h - what a task is: one declaration and one function.
 *
 * To add one:
 *   1. proto/<family>.h and .c: its arguments, one line each, and its declaration (struct task); a
 * row in proto/tasks.def;
 *   2. workers/tasks/<family>.c: the body.
 *
 * The declaration gives both sides their types: a struct that the body receives, a table by which
 * messages are checked, and the typed call that enqueues (queue/enqueue.h).  A gateway knows
 * declarations only.
 *
 * A body is straight-line code on a fiber of a host process.  It returns 0 (with job_return_json
 * for a result other than null), or a negative error: errors.def says whether that is tried again,
 * dropped or dead; anything unknown is tried again.  It may run more than once: effects inside
 * PostgreSQL happen once when they go through job_effect_begin, effects outside happen at least
 * once, each attempt with the same job->key.
 */
#ifndef QUEUE_TASK_H
#define QUEUE_TASK_H

#include "base/arena.h"
#include "base/json.h"
#include "db/db.h"

struct redis;
struct producer;

enum task_argument_type {
	TASK_TEXT, /* struct str */
	TASK_INT,  /* int64_t */
	TASK_REAL, /* double; whole numbers too */
	TASK_FLAG, /* bool */
	TASK_JSON, /* struct str: any JSON, as it was sent */
	TASK_ANY,  /* the whole kwargs object, for tasks that take whatever comes (diag.echo) */
};

struct task_argument {
	const char *name;
	enum task_argument_type type;
	bool is_optional;
	size_t offset;     /* in the arguments' struct */
	const char *usual; /* JSON of the default, for an optional one */
	const char *help;
};

enum task_where {
	TASK_SHARED, /* beside others on one host: waits much, computes little */
	TASK_ALONE,  /* one job per process: burns CPU */
};

enum task_durability {
	TASK_OUTBOX, /* a row in PostgreSQL with the caller's transaction */
	TASK_WAITED, /* pushed, then WAIT for a replica */
	TASK_FAST,   /* pushed */
	TASK_DURABILITIES,
};
extern const char *const task_durability_names[TASK_DURABILITIES]; /* "outbox", … */

struct task_retry {
	int times;    /* after the first attempt; -1: no bound */
	usec_t first; /* the wait is random in [0, min(most, first * 2^n)] */
	usec_t most;
};
/* clang-format off */
#define TASK_RETRY_USUAL { .times = 3, .first = 1 * SEC, .most = 600 * SEC }
/* clang-format on */

struct job;

struct task {
	const char *name; /* "email.send" */
	const char *help;
	const char *queue; /* NULL: "default" */
	enum task_where where;
	enum task_durability durability;
	struct task_retry retry;
	usec_t time_limit, soft_time_limit; /* 0: the setting's */
	bool ignores_result;
	bool ignores_arguments; /* whatever is sent is right, and the body gets none */
	const struct task_argument *arguments;
	size_t argument_count;
	size_t arguments_size;
};

/* What a worker adds to a declaration.  `arguments` is the task's struct. */
struct task_body {
	const struct task *task;
	int (*body)(struct job *, const void *arguments) may_yield;
};

/* A job being run, in the host.  Freed with its arena after the outcome was sent. */
struct job {
	uint32_t magic;
	struct arena arena;
	const struct task *task;
	struct str id, key; /* key: the idempotency key; the id if none was given */
	struct str queue;
	int attempt; /* 1: the first (DESIGN §6: retries + crashes + 1) */
	int retries;
	struct str root_id, parent_id, traceparent; /* absent if not sent */
	struct str arguments_json, kwargs_json;
	struct db *db;
	struct redis *redis;
	struct producer *producer; /* to enqueue more */
	void *application;         /* what the host's main hung here (mailer, sandboxes, …) */
	struct task_retry retry;   /* the task's; a body may change it for this job */

	/* the outcome, filled by the functions below */
	struct str result_json; /* absent: null */
	struct str drop_result_json;
	bool has_dropped;
	bool has_receipt; /* result_json is an earlier delivery's */
	bool soft_limit_passed;
	void *_host;
};
#define JOB_MAGIC UINT32_C(0x4a4f4200)

/* The result; JSON, copied.  Returns 0 so that it can end a body; -E_INTERNAL if it is no JSON. */
int job_return_json(struct job *, struct str json);
int job_return_i64(struct job *, int64_t);
/* The input's own fault: DROPPED.  With `result` (JSON) the state is SUCCESS and that value;
 * absent: FAILURE with the reason.  Returns -E_DROPPED. */
int job_drop(struct job *, struct str result_json, const char *format, ...) _printf_(3, 4);

/* Tells whoever watches the result: state "PROGRESS" with this value (JSON).  Lost if nobody
 * looks. */
void job_progress(struct job *, struct str json);

/*
 * A transaction whose commit carries the job's receipt: the effects in it happen once per key,
 * however often the job is delivered. r = job_effect_begin(job, &tx);     1: done before; return 0,
 * the stored result is the job's result … statements … r = job_effect_commit(job, &tx);    the
 * result set by then is stored with the receipt Yields.  One such transaction a job: its key has
 * one receipt.
 */
int job_effect_begin(struct job *, struct db_tx *ret) may_yield _must_check_;
int job_effect_commit(struct job *, struct db_tx *) may_yield _must_check_;

/*
 * Declares arguments: LIST(ARG) with rows ARG(type, name, optional default JSON or NULL, "help").
 *   struct email_send_arguments { EMAIL_SEND_ARGUMENTS(TASK_MEMBER_) };
 *   #define TASK_ARGUMENTS_STRUCT struct email_send_arguments
 *   static const struct task_argument rows[] = { EMAIL_SEND_ARGUMENTS(TASK_ROW_) };
 *   #undef TASK_ARGUMENTS_STRUCT
 */
#define TASK_C_TEXT                           struct str
#define TASK_C_INT                            int64_t
#define TASK_C_REAL                           double
#define TASK_C_FLAG                           bool
#define TASK_C_JSON                           struct str
#define TASK_C_ANY                            struct str
#define TASK_MEMBER_(type, name, usual, help) TASK_C_##type name;
#define TASK_ROW_(type_, name_, usual_, help_)                                                     \
	{ .name = #name_,                                                                          \
	  .type = TASK_##type_,                                                                    \
	  .is_optional = (usual_) != NULL,                                                         \
	  .offset = offsetof(TASK_ARGUMENTS_STRUCT, name_),                                        \
	  .usual = (usual_),                                                                       \
	  .help = (help_) },
/* What a declaration says of them. */
/* clang-format off */
#define TASK_TAKES(rows_, struct_)                                                                 \
	.arguments = (rows_), .argument_count = ARRAY_SIZE(rows_), .arguments_size = sizeof(struct_)
/* clang-format on */

/*
 * Checks `args` and `kwargs` (JSON array and object) against the table and fills the struct;
 * positional ones in the order of the rows, as Python binds them.  0 or -E_DROPPED with Python-like
 * words
 * ("email.send() missing 1 required argument: 'subject'").  Slices borrow `arena`.
 */
int task_bind(struct arena *, const struct task *, const struct json *args,
	      const struct json *kwargs, void *ret_arguments) _must_check_;
/* The struct as a JSON object of kwargs. */
void task_kwargs(struct json_writer *, const struct task *, const void *arguments);

/* The tasks that this program knows.  Rows stay valid for ever; duplicates and contradictions are
 * refused with -E_BAD_SETTING and a sentence. */
int task_register(const struct task *const *tasks, size_t count) _must_check_;
const struct task *task_find(struct str name);
/* A task's number is its place in the order of registration; the same in every process of one
 * program. */
size_t task_count(void);
const struct task *task_at(size_t number);
size_t task_number(const struct task *);

#endif
