/*
 * canvas.c - asking for canvases: rows and pushes.
 */
#include "queue/canvas.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "base/uuid.h"
#include "help.h"
#include "queue/body.h"
#include "queue/outbox.h"
#include "servers.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

static const struct task kept = { .name = "t.kept", .help = "h", .ignores_arguments = true };
static const struct task fast = { .name = "t.fast",
				  .help = "h",
				  .queue = "f",
				  .durability = TASK_FAST,
				  .ignores_arguments = true };

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

static void close_parts(struct parts *p)
{
	producer_close(p->producer, NULL, NULL);
	help_close(p->redis);
	help_db_close(p->db);
	arena_fini(&p->arena);
}

static struct signature *one(struct parts *p, const struct task *task)
{
	return canvas_task(&p->arena, task, STR("{}"));
}

#define LIST(...)                                                                                  \
	(struct signature *[]){ __VA_ARGS__ },                                                     \
		sizeof((struct signature *[]){ __VA_ARGS__ }) / sizeof(struct signature *)

static void until(struct parts *p, const char *command, const char *expected)
{
	for (int i = 0; i < 500; i++) {
		if (str_eq_c(help_do(p->redis, &p->arena, command), expected))
			return;
		cr_assert_eq(fiber_sleep(5 * MSEC), 0);
	}
	cr_assert_fail("%s is not %s", command, expected);
}

/* What lies at a place of a list: the message, and what its body says. */
static struct str body_at(struct parts *p, const char *command, struct message *m)
{
	struct str text;

	cr_assert_eq(message_scan(help_do(p->redis, &p->arena, command), m), 0);
	cr_assert_eq(body_text(&p->arena, m, &text), 0);
	return text;
}

static int rows(void *arg)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct enqueued *all;
	struct message m;
	struct parts p;
	struct str id, text, group;

	(void) arg;
	open_parts(&p);
	/* A chain is one row; the rest travels with it. */
	cr_assert_eq(canvas_enqueue(p.producer, NULL, &p.arena,
				    canvas_chain(&p.arena, LIST(one(&p, &kept), one(&p, &fast))),
				    &all, &id),
		     0, "%s", fail_reason(-E_DROPPED));
	cr_assert_null(all->next);
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "1");
	until(&p, "LLEN default", "1");
	text = body_at(&p, "LINDEX default 0", &m);
	cr_assert_gt(str_find(text, STR("\"chain\": [{\"task\": \"t.fast\"")), 0, "%.*s",
		     STR_ARG(text));
	cr_assert_gt(str_find(text, id), 0, "the result is the last step's");

	/* A chord within a transaction: a row for each part, and its size told with the push. */
	cr_assert_eq(db_begin(p.db, &tx), 0);
	cr_assert_eq(canvas_enqueue(p.producer, &tx, &p.arena,
				    canvas_chord(&p.arena, LIST(one(&p, &kept), one(&p, &kept)),
						 one(&p, &fast)),
				    &all, &id),
		     0);
	EQ(help_do(p.redis, &p.arena, "LLEN default"), "1");
	cr_assert_eq(db_commit(&tx), 0);
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "3");
	enqueue_push(p.producer, all);
	until(&p, "LLEN default", "3");
	text = body_at(&p, "LINDEX default 0", &m);
	cr_assert_eq(m.group_index, 1);
	cr_assert_gt(str_find(text, STR("\"chord_size\": 2")), 0, "%.*s", STR_ARG(text));
	cr_assert_gt(str_find(text, id), 0, "the result is the body's");
	group = message_text(&p.arena, &m, MESSAGE_GROUP);
	EQ(help_do(p.redis, &p.arena,
		   arena_printf(&p.arena, "GET celery-taskset-meta-%.*s.s", STR_ARG(group)).at),
	   "2");
	close_parts(&p);
	return 0;
}

Test(canvas, its_rows_are_those_that_can_start)
{
	servers_private_redis();
	fibers_run(rows, NULL);
}

/* Redis forgets: what the row holds makes the same message again, and the size with it. */
static int wiped(void *arg)
{
	struct outbox_row *locked;
	struct enqueued *all;
	struct queue_book book;
	struct db_tx tx = DB_TX_INIT;
	struct message m;
	struct parts p;
	struct push push;
	struct str id, ids[1], text;
	size_t count;

	(void) arg;
	open_parts(&p);
	queue_book_init(&book);
	cr_assert_eq(canvas_enqueue(p.producer, NULL, &p.arena,
				    canvas_chord(&p.arena,
						 LIST(canvas_set_i64(one(&p, &kept), "retries", 2)),
						 one(&p, &fast)),
				    &all, &id),
		     0);
	until(&p, "LLEN default", "1");
	(void) help_do(p.redis, &p.arena, "FLUSHALL");
	ids[0] = str_c(all->id);
	cr_assert_eq(db_begin(p.db, &tx), 0);
	cr_assert_eq(outbox_lock(&tx, &p.arena, ids, 1, &locked, &count), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(outbox_to_push(&p.arena, &book, &locked[0], TASK_OUTBOX, &push), 0, "%s",
		     fail_reason(-E_DROPPED));
	db_tx_end(&tx);
	cr_assert_eq(push.chord_size, 1);
	cr_assert_eq(push_call(p.redis, &p.arena, &push), PUSH_DONE);
	text = body_at(&p, "LINDEX default 0", &m);
	cr_assert(str_eq(m.text[MESSAGE_ID], ids[0]));
	cr_assert_eq(m.retries, 2);
	cr_assert_eq(m.group_index, 0);
	cr_assert_gt(str_find(text, id), 0);
	EQ(help_do(p.redis, &p.arena,
		   arena_printf(&p.arena, "GET celery-taskset-meta-%.*s.s", STR_ARG(push.chord))
			   .at),
	   "1");
	queue_book_fini(&book);
	close_parts(&p);
	return 0;
}

Test(canvas, a_row_makes_the_same_message_again)
{
	servers_private_redis();
	fibers_run(wiped, NULL);
}

static int pushes(void *arg)
{
	struct enqueued *all;
	struct message m;
	struct parts p;
	struct str id;

	(void) arg;
	open_parts(&p);
	cr_assert_eq(
		canvas_enqueue(p.producer, NULL, &p.arena,
			       canvas_group(&p.arena,
					    LIST(one(&p, &fast),
						 canvas_set_i64(one(&p, &fast), "priority", 9),
						 canvas_set_i64(one(&p, &fast), "countdown", 60))),
			       &all, &id),
		0);
	EQ(help_do(p.redis, &p.arena, "LLEN f"), "1");
	EQ(help_do(p.redis, &p.arena,
		   "LLEN f\x06\x16"
		   "9"),
	   "1");
	EQ(help_do(p.redis, &p.arena, "ZCARD apium:{f}:schedule"), "1");
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "0");
	(void) body_at(&p, "LINDEX f 0", &m);
	cr_assert(str_eq(m.text[MESSAGE_GROUP], id));

	/* Nothing is asked for when something of it cannot be. */
	cr_assert_eq(canvas_enqueue(p.producer, NULL, &p.arena, canvas_group(&p.arena, NULL, 0),
				    &all, &id),
		     -E_DROPPED);
	cr_assert_eq(canvas_enqueue(p.producer, NULL, &p.arena,
				    canvas_set(one(&p, &kept), "task_id", STR("no uuid")), &all,
				    &id),
		     -E_DROPPED);
	cr_assert_eq(canvas_enqueue(p.producer, NULL, &p.arena,
				    canvas_group(&p.arena, LIST(one(&p, &kept),
								canvas_set(one(&p, &kept), "queue",
									   STR("a b")))),
				    &all, &id),
		     -E_DROPPED);
	EQ(help_sql(p.db, &p.arena, "SELECT count(*) FROM job_outbox"), "0");
	close_parts(&p);
	return 0;
}

Test(canvas, fast_tasks_are_pushed)
{
	servers_private_redis();
	fibers_run(pushes, NULL);
}
