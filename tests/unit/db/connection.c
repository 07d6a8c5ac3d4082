#include <criterion/criterion.h>

#include "base/log.h"
#include "base/world.h"
#include "client.h"
#include "db/db-internal.h"
#include "servers.h"

Test(db_connection, its_table_of_states_is_sound)
{
	cr_assert(sm_table_is_sound(db_connection_states, DB_STATE_COUNT, DB_WAITING));
}

static int by_name(void *arg)
{
	struct db *db;
	char url[256];
	int port;

	cr_assert_eq(sscanf(servers_postgres_tcp(), "postgresql://postgres@127.0.0.1:%d", &port),
		     1);
	snprintf(url, sizeof(url), "postgresql://postgres@localhost:%d/postgres", port);
	db = client_open_with(&(struct db_options){
		.url = url,
		.shared = 1,
		.exclusive = 2,
		.is_prepared = true,
		.application = "by-name",
	});
	cr_assert_eq(number(db, "SELECT (inet_server_addr() IS NOT NULL)::int"), 1);
	cr_assert_eq(
		number(db,
		       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'by-name'"),
		3);
	client_close(db);
	return 0;
}

Test(db_connection, finds_a_server_by_name)
{
	fibers_run(by_name, NULL);
}

static int open_and_close(void *arg)
{
	struct db_options options = {
		.url = arg, .shared = 1, .exclusive = 2, .is_prepared = true
	};
	struct db *db;

	/* At once, in the middle of a look-up, of connecting, of greeting, while it waits to try
	 * again. */
	for (int turns = 0; turns < 12; turns++) {
		cr_assert_eq(db_open(fiber_loop(fiber_current()), &options, &db), 0);
		for (int i = 0; i < turns; i++)
			cr_assert_eq(i > 8 ? fiber_sleep(2 * MSEC) : fiber_yield(), 0);
		client_close_as_it_is(db);
	}
	return 0;
}

Test(db_connection, can_be_closed_in_every_state)
{
	static char nowhere[] = "postgresql://localhost:1/x",
		    name[] = "postgresql://no..such..host/x";

	fibers_run(open_and_close, (void *) servers_postgres());
	fibers_run(open_and_close, (void *) servers_postgres_tcp());
	fibers_run(open_and_close, nowhere);
	fibers_run(open_and_close, name);
}

Test(db_connection, refuses_a_bad_url)
{
	struct db_options options = { .url = "postgresql://h?nosuch=1",
				      .shared = 1,
				      .exclusive = 1 };
	struct loop *loop;
	struct db *db;

	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(db_open(loop, &options, &db), -E_BAD_SETTING);
	loop_free(loop);
}

static int sleeper(void *arg)
{
	static const struct db_statement slow = { .sql = STR_INIT("SELECT pg_sleep(60)") };

	return try(arg, &slow);
}

static int tx_sleeper(void *arg)
{
	static const struct db_statement slow = { .sql = STR_INIT("SELECT pg_sleep(60)") };
	struct db_tx tx _cleanup_(db_tx_end) = DB_TX_INIT;
	struct arena arena;
	int r;

	cr_assert_eq(db_begin(arg, &tx), 0);
	arena_init(&arena);
	r = db_tx_query(&tx, &arena, &slow, DB_NO_VALUES, NULL);
	cr_assert(tx.has_failed);
	cr_assert_eq(db_tx_query(&tx, &arena, &slow, DB_NO_VALUES, NULL), -E_SQL);
	arena_fini(&arena);
	return r;
}

static bool is_holding;

static int holder(void *arg)
{
	static const struct db_statement one = { .sql = STR_INIT("SELECT 1") };
	struct db_tx tx _cleanup_(db_tx_end) = DB_TX_INIT;
	struct arena arena;
	int r;

	arena_init(&arena);
	cr_assert_eq(db_begin(arg, &tx), 0);
	cr_assert_eq(db_tx_query(&tx, &arena, &one, DB_NO_VALUES, NULL), 0);
	is_holding = true;
	/* The connection goes while nothing is under way. */
	for (int i = 0; tx._connection != NULL && i < 5000; i++)
		cr_assert_eq(fiber_sleep(1 * MSEC), 0);
	cr_assert_null(tx._connection);
	r = db_commit(&tx);
	arena_fini(&arena);
	return r;
}

static bool is_down(void *arg)
{
	struct db *db = arg;

	return db_pool_is_down(&db->shared) && db_pool_is_down(&db->exclusive);
}

static bool are_lent(void *arg)
{
	struct db_stats stats;

	db_stats(arg, &stats);
	return stats.lent == 3 && is_holding;
}

static int restart(void *arg)
{
	static int (*const bodies[])(void *) = { sleeper, tx_sleeper, holder };
	static const int wanted[] = { -E_UNAVAILABLE, -E_UNAVAILABLE, -E_SQL };
	struct db *db = client_open();
	struct fiber *fibers[3];
	struct db_stats stats;
	usec_t start;
	int result;

	run(db, "CREATE TABLE kept AS SELECT 1 AS n");
	for (int i = 0; i < 3; i++)
		fibers[i] = fiber_start(fiber_loop(fiber_current()), "victim", fiber_deadline(),
					bodies[i], db);
	fibers_until(are_lent, db, "all have a connection, and one waits with it");
	servers_postgres_stop();
	for (int i = 0; i < 3; i++) {
		fiber_join(fibers[i], &result);
		cr_assert_eq(result, wanted[i], "%d: %s", i, error_name(result));
	}
	fibers_until(is_down, db, "all connections are lost");
	db_stats(db, &stats);
	cr_assert_eq(stats.lent, 0);
	start = now_monotonic();
	cr_assert_eq(db_ping(db), -E_UNAVAILABLE);
	cr_assert_lt(now_monotonic() - start, 3 * SEC);
	servers_postgres_start();
	client_until_whole(db);
	cr_assert_eq(number(db, "SELECT n FROM kept"), 1);
	db_stats(db, &stats);
	cr_assert_eq(stats.reconnects, 5);
	client_close(db);
	return 0;
}

Test(db_connection, comes_back_after_a_restart)
{
	servers_private_postgres();
	fibers_run(restart, NULL);
}

static int waiter_body(void *arg)
{
	return db_ping(arg);
}

/* Killed by an administrator: an idle one comes back unseen, a working one is reported as
 * unknown. */
static int terminated(void *arg)
{
	struct db *db = client_open();
	struct fiber *f;
	int result;

	f = fiber_start(fiber_loop(fiber_current()), "sleeper", fiber_deadline(), sleeper, db);
	cr_assert_eq(fiber_sleep(20 * MSEC), 0);
	(void) number(db, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
			  "WHERE application_name = 'apium-test' AND pid <> pg_backend_pid() "
			  "AND datname = current_database()");
	fiber_join(f, &result);
	cr_assert_eq(result, -E_UNAVAILABLE);
	client_until_whole(db);
	cr_assert_eq(fibers_join(waiter_body, db), 0);
	client_close(db);
	return 0;
}

Test(db_connection, survives_pg_terminate_backend)
{
	servers_private_postgres();
	fibers_run(terminated, NULL);
}

static char warning[512];

static void keep_warning(void *arg, enum log_level level, struct str line)
{
	if (level <= LOG_WARN && warning[0] == '\0')
		snprintf(warning, sizeof(warning), "%.*s", STR_ARG(line));
}

static int wrong(void *arg)
{
	struct db_options options = { .url = arg, .shared = 1, .exclusive = 1 };
	struct db *db;

	log_divert(keep_warning, NULL);
	cr_assert_eq(db_open(fiber_loop(fiber_current()), &options, &db), 0);
	cr_assert_eq(db_ping(db), -E_UNAVAILABLE);
	client_close_as_it_is(db);
	log_divert(NULL, NULL);
	return 0;
}

Test(db_connection, why_it_cannot_connect_is_said)
{
	char url[300];

	snprintf(url, sizeof(url), "%s&dbname=no_such_database&password=hunter2",
		 servers_postgres());
	fibers_run(wrong, url);
	cr_assert_not_null(strstr(warning, "no_such_database"), "%s", warning);
	cr_assert_null(strstr(warning, "hunter2"), "%s", warning);
}

static int greeting(void *arg)
{
	struct db *db = client_open();
	struct arena arena;

	arena_init(&arena);
	cr_assert(str_eq_c(text(db, &arena, "SHOW TimeZone"), "UTC"));
	cr_assert(str_eq_c(text(db, &arena, "SHOW DateStyle"), "ISO, YMD"));
	cr_assert(str_eq_c(text(db, &arena, "SHOW client_encoding"), "UTF8"));
	cr_assert(str_eq_c(text(db, &arena, "SHOW default_transaction_read_only"), "off"));
	arena_fini(&arena);
	client_close(db);
	return 0;
}

Test(db_connection, sessions_are_set_up_alike)
{
	setenv("PGTZ", "Asia/Tokyo", 1);
	setenv("PGDATESTYLE", "German", 1);
	fibers_run(greeting, NULL);
}
