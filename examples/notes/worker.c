#include <inttypes.h>

#include "notes.h"
#include "queue/worker.h"

/* The effect is committed with the job's receipt, so it happens once however often the job comes. */
static int notes_count_body(struct job *job, const void *arguments)
{
	static const struct db_statement count = {
		.sql = STR_INIT("UPDATE notes SET words = cardinality(regexp_split_to_array("
				"trim(text), '\\s+')) WHERE id = $1 RETURNING words"),
	};
	const struct notes_count_arguments *a = arguments;
	struct str key = arena_printf(&job->arena, "%" PRId64, a->note);
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct db_rows rows;
	int r;

	r = job_effect_begin(job, &tx);
	if (r != 0)
		return r < 0 ? r : 0; /* 1: an earlier delivery did it */
	r = db_tx_query(&tx, &job->arena, &count, DB_VALUES(key), &rows);
	if (r == 0 && rows.count == 0)
		return job_drop(job, STR_NULL, "note %" PRId64 " is gone", a->note);
	if (r == 0)
		r = job_return_i64(job, db_get_i64(&rows, 0, 0));
	return r < 0 ? r : job_effect_commit(job, &tx);
}

int main(int argc, char **argv)
{
	static const struct task_body bodies[] = { { &notes_count_task, notes_count_body } };
	static const struct worker_program program = {
		.name = "notes-worker",
		WORKER_BODIES(bodies),
	};

	return worker_main(argc, argv, &program);
}
