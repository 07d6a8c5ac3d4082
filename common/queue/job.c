/*
 * job.c - what a task's body may do with its job (queue/task.h).
 */
#include "queue/task.h"

#include "base/error.h"
#include "queue/host-internal.h"

#define RESULT_DEPTH_MOST 200

int job_return_json(struct job *job, struct str json)
{
	_cleanup_(arena_fini) struct arena arena;
	struct json_error e;
	struct json *tree;

	OBJ_CHECK(job, JOB_MAGIC);
	arena_init(&arena);
	/* It becomes part of a document that others parse. */
	if (json_parse(&arena, json, JSON_PYTHON, RESULT_DEPTH_MOST, &tree, &e) < 0)
		return fail(-E_INTERNAL, "the result is no JSON: %s", e.sentence);
	job->result_json = arena_str(&job->arena, json);
	return 0;
}

int job_return_i64(struct job *job, int64_t value)
{
	OBJ_CHECK(job, JOB_MAGIC);
	job->result_json = arena_printf(&job->arena, "%lld", (long long) value);
	return 0;
}

int job_drop(struct job *job, struct str result_json, const char *format, ...)
{
	va_list args;

	OBJ_CHECK(job, JOB_MAGIC);
	job->has_dropped = true;
	job->drop_result_json = arena_str(&job->arena, result_json);
	va_start(args, format);
	(void) vfail(-E_DROPPED, format, args);
	va_end(args);
	return -E_DROPPED;
}

void job_progress(struct job *job, struct str json)
{
	OBJ_CHECK(job, JOB_MAGIC);
	host_progress(job, json);
}

/*
 * The receipt's row is written first: who comes second waits at it until the first one's
 * transaction has ended, and then knows.
 */
int job_effect_begin(struct job *job, struct db_tx *ret)
{
	static const struct db_statement take = {
		.sql = STR_INIT(
			"INSERT INTO job_receipt (key) VALUES ($1) ON CONFLICT (key) DO NOTHING "
			"RETURNING key")
	};
	static const struct db_statement look = {
		.sql = STR_INIT("SELECT result FROM job_receipt WHERE key = $1")
	};
	struct db_rows rows;
	int r;

	OBJ_CHECK(job, JOB_MAGIC);
	*ret = (struct db_tx)
		DB_TX_INIT; /* in its place from the start: an open one cannot be moved */
	r = db_begin(job->db, ret);
	if (r == 0)
		r = db_tx_query(ret, &job->arena, &take, DB_VALUES(job->key), &rows);
	if (r == 0 && rows.count == 1)
		return 0;
	if (r == 0)
		r = db_tx_query(ret, &job->arena, &look, DB_VALUES(job->key), &rows);
	db_tx_end(ret);
	if (r < 0)
		return r;
	if (rows.count == 0) /* it was removed between the two: tried again like any other race */
		return fail(-E_SERIALIZATION, "the receipt of %.*s went away", STR_ARG(job->key));
	job->has_receipt = true;
	job->result_json = db_get(&rows, 0, 0);
	return 1;
}

int job_effect_commit(struct job *job, struct db_tx *tx)
{
	static const struct db_statement store = {
		.sql = STR_INIT("UPDATE job_receipt SET result = $2 WHERE key = $1")
	};
	struct db_rows rows;
	int r = 0;

	OBJ_CHECK(job, JOB_MAGIC);
	if (!str_is_null(job->result_json))
		r = db_tx_query(tx, &job->arena, &store, DB_VALUES(job->key, job->result_json),
				&rows);
	return r < 0 ? r : db_commit(tx);
}
