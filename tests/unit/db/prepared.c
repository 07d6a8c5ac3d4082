#include <criterion/criterion.h>

#include "client.h"
#include "db/db-internal.h"
#include "servers.h"

Test(db_prepared, one_place_has_one_name_and_another_text_there_gets_another)
{
	struct db_prepared_set set;
	struct db_prepared *a, *b;
	char memory[] = "SELECT 1";
	struct str sql = str_make(memory, sizeof(memory) - 1);

	db_prepared_init(&set);
	a = db_prepared_find(&set, sql);
	cr_assert_not_null(a);
	a->is_known = true;
	cr_assert_eq(db_prepared_find(&set, sql), a);
	memory[7] = '2';
	b = db_prepared_find(&set, sql);
	cr_assert(b != NULL && b != a && !b->is_known);
	cr_assert_eq(db_prepared_find(&set, sql), b);
	db_prepared_clear(&set);
	cr_assert_neq(db_prepared_find(&set, sql)->is_known, true);
	db_prepared_clear(&set);
}

Test(db_prepared, their_number_is_bounded)
{
	static char texts[1001][16];
	struct db_prepared_set set;

	db_prepared_init(&set);
	for (int i = 0; i < 1001; i++) {
		snprintf(texts[i], sizeof(texts[i]), "SELECT %d", i);
		cr_assert_eq(db_prepared_find(&set, str_c(texts[i])) == NULL, i == 1000, "%d", i);
	}
	cr_assert_not_null(db_prepared_find(&set, str_c(texts[7])),
			   "known ones are found all the same");
	db_prepared_clear(&set);
}

static int names(void *arg)
{
	static const struct db_statement read = { .sql = STR_INIT("SELECT 'prepared:names'"),
						  .lane = DB_SHARED };
	static const struct db_statement count = {
		.sql = STR_INIT("SELECT count(*) FROM pg_prepared_statements "
				"WHERE statement = 'SELECT ''prepared:names'''"),
		.lane = DB_SHARED,
		.is_varying = true,
	};
	struct db *db = client_open();
	struct db_rows rows;
	struct arena arena;

	arena_init(&arena);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(try(db, &read), 0);
	cr_assert_eq(db_query(db, &arena, &count, DB_NO_VALUES, &rows), 0);
	cr_assert_eq(db_get_i64(&rows, 0, 0), 1, "prepared once");
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_prepared, a_constant_text_is_prepared_once_per_connection)
{
	fibers_run(names, NULL);
}

static int without(void *arg)
{
	static const struct db_statement read = { .sql = STR_INIT("SELECT 'without'"),
						  .lane = DB_SHARED };
	struct db *db = client_open_with(&(struct db_options){
		.url = arg,
		.shared = 1,
		.exclusive = 1,
	});

	cr_assert_eq(try(db, &read), 0);
	cr_assert_eq(number(db, "SELECT count(*) FROM pg_prepared_statements"), 0);
	client_close(db);
	return 0;
}

Test(db_prepared, nothing_is_prepared_behind_a_pooler)
{
	fibers_run(without, (void *) servers_postgres());
}

/* A plan whose columns have changed under it. */
static int stale(void *arg)
{
	static const struct db_statement shared = { .sql = STR_INIT("SELECT * FROM stale"),
						    .lane = DB_SHARED };
	static const struct db_statement exclusive = { .sql = STR_INIT("SELECT * FROM stale") };
	struct db *db = client_open_with(&(struct db_options){
		.url = servers_postgres(),
		.shared = 1,
		.exclusive = 1,
		.is_prepared = true,
	});
	struct db_rows rows;
	struct arena arena;

	arena_init(&arena);
	run(db, "CREATE TABLE stale (a int)");
	run(db, "INSERT INTO stale VALUES (1)");
	cr_assert_eq(try(db, &shared), 0);
	cr_assert_eq(try(db, &exclusive), 0);
	run(db, "ALTER TABLE stale ADD COLUMN b int");
	cr_assert_eq(db_query(db, &arena, &shared, DB_NO_VALUES, &rows), 0);
	cr_assert_eq(rows.columns, 2);
	cr_assert_eq(db_query(db, &arena, &exclusive, DB_NO_VALUES, &rows), 0);
	cr_assert_eq(rows.columns, 2);
	/* Names that somebody took away (what a pooler may do). */
	run(db, "DEALLOCATE ALL");
	cr_assert_eq(db_query(db, &arena, &exclusive, DB_NO_VALUES, &rows), 0);
	run(db, "DROP TABLE stale");
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_prepared, a_stale_name_is_made_anew_without_anybody_noticing)
{
	fibers_run(stale, NULL);
}
