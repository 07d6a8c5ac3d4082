#include <criterion/criterion.h>

#include "base/error.h"
#include "help.h"
#include "queue/task.h"

static struct job job_make(struct db *db, const char *key)
{
	struct job job = { .magic = JOB_MAGIC, .db = db, .key = str_c(key) };

	arena_init(&job.arena);
	return job;
}

/* As diag.count: counts in a table, once per key. */
static int count_once(struct job *job)
{
	static const struct db_statement add = {
		.sql = STR_INIT(
			"INSERT INTO diag_counter (key, count) VALUES ('c', 1) ON CONFLICT (key) "
			"DO UPDATE SET count = diag_counter.count + 1 RETURNING count")
	};
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct db_rows rows;
	int r = job_effect_begin(job, &tx);

	if (r != 0)
		return MIN(r, 0);
	r = db_tx_query(&tx, &job->arena, &add, DB_NO_VALUES, &rows);
	if (r < 0)
		return r;
	r = job_return_i64(job, db_get_i64(&rows, 0, 0));
	return r < 0 ? r : job_effect_commit(job, &tx);
}

static int receipts_body(void *arg)
{
	struct db *db = help_db();
	struct job first = job_make(db, "k"), again = job_make(db, "k"), other = job_make(db, "l");
	struct arena a;

	(void) arg;
	arena_init(&a);
	cr_assert_eq(count_once(&first), 0, "%s", fail_reason(-E_SQL));
	cr_assert(str_eq_c(first.result_json, "1") && !first.has_receipt);
	cr_assert_eq(count_once(&again), 0);
	cr_assert(str_eq_c(again.result_json, "1") && again.has_receipt);
	cr_assert_eq(count_once(&other), 0);
	cr_assert(str_eq_c(other.result_json, "2"));
	cr_assert(
		str_eq_c(help_sql(db, &a, "SELECT count FROM diag_counter WHERE key = 'c'"), "2"));
	arena_fini(&a);
	arena_fini(&first.arena);
	arena_fini(&again.arena);
	arena_fini(&other.arena);
	help_db_close(db);
	return 0;
}

Test(job, effects_happen_once_per_key)
{
	fibers_run(receipts_body, NULL);
}

struct cancelled {
	struct db *db;
	int round;
};

static int cancelled_body(void *arg)
{
	struct cancelled *c = arg;
	struct job job = job_make(c->db, "cancelled");
	int r = count_once(&job);

	arena_fini(&job.arena);
	return r;
}

static int everywhere_body(void *arg)
{
	struct cancelled c = { .db = help_db() };
	struct arena a;

	(void) arg;
	arena_init(&a);
	cr_assert_gt(fibers_cancel_everywhere(cancelled_body, &c, NULL), 2);
	/* However often it was cut off, and wherever: once. */
	cr_assert(str_eq_c(help_sql(c.db, &a, "SELECT count FROM diag_counter WHERE key = 'c'"),
			   "1"));
	arena_fini(&a);
	help_db_close(c.db);
	return 0;
}

Test(job, cancelled_at_every_wait_it_counts_once)
{
	fibers_run(everywhere_body, NULL);
}

static int results_body(void *arg)
{
	struct job job = job_make(NULL, "k");

	(void) arg;
	cr_assert_eq(job_return_json(&job, STR("{\"a\": NaN}")), 0);
	cr_assert(str_eq_c(job.result_json, "{\"a\": NaN}"));
	cr_assert_eq(job_return_json(&job, STR("{\"a\"")), -E_INTERNAL);
	cr_assert_eq(job_return_i64(&job, -5), 0);
	cr_assert(str_eq_c(job.result_json, "-5"));
	cr_assert_eq(job_drop(&job, STR("{\"status\": \"error\"}"), "no %s", "picture"),
		     -E_DROPPED);
	cr_assert_str_eq(fail_reason(-E_DROPPED), "no picture");
	cr_assert(job.has_dropped && str_eq_c(job.drop_result_json, "{\"status\": \"error\"}"));
	arena_fini(&job.arena);
	return 0;
}

Test(job, results_are_json)
{
	fibers_run(results_body, NULL);
}
