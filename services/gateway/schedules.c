/*
 * schedules.c - periodic jobs (common/beat/periodic.h), for staff: what `apium schedule` does, over HTTP.
 *
 * Those that the code of apium-beat declares can be paused, resumed and run, but not changed or removed.
 */
#include "auth/identity.h"
#include "base/error.h"
#include "beat/tick.h"
#include "http/once.h"
#include "shop.h"

static const char *const missed_policies[] = { "one", "skip", "all", NULL };
static const char *const overlap_policies[] = { "allow", "skip", NULL };

/* clang-format off */
static const struct field fields[] = {
	/*    name                type     rules */
	FIELD("id",                KEY),
	FIELD("name",              TEXT,    REQUIRED, LENGTH(PERIODIC_NAME_MOST), UNIQUE("beat_schedule_name_key", NULL)),
	FIELD("task",              TEXT,    REQUIRED, LENGTH(PERIODIC_NAME_MOST)),
	FIELD("kwargs",            JSON,    USUALLY("{}")),
	FIELD("queue",             TEXT,    NULLABLE, LENGTH(PERIODIC_NAME_MOST)),
	FIELD("crontab",           TEXT,    NULLABLE, LENGTH(CRONTAB_MOST)),
	FIELD("every",             INTEGER, NULLABLE, AT_LEAST("1", NULL), AT_MOST("31622400", NULL)),
	FIELD("zone",              TEXT,    USUALLY("UTC"), LENGTH(ZONE_MOST)),
	FIELD("missed",            CHOICE,  ONE_OF(missed_policies), USUALLY("one")),
	FIELD("starting_deadline", INTEGER, USUALLY("86400"), AT_LEAST("0", NULL), AT_MOST(INTEGER_MOST, NULL)),
	FIELD("overlap",           CHOICE,  ONE_OF(overlap_policies), USUALLY("allow")),
	FIELD("is_paused",         BOOLEAN, USUALLY("false")),
	FIELD("is_declared",       BOOLEAN, READ_ONLY, USUALLY("false")),
	FIELD("next_at",           TIME,    READ_ONLY, NULLABLE),
	FIELD("last_run_at",       TIME,    NULLABLE, COMPUTED("(SELECT max(k.planned_at) FROM beat_tick k WHERE k.schedule_id = t.id AND k.outcome IN ('run', 'asked'))")),
	FIELD("created_at",        TIME,    NOW_AT_CREATION),
	FIELD("updated_at",        TIME,    NOW_AT_SAVE),
};
static const struct filter filters[] = {
	FILTER("task",      TEXT,    EXACT, "t.task"),
	FILTER("is_paused", BOOLEAN, EXACT, "t.is_paused"),
};
static const struct search searches[] = { { .sql = "t.name" }, { .sql = "t.task" } };
static const struct order orders[] = { { "name", "t.name" }, { "next_at", "t.next_at" } };

static const struct permission permissions[] = {
	ALLOW(STAFF,      MAY_LIST | MAY_READ | MAY_CREATE),
	ALLOW_WHEN(STAFF, MAY_UPDATE | MAY_DELETE, "NOT t.is_declared"),
};

static const struct field tick_fields[] = {
	FIELD("id",         KEY), /* of the tick, and of its job */
	FIELD("planned_at", TIME,    READ_ONLY),
	FIELD("decided_at", TIME,    READ_ONLY),
	FIELD("outcome",    TEXT,    READ_ONLY),
	FIELD("times",      INTEGER, READ_ONLY),
	FIELD("note",       TEXT,    READ_ONLY, NULLABLE),
};
static const struct permission tick_permissions[] = { ALLOW(STAFF, MAY_LIST) };
/* clang-format on */

/* As it will be: given, or as the row is, or what stands there when nothing is said. */
static struct str value_of(const struct change *c, const char *field, struct str usual)
{
	if (values_given(&c->values, field))
		return values_get(&c->values, field);
	return c->old != NULL ? row_get(c->old, field) : usual;
}

static void check_when(struct change *c)
{
	struct str crontab = value_of(c, "crontab", STR_NULL);
	struct crontab parsed;
	struct zone *zone;

	if (str_is_null(crontab) == str_is_null(value_of(c, "every", STR_NULL)))
		errors_add(&c->errors, NULL, "Either crontab or every must be set.");
	if (!str_is_null(crontab) && crontab_parse(crontab, &parsed) < 0)
		errors_add(&c->errors, "crontab", "%s", fail_reason(-EINVAL));
	if (zone_open(value_of(c, "zone", STR("UTC")), &zone) < 0)
		errors_add(&c->errors, "zone", "%s", fail_reason(-EINVAL));
	else
		zone_free(zone);
}

static int check(struct change *c)
{
	struct arena *arena = &c->rq->arena;

	check_when(c);
	if (periodic_check_queue(arena, value_of(c, "queue", STR_NULL)) < 0)
		errors_add(&c->errors, "queue", "%s", fail_reason(-EINVAL));
	if (periodic_check_kwargs(arena, value_of(c, "task", STR_NULL),
				  value_of(c, "kwargs", STR("{}"))) < 0)
		errors_add(&c->errors, "kwargs", "%s", fail_reason(-EINVAL));
	return 0;
}

static bool is_changed(const struct change *c, const char *field)
{
	struct str was = row_get(c->old, field), is = value_of(c, field, STR_NULL);

	/* PostgreSQL's "t" is a form's "true". */
	if (strcmp(field, "is_paused") == 0)
		return was.at[0] != is.at[0];
	return str_is_null(was) != str_is_null(is) || !str_eq(was, is);
}

/* Whoever changes when it is planned leaves it to the leader to work out the next time. */
static int saving(struct change *c)
{
	if (c->old == NULL || is_changed(c, "crontab") || is_changed(c, "every") ||
	    is_changed(c, "zone") || is_changed(c, "is_paused"))
		values_set(&c->values, "next_at", STR_NULL);
	return 0;
}

const struct resource schedule_resource = {
	.name = "schedule",
	.model = "Schedule",
	.path = "schedules/",
	.table = "beat_schedule",
	.help = "A job that is asked for again and again.",
	.description = "Periodic jobs, for staff.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.order = "t.name",
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders) },
	.hooks = { .check = check, .saving = saving },
};

const struct resource schedule_tick_resource = {
	.name = "schedule_tick",
	.model = "ScheduleTick",
	.path = "schedules/ticks/",
	.table = "beat_tick",
	.help = "What became of a planned time.",
	.fields = tick_fields,
	.field_count = ARRAY_SIZE(tick_fields),
	.permissions = tick_permissions,
	.permission_count = ARRAY_SIZE(tick_permissions),
	.order = "t.planned_at DESC",
	.actions = MAY_NOTHING,
};

/* --- by hand --- */

/* The row that the path names, locked. */
static int take(struct request *rq, struct db_tx *tx, struct periodic *ret)
{
	struct row row;
	int r = request_begin(rq, tx);

	if (r == 0)
		r = resource_object(rq, tx, &schedule_resource, MAY_READ, &row);
	return r < 0 ? r
		     : periodic_find((struct db_at){ .tx = tx }, &rq->arena, row_get(&row, "name"),
				     ret);
}

static int set_paused(struct request *rq, bool is_paused)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct periodic row;
	int r = take(rq, &tx, &row);

	if (r == 0)
		r = periodic_pause((struct db_at){ .tx = &tx }, &rq->arena, row.id, is_paused);
	if (r == 0)
		r = reply_json(rq, 200,
			       is_paused ? STR("{\"status\":\"paused\"}")
					 : STR("{\"status\":\"resumed\"}"));
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r == 0)
		resource_forget(rq, &schedule_resource);
	return r;
}

int schedule_pause(struct request *rq)
{
	return set_paused(rq, true);
}

int schedule_resume(struct request *rq)
{
	return set_paused(rq, false);
}

int schedule_run(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct enqueued *job = NULL;
	struct periodic row;
	int r = take(rq, &tx, &row);

	if (r == 0)
		r = tick_ask(rq->thread->producer, &tx, &rq->arena, &row, &job);
	if (r == 0)
		r = reply_json(rq, 202,
			       arena_printf(&rq->arena,
					    "{\"status\":\"queued\",\"task_id\":\"%s\"}", job->id));
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r == 0)
		enqueue_push(rq->thread->producer, job);
	return r;
}

int schedule_history(struct request *rq)
{
	struct listing below = { .where = "t.schedule_id = :key", .is_unfiltered = true };
	struct row row;
	int r = resource_object(rq, NULL, &schedule_resource, MAY_READ, &row);

	if (r < 0)
		return r;
	below.key = row_get(&row, "id");
	return resource_list(rq, &schedule_tick_resource, &below);
}
