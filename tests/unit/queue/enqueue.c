#include "queue/enqueue.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "base/world.h"
#include "help.h"
#include "queue/message.h"
#include "servers.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

struct add {
	int64_t x;
};
static const struct task_argument rows[] = {
	{ .name = "x", .type = TASK_INT, .offset = offsetof(struct add, x), .help = "h" }
};
static const struct task kept = { .name = "t.kept",
				  .help = "h",
				  .arguments = rows,
				  .argument_count = 1,
				  .arguments_size = sizeof(struct add) };
static const struct task fast = { .name = "t.fast",
				  .help = "h",
				  .queue = "f",
				  .durability = TASK_FAST,
				  .arguments = rows,
				  .argument_count = 1,
				  .arguments_size = sizeof(struct add) };

struct parts {
	struct db *db;
	struct redis *redis;
	struct producer *producer;
	struct arena arena;
};

static void open_parts(struct parts *p)
{
	const struct task *const all[] = { &kept, &fast };
	struct producer_options o;

	if (task_count() == 0)
		cr_assert_eq(task_register(all, 2), 0);
	arena_init(&p->arena);
	p->db = help_db();
	p->redis = help_redis();
	o = (struct producer_options){ .loop = fiber_loop(fiber_current()),
				       .db = p->db,
				       .redis = p->redis };
	cr_assert_eq(producer_new(&o, &p->producer), 0);
}

static void on_closed(void *arg)
{
	*(bool *) arg = true;
}

static void close_parts(struct parts *p)
{
	bool is_closed = false;

	producer_close(p->producer, on_closed, &is_closed);
	cr_assert(is_closed, "without a relay there is nothing to wait for");
	help_close(p->redis);
	help_db_close(p->db);
	arena_fini(&p->arena);
}

static void until_length(struct parts *p, const char *command, const char *expected)
{
	for (int i = 0; i < 500; i++) {
		if (str_eq_c(help_do(p->redis, &p->arena, command), expected))
			return;
		cr_assert_eq(fiber_sleep(5 * MSEC), 0);
	}
	cr_assert_fail("%s is not %s", command, expected);
}

static int outbox_body(void *arg)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct add five = { 5 };
	struct enqueued *e, *second;
	struct message m;
	struct parts p;

	(void) arg;
	open_parts(&p);
	cr_assert_eq(enqueue(p.producer, NULL, &p.arena, &kept, STR("{\"x\": 1}"), NULL, &e), 0);
	EQ(help_sql(p.db, &p.arena, "SELECT id FROM job_outbox"), e->id);
	until_length(&p, "LLEN default", "1");
	cr_assert_eq(message_scan(help_do(p.redis, &p.arena, "LINDEX default 0"), &m), 0);
	EQ(m.text[MESSAGE_ID], e->id);
	cr_assert(m.is_outbox);

	/* In a transaction: nothing leaves before the commit, both leave after it. */
	cr_assert_eq(db_begin(p.db, &tx), 0);
	cr_assert_eq(enqueue_args(p.producer, &tx, &p.arena, &kept, &five, NULL, &e), 0);
	cr_assert_eq(enqueue_args(p.producer, &tx, &p.arena, &fast, &five, NULL, &second), 0);
	e->next = second;
	EQ(help_do(p.redis, &p.arena, "LLEN default"), "1");
	cr_assert_eq(db_commit(&tx), 0);
	enqueue_push(p.producer, e);
	until_length(&p, "LLEN default", "2");
	until_length(&p, "LLEN f", "1");
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "2");
	EQ(help_sql(p.db, &p.arena,
		    arena_printf(&p.arena, "SELECT kwargs FROM job_outbox WHERE id = '%s'", e->id)
			    .at),
	   "{\"x\": 5}");
	close_parts(&p);
	return 0;
}

Test(enqueue, a_row_with_the_transaction)
{
	servers_private_redis();
	fibers_run(outbox_body, NULL);
}

static int options_body(void *arg)
{
	struct enqueue_options o = { .queue = "other",
				     .key = STR("k"),
				     .priority = 9,
				     .traceparent = STR("00-x"),
				     .id = STR("00000000-0000-4000-8000-00000000000A"),
				     .parent_id = STR("p"),
				     .root_id = STR("r") };
	struct enqueued *e;
	struct message m;
	struct parts p;

	(void) arg;
	open_parts(&p);
	cr_assert_eq(enqueue(p.producer, NULL, &p.arena, &fast, STR("{\"x\": 1}"), &o, &e), 0);
	cr_assert_str_eq(e->id, "00000000-0000-4000-8000-00000000000a");
	cr_assert_eq(message_scan(help_do(p.redis, &p.arena,
					  "LINDEX other\x06\x16"
					  "9 0"),
				  &m),
		     0);
	EQ(m.text[MESSAGE_KEY], "k");
	EQ(m.text[MESSAGE_TRACEPARENT], "00-x");
	EQ(m.text[MESSAGE_ROOT], "r");
	EQ(m.text[MESSAGE_PARENT], "p");
	cr_assert_eq(m.priority, 9);
	cr_assert(!m.is_outbox);
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "0");
	o = (struct enqueue_options){ .eta = now_realtime() + 1 * HOUR };
	cr_assert_eq(enqueue(p.producer, NULL, &p.arena, &kept, STR("{\"x\": 1}"), &o, &e), 0);
	until_length(&p, "ZCARD apium:{default}:schedule", "1");
	close_parts(&p);
	return 0;
}

Test(enqueue, options)
{
	servers_private_redis();
	fibers_run(options_body, NULL);
}

static int refused_body(void *arg)
{
	struct enqueue_options bad_queue = { .queue = "a b" }, bad_id = { .id = STR("x") };
	struct enqueued *e = NULL;
	struct parts p;

	(void) arg;
	open_parts(&p);
	cr_assert_eq(enqueue(p.producer, NULL, &p.arena, &kept, STR("{}"), NULL, &e), -E_DROPPED);
	cr_assert_str_eq(fail_reason(-E_DROPPED), "t.kept() missing 1 required argument: 'x'");
	cr_assert_eq(enqueue(p.producer, NULL, &p.arena, &kept, STR("{\"x\": 1}"), &bad_queue, &e),
		     -E_DROPPED);
	cr_assert_eq(enqueue(p.producer, NULL, &p.arena, &kept, STR("{\"x\": 1}"), &bad_id, &e),
		     -E_DROPPED);
	cr_assert_null(e);
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "0");
	EQ(help_do(p.redis, &p.arena, "DBSIZE"), "0");
	close_parts(&p);
	return 0;
}

Test(enqueue, what_does_not_fit_is_refused_before_anything_is_written)
{
	servers_private_redis();
	fibers_run(refused_body, NULL);
}

static int away_body(void *arg)
{
	struct enqueued *e;
	struct parts p;

	(void) arg;
	open_parts(&p);
	servers_redis_stop();
	cr_assert_eq(enqueue(p.producer, NULL, &p.arena, &kept, STR("{\"x\": 1}"), NULL, &e), 0,
		     "the row is enough");
	cr_assert_lt(enqueue(p.producer, NULL, &p.arena, &fast, STR("{\"x\": 1}"), NULL, &e), 0);
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "1");
	servers_redis_start();
	close_parts(&p);
	return 0;
}

Test(enqueue, without_redis_the_outbox_takes_it)
{
	servers_private_redis();
	fibers_run(away_body, NULL);
}

struct everywhere {
	struct parts *p;
	unsigned written;
};

static int one_body(void *arg)
{
	struct everywhere *w = arg;
	struct enqueued *e;
	struct arena a;
	int r;

	arena_init(&a);
	r = enqueue(w->p->producer, NULL, &a, &kept, STR("{\"x\": 1}"), NULL, &e);
	w->written += r == 0;
	arena_fini(&a);
	return r;
}

static int everywhere_body(void *arg)
{
	struct everywhere w = { 0 };
	struct parts p;

	(void) arg;
	open_parts(&p);
	w.p = &p;
	cr_assert_gt(fibers_cancel_everywhere(one_body, &w, NULL), 0);
	cr_assert_geq(w.written, 1);
	close_parts(&p);
	return 0;
}

Test(enqueue, cancelled_at_every_wait)
{
	servers_private_redis();
	fibers_run(everywhere_body, NULL);
}
