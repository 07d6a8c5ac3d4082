#include <criterion/criterion.h>

#include "base/world.h"
#include "client.h"
#include "servers.h"

/* A fiber that runs one statement. */
struct one {
	struct db *db;
	struct db_statement statement;
	char value[16];
	struct fiber *fiber;
	int result;
	int64_t answer;
};

static int one_body(void *arg)
{
	struct one *one = arg;
	struct db_rows rows;
	struct arena arena;
	int r;

	arena_init(&arena);
	r = db_query(one->db, &arena, &one->statement, DB_VALUES(str_c(one->value)), &rows);
	if (r == 0 && rows.count > 0)
		one->answer = db_get_i64(&rows, 0, 0);
	arena_fini(&arena);
	return r;
}

static void one_start(struct one *one, struct db *db, enum db_lane lane, const char *sql, int value)
{
	*one = (struct one){ .db = db, .statement = { .sql = str_c(sql), .lane = lane } };
	snprintf(one->value, sizeof(one->value), "%d", value);
	one->fiber = fiber_start(fiber_loop(fiber_current()), "one", fiber_deadline(), one_body,
				 one);
	cr_assert_not_null(one->fiber);
}

static void join_all(struct one *ones, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fiber_join(ones[i].fiber, &ones[i].result);
}

#define READS 100

static int one_sync(void *arg)
{
	struct db *db = client_open();
	struct db_stats before, after;
	static struct one ones[READS];

	for (int round = 0; round < 2; round++) {
		db_stats(db, &before);
		for (int i = 0; i < READS; i++)
			one_start(&ones[i], db, DB_SHARED, "SELECT $1::bigint * 2", i);
		join_all(ones, READS);
		db_stats(db, &after);
		for (int i = 0; i < READS; i++) {
			cr_assert_eq(ones[i].result, 0);
			cr_assert_eq(ones[i].answer, i * 2, "a neighbour's answer");
		}
		cr_assert_eq(after.shared_statements - before.shared_statements, READS);
		cr_assert_eq(after.syncs - before.syncs, 1, "%lu syncs",
			     after.syncs - before.syncs);
	}
	client_close(db);
	return 0;
}

Test(db_pool, the_reads_of_a_turn_share_one_sync)
{
	fibers_run(one_sync, NULL);
}

/* A read that fails beside inserts and reads of the same turn. */
#define INSERTS 50

static int failing_neighbour(void *arg)
{
	struct db *db = client_open();
	struct db_stats before, after;
	static struct one inserts[INSERTS], reads[READS], bad[3];

	run(db, "CREATE TABLE neighbours (n int PRIMARY KEY)");
	run(db, "INSERT INTO neighbours SELECT generate_series(1000, 1099)");
	db_stats(db, &before);
	for (int i = 0; i < INSERTS; i++) {
		one_start(&inserts[i], db, DB_EXCLUSIVE,
			  "INSERT INTO neighbours VALUES ($1) RETURNING n", i);
		one_start(&reads[2 * i], db, DB_SHARED,
			  "SELECT n FROM neighbours WHERE n = 1000 + $1::int", 2 * i);
		/* One fails in the middle, one when it is prepared, one for its value. */
		if (i == 20)
			one_start(&bad[0], db, DB_SHARED, "SELECT 1 / ($1::int - 7)", 7);
		if (i == 30)
			one_start(&bad[1], db, DB_SHARED,
				  "SELECT nosuch FROM neighbours WHERE n = $1", 1);
		if (i == 40)
			one_start(&bad[2], db, DB_SHARED,
				  "SELECT n FROM neighbours WHERE n = $1::date", 1);
		one_start(&reads[2 * i + 1], db, DB_SHARED,
			  "SELECT n FROM neighbours WHERE n = 1000 + $1::int", 2 * i + 1);
	}
	join_all(inserts, INSERTS);
	join_all(reads, READS);
	join_all(bad, ARRAY_SIZE(bad));
	db_stats(db, &after);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(bad[i].result, -E_SQL, "bad %zu: %s", i, error_name(bad[i].result));
	for (int i = 0; i < INSERTS; i++)
		cr_assert(inserts[i].result == 0 && inserts[i].answer == i, "insert %d: %s", i,
			  error_name(inserts[i].result));
	for (int i = 0; i < READS; i++)
		cr_assert(reads[i].result == 0 && reads[i].answer == 1000 + i, "read %d: %s", i,
			  error_name(reads[i].result));
	cr_assert_eq(number(db, "SELECT count(*) FROM neighbours WHERE n < 1000"), INSERTS);
	cr_assert_gt(after.resent, before.resent, "those behind the first failure were sent again");
	run(db, "DROP TABLE neighbours");
	client_close(db);
	return 0;
}

Test(db_pool, a_failing_read_takes_nobody_with_it)
{
	fibers_run(failing_neighbour, NULL);
}

static int two_shared(void *arg)
{
	struct db *db = client_open_with(&(struct db_options){
		.url = servers_postgres(),
		.shared = 2,
		.exclusive = 1,
		.is_prepared = true,
	});
	struct one slow, quick;

	one_start(&slow, db, DB_SHARED, "SELECT $1::bigint FROM pg_sleep(0.5)", 1);
	cr_assert_eq(fiber_sleep(5 * MSEC), 0);
	one_start(&quick, db, DB_SHARED, "SELECT $1::bigint", 2);
	fiber_join(quick.fiber, &quick.result);
	cr_assert(quick.result == 0 && quick.answer == 2);
	cr_assert_eq(slow.answer, 0, "the quick one did not wait for the slow one");
	fiber_join(slow.fiber, &slow.result);
	cr_assert(slow.result == 0 && slow.answer == 1);
	client_close(db);
	return 0;
}

Test(db_pool, the_less_busy_shared_connection_is_chosen)
{
	fibers_run(two_shared, NULL);
}

/* Each notes when its turn came. */
struct turn {
	struct db *db;
	int *next;
	int got;
};

static int take_turn(void *arg)
{
	struct turn *turn = arg;
	struct db_tx tx _cleanup_(db_tx_end) = DB_TX_INIT;
	int r = db_begin(turn->db, &tx);

	if (r < 0)
		return r;
	turn->got = (*turn->next)++;
	return fiber_sleep(1 * MSEC);
}

static int fair(void *arg)
{
	struct db *db = client_open_with(&(struct db_options){
		.url = servers_postgres(),
		.shared = 1,
		.exclusive = 2,
		.is_prepared = true,
	});
	struct turn turns[20];
	struct fiber *fibers[ARRAY_SIZE(turns)];
	struct db_stats stats;
	int next = 0, result;

	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		turns[i] = (struct turn){ .db = db, .next = &next };
		fibers[i] = fiber_start(fiber_loop(fiber_current()), "turn", fiber_deadline(),
					take_turn, &turns[i]);
	}
	cr_assert_eq(fiber_yield(), 0);
	cr_assert_eq(fiber_yield(), 0);
	db_stats(db, &stats);
	cr_assert_leq(stats.lent, 2);
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		fiber_join(fibers[i], &result);
		cr_assert_eq(result, 0);
		cr_assert_eq(turns[i].got, (int) i, "number %zu came as number %d", i,
			     turns[i].got);
	}
	client_close(db);
	return 0;
}

Test(db_pool, connections_are_lent_first_come_first_served)
{
	fibers_run(fair, NULL);
}

static int away(void *arg)
{
	struct db_options options = {
		.url = "postgresql:///x?host=/nonexistent",
		.shared = 1,
		.exclusive = 1,
		.is_prepared = true,
	};
	struct db *db;
	static const struct db_statement lanes[] = {
		{ .sql = STR_INIT("SELECT 1"), .lane = DB_SHARED },
		{ .sql = STR_INIT("SELECT 1"), .lane = DB_EXCLUSIVE },
	};

	cr_assert_eq(db_open(fiber_loop(fiber_current()), &options, &db), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lanes); i++) {
		usec_t start = now_monotonic(), took;

		cr_assert_eq(try(db, &lanes[i]), -E_UNAVAILABLE);
		took = now_monotonic() - start;
		cr_assert(took >= 2 * SEC && took < 3 * SEC, "%ld us", (long) took);
	}
	client_close_as_it_is(db);
	return 0;
}

Test(db_pool, without_a_server_calls_fail_after_two_seconds)
{
	fibers_run(away, NULL);
}

static int hurried(void *arg)
{
	FIBER_DEADLINE(50 * MSEC);
	struct one *one = arg;

	return one_body(one);
}

static int away_and_late(void *arg)
{
	struct db_options options = { .url = "postgresql:///x?host=/nonexistent",
				      .shared = 1,
				      .exclusive = 1 };
	struct one one = { .statement = { .sql = STR_INIT("SELECT $1") } };

	cr_assert_eq(db_open(fiber_loop(fiber_current()), &options, &one.db), 0);
	cr_assert_eq(fibers_join(hurried, &one), -ETIMEDOUT);
	one.statement.lane = DB_SHARED;
	cr_assert_eq(fibers_join(hurried, &one), -ETIMEDOUT);
	client_close_as_it_is(one.db);
	return 0;
}

Test(db_pool, a_deadline_before_that_is_a_timeout)
{
	fibers_run(away_and_late, NULL);
}

/* Busy is not away: who waits for a connection that others have waits as long as its own
 * deadline says. */
static int busy(void *arg)
{
	struct db *db = client_open_with(&(struct db_options){
		.url = servers_postgres(),
		.shared = 1,
		.exclusive = 1,
		.is_prepared = true,
	});
	struct one slow, waiting;

	one_start(&slow, db, DB_EXCLUSIVE, "SELECT $1::bigint FROM pg_sleep(2.3)", 1);
	one_start(&waiting, db, DB_EXCLUSIVE, "SELECT $1::bigint", 2);
	fiber_join(waiting.fiber, &waiting.result);
	fiber_join(slow.fiber, &slow.result);
	cr_assert(waiting.result == 0 && waiting.answer == 2, "%s", error_name(waiting.result));
	cr_assert_eq(slow.result, 0);
	client_close(db);
	return 0;
}

Test(db_pool, a_busy_pool_is_waited_for)
{
	fibers_run(busy, NULL);
}
