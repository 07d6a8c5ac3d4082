#include "beat/tick.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>

#include "base/error.h"
#include "base/settings.h"
#include "help.h"
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
/* Beat keeps its jobs as `outbox` all the same. */
static const struct task add = { .name = "t.add",
				 .help = "h",
				 .durability = TASK_FAST,
				 .arguments = rows,
				 .argument_count = 1,
				 .arguments_size = sizeof(struct add) };

struct parts {
	struct db *db;
	struct redis *redis;
	struct producer *producer;
	struct lease lease;
	struct ticker ticker;
	struct arena arena;
};

static void open_parts(struct parts *p)
{
	static const struct task *const all[] = { &add };
	struct producer_options o;

	if (task_count() == 0)
		cr_assert_eq(task_register(all, 1), 0);
	settings.beat_history = 100;
	arena_init(&p->arena);
	p->db = help_db();
	p->redis = help_redis();
	o = (struct producer_options){ .loop = fiber_loop(fiber_current()),
				       .db = p->db,
				       .redis = p->redis };
	cr_assert_eq(producer_new(&o, &p->producer), 0);
	lease_init(&p->lease, MINUTE);
	cr_assert_eq(lease_keep(&p->lease, p->db, &p->arena), 0);
	cr_assert(p->lease.is_held);
	p->ticker = (struct ticker){ .db = p->db, .producer = p->producer, .lease = &p->lease };
}

static void close_parts(struct parts *p)
{
	producer_close(p->producer, NULL, NULL);
	help_close(p->redis);
	help_db_close(p->db);
	arena_fini(&p->arena);
}

static struct str one(struct parts *p, const char *format, ...) _printf_(2, 3);
static struct str one(struct parts *p, const char *format, ...)
{
	struct str text;
	va_list args;

	va_start(args, format);
	text = arena_vprintf(&p->arena, format, args);
	va_end(args);
	return help_sql(p->db, &p->arena, arena_c(&p->arena, text));
}

/* A schedule of t.add; its id.  `more`: columns and values beyond. */
static struct str make(struct parts *p, const char *columns, const char *values)
{
	return one(p,
		   "INSERT INTO beat_schedule (name, task, kwargs, anchor, %s) VALUES "
		   "(gen_random_uuid()::text, 't.add', '{\"x\": 1}', date_trunc('hour', now()) - "
		   "interval '1 day', %s) RETURNING id",
		   columns, values);
}

/* What became of its planned times, the oldest first. */
static struct str outcomes(struct parts *p, struct str id)
{
	return one(
		p,
		"SELECT coalesce(string_agg(outcome || times, ' ' ORDER BY planned_at), '') FROM beat_tick "
		"WHERE schedule_id = '%.*s'",
		STR_ARG(id));
}

static struct str jobs(struct parts *p)
{
	return one(p, "SELECT count(*) FROM job_outbox");
}

static int decide(struct parts *p, struct str id)
{
	return tick_decide(&p->ticker, &p->arena, id);
}

static int once_body(void *arg)
{
	struct parts p;
	struct str id;

	(void) arg;
	open_parts(&p);
	id = make(&p, "every, next_at", "3600, date_trunc('hour', now())");
	cr_assert_eq(decide(&p, id), 1);
	EQ(outcomes(&p, id), "run1");
	EQ(jobs(&p), "1");
	/* The tick, the job and its key are one. */
	EQ(one(&p,
	       "SELECT count(*) FROM job_outbox o JOIN beat_tick k ON o.id = k.id JOIN beat_schedule s "
	       "ON s.last_job = k.id WHERE o.key = 'beat:' || k.id AND k.planned_at = date_trunc('hour', "
	       "now()) AND s.decided_until = k.planned_at AND s.next_at = k.planned_at + interval '1 hour'"),
	   "1");

	/* Somebody who has not seen that decides it again. */
	one(&p,
	    "UPDATE beat_schedule SET next_at = next_at - interval '1 hour', decided_until = NULL RETURNING 1");
	cr_assert_eq(decide(&p, id), 1);
	EQ(outcomes(&p, id), "run1");
	EQ(jobs(&p), "1");
	close_parts(&p);
	return 0;
}

Test(tick, a_planned_time_is_decided_once)
{
	fibers_run(once_body, NULL);
}

static int next_body(void *arg)
{
	struct parts p;
	struct str id, *ids;
	size_t count;
	usec_t wait;

	(void) arg;
	open_parts(&p);
	/* A new row, and one that is planned within the second. */
	id = make(&p, "crontab", "'0 0 1 1 *'");
	make(&p, "every, next_at", "60, clock_timestamp() + interval '500 milliseconds'");
	make(&p, "every, next_at, is_paused", "60, now(), true");
	cr_assert_eq(tick_look(p.db, &p.arena, &ids, &count, &wait), 0);
	cr_assert_eq(count, 1);
	cr_assert(str_eq(ids[0], id));
	cr_assert(wait > 0 && wait <= 500 * MSEC, "%" PRId64, wait);
	cr_assert_eq(decide(&p, id), 1);
	EQ(outcomes(&p, id), "");
	EQ(one(&p,
	       "SELECT next_at = date_trunc('year', now()) + interval '1 year' FROM beat_schedule WHERE id = '%.*s'",
	       STR_ARG(id)),
	   "t");
	cr_assert_eq(tick_look(p.db, &p.arena, &ids, &count, &wait), 0);
	cr_assert_eq(count, 0);
	close_parts(&p);
	return 0;
}

Test(tick, the_next_time_is_worked_out)
{
	fibers_run(next_body, NULL);
}

static int missed_body(void *arg)
{
	static const struct {
		const char *missed, *outcomes, *jobs;
	} cases[] = {
		{ "one", "missed3 run1", "1" },
		{ "skip", "missed4", "0" },
		{ "all", "run1 run1 run1 run1", "4" },
	};
	struct parts p;

	(void) arg;
	open_parts(&p);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char values[128];
		struct str id;

		(void) snprintf(
			values, sizeof(values),
			"3600, now() - interval '195 minutes', now() - interval '195 minutes', '%s'",
			cases[i].missed);
		id = make(&p, "every, next_at, decided_until, missed", values);
		one(&p,
		    "UPDATE beat_schedule SET anchor = next_at - interval '1 hour' RETURNING 1");
		one(&p, "DELETE FROM job_outbox");
		cr_assert_eq(decide(&p, id), 1);
		EQ(outcomes(&p, id), cases[i].outcomes);
		EQ(jobs(&p), cases[i].jobs);
	}
	close_parts(&p);
	return 0;
}

Test(tick, missed_ones_by_the_policy)
{
	fibers_run(missed_body, NULL);
}

static int overlap_body(void *arg)
{
	struct parts p;
	struct str id;

	(void) arg;
	open_parts(&p);
	id = make(&p, "every, next_at, overlap, missed",
		  "3600, now() - interval '3 hours', 'skip', 'all'");
	one(&p, "UPDATE beat_schedule SET anchor = next_at - interval '1 hour' RETURNING 1");
	/* The second and third of one plan meet the first's own job. */
	cr_assert_eq(decide(&p, id), 1);
	EQ(outcomes(&p, id), "run1 overlap1 overlap1 overlap1");
	EQ(jobs(&p), "1");
	one(&p,
	    "UPDATE beat_schedule SET next_at = next_at - interval '1 hour 1 second', decided_until = NULL, "
	    "anchor = anchor - interval '1 second' RETURNING 1");
	cr_assert_eq(decide(&p, id), 1);
	EQ(jobs(&p), "1");
	one(&p, "DELETE FROM job_outbox");
	one(&p,
	    "UPDATE beat_schedule SET next_at = next_at - interval '1 hour 1 second', decided_until = NULL, "
	    "anchor = anchor - interval '1 second' RETURNING 1");
	cr_assert_eq(decide(&p, id), 1);
	EQ(jobs(&p), "1");
	EQ(one(&p,
	       "SELECT string_agg(outcome || count, ' ' ORDER BY outcome) FROM (SELECT outcome, count(*) "
	       "FROM beat_tick GROUP BY outcome) x"),
	   "overlap4 run2");
	close_parts(&p);
	return 0;
}

Test(tick, not_while_the_last_one_has_not_ended)
{
	fibers_run(overlap_body, NULL);
}

static int refused_body(void *arg)
{
	struct parts p;
	struct str id;

	(void) arg;
	open_parts(&p);
	id = make(&p, "every, next_at, queue", "3600, now(), 'no such {name}'");
	cr_assert_eq(decide(&p, id), 1);
	EQ(outcomes(&p, id), "refused1");
	EQ(jobs(&p), "0");
	EQ(one(&p, "SELECT note <> '' FROM beat_tick"), "t");

	/* By hand, past every check. */
	id = make(&p, "crontab", "'whenever'");
	cr_assert_eq(decide(&p, id), -EINVAL);
	cr_assert_eq(tick_postpone(p.db, &p.arena, id), 0);
	EQ(one(&p,
	       "SELECT next_at > now() + interval '50 seconds' FROM beat_schedule WHERE id = '%.*s'",
	       STR_ARG(id)),
	   "t");

	/* A task of Python's takes whatever it is given. */
	id = make(&p, "every, next_at", "3600, now()");
	one(&p, "UPDATE beat_schedule SET task = 'theirs', kwargs = '{\"y\": 1}' RETURNING 1");
	cr_assert_eq(decide(&p, id), 1);
	EQ(one(&p, "SELECT task FROM job_outbox"), "theirs");
	close_parts(&p);
	return 0;
}

Test(tick, what_cannot_be_asked_for)
{
	fibers_run(refused_body, NULL);
}

static int leader_body(void *arg)
{
	struct lease other;
	struct parts p;
	struct str id;

	(void) arg;
	open_parts(&p);
	id = make(&p, "every, next_at", "3600, now()");
	one(&p, "UPDATE beat_leader SET until = now() - interval '1 second' RETURNING 1");
	lease_init(&other, MINUTE);
	cr_assert_eq(lease_keep(&other, p.db, &p.arena), 0);
	cr_assert(other.is_held);
	cr_assert_eq(decide(&p, id), -E_LOST);
	EQ(outcomes(&p, id), "");
	EQ(jobs(&p), "0");
	p.ticker.lease = &other;
	one(&p, "UPDATE beat_schedule SET is_paused = true RETURNING 1");
	cr_assert_eq(decide(&p, id), 0);
	cr_assert_eq(decide(&p, STR("00000000-0000-0000-0000-000000000000")), 0);
	EQ(jobs(&p), "0");
	close_parts(&p);
	return 0;
}

Test(tick, only_by_the_leader_and_not_while_paused)
{
	fibers_run(leader_body, NULL);
}

/* The server's clock was an hour ahead: its ticks are known, and the hour is lived once more. */
static int clock_body(void *arg)
{
	struct str id, *ids;
	struct parts p;
	size_t count;
	usec_t wait;

	(void) arg;
	open_parts(&p);
	id = make(&p, "every, next_at", "1, now()");
	cr_assert_eq(decide(&p, id), 1);
	one(&p,
	    "INSERT INTO beat_tick (id, schedule_id, planned_at, outcome) SELECT encode(substring(sha256("
	    "convert_to(schedule_id || ' ' || to_char((planned_at + i * interval '1 second') AT TIME ZONE 'UTC', "
	    "'YYYY-MM-DD\"T\"HH24:MI:SS') || '+00:00', 'UTF8')) FROM 1 FOR 16), 'hex')::uuid, schedule_id, "
	    "planned_at + i * interval '1 second', 'run' FROM beat_tick, generate_series(1, 60) i "
	    "RETURNING 1");
	one(&p,
	    "UPDATE beat_schedule SET decided_until = now() + interval '1 hour', next_at = now() + "
	    "interval '1 hour 1 second' RETURNING 1");
	one(&p, "DELETE FROM job_outbox");
	cr_assert_eq(tick_look(p.db, &p.arena, &ids, &count, &wait), 0);
	cr_assert_eq(count, 1);
	cr_assert_eq(decide(&p, id), 1);
	EQ(one(&p, "SELECT next_at <= clock_timestamp() + interval '1 second' AND decided_until <= "
		   "clock_timestamp() FROM beat_schedule"),
	   "t");
	/* The next second has come, and was decided before the clock went back. */
	for (int i = 0;
	     i < 500 &&
	     !str_eq_c(one(&p, "SELECT next_at < clock_timestamp() FROM beat_schedule"), "t");
	     i++)
		cr_assert_eq(fiber_sleep(5 * MSEC), 0);
	cr_assert_eq(decide(&p, id), 1);
	EQ(jobs(&p), "0");
	EQ(one(&p, "SELECT count(*) FROM beat_tick"), "61");
	close_parts(&p);
	return 0;
}

Test(tick, the_clock_goes_back)
{
	fibers_run(clock_body, NULL);
}

static int history_body(void *arg)
{
	struct parts p;
	struct tick *ticks;
	size_t count;
	struct str id;

	(void) arg;
	open_parts(&p);
	settings.beat_history = 3;
	id = make(&p, "every, next_at, missed", "60, now() - interval '10 minutes', 'all'");
	cr_assert_eq(decide(&p, id), 1);
	cr_assert_eq(tick_history(p.db, &p.arena, id, 100, &ticks, &count), 0);
	cr_assert_eq(count, 3);
	cr_assert(str_cmp(ticks[0].planned_at, ticks[2].planned_at) > 0);
	EQ(ticks[0].outcome, "run");
	cr_assert_eq(tick_history(p.db, &p.arena, id, 1, &ticks, &count), 0);
	cr_assert_eq(count, 1);
	close_parts(&p);
	return 0;
}

Test(tick, the_newest_are_kept)
{
	fibers_run(history_body, NULL);
}

static int ask_body(void *arg)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct enqueued *job;
	struct periodic row;
	struct parts p;
	struct str id;

	(void) arg;
	open_parts(&p);
	id = make(&p, "every, next_at, is_paused, overlap", "60, NULL, true, 'skip'");
	cr_assert_eq(periodic_find((struct db_at){ .db = p.db }, &p.arena,
				   one(&p, "SELECT name FROM beat_schedule"), &row),
		     0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(db_begin(p.db, &tx), 0);
		row.now += i;
		cr_assert_eq(tick_ask(p.producer, &tx, &p.arena, &row, &job), 0);
		cr_assert_eq(db_commit(&tx), 0);
		enqueue_push(p.producer, job);
	}
	EQ(outcomes(&p, id), "asked1 asked1");
	EQ(jobs(&p), "2");
	cr_assert_eq(db_begin(p.db, &tx), 0);
	cr_assert_eq(tick_ask(p.producer, &tx, &p.arena, &row, &job), -E_CONFLICT);
	db_tx_end(&tx);
	row.now++;
	row.kwargs = STR("{}");
	cr_assert_eq(db_begin(p.db, &tx), 0);
	cr_assert_eq(tick_ask(p.producer, &tx, &p.arena, &row, &job), -E_DROPPED);
	db_tx_end(&tx);
	close_parts(&p);
	return 0;
}

Test(tick, somebody_asks_for_a_run)
{
	fibers_run(ask_body, NULL);
}

/* Cancelled at each of its waits: all of it or nothing. */
struct walk {
	struct parts p;
	struct str id;
};

static int decide_again(void *arg)
{
	struct walk *w = arg;
	struct arena arena;
	int r;

	arena_init(&arena);
	do {
		r = tick_decide(&w->p.ticker, &arena, w->id);
		/* The one that was cancelled before has the row until it is rolled back. */
		if (r == 0 && (r = fiber_sleep(2 * MSEC)) == 0)
			r = -EAGAIN;
	} while (r == -EAGAIN);
	arena_fini(&arena);
	return r == 1 ? 0 : r;
}

static void check_whole(void *arg)
{
	struct walk *w = arg;

	EQ(one(&w->p, "SELECT count(*) FROM beat_tick k FULL JOIN job_outbox o ON k.id = o.id "
		      "WHERE k.id IS NULL OR o.id IS NULL"),
	   "0");
	EQ(one(&w->p,
	       "SELECT count(*) FROM beat_schedule s LEFT JOIN beat_tick k ON s.last_job = k.id "
	       "WHERE (k.id IS NULL) <> (s.decided_until IS NULL)"),
	   "0");
}

static int cancel_body(void *arg)
{
	struct walk w;

	(void) arg;
	open_parts(&w.p);
	w.id = make(&w.p, "every, next_at", "3600, now()");
	cr_assert_geq(fibers_cancel_everywhere(decide_again, &w, check_whole), 5);
	EQ(outcomes(&w.p, w.id), "run1");
	close_parts(&w.p);
	return 0;
}

Test(tick, cancelled_anywhere)
{
	fibers_run(cancel_body, NULL);
}
