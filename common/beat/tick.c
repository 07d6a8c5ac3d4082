#include "beat/tick.h"

#include <inttypes.h>

#include "base/datetime.h"
#include "base/error.h"
#include "base/metric.h"
#include "base/settings.h"
#include "beat/tick-internal.h"

/* A planned time further ahead than that is decided already: the server's clock has gone back. */
#define AHEAD     (1 * SEC)
#define AHEAD_SQL "interval '1 second'"
#define WAIT_MOST (1 * SEC)
/* When there is none: a time that nobody will see. */
#define NEVER_SQL "'9999-12-31 00:00:00+00'"

enum outcome { OUTCOME_RUN, OUTCOME_MISSED, OUTCOME_OVERLAP, OUTCOME_REFUSED, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = { "run", "missed", "overlap", "refused" };

/* What a decision is made with. */
struct deciding {
	struct ticker *ticker;
	struct db_tx *tx;
	struct arena *arena;
	struct periodic row;
	struct when when;
	struct enqueued *jobs; /* to be pushed after the commit */
	bool has_open_job;     /* the last run has not ended; asked only where it matters */
	int counts[OUTCOMES];  /* planned times; told once they are committed */
	usec_t lag;            /* of the last run */
};

static struct str time_text(struct arena *arena, usec_t at)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	if (at == 0 || at == USEC_NEVER)
		return STR_NULL;
	datetime_add_python(&text, at);
	return arena_str(arena, buf_str(&text));
}

/* The tick's id, or absent when it was decided before. */
static int insert_tick(struct db_tx *tx, struct arena *arena, const struct periodic *p,
		       usec_t planned, struct str outcome, int times, struct str *ret_id)
{
	static const struct db_statement insert = {
		.sql = STR_INIT(
			"INSERT INTO beat_tick (id, schedule_id, planned_at, outcome, times) "
			"VALUES (encode(substring(sha256(convert_to($1::text || ' ' || $2::text, 'UTF8')) "
			"FROM 1 FOR 16), 'hex')::uuid, $1::text::uuid, $2::text::timestamptz, $3, $4) "
			"ON CONFLICT DO NOTHING RETURNING id")
	};
	struct db_rows rows;
	int r = db_tx_query(tx, arena, &insert,
			    DB_VALUES(p->id, time_text(arena, planned), outcome,
				      arena_printf(arena, "%d", times)),
			    &rows);

	if (r == 0)
		*ret_id = rows.count == 0 ? STR_NULL : db_get(&rows, 0, 0);
	return r;
}

static int refuse_tick(struct db_tx *tx, struct arena *arena, struct str id, struct str why)
{
	static const struct db_statement refuse = {
		.sql = STR_INIT("UPDATE beat_tick SET outcome = 'refused', note = $2 WHERE id = $1")
	};
	struct db_rows rows;

	return db_tx_query(tx, arena, &refuse, DB_VALUES(id, why), &rows);
}

/* The job of a tick, in its transaction. */
static int enqueue_tick(struct producer *producer, struct db_tx *tx, struct arena *arena,
			const struct periodic *p, struct str id, struct enqueued **ret)
{
	const struct task *known = task_find(p->task);
	struct task task = known != NULL ? *known : (struct task){ 0 };
	const struct enqueue_options options = {
		.queue = str_is_null(p->queue) ? NULL : arena_c(arena, p->queue),
		.id = id,
		.key = arena_printf(arena, "beat:%.*s", STR_ARG(id)),
	};

	task.name = arena_c(arena, p->task);
	task.durability = TASK_OUTBOX;
	return enqueue(producer, tx, arena, &task, p->kwargs, &options, ret);
}

static void count_outcome(int outcome, int times)
{
	series_add(metric_series(METRIC_beat_ticks, METRIC_VALUES(outcome_names[outcome])), times);
}

void tick_tell_outcomes(void)
{
	for (int i = 0; i < OUTCOMES; i++)
		count_outcome(i, 0);
}

static void tell_counts(const struct deciding *d)
{
	for (int i = 0; i < OUTCOMES; i++)
		count_outcome(i, d->counts[i]);
	if (d->counts[OUTCOME_RUN] > 0)
		metric_set(METRIC_beat_lag, d->lag);
}

static int is_open(struct db_tx *tx, struct arena *arena, struct str job)
{
	static const struct db_statement ask = {
		.sql = STR_INIT("SELECT 1 FROM job_outbox WHERE id = $1")
	};
	struct db_rows rows;
	int r = str_is_null(job) ? 0 : db_tx_query(tx, arena, &ask, DB_VALUES(job), &rows);

	return r < 0 || str_is_null(job) ? r : rows.count > 0;
}

static int run_step(struct deciding *d, const struct due_step *step)
{
	struct enqueued *job;
	struct str id;
	int r = insert_tick(d->tx, d->arena, &d->row, step->planned, STR("run"), 1, &id);

	if (r < 0 || str_is_null(id))
		return r;
	r = enqueue_tick(d->ticker->producer, d->tx, d->arena, &d->row, id, &job);
	if (r == -E_DROPPED) {
		d->counts[OUTCOME_REFUSED]++;
		return refuse_tick(d->tx, d->arena, id,
				   arena_printf(d->arena, "%s", fail_reason(r)));
	}
	if (r < 0)
		return r;
	job->next = d->jobs;
	d->jobs = job;
	d->row.last_job = id;
	d->has_open_job = str_eq_c(d->row.overlap, "skip");
	d->counts[OUTCOME_RUN]++;
	d->lag = d->row.now - step->planned;
	return 0;
}

static int leave_out(struct deciding *d, const struct due_step *step, enum outcome outcome)
{
	struct str id;
	int r = insert_tick(d->tx, d->arena, &d->row, step->planned, str_c(outcome_names[outcome]),
			    step->times, &id);

	if (r == 0 && !str_is_null(id))
		d->counts[outcome] += step->times;
	return r;
}

static int take_step(struct deciding *d, const struct due_step *step)
{
	if (!step->is_run)
		return leave_out(d, step, OUTCOME_MISSED);
	return d->has_open_job ? leave_out(d, step, OUTCOME_OVERLAP) : run_step(d, step);
}

static int save_row(struct deciding *d, usec_t next, usec_t decided_until)
{
	static const struct db_statement save = {
		.sql = STR_INIT(
			"UPDATE beat_schedule SET next_at = coalesce($2::timestamptz, " NEVER_SQL
			"), "
			"decided_until = $3, last_job = $4 WHERE id = $1")
	};
	struct db_rows rows;

	return db_tx_query(d->tx, d->arena, &save,
			   DB_VALUES(d->row.id, time_text(d->arena, next),
				     time_text(d->arena, decided_until), d->row.last_job),
			   &rows);
}

static int purge(struct db_tx *tx, struct arena *arena, struct str schedule_id)
{
	static const struct db_statement purge = {
		.sql = STR_INIT("DELETE FROM beat_tick WHERE schedule_id = $1 AND planned_at <= "
				"(SELECT planned_at FROM beat_tick WHERE schedule_id = $1 "
				"ORDER BY planned_at DESC OFFSET $2 LIMIT 1)")
	};
	struct db_rows rows;

	return db_tx_query(
		tx, arena, &purge,
		DB_VALUES(schedule_id,
			  arena_printf(arena, "%" PRId64, MAX(settings.beat_history, INT64_C(1)))),
		&rows);
}

/*
 * Where planning begins: at the time that was worked out before, or, when there is none or the clock
 * has gone back, behind now.
 */
static usec_t first_of(const struct deciding *d)
{
	const struct periodic *p = &d->row;
	bool went_back = p->decided_until > p->now + AHEAD;

	if (p->next_at != 0 && !went_back)
		return p->next_at;
	return when_next(&d->when, went_back ? p->now : MAX(p->now, p->decided_until));
}

static int decide(struct deciding *d)
{
	struct due_plan plan;
	enum missed missed;
	usec_t until;
	int r = missed_parse(d->row.missed, &missed);

	if (r == 0 && str_eq_c(d->row.overlap, "skip"))
		r = is_open(d->tx, d->arena, d->row.last_job);
	if (r < 0)
		return r;
	d->has_open_job = r > 0;
	due_plan(&d->when, missed, d->row.starting_deadline * SEC, first_of(d), d->row.now, &plan);
	until = plan.count > 0 ? plan.steps[plan.count - 1].planned
			       : MIN(d->row.decided_until, d->row.now);
	r = 0;
	for (size_t i = 0; i < plan.count && r == 0; i++)
		r = take_step(d, &plan.steps[i]);
	if (r == 0)
		r = save_row(d, plan.next, until);
	if (r == 0 && plan.count > 0)
		r = purge(d->tx, d->arena, d->row.id);
	return r;
}

int tick_decide(struct ticker *t, struct arena *arena, struct str schedule_id)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct deciding d = { .ticker = t, .tx = &tx, .arena = arena };
	int r;

	r = db_begin(t->db, &tx);
	if (r == 0)
		r = lease_confirm(t->lease, &tx, arena);
	if (r == 0)
		r = periodic_take(&tx, arena, schedule_id, &d.row);
	if (r <= 0)
		return r;
	r = when_init(&d.when, d.row.crontab, d.row.every * SEC, d.row.anchor, d.row.zone);
	if (r < 0)
		return r;
	r = decide(&d);
	when_fini(&d.when);
	if (r == 0)
		r = db_commit(&tx);
	if (r < 0)
		return r;
	enqueue_push(t->producer, d.jobs);
	tell_counts(&d);
	return 1;
}

int tick_postpone(struct db *db, struct arena *arena, struct str schedule_id)
{
	static const struct db_statement postpone = {
		.sql = STR_INIT(
			"UPDATE beat_schedule SET next_at = clock_timestamp() + interval '1 minute', "
			"decided_until = least(decided_until, clock_timestamp()) WHERE id = $1")
	};
	struct db_rows rows;

	return db_query(db, arena, &postpone, DB_VALUES(schedule_id), &rows);
}

int tick_ask(struct producer *producer, struct db_tx *tx, struct arena *arena,
	     const struct periodic *p, struct enqueued **ret_job)
{
	static const struct db_statement remember = {
		.sql = STR_INIT("UPDATE beat_schedule SET last_job = $2 WHERE id = $1")
	};
	struct enqueued *job;
	struct db_rows rows;
	struct str id;
	int r = insert_tick(tx, arena, p, p->now, STR("asked"), 1, &id);

	if (r < 0)
		return r;
	if (str_is_null(id))
		return fail(-E_CONFLICT, "a run at this very moment was asked for already");
	r = enqueue_tick(producer, tx, arena, p, id, &job);
	if (r == 0)
		r = db_tx_query(tx, arena, &remember, DB_VALUES(p->id, id), &rows);
	if (r == 0)
		r = purge(tx, arena, p->id);
	if (r == 0)
		*ret_job = job;
	return r;
}

int tick_look(struct db *db, struct arena *arena, struct str **ret_ids, size_t *ret_count,
	      usec_t *ret_wait)
{
	static const struct db_statement look = {
		.sql = STR_INIT(
			"SELECT id, CASE WHEN next_at > clock_timestamp() AND NOT coalesce(decided_until > "
			"clock_timestamp() + " AHEAD_SQL
			", false) THEN greatest(1, 1e6 * extract(epoch FROM "
			"next_at - clock_timestamp()))::bigint ELSE 0 END FROM beat_schedule "
			"WHERE NOT is_paused AND (next_at IS NULL "
			"OR next_at < clock_timestamp() + interval '1 second' "
			"OR decided_until > clock_timestamp() + " AHEAD_SQL ") "
			"ORDER BY next_at NULLS FIRST LIMIT 50"),
		.lane = DB_SHARED,
	};
	struct db_rows rows;
	struct str *ids;
	size_t count = 0;
	usec_t wait = WAIT_MOST;
	int r = db_query(db, arena, &look, DB_NO_VALUES, &rows);

	if (r < 0)
		return r;
	ids = arena_array(arena, struct str, rows.count + 1);
	for (int i = 0; i < rows.count; i++) {
		usec_t left = db_get_i64(&rows, i, 1);

		if (left == 0)
			ids[count++] = db_get(&rows, i, 0);
		else
			wait = MIN(wait, left);
	}
	*ret_ids = ids;
	*ret_count = count;
	*ret_wait = wait;
	return 0;
}

int tick_history(struct db *db, struct arena *arena, struct str schedule_id, int64_t most,
		 struct tick **ret, size_t *ret_count)
{
	static const struct db_statement history = {
		.sql = STR_INIT(
			"SELECT planned_at, decided_at, outcome, id, note, times FROM beat_tick "
			"WHERE schedule_id = $1 ORDER BY planned_at DESC LIMIT $2")
	};
	struct tick *ticks;
	struct db_rows rows;
	int r = db_query(db, arena, &history,
			 DB_VALUES(schedule_id, arena_printf(arena, "%" PRId64, most)), &rows);

	if (r < 0)
		return r;
	ticks = arena_array(arena, struct tick, rows.count + 1);
	for (int i = 0; i < rows.count; i++)
		ticks[i] = (struct tick){ .planned_at = db_get(&rows, i, 0),
					  .decided_at = db_get(&rows, i, 1),
					  .outcome = db_get(&rows, i, 2),
					  .job = db_get(&rows, i, 3),
					  .note = db_get(&rows, i, 4),
					  .times = db_get_i64(&rows, i, 5) };
	*ret = ticks;
	*ret_count = (size_t) rows.count;
	return 0;
}
