/*
 * diag.c - bodies of the diagnostic tasks (proto/diag.h).
 */
#include "proto/diag.h"

#include <inttypes.h>
#include <signal.h>

#include "base/error.h"
#include "base/world.h"
#include "loop/fiber.h"
#include "queue/canvas.h"
#include "workers/tasks.h"

int diag_noop_body(struct job *job, const void *arguments)
{
	(void) job;
	(void) arguments;
	return 0;
}

int diag_echo_body(struct job *job, const void *arguments)
{
	const struct diag_echo_arguments *a = arguments;

	return job_return_json(job, a->kwargs);
}

int diag_add_body(struct job *job, const void *arguments)
{
	const struct diag_add_arguments *a = arguments;
	_cleanup_(buf_fini) struct buf sum = BUF_INIT;
	double x, y;
	int64_t i, k, both;

	if (str_to_i64(a->x, &i) == 0 && str_to_i64(a->y, &k) == 0 &&
	    !__builtin_add_overflow(i, k, &both))
		return job_return_i64(job, both);
	if (str_to_double(a->x, &x) < 0 || str_to_double(a->y, &y) < 0)
		return job_drop(job, STR_NULL, "diag.add() adds numbers");
	json_double_add(&sum, x + y);
	return job_return_json(job, buf_str(&sum));
}

int diag_sleep_body(struct job *job, const void *arguments)
{
	const struct diag_sleep_arguments *a = arguments;

	(void) job;
	return fiber_sleep((usec_t) (a->seconds * (double) SEC));
}

static int burn(double seconds)
{
	usec_t end = now_monotonic() + (usec_t) (seconds * (double) SEC);

	while (now_monotonic() < end)
		;
	return 0;
}

int diag_burn_body(struct job *job, const void *arguments)
{
	const struct diag_burn_arguments *a = arguments;

	(void) job;
	return burn(a->seconds);
}

int diag_spin_body(struct job *job, const void *arguments)
{
	const struct diag_spin_arguments *a = arguments;

	(void) job;
	return burn(a->seconds);
}

int diag_fail_body(struct job *job, const void *arguments)
{
	const struct diag_fail_arguments *a = arguments;
	int64_t retries;

	job->retry = (struct task_retry){ .times = -1 };
	if (str_to_i64(a->retries, &retries) == 0)
		job->retry.times = (int) MIN(MAX(retries, INT64_C(0)), (int64_t) INT32_MAX);
	if (job->attempt <= a->times)
		return fail(-E_INTERNAL, "%.*s", STR_ARG(a->error));
	return job_return_i64(job, job->attempt);
}

int diag_crash_body(struct job *job, const void *arguments)
{
	const struct diag_crash_arguments *a = arguments;

	if (job->attempt <= a->times) {
		/* Without the crash report's backtrace: this one is wanted. */
		(void) signal(SIGSEGV, SIG_DFL);
		(void) raise(SIGSEGV);
	}
	return job_return_i64(job, job->attempt);
}

int diag_count_body(struct job *job, const void *arguments)
{
	static const struct db_statement add = {
		.sql = STR_INIT(
			"INSERT INTO diag_counter (key, count) VALUES ($1, 1) ON CONFLICT (key) "
			"DO UPDATE SET count = diag_counter.count + 1 RETURNING count")
	};
	const struct diag_count_arguments *a = arguments;
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct db_rows rows;
	int r;

	r = job_effect_begin(job, &tx);
	if (r != 0)
		return MIN(r, 0);
	r = db_tx_query(&tx, &job->arena, &add, DB_VALUES(a->key), &rows);
	if (r < 0)
		return r;
	r = job_return_i64(job, db_get_i64(&rows, 0, 0));
	return r < 0 ? r : job_effect_commit(job, &tx);
}

int diag_progress_body(struct job *job, const void *arguments)
{
	const struct diag_progress_arguments *a = arguments;
	int r = 0;

	for (int64_t i = 1; i <= a->steps && r == 0; i++) {
		job_progress(job, arena_printf(&job->arena,
					       "{\"current\": %" PRId64 ", \"total\": %" PRId64 "}",
					       i, a->steps));
		r = fiber_sleep(10 * MSEC);
	}
	return r < 0 ? r : job_return_i64(job, a->steps);
}

int diag_children_body(struct job *job, const void *arguments)
{
	const struct diag_children_arguments *a = arguments;
	struct task child = diag_noop_task;
	struct enqueued *enqueued;
	int r = 0;

	child.durability = TASK_FAST;
	for (int64_t i = 0; i < a->count && r == 0; i++)
		r = enqueue(job->producer, NULL, &job->arena, &child, STR("{}"), NULL, &enqueued);
	return r < 0 ? r : job_return_i64(job, a->count);
}

int diag_chord_body(struct job *job, const void *arguments)
{
	const struct diag_chord_arguments *a = arguments;
	int64_t count = MIN(MAX(a->parts, INT64_C(0)), INT64_C(1000));
	struct signature **parts = arena_array(&job->arena, struct signature *, count + 1);
	struct enqueued *enqueued;
	struct signature *body;
	struct str id;
	int r;

	for (int64_t i = 0; i < count; i++)
		parts[i] = canvas_task(
			&job->arena, &diag_add_task,
			arena_printf(&job->arena, "{\"x\": %" PRId64 ", \"y\": 1}", i));
	body = canvas_named(&job->arena, STR("celery.accumulate"), STR("[]"), STR("{}"));
	r = canvas_enqueue(job->producer, NULL, &job->arena,
			   canvas_chord(&job->arena, parts, (size_t) count, body), &enqueued, &id);
	return r < 0 ? r : job_return_json(job, arena_printf(&job->arena, "\"%.*s\"", STR_ARG(id)));
}
