#include "client.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>

#include "db/db-internal.h"
#include "servers.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	(void) tests;
	(void) servers_postgres();
}

static bool is_whole(void *arg)
{
	struct db *db = arg;
	struct db_stats stats;

	db_stats(db, &stats);
	return stats.lent == 0 && stats.ready_shared == db->shared.count &&
	       stats.ready_exclusive == db->exclusive.count;
}

void client_until_whole(struct db *db)
{
	fibers_until(is_whole, db, "the pool is whole");
}

struct db *client_open_with(const struct db_options *options)
{
	struct db *db;

	cr_assert_eq(db_open(fiber_loop(fiber_current()), options, &db), 0, "%s",
		     fail_reason(-E_BAD_SETTING));
	client_until_whole(db);
	return db;
}

struct db *client_open(void)
{
	return client_open_with(&(struct db_options){
		.url = servers_postgres(),
		.shared = 1,
		.exclusive = 4,
		.is_prepared = true,
		.application = "apium-test",
	});
}

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

void client_close_as_it_is(struct db *db)
{
	struct waiter w;

	waiter_init(&w);
	db_close(db, on_closed, &w);
	cr_assert_eq(fiber_park(&w, "close"), 0);
}

void client_close(struct db *db)
{
	client_check_whole(db);
	client_close_as_it_is(db);
}

/* A fiber may hold one connection; the test that takes them all lies about it. */
static void forget_borrower(struct db *db)
{
	for (unsigned i = 0; i < db->exclusive.count; i++)
		db->exclusive.connections[i].borrower = NULL;
}

void client_check_whole(void *arg)
{
	static const struct db_statement locks = {
		.sql = STR_INIT("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND "
				"locktype = 'transactionid'"),
	};
	struct db *db = arg;
	unsigned count = db->exclusive.count;
	struct db_tx txs[16];
	struct arena arena;

	arena_init(&arena);
	client_until_whole(db);
	cr_assert_eq(db_ping(db), 0);
	cr_assert_leq(count, ARRAY_SIZE(txs));
	for (unsigned i = 0; i < count; i++) {
		struct db_rows rows;

		cr_assert_eq(db_begin(db, &txs[i]), 0);
		forget_borrower(db);
		cr_assert_eq(db_tx_query(&txs[i], &arena, &locks, DB_NO_VALUES, &rows), 0);
		cr_assert_eq(db_get_i64(&rows, 0, 0), 0, "a transaction was left open");
	}
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(db_commit(&txs[i]), 0);
	client_until_whole(db);
	arena_fini(&arena);
}

int try(struct db *db, const struct db_statement *statement)
{
	struct db_rows rows = { .count = -77 };
	struct arena arena;
	int r;

	arena_init(&arena);
	r = db_query(db, &arena, statement, DB_NO_VALUES, &rows);
	cr_assert(r >= 0 || rows.count == -77, "written on failure");
	arena_fini(&arena);
	return r;
}

void run(struct db *db, const char *sql)
{
	int r = try(db, &(struct db_statement){ .sql = str_c(sql), .is_varying = true });

	cr_assert_eq(r, 0, "%s: %s", sql, fail_reason(r));
}

struct str text(struct db *db, struct arena *arena, const char *sql)
{
	struct db_statement statement = { .sql = str_c(sql), .is_varying = true };
	struct db_rows rows;
	int r = db_query(db, arena, &statement, DB_NO_VALUES, &rows);

	cr_assert_eq(r, 0, "%s: %s", sql, fail_reason(r));
	cr_assert_eq(rows.count, 1, "%s", sql);
	return db_get(&rows, 0, 0);
}

int64_t number(struct db *db, const char *sql)
{
	struct arena arena;
	int64_t n;

	arena_init(&arena);
	cr_assert_eq(str_to_i64(text(db, &arena, sql), &n), 0, "%s", sql);
	arena_fini(&arena);
	return n;
}
