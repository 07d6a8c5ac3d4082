#include <criterion/criterion.h>

#include "client.h"

static int try_sql(struct db *db, const char *sql)
{
	return try(db, &(struct db_statement){ .sql = str_c(sql), .is_varying = true });
}

static int codes(void *arg)
{
	/* clang-format off */
	static const struct {
		const char *sql;
		int error;
		const char *sqlstate, *constraint, *column;
	} cases[] = {
		{ "INSERT INTO codes VALUES (1, 1)", -E_UNIQUE, "23505", "codes_pkey", "" },
		{ "INSERT INTO codes VALUES (2, 99)", -E_FOREIGN_KEY, "23503", "codes_parent_fkey", "" },
		{ "DELETE FROM codes WHERE id = 1", -E_FOREIGN_KEY, "23503", "codes_parent_fkey", "" },
		{ "INSERT INTO codes VALUES (3, NULL)", -E_SQL, "23502", "", "parent" },
		{ "INSERT INTO codes VALUES (-1, 1)", -E_SQL, "23514", "codes_id_check", "" },
		{ "SELECT nosuch FROM codes", -E_SQL, "42703", "", "" },
		{ "SELEC", -E_SQL, "42601", "", "" },
		{ "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", -E_SERIALIZATION, "40001", "", "" },
		{ "DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", -E_SERIALIZATION, "40P01", "", "" },
		{ "DO $$ BEGIN RAISE SQLSTATE '53300'; END $$", -E_UNAVAILABLE, "53300", "", "" },
	};
	/* clang-format on */
	struct db *db = client_open();

	run(db,
	    "CREATE TABLE codes (id int PRIMARY KEY CHECK (id > 0), parent int NOT NULL REFERENCES codes)");
	run(db, "INSERT INTO codes VALUES (1, 1), (10, 1)");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *sql = cases[i].sql;
		int r = try_sql(db, sql);
		const struct db_failure *f = db_failure(db);

		cr_assert_eq(r, cases[i].error, "%s: %s", sql, error_name(r));
		cr_assert_str_eq(f->sqlstate, cases[i].sqlstate, "%s", sql);
		cr_assert_str_eq(f->constraint, cases[i].constraint, "%s", sql);
		cr_assert_str_eq(f->column, cases[i].column, "%s", sql);
		cr_assert_not_null(strstr(fail_reason(r), cases[i].sqlstate), "%s", fail_reason(r));
	}
	run(db, "DROP TABLE codes");
	client_close(db);
	return 0;
}

Test(db_failure, complaints_become_codes_with_the_constraints_name)
{
	fibers_run(codes, NULL);
}

struct failing {
	struct db *db;
	const char *sql, *sqlstate;
};

static int fail_and_look_later(void *arg)
{
	struct failing *f = arg;

	cr_assert_eq(try_sql(f->db, f->sql), -E_SQL);
	/* Others fail meanwhile. */
	cr_assert_eq(fiber_sleep(20 * MSEC), 0);
	cr_assert_str_eq(db_failure(f->db)->sqlstate, f->sqlstate);
	return 0;
}

static int kept(void *arg)
{
	struct db *db = client_open();
	struct failing cases[] = { { db, "SELECT 1/0", "22012" }, { db, "SELEC", "42601" } };
	struct fiber *fibers[20];
	int result;

	for (size_t i = 0; i < ARRAY_SIZE(fibers); i++)
		fibers[i] = fiber_start(fiber_loop(fiber_current()), "failing", fiber_deadline(),
					fail_and_look_later, &cases[i % 2]);
	for (size_t i = 0; i < ARRAY_SIZE(fibers); i++) {
		fiber_join(fibers[i], &result);
		cr_assert_eq(result, 0);
	}
	cr_assert_str_eq(db_failure(db)->sqlstate, "", "this fiber has not failed");
	client_close(db);
	return 0;
}

Test(db_failure, each_fiber_has_its_own)
{
	fibers_run(kept, NULL);
}
