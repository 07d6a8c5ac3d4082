#include "queue/relay.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "help.h"
#include "servers.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)
#define ID_1 "00000000-0000-4000-8000-000000000001"
#define ID_2 "00000000-0000-4000-8000-000000000002"

struct parts {
	struct db *db;
	struct redis *redis;
	struct relay *relay;
	struct arena arena;
	const char *sql, *command, *expected;
	bool is_closed;
};

static void open_parts(struct parts *p)
{
	struct relay_options o;

	memset(p, 0, sizeof(*p));
	arena_init(&p->arena);
	p->db = help_db();
	p->redis = help_redis();
	o = (struct relay_options){ .loop = fiber_loop(fiber_current()),
				    .db = p->db,
				    .redis = p->redis };
	cr_assert_eq(relay_open(&o, &p->relay), 0);
}

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

static void close_parts(struct parts *p)
{
	struct waiter w;

	waiter_init(&w);
	relay_close(p->relay, on_closed, &w);
	cr_assert_eq(fiber_park(&w, "close"), 0);
	help_close(p->redis);
	help_db_close(p->db);
	arena_fini(&p->arena);
}

/* Asked again and again: fibers_until calls it on the fiber. */
static void until_sql(struct parts *p, const char *sql, const char *expected)
{
	for (int i = 0; i < 1000; i++) {
		if (str_eq_c(help_sql(p->db, &p->arena, sql), expected))
			return;
		cr_assert_eq(fiber_sleep(10 * MSEC), 0);
	}
	cr_assert_fail("%s is not %s", sql, expected);
}

static void until_redis(struct parts *p, const char *command, const char *expected)
{
	for (int i = 0; i < 1000; i++) {
		if (str_eq_c(help_do(p->redis, &p->arena, command), expected))
			return;
		cr_assert_eq(fiber_sleep(10 * MSEC), 0);
	}
	cr_assert_fail("%s is not %s", command, expected);
}

static void insert(struct parts *p, const char *id)
{
	(void) help_sql(p->db, &p->arena,
			arena_printf(&p->arena,
				     "INSERT INTO job_outbox (id, task) VALUES ('%s', 't.any')", id)
				.at);
}

static int life_body(void *arg)
{
	struct relay_stats stats;
	struct parts p;

	(void) arg;
	open_parts(&p);
	insert(&p, ID_1);
	until_redis(&p, "LLEN default", "1");
	EQ(help_do(p.redis, &p.arena, "HKEYS apium:{default}:live"), ID_1);
	/* It waits in its queue: seen again, left alone. */
	relay_stats(p.relay, &stats);
	cr_assert_eq(stats.pushed, 1);
	for (uint64_t looked = stats.looked; stats.looked < looked + 2;) {
		cr_assert_eq(fiber_sleep(10 * MSEC), 0);
		relay_stats(p.relay, &stats);
	}
	cr_assert_eq(stats.pushed, 1);
	EQ(help_do(p.redis, &p.arena, "LLEN default"), "1");

	/* Lost: both mark and message, and the queue's epoch with them. */
	EQ(help_do(p.redis, &p.arena, "FLUSHALL"), "OK");
	until_redis(&p, "LLEN default", "1");
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "1");

	/* Ended, and nobody deleted the row. */
	(void) help_do(p.redis, &p.arena, "HDEL apium:{default}:live " ID_1);
	(void) help_do(p.redis, &p.arena, "SET apium:{default}:receipt:" ID_1 " Snull");
	until_sql(&p, "SELECT count(*) FROM job_outbox", "0");
	EQ(help_do(p.redis, &p.arena, "LLEN default"), "1");
	close_parts(&p);
	return 0;
}

Test(relay, pushes_what_is_absent_and_forgets_what_has_ended)
{
	servers_private_redis();
	fibers_run(life_body, NULL);
}

static int notes_body(void *arg)
{
	struct parts p;

	(void) arg;
	open_parts(&p);
	/* In live, so that no look touches them. */
	(void) help_do(p.redis, &p.arena, "HSET apium:{default}:live " ID_1 " 1 " ID_2 " 1");
	insert(&p, ID_1);
	insert(&p, ID_2);
	relay_note_end(relay_note_new(p.relay, STR(ID_1)), false);
	relay_note_end(relay_note_new(p.relay, STR(ID_2)), true);
	relay_note_end(relay_note_new(p.relay, STR("not a uuid")), true);
	until_sql(&p, "SELECT string_agg(id::text, ',') FROM job_outbox", ID_1);
	/* At the end, what is noted is still deleted. */
	relay_note_end(relay_note_new(p.relay, STR(ID_1)), true);
	{
		struct waiter w;

		waiter_init(&w);
		relay_close(p.relay, on_closed, &w);
		cr_assert_eq(fiber_park(&w, "close"), 0);
	}
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "0");
	help_close(p.redis);
	help_db_close(p.db);
	arena_fini(&p.arena);
	return 0;
}

Test(relay, deletes_rows_of_ended_jobs)
{
	servers_private_redis();
	fibers_run(notes_body, NULL);
}

static int refused_body(void *arg)
{
	struct parts p;

	(void) arg;
	open_parts(&p);
	(void) help_sql(p.db, &p.arena,
			"INSERT INTO job_outbox (id, task, queue) VALUES ('" ID_1
			"', 't.any', 'a b')");
	until_sql(&p, "SELECT count(*) FROM job_outbox", "0");
	EQ(help_do(p.redis, &p.arena, "ZRANGE apium:{default}:dead 0 -1"), ID_1);
	cr_assert(str_find(help_do(p.redis, &p.arena, "HGET apium:{default}:letters " ID_1),
			   STR("spaces")) > 0);
	cr_assert(str_find(help_do(p.redis, &p.arena, "GET celery-task-meta-" ID_1),
			   STR("FAILURE")) > 0);
	close_parts(&p);
	return 0;
}

Test(relay, a_row_that_can_never_be_pushed_is_a_dead_letter)
{
	servers_private_redis();
	fibers_run(refused_body, NULL);
}

static int locked_body(void *arg)
{
	static const struct db_statement lock = { .sql = STR_INIT(
							  "SELECT id FROM job_outbox FOR UPDATE") };
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct relay_stats stats;
	struct db_rows rows;
	struct parts p;

	(void) arg;
	open_parts(&p);
	insert(&p, ID_1);
	/* Somebody else has it in hand: skipped, not waited for. */
	cr_assert_eq(db_begin(p.db, &tx), 0);
	cr_assert_eq(db_tx_query(&tx, &p.arena, &lock, DB_NO_VALUES, &rows), 0);
	relay_stats(p.relay, &stats);
	for (uint64_t looked = stats.looked; stats.looked < looked + 3;) {
		cr_assert_eq(fiber_sleep(10 * MSEC), 0);
		relay_stats(p.relay, &stats);
	}
	EQ(help_do(p.redis, &p.arena, "EXISTS default"), "0");
	db_tx_end(&tx);
	until_redis(&p, "LLEN default", "1");
	close_parts(&p);
	return 0;
}

Test(relay, leaves_rows_that_somebody_has_in_hand)
{
	servers_private_redis();
	fibers_run(locked_body, NULL);
}
