/*
 * declare.c - the declarations in a program's code become rows.
 */
#include <inttypes.h>

#include "base/error.h"
#include "base/log.h"
#include "beat/periodic.h"

static struct periodic row_of(const struct schedule *s)
{
	return (struct periodic){
		.name = str_c(s->name),
		.task = str_c(s->task->name),
		.kwargs = s->kwargs == NULL ? STR("{}") : str_c(s->kwargs),
		.queue = str_c(s->queue),
		.crontab = str_c(s->crontab),
		.every = s->every / SEC,
		.zone = s->zone == NULL ? STR("UTC") : str_c(s->zone),
		.missed = str_c(missed_names[s->missed]),
		.starting_deadline = s->starting_deadline == 0 ? PERIODIC_DEADLINE
							       : s->starting_deadline / SEC,
		.overlap = s->skips_overlap ? STR("skip") : STR("allow"),
	};
}

int schedules_check(const struct schedule *schedules, size_t count)
{
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < count; i++) {
		const struct schedule *s = &schedules[i];
		struct periodic row;
		int r;

		if (s->name == NULL || s->task == NULL)
			return fail(-E_BAD_SETTING, "a schedule without a name or without a task");
		row = row_of(s);
		r = periodic_check(&arena, &row);
		if (r < 0)
			return fail(-E_BAD_SETTING, "schedule %s: %s", s->name,
				    arena_printf(&arena, "%s", fail_reason(r)).at);
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->name, schedules[k].name) == 0)
				return fail(-E_BAD_SETTING, "two schedules are called %s", s->name);
	}
	return 0;
}

/* Its next time is worked out anew only if it has changed, or the row is new. */
static int declare_one(struct db_tx *tx, struct arena *arena, const struct periodic *p)
{
	static const struct db_statement declare = {
		.sql = STR_INIT(
			"INSERT INTO beat_schedule AS s (name, task, kwargs, queue, crontab, every, zone, "
			"missed, starting_deadline, overlap, is_declared) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, true) "
			"ON CONFLICT (name) DO UPDATE SET task = EXCLUDED.task, kwargs = EXCLUDED.kwargs, "
			"queue = EXCLUDED.queue, crontab = EXCLUDED.crontab, every = EXCLUDED.every, "
			"zone = EXCLUDED.zone, missed = EXCLUDED.missed, overlap = EXCLUDED.overlap, "
			"starting_deadline = EXCLUDED.starting_deadline, "
			"updated_at = CASE WHEN (s.task, s.kwargs, s.queue, s.missed, s.overlap, "
			"s.starting_deadline, s.crontab, s.every, s.zone) IS NOT DISTINCT FROM "
			"(EXCLUDED.task, EXCLUDED.kwargs, EXCLUDED.queue, EXCLUDED.missed, "
			"EXCLUDED.overlap, EXCLUDED.starting_deadline, EXCLUDED.crontab, EXCLUDED.every, "
			"EXCLUDED.zone) THEN s.updated_at ELSE clock_timestamp() END, "
			"next_at = CASE WHEN (s.crontab, s.every, s.zone) IS NOT DISTINCT FROM "
			"(EXCLUDED.crontab, EXCLUDED.every, EXCLUDED.zone) THEN s.next_at END "
			"WHERE s.is_declared RETURNING id")
	};
	struct str every = p->every == 0 ? STR_NULL : arena_printf(arena, "%" PRId64, p->every);
	struct db_rows rows;
	int r = db_tx_query(tx, arena, &declare,
			    DB_VALUES(p->name, p->task, p->kwargs, p->queue, p->crontab, every,
				      p->zone, p->missed,
				      arena_printf(arena, "%" PRId64, p->starting_deadline),
				      p->overlap),
			    &rows);

	if (r == 0 && rows.count == 0)
		log_warn(
			"schedule %.*s of the code is not used: a row of that name was made by hand, "
			"ignoring",
			STR_ARG(p->name));
	return r;
}

/* Names as a JSON array: what is not among them has no declaration any more. */
static int forget_others(struct db_tx *tx, struct arena *arena, const struct schedule *schedules,
			 size_t count)
{
	static const struct db_statement forget = {
		.sql = STR_INIT("DELETE FROM beat_schedule WHERE is_declared AND name NOT IN "
				"(SELECT jsonb_array_elements_text($1::jsonb))")
	};
	_cleanup_(buf_fini) struct buf names = BUF_INIT;
	struct json_writer w;
	struct db_rows rows;

	json_writer_init(&w, &names, JSON_ESCAPE_DRF, false);
	json_begin_array(&w);
	for (size_t i = 0; i < count; i++)
		json_put_c(&w, schedules[i].name);
	json_end_array(&w);
	return db_tx_query(tx, arena, &forget, DB_VALUES(buf_str(&names)), &rows);
}

int periodic_declare(struct db *db, struct arena *arena, const struct schedule *schedules,
		     size_t count)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r = db_begin(db, &tx);

	for (size_t i = 0; i < count && r == 0; i++) {
		struct periodic row = row_of(&schedules[i]);

		r = declare_one(&tx, arena, &row);
	}
	if (r == 0)
		r = forget_others(&tx, arena, schedules, count);
	return r < 0 ? r : db_commit(&tx);
}
