#include <criterion/criterion.h>

#include "base/datetime.h"
#include "base/world.h"
#include "client.h"
#include "servers.h"

static int values(void *arg)
{
	static const struct db_statement echo = {
		.sql = STR_INIT(
			"SELECT $1::bigint AS n, $2::text AS t, $3::boolean AS b, $4::text AS nothing, "
			"$5::timestamptz AS at"),
	};
	struct db *db = client_open();
	struct db_rows rows;
	struct arena arena;
	usec_t at;

	arena_init(&arena);
	cr_assert_eq(db_query(db, &arena, &echo,
			      DB_VALUES(STR("-9223372036854775808"), STR("a'b\\\"ü€x"), STR("true"),
					STR_NULL, STR("2026-01-31 13:00:00.25+01")),
			      &rows),
		     0);
	cr_assert(rows.count == 1 && rows.columns == 5 && rows.affected == 0);
	cr_assert_eq(db_get_i64(&rows, 0, 0), INT64_MIN);
	cr_assert(str_eq(db_get(&rows, 0, 1), STR("a'b\\\"ü€x")));
	cr_assert(db_get_bool(&rows, 0, 2));
	cr_assert(db_is_null(&rows, 0, 3) && !db_is_null(&rows, 0, 1));
	cr_assert(str_eq_c(db_get(&rows, 0, 4), "2026-01-31 12:00:00.25+00"),
		  "sessions run in UTC");
	cr_assert_eq(datetime_parse_pg(db_get(&rows, 0, 4), &at), 0);
	cr_assert_str_eq(db_column_name(&rows, 3), "nothing");
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_query, values_travel_as_text)
{
	fibers_run(values, NULL);
}

static int affected(void *arg)
{
	static const struct db_statement insert = {
		.sql = STR_INIT(
			"INSERT INTO affected SELECT generate_series(1, $1::int) RETURNING n"),
	};
	struct db *db = client_open();
	struct db_rows rows;
	struct arena arena;

	arena_init(&arena);
	run(db, "CREATE TABLE affected (n int)");
	cr_assert_eq(db_query(db, &arena, &insert, DB_VALUES(STR("7")), &rows), 0);
	cr_assert(rows.count == 7 && rows.affected == 7);
	cr_assert_eq(
		db_query(db, &arena,
			 &(struct db_statement){ .sql = STR("DELETE FROM affected WHERE n > 4") },
			 DB_NO_VALUES, &rows),
		0);
	cr_assert(rows.count == 0 && rows.affected == 3);
	run(db, "DROP TABLE affected");
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_query, counts_the_rows_that_it_changed)
{
	fibers_run(affected, NULL);
}

static int nul(void *arg)
{
	static const struct db_statement echo = { .sql = STR_INIT("SELECT $1::text"),
						  .lane = DB_SHARED };
	struct db *db = client_open();
	struct db_rows rows;
	struct arena arena;

	arena_init(&arena);
	cr_assert_eq(db_query(db, &arena, &echo, DB_VALUES(str_make("a\0b", 3)), &rows), -E_SQL);
	cr_assert_str_eq(db_failure(db)->sqlstate, "22021");
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_query, a_text_with_a_nul_is_refused_and_not_cut)
{
	fibers_run(nul, NULL);
}

/* Not a SELECT: the promise of the shared lane is kept by the server. */
static int shared_write(void *arg)
{
	static const struct db_statement write = {
		.sql = STR_INIT("INSERT INTO shared_write VALUES (1)"),
		.lane = DB_SHARED,
	};
	struct db *db = client_open();

	run(db, "CREATE TABLE shared_write (n int)");
	cr_assert_eq(try(db, &write), -E_SQL);
	cr_assert_str_eq(db_failure(db)->sqlstate, "25006");
	cr_assert_eq(number(db, "SELECT count(*) FROM shared_write"), 0);
	run(db, "DROP TABLE shared_write");
	client_close(db);
	return 0;
}

Test(db_query, the_shared_lane_cannot_write)
{
	fibers_run(shared_write, NULL);
}

static int copy(void *arg)
{
	static const struct db_statement out = { .sql = STR_INIT("COPY (SELECT 1) TO STDOUT") };
	struct db *db = client_open();

	cr_assert_eq(try(db, &out), -E_SQL);
	client_close(db); /* with a new connection in its place */
	return 0;
}

Test(db_query, copy_is_refused)
{
	fibers_run(copy, NULL);
}

static int large(void *arg)
{
	struct db *db = client_open();
	_cleanup_(buf_fini) struct buf big = BUF_INIT;
	static const struct db_statement echo = {
		.sql = STR_INIT("SELECT $1::text, length($1::text) FROM generate_series(1, 3)"),
	};
	struct db_rows rows;
	struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < 5 * MIB; i++)
		buf_add_byte(&big, (char) ('a' + i % 26));
	cr_assert_eq(db_query(db, &arena, &echo, DB_VALUES(buf_str(&big)), &rows), 0);
	cr_assert_eq(rows.count, 3);
	cr_assert(str_eq(db_get(&rows, 2, 0), buf_str(&big)));
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_query, sends_and_reads_what_no_socket_takes_at_once)
{
	fibers_run(large, NULL);
}

static int at_either(void *arg)
{
	static const struct db_statement insert = { .sql = STR_INIT(
							    "INSERT INTO at_either VALUES (1)") };
	struct db *db = client_open();
	struct db_tx tx = DB_TX_INIT;
	struct arena arena;

	arena_init(&arena);
	run(db, "CREATE TABLE at_either (n int)");
	cr_assert_eq(db_at_query((struct db_at){ .db = db }, &arena, &insert, DB_NO_VALUES, NULL),
		     0);
	cr_assert_eq(db_begin(db, &tx), 0);
	cr_assert_eq(db_at_query((struct db_at){ .db = db, .tx = &tx }, &arena, &insert,
				 DB_NO_VALUES, NULL),
		     0);
	db_tx_end(&tx);
	cr_assert_eq(number(db, "SELECT count(*) FROM at_either"), 1, "the second was rolled back");
	run(db, "DROP TABLE at_either");
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_query, db_at_query_serves_both_ways)
{
	fibers_run(at_either, NULL);
}
