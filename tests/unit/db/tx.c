#include <criterion/criterion.h>
#include <signal.h>

#include "client.h"
#include "servers.h"

static int tx_run(struct db_tx *tx, const char *sql)
{
	struct db_statement statement = { .sql = str_c(sql), .is_varying = true };
	struct arena arena;
	int r;

	arena_init(&arena);
	r = db_tx_query(tx, &arena, &statement, DB_NO_VALUES, NULL);
	arena_fini(&arena);
	return r;
}

/* Another fiber's eyes: this one may not use a second connection. */
struct look {
	struct db *db;
	int64_t count;
};

static int look_body(void *arg)
{
	struct look *look = arg;

	look->count = number(look->db, "SELECT count(*) FROM commits");
	return 0;
}

static int64_t others_see(struct db *db)
{
	struct look look = { .db = db };

	cr_assert_eq(fibers_join(look_body, &look), 0);
	return look.count;
}

static int commits_body(void *arg)
{
	struct db *db = client_open();
	struct db_tx tx = DB_TX_INIT;
	struct db_stats before, after;

	run(db, "CREATE TABLE commits (n int)");
	db_stats(db, &before);
	cr_assert_eq(db_begin(db, &tx), 0);
	db_stats(db, &after);
	cr_assert_eq(after.lent, 1);
	cr_assert_eq(after.syncs, before.syncs, "BEGIN has not left yet");
	cr_assert_eq(tx_run(&tx, "INSERT INTO commits VALUES (1)"), 0);
	db_stats(db, &after);
	cr_assert_eq(after.syncs - before.syncs, 1, "BEGIN and the first statement share one");
	cr_assert_eq(after.transactions - before.transactions, 1);
	cr_assert_eq(tx_run(&tx, "INSERT INTO commits VALUES (2)"), 0);
	cr_assert_eq(others_see(db), 0);
	cr_assert_eq(db_commit(&tx), 0);
	db_tx_end(&tx); /* harmless */
	db_stats(db, &after);
	cr_assert_eq(after.lent, 0);
	cr_assert_eq(others_see(db), 2);
	/* Nothing asked, nothing sent. */
	db_stats(db, &before);
	cr_assert_eq(db_begin(db, &tx), 0);
	cr_assert_eq(db_commit(&tx), 0);
	db_stats(db, &after);
	cr_assert_eq(after.syncs, before.syncs);
	run(db, "DROP TABLE commits");
	client_close(db);
	return 0;
}

Test(db_tx, commits_what_it_did_and_nobody_sees_it_before)
{
	fibers_run(commits_body, NULL);
}

static int rolls_back(void *arg)
{
	struct db *db = client_open();
	struct db_tx tx = DB_TX_INIT;

	run(db, "CREATE TABLE rolls_back (n int)");
	cr_assert_eq(db_begin(db, &tx), 0);
	cr_assert_eq(tx_run(&tx, "INSERT INTO rolls_back VALUES (1)"), 0);
	db_tx_end(&tx);
	client_check_whole(db);
	cr_assert_eq(number(db, "SELECT count(*) FROM rolls_back"), 0);
	run(db, "DROP TABLE rolls_back");
	client_close(db);
	return 0;
}

Test(db_tx, what_is_not_committed_is_rolled_back)
{
	fibers_run(rolls_back, NULL);
}

static int fails(void *arg)
{
	struct db *db = client_open();
	struct db_tx tx = DB_TX_INIT;

	run(db, "CREATE TABLE fails (n int PRIMARY KEY)");
	/* The first statement fails together with BEGIN, the second time a later one. */
	for (int later = 0; later < 2; later++) {
		cr_assert_eq(db_begin(db, &tx), 0);
		if (later)
			cr_assert_eq(tx_run(&tx, "INSERT INTO fails VALUES (1)"), 0);
		cr_assert_eq(tx_run(&tx, "INSERT INTO fails VALUES (1), (1)"), -E_UNIQUE);
		cr_assert_str_eq(db_failure(db)->constraint, "fails_pkey");
		cr_assert(tx.has_failed);
		cr_assert_eq(tx_run(&tx, "INSERT INTO fails VALUES (2)"), -E_SQL);
		cr_assert_eq(db_commit(&tx), -E_SQL);
		db_tx_end(&tx);
		client_check_whole(db);
		cr_assert_eq(number(db, "SELECT count(*) FROM fails"), 0);
	}
	run(db, "DROP TABLE fails");
	client_close(db);
	return 0;
}

Test(db_tx, after_a_failure_only_rollback_is_possible)
{
	fibers_run(fails, NULL);
}

static int deferred(void *arg)
{
	struct db *db = client_open();
	struct db_tx tx = DB_TX_INIT;

	run(db,
	    "CREATE TABLE deferred (n int CONSTRAINT deferred_once UNIQUE DEFERRABLE INITIALLY DEFERRED)");
	cr_assert_eq(db_begin(db, &tx), 0);
	cr_assert_eq(tx_run(&tx, "INSERT INTO deferred VALUES (1), (1)"), 0);
	cr_assert_eq(db_commit(&tx), -E_UNIQUE);
	cr_assert_str_eq(db_failure(db)->constraint, "deferred_once");
	db_tx_end(&tx);
	cr_assert_eq(number(db, "SELECT count(*) FROM deferred"), 0);
	run(db, "DROP TABLE deferred");
	client_close(db);
	return 0;
}

Test(db_tx, a_commit_may_fail)
{
	fibers_run(deferred, NULL);
}

static int isolation(void *arg)
{
	struct db *db = client_open();
	struct db_tx tx = DB_TX_INIT;
	static const struct db_statement show = { .sql = STR_INIT("SHOW transaction_isolation") };
	struct db_rows rows;
	struct arena arena;

	arena_init(&arena);
	run(db, "ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'serializable'");
	client_close(db);
	db = client_open();
	run(db, "ALTER ROLE CURRENT_USER RESET default_transaction_isolation");
	cr_assert_eq(db_begin(db, &tx), 0);
	cr_assert_eq(db_tx_query(&tx, &arena, &show, DB_NO_VALUES, &rows), 0);
	cr_assert(str_eq_c(db_get(&rows, 0, 0), "read committed"));
	cr_assert_eq(db_commit(&tx), 0);
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_tx, is_read_committed_whatever_the_servers_default)
{
	servers_private_postgres();
	fibers_run(isolation, NULL);
}

static int greedy(void *arg)
{
	struct db *db = client_open();
	struct db_tx tx = DB_TX_INIT;

	cr_assert_eq(db_begin(db, &tx), 0);
	(void) number(db, "SELECT 1");
	return 0;
}

Test(db_tx, a_fiber_may_not_hold_two_connections, .signal = SIGABRT)
{
	fibers_run(greedy, NULL);
}
