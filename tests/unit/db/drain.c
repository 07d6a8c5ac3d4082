#include <criterion/criterion.h>

#include "base/world.h"
#include "client.h"
#include "servers.h"

/* What a fiber does in the tests of cancellation; `db` and what its table is called. */

static int read_body(void *arg)
{
	static const struct db_statement read = {
		.sql = STR_INIT("SELECT 1 FROM pg_sleep(0.01)"),
		.lane = DB_SHARED,
	};

	return try(arg, &read);
}

static int write_body(void *arg)
{
	static const struct db_statement write = {
		.sql = STR_INIT("INSERT INTO drained SELECT 1 FROM pg_sleep(0.01)"),
	};

	return try(arg, &write);
}

static int tx_body(void *arg)
{
	static const struct db_statement write = {
		.sql = STR_INIT("INSERT INTO drained SELECT 1 FROM pg_sleep(0.01)"),
	};
	struct db_tx tx _cleanup_(db_tx_end) = DB_TX_INIT;
	struct arena arena;
	int r;

	arena_init(&arena);
	r = db_begin(arg, &tx);
	for (int i = 0; i < 3 && r == 0; i++)
		r = db_tx_query(&tx, &arena, &write, DB_NO_VALUES, NULL);
	if (r == 0)
		r = db_commit(&tx);
	arena_fini(&arena);
	return r;
}

static int everywhere(void *arg)
{
	struct db *db = client_open();

	run(db, "CREATE TABLE drained (n int)");
	cr_assert_eq(fibers_cancel_everywhere(read_body, db, client_check_whole), 1);
	cr_assert_eq(fibers_cancel_everywhere(write_body, db, client_check_whole), 1);
	run(db, "TRUNCATE drained");
	/* Begin, three statements; a COMMIT that was sent is awaited. */
	cr_assert_geq(fibers_cancel_everywhere(tx_body, db, client_check_whole), 4);
	cr_assert_eq(number(db, "SELECT count(*) % 3 FROM drained"), 0,
		     "all of a transaction or nothing");
	run(db, "DROP TABLE drained");
	client_close(db);
	return 0;
}

Test(db_drain, cancelled_at_every_wait_the_pool_stays_whole)
{
	fibers_run(everywhere, NULL);
}

/* Holds a connection until told to let go. */
struct hold {
	struct db *db;
	bool *is_over;
};

static int hold_body(void *arg)
{
	struct hold *hold = arg;
	struct db_tx tx _cleanup_(db_tx_end) = DB_TX_INIT;
	int r = db_begin(hold->db, &tx);

	while (r == 0 && !*hold->is_over)
		r = fiber_sleep(1 * MSEC);
	return r;
}

static bool all_are_lent(void *arg)
{
	struct db_stats stats;

	db_stats(arg, &stats);
	return stats.lent == 4;
}

/* Cancelled in the line for a connection, and at the moment in which it gets one. */
static int in_line(void *arg)
{
	struct db *db = client_open();
	bool is_over = false;
	struct hold hold = { db, &is_over };
	struct fiber *holders[4], *waiting[2];
	int result;

	run(db, "CREATE TABLE IF NOT EXISTS in_line (n int)");
	for (int i = 0; i < 4; i++)
		holders[i] = fiber_start(fiber_loop(fiber_current()), "holder", fiber_deadline(),
					 hold_body, &hold);
	fibers_until(all_are_lent, db, "all connections are lent");
	for (int i = 0; i < 2; i++)
		waiting[i] = fiber_start(fiber_loop(fiber_current()), "waiting", fiber_deadline(),
					 i == 0 ? write_body : tx_body, db);
	cr_assert_eq(fiber_yield(), 0);
	cr_assert_eq(fiber_yield(), 0);
	fiber_cancel(waiting[0]);
	is_over = true;
	/* The holders end in the next turn; the connection is given on in its flush. */
	while (fiber_park_count(waiting[1]) < 2 && fiber_count(fiber_loop(fiber_current())) > 3)
		cr_assert_eq(fiber_yield(), 0);
	fiber_cancel(waiting[1]);
	for (int i = 0; i < 2; i++) {
		fiber_join(waiting[i], &result);
		cr_assert_eq(result, -ECANCELED, "%d: %s", i, error_name(result));
	}
	for (int i = 0; i < 4; i++) {
		fiber_join(holders[i], &result);
		cr_assert_eq(result, 0);
	}
	run(db, "DROP TABLE in_line");
	client_close(db);
	return 0;
}

Test(db_drain, cancelled_in_the_line_for_a_connection_the_pool_stays_whole)
{
	fibers_run(in_line, NULL);
}

static int late_body(void *arg)
{
	FIBER_DEADLINE(100 * MSEC);
	static const struct db_statement slow = { .sql = STR_INIT("SELECT pg_sleep(61)") };

	return try(arg, &slow);
}

static int late(void *arg)
{
	struct db *db = client_open();
	usec_t start = now_monotonic();

	cr_assert_eq(fibers_join(late_body, db), -ETIMEDOUT);
	cr_assert_lt(now_monotonic() - start, 2 * SEC);
	client_check_whole(db);
	cr_assert_lt(now_monotonic() - start, 10 * SEC, "it was not cancelled at the server");
	cr_assert_eq(
		number(db,
		       "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)' "
		       "AND state = 'active'"),
		0);
	client_close(db);
	return 0;
}

Test(db_drain, a_statement_that_outlives_its_deadline_is_cancelled)
{
	fibers_run(late, NULL);
}

static int late_tx_body(void *arg)
{
	struct db_tx tx _cleanup_(db_tx_end) = DB_TX_INIT;
	static const struct db_statement write = { .sql = STR_INIT(
							   "INSERT INTO late_tx VALUES (1)") };
	static const struct db_statement slow = { .sql = STR_INIT("SELECT pg_sleep(60)") };
	struct arena arena;
	int r;

	arena_init(&arena);
	cr_assert_eq(db_begin(arg, &tx), 0);
	cr_assert_eq(db_tx_query(&tx, &arena, &write, DB_NO_VALUES, NULL), 0);
	{
		FIBER_DEADLINE(100 * MSEC);
		cr_assert_eq(db_tx_query(&tx, &arena, &slow, DB_NO_VALUES, NULL), -ETIMEDOUT);
	}
	/* Its own deadline is not over: what it does now is refused, not lost. */
	cr_assert_eq(db_tx_query(&tx, &arena, &write, DB_NO_VALUES, NULL), -E_SQL);
	r = db_commit(&tx);
	arena_fini(&arena);
	return r;
}

static int late_tx(void *arg)
{
	struct db *db = client_open();

	run(db, "CREATE TABLE late_tx (n int)");
	cr_assert_eq(fibers_join(late_tx_body, db), -E_SQL);
	client_check_whole(db);
	cr_assert_eq(number(db, "SELECT count(*) FROM late_tx"), 0);
	run(db, "DROP TABLE late_tx");
	client_close(db);
	return 0;
}

Test(db_drain, a_late_statement_ends_its_transaction)
{
	fibers_run(late_tx, NULL);
}

static int late_read_body(void *arg)
{
	FIBER_DEADLINE(50 * MSEC);
	static const struct db_statement slow = { .sql = STR_INIT("SELECT pg_sleep(60)"),
						  .lane = DB_SHARED };

	return try(arg, &slow);
}

static int neighbour_body(void *arg)
{
	static const struct db_statement quick = { .sql = STR_INIT("SELECT 1"), .lane = DB_SHARED };

	return try(arg, &quick);
}

/* The lane's only connection is held by a read whose fiber has left: it is cancelled, and its
 * neighbours, before and behind the same sync, get their answers. */
static int stuck_lane(void *arg)
{
	struct db *db = client_open();
	struct fiber *fibers[6];
	usec_t start = now_monotonic();
	int result;

	for (int i = 0; i < 6; i++) {
		if (i == 4)
			cr_assert_eq(fiber_sleep(5 * MSEC), 0);
		fibers[i] = fiber_start(fiber_loop(fiber_current()), "neighbour", fiber_deadline(),
					i == 2 ? late_read_body : neighbour_body, db);
	}
	for (int i = 0; i < 6; i++) {
		fiber_join(fibers[i], &result);
		cr_assert_eq(result, i == 2 ? -ETIMEDOUT : 0, "%d: %s", i, error_name(result));
	}
	cr_assert_lt(now_monotonic() - start, 10 * SEC);
	client_close(db);
	return 0;
}

Test(db_drain, a_read_without_a_fiber_does_not_hold_up_the_shared_lane)
{
	fibers_run(stuck_lane, NULL);
}

/* Cancelled in the same turn: nothing was sent, nothing is cancelled at the server. */
static int unsent(void *arg)
{
	struct db *db = client_open();
	struct db_stats before, after;
	struct fiber *f;
	int result;

	db_stats(db, &before);
	f = fiber_start(fiber_loop(fiber_current()), "unsent", fiber_deadline(), write_body, db);
	fiber_cancel(f);
	fiber_join(f, &result);
	cr_assert_eq(result, -ECANCELED);
	db_stats(db, &after);
	cr_assert_eq(after.statements, before.statements);
	client_close(db);
	return 0;
}

Test(db_drain, a_statement_that_was_not_sent_costs_nothing)
{
	fibers_run(unsent, NULL);
}

static int late_as_well_body(void *arg)
{
	FIBER_DEADLINE(20 * MSEC);
	static const struct db_statement slow = { .sql = STR_INIT("SELECT pg_sleep(62)") };

	return try(arg, &slow);
}

static int close_while_draining(void *arg)
{
	struct db *db = client_open();
	struct db_stats stats;

	cr_assert_eq(fibers_join(late_as_well_body, db), -ETIMEDOUT);
	db_stats(db, &stats);
	cr_assert_eq(stats.lent, 1, "it drains");
	client_close_as_it_is(db);
	return 0;
}

Test(db_drain, closing_does_not_wait_for_what_drains)
{
	fibers_run(close_while_draining, NULL);
}
