#include "beat/periodic.h"

#include <inttypes.h>

#include "base/datetime.h"
#include "base/error.h"
#include "beat/tick-internal.h"
#include "queue/keys.h"

#define KWARGS_DEPTH 32

/* In the order in which read_row takes them. */
#define COLUMNS                                                                                    \
	"id, name, task, kwargs, queue, crontab, zone, missed, overlap, coalesce(every, 0), "      \
	"starting_deadline, is_paused, is_declared, last_job, anchor, next_at, decided_until, "    \
	"clock_timestamp()"

/* Checks. */

int periodic_check_kwargs(struct arena *arena, struct str name, struct str kwargs)
{
	static const struct json none = { .type = JSON_ARRAY, .text = STR_INIT("[]") };
	const struct task *task = task_find(name);
	struct json_error e;
	struct json *tree;
	int r;

	if (kwargs.len > PERIODIC_KWARGS_MOST)
		return fail(-EINVAL, "the arguments are longer than %d bytes",
			    PERIODIC_KWARGS_MOST);
	if (json_parse(arena, kwargs, JSON_STRICT, KWARGS_DEPTH, &tree, &e) < 0)
		return fail(-EINVAL, "the arguments are no JSON: %s", e.sentence);
	if (tree->type != JSON_OBJECT)
		return fail(-EINVAL, "the arguments are no object");
	if (task == NULL)
		return 0;
	r = task_bind(arena, task, &none, tree, arena_zalloc(arena, task->arguments_size + 1));
	return r < 0 ? fail(-EINVAL, "%s", arena_printf(arena, "%s", fail_reason(r)).at) : 0;
}

int periodic_check_queue(struct arena *arena, struct str queue)
{
	struct queue_keys keys;
	int r = str_is_null(queue) ? 0 : queue_keys_init(&keys, arena, queue);

	return r < 0 ? fail(-EINVAL, "%s", arena_printf(arena, "%s", fail_reason(r)).at) : 0;
}

static int check_words(const struct periodic *p)
{
	enum missed missed;
	int r = missed_parse(p->missed, &missed);

	if (r < 0)
		return r;
	if (!str_eq_c(p->overlap, "allow") && !str_eq_c(p->overlap, "skip"))
		return fail(-EINVAL, "overlap is one of allow, skip, not %.*s",
			    STR_ARG(str_slice(p->overlap, 0, 40)));
	return 0;
}

int periodic_check(struct arena *arena, const struct periodic *p)
{
	_cleanup_(when_fini) struct when when = WHEN_INIT;
	int r;

	if (p->name.len == 0 || p->name.len > PERIODIC_NAME_MOST)
		return fail(-EINVAL, "a name has 1 to %d bytes", PERIODIC_NAME_MOST);
	if (p->task.len == 0 || p->task.len > PERIODIC_NAME_MOST)
		return fail(-EINVAL, "the name of a task has 1 to %d bytes", PERIODIC_NAME_MOST);
	if (p->every < 0 || p->every > PERIODIC_EVERY_MOST)
		return fail(-EINVAL, "an interval has 1 to %d seconds", PERIODIC_EVERY_MOST);
	if (p->starting_deadline < 0 || p->starting_deadline > INT32_MAX)
		return fail(-EINVAL, "the starting deadline is out of bounds");
	r = when_init(&when, p->crontab, p->every * SEC, 0, p->zone);
	if (r == 0)
		r = check_words(p);
	if (r == 0)
		r = periodic_check_queue(arena, p->queue);
	return r < 0 ? r : periodic_check_kwargs(arena, p->task, p->kwargs);
}

/* Rows. */

static int read_time(const struct db_rows *rows, int row, int column, usec_t *ret)
{
	*ret = 0;
	if (db_is_null(rows, row, column))
		return 0;
	return datetime_parse_pg(db_get(rows, row, column), ret) < 0
		       ? fail(-E_SQL, "beat_schedule: %s is no time", db_column_name(rows, column))
		       : 0;
}

static int read_row(const struct db_rows *rows, int row, struct periodic *ret)
{
	struct periodic p = {
		.id = db_get(rows, row, 0),
		.name = db_get(rows, row, 1),
		.task = db_get(rows, row, 2),
		.kwargs = db_get(rows, row, 3),
		.queue = db_get(rows, row, 4),
		.crontab = db_get(rows, row, 5),
		.zone = db_get(rows, row, 6),
		.missed = db_get(rows, row, 7),
		.overlap = db_get(rows, row, 8),
		.every = db_get_i64(rows, row, 9),
		.starting_deadline = db_get_i64(rows, row, 10),
		.is_paused = db_get_bool(rows, row, 11),
		.is_declared = db_get_bool(rows, row, 12),
		.last_job = db_get(rows, row, 13),
	};
	usec_t *const times[] = { &p.anchor, &p.next_at, &p.decided_until, &p.now };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(times) && r == 0; i++)
		r = read_time(rows, row, 14 + (int) i, times[i]);
	if (r == 0)
		*ret = p;
	return r;
}

int periodic_find(struct db_at at, struct arena *arena, struct str name, struct periodic *ret)
{
	static const struct db_statement find = {
		.sql = STR_INIT("SELECT " COLUMNS " FROM beat_schedule WHERE name = $1")
	};
	static const struct db_statement lock = {
		.sql = STR_INIT("SELECT " COLUMNS " FROM beat_schedule WHERE name = $1 FOR UPDATE")
	};
	struct db_rows rows;
	int r = db_at_query(at, arena, at.tx != NULL ? &lock : &find, DB_VALUES(name), &rows);

	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_NOT_FOUND, "there is no schedule %.*s",
			    STR_ARG(str_slice(name, 0, PERIODIC_NAME_MOST)));
	return read_row(&rows, 0, ret);
}

int periodic_take(struct db_tx *tx, struct arena *arena, struct str id, struct periodic *ret)
{
	static const struct db_statement take = {
		.sql = STR_INIT("SELECT " COLUMNS
				" FROM beat_schedule WHERE id = $1 AND NOT is_paused "
				"FOR UPDATE SKIP LOCKED")
	};
	struct db_rows rows;
	int r = db_tx_query(tx, arena, &take, DB_VALUES(id), &rows);

	if (r < 0 || rows.count == 0)
		return r;
	r = read_row(&rows, 0, ret);
	return r < 0 ? r : 1;
}

int periodic_list(struct db_at at, struct arena *arena, struct periodic **ret, size_t *ret_count)
{
	static const struct db_statement list = {
		.sql = STR_INIT("SELECT " COLUMNS " FROM beat_schedule ORDER BY name")
	};
	struct periodic *all;
	struct db_rows rows;
	int r = db_at_query(at, arena, &list, DB_NO_VALUES, &rows);

	if (r < 0)
		return r;
	all = arena_array(arena, struct periodic, rows.count + 1);
	for (int i = 0; i < rows.count && r == 0; i++)
		r = read_row(&rows, i, &all[i]);
	if (r < 0)
		return r;
	*ret = all;
	*ret_count = (size_t) rows.count;
	return 0;
}

static struct str number(struct arena *arena, int64_t n)
{
	return arena_printf(arena, "%" PRId64, n);
}

/* NULL in the row: there is a crontab. */
static struct str every_of(struct arena *arena, const struct periodic *p)
{
	return p->every == 0 ? STR_NULL : number(arena, p->every);
}

int periodic_add(struct db_at at, struct arena *arena, const struct periodic *p)
{
	static const struct db_statement add = {
		.sql = STR_INIT(
			"INSERT INTO beat_schedule (name, task, kwargs, queue, crontab, every, "
			"zone, missed, starting_deadline, overlap, is_paused) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
	};
	struct db_rows rows;

	return db_at_query(at, arena, &add,
			   DB_VALUES(p->name, p->task, p->kwargs, p->queue, p->crontab,
				     every_of(arena, p), p->zone, p->missed,
				     number(arena, p->starting_deadline), p->overlap,
				     p->is_paused ? STR("true") : STR("false")),
			   &rows);
}

int periodic_change(struct db_at at, struct arena *arena, const struct periodic *p)
{
	static const struct db_statement change = {
		.sql = STR_INIT(
			"UPDATE beat_schedule SET task = $2, kwargs = $3, queue = $4, crontab = $5, "
			"every = $6, zone = $7, missed = $8, starting_deadline = $9, overlap = $10, "
			"is_paused = $11, updated_at = clock_timestamp(), next_at = CASE "
			"WHEN (crontab, every, zone, is_paused) IS NOT DISTINCT FROM "
			"($5::text, $6::integer, $7::text, $11::boolean) THEN next_at END "
			"WHERE id = $1")
	};
	struct db_rows rows;

	return db_at_query(at, arena, &change,
			   DB_VALUES(p->id, p->task, p->kwargs, p->queue, p->crontab,
				     every_of(arena, p), p->zone, p->missed,
				     number(arena, p->starting_deadline), p->overlap,
				     p->is_paused ? STR("true") : STR("false")),
			   &rows);
}

int periodic_remove(struct db_at at, struct arena *arena, struct str id)
{
	static const struct db_statement remove = {
		.sql = STR_INIT("DELETE FROM beat_schedule WHERE id = $1")
	};
	struct db_rows rows;

	return db_at_query(at, arena, &remove, DB_VALUES(id), &rows);
}

int periodic_pause(struct db_at at, struct arena *arena, struct str id, bool is_paused)
{
	static const struct db_statement pause = {
		.sql = STR_INIT("UPDATE beat_schedule SET is_paused = $2, next_at = NULL, "
				"updated_at = clock_timestamp() WHERE id = $1 AND is_paused <> $2")
	};
	struct db_rows rows;

	return db_at_query(at, arena, &pause, DB_VALUES(id, is_paused ? STR("true") : STR("false")),
			   &rows);
}
