/*
 * records.c - people, events and health records: tables whose interest lies in their generated columns.
 */
#include "auth/identity.h"
#include "base/datetime.h"
#include "base/error.h"
#include "shop.h"

/* --- people --- */

/* clang-format off */
static const struct field person_fields[] = {
	/*    name          type  rules */
	FIELD("id",         KEY),
	FIELD("first_name", TEXT, REQUIRED, LENGTH(50)),
	FIELD("last_name",  TEXT, REQUIRED, LENGTH(50)),
	FIELD("full_name",  TEXT, COMPUTED("t.full_name"), UNTYPED),
	FIELD("initials",   TEXT, COMPUTED("t.initials"), UNTYPED),
	FIELD("created_at", TIME, NOW_AT_CREATION),
	FIELD("updated_at", TIME, NOW_AT_SAVE),
};
static const struct filter person_filters[] = {
	FILTER("full_name",            TEXT, EXACT,     "t.full_name"),
	FILTER("full_name__icontains", TEXT, ICONTAINS, "t.full_name"),
	FILTER("initials",             TEXT, EXACT,     "t.initials"),
	FILTER("initials__in",         TEXT, IN,        "t.initials"),
};
static const struct search person_searches[] = { { .sql = "t.full_name" } };
static const struct order person_orders[] = {
	{ "first_name", "t.first_name" },
	{ "last_name", "t.last_name" },
	{ "full_name", "t.full_name" },
	{ "created_at", "t.created_at" },
};
static const struct permission person_permissions[] = {
	ALLOW(SIGNED_IN, MAY_LIST | MAY_READ),
	ALLOW(STAFF,     MAY_ALL),
};
/* clang-format on */

const struct resource person_resource = {
	.name = "person",
	.model = "Person",
	.path = "people/",
	.table = "people",
	.help = "A name and its initials.",
	.fields = person_fields,
	.field_count = ARRAY_SIZE(person_fields),
	.permissions = person_permissions,
	.permission_count = ARRAY_SIZE(person_permissions),
	.order = "t.last_name, t.first_name, t.id",
	.select = { FILTERS(person_filters), SEARCHES(person_searches), ORDERS(person_orders) },
};

/* --- events --- */

/* clang-format off */
static const struct field event_fields[] = {
	/*    name           type      rules */
	FIELD("id",          KEY),
	FIELD("name",        TEXT,     REQUIRED, LENGTH(100)),
	FIELD("start_time",  TIME,     REQUIRED),
	FIELD("end_time",    TIME,     REQUIRED),
	FIELD("day_of_week", INTEGER,  COMPUTED("t.day_of_week"), UNTYPED),
	FIELD("is_weekend",  BOOLEAN,  COMPUTED("t.is_weekend"), UNTYPED),
	FIELD("duration",    DURATION, COMPUTED("t.duration")),
	FIELD("created_at",  TIME,     NOW_AT_CREATION),
	FIELD("updated_at",  TIME,     NOW_AT_SAVE),
};
static const struct filter event_filters[] = {
	/*     parameter          value     lookup of */
	FILTER("start_time__gt",   TIME,     GT,    "t.start_time"),
	FILTER("start_time__gte",  TIME,     GTE,   "t.start_time"),
	FILTER("start_time__lt",   TIME,     LT,    "t.start_time"),
	FILTER("start_time__lte",  TIME,     LTE,   "t.start_time"),
	FILTER("start_time__date", DATE,     DATE,  "t.start_time"),
	FILTER("start_time__year", INTEGER,  YEAR,  AT_UTC("t.start_time")),
	FILTER("is_weekend",       BOOLEAN,  EXACT, "t.is_weekend"),
	FILTER("day_of_week",      INTEGER,  EXACT, "t.day_of_week"),
	FILTER("day_of_week__in",  INTEGER,  IN,    "t.day_of_week"),
	FILTER("duration__gte",    DURATION, GTE,   "t.duration"),
	FILTER("duration__lte",    DURATION, LTE,   "t.duration"),
};
static const struct search event_searches[] = { { .sql = "t.name" } };
static const struct order event_orders[] = {
	{ "start_time", "t.start_time" },
	{ "end_time", "t.end_time" },
	{ "duration", "t.duration" },
	{ "name", "t.name" },
};
static const struct permission event_permissions[] = {
	ALLOW(ANYONE, MAY_LIST | MAY_READ),
	ALLOW(STAFF,  MAY_ALL),
};
/* clang-format on */

static usec_t time_of(const struct change *c, const char *field)
{
	usec_t at;
	int r = values_given(&c->values, field) ? datetime_parse(values_get(&c->values, field), &at)
						: datetime_parse_pg(row_get(c->old, field), &at);

	must(r == 0); /* validated, or PostgreSQL's */
	return at;
}

static int check_event(struct change *c)
{
	if (time_of(c, "end_time") <= time_of(c, "start_time"))
		errors_add(&c->errors, "end_time", "End time must be after start time.");
	return 0;
}

const struct resource event_resource = {
	.name = "event",
	.model = "Event",
	.path = "events/",
	.table = "events",
	.help = "Something that begins and ends.",
	.fields = event_fields,
	.field_count = ARRAY_SIZE(event_fields),
	.permissions = event_permissions,
	.permission_count = ARRAY_SIZE(event_permissions),
	.order = "t.start_time, t.id",
	.select = { FILTERS(event_filters), SEARCHES(event_searches), ORDERS(event_orders) },
	.hooks = { .check = check_event },
};

/* --- health records: seen by their user alone --- */

/* clang-format off */
static const struct field health_fields[] = {
	/*    name            type       rules */
	FIELD("id",           KEY),
	FIELD("user",         REFERENCE, COLUMN("user_id"), READ_ONLY, REFERS(&user_resource)),
	FIELD("weight_kg",    DECIMAL,   REQUIRED, DIGITS(5, 2), AT_LEAST("0.01", NULL)),
	FIELD("height_m",     DECIMAL,   REQUIRED, DIGITS(3, 2), AT_LEAST("0.01", NULL)),
	FIELD("bmi",          DECIMAL,   DIGITS(4, 1), COMPUTED("t.bmi")),
	FIELD("bmi_category", TEXT,      COMPUTED("t.bmi_category"), UNTYPED),
	FIELD("created_at",   TIME,      NOW_AT_CREATION),
	FIELD("updated_at",   TIME,      NOW_AT_SAVE),
};
static const struct filter health_filters[] = {
	FILTER("bmi_category",     TEXT,    EXACT, "t.bmi_category"),
	FILTER("bmi_category__in", TEXT,    IN,    "t.bmi_category"),
	FILTER("bmi__gte",         DECIMAL, GTE,   "t.bmi"),
	FILTER("bmi__lte",         DECIMAL, LTE,   "t.bmi"),
};
static const struct order health_orders[] = { { "created_at", "t.created_at" }, { "bmi", "t.bmi" } };
static const struct permission health_permissions[] = {
	ALLOW(SIGNED_IN, MAY_ALL),
};
/* clang-format on */

/* Asked before PostgreSQL divides: a quotient that the column cannot hold would be an error of the statement. */
static const struct db_statement is_impossible = {
	.sql = STR_INIT("SELECT $1::numeric / ($2::numeric * $2::numeric) >= 1000"),
	.lane = DB_SHARED,
};

static struct str number_of(const struct change *c, const char *field)
{
	return values_given(&c->values, field) ? values_get(&c->values, field)
					       : row_get(c->old, field);
}

static int check_health(struct change *c)
{
	const struct db_at at = { .db = c->rq->thread->db, .tx = c->tx };
	struct db_rows rows;
	int r;

	r = db_at_query(at, &c->rq->arena, &is_impossible,
			DB_VALUES(number_of(c, "weight_kg"), number_of(c, "height_m")), &rows);
	if (r == 0 && db_get_bool(&rows, 0, 0))
		errors_add(&c->errors, NULL,
			   "Weight and height give an impossible body mass index.");
	return r;
}

static int saving_health(struct change *c)
{
	if (c->old == NULL)
		values_set(&c->values, "user", c->rq->caller->id);
	return 0;
}

const struct resource health_record_resource = {
	.name = "health_record",
	.model = "HealthRecord",
	.path = "health-records/",
	.table = "health_records",
	.description = "Health records are seen by their user alone.",
	.help = "Weight and height of a user.",
	.fields = health_fields,
	.field_count = ARRAY_SIZE(health_fields),
	.permissions = health_permissions,
	.permission_count = ARRAY_SIZE(health_permissions),
	.rows = "t.user_id = :caller",
	.order = "t.created_at DESC, t.id DESC",
	.select = { FILTERS(health_filters), ORDERS(health_orders) },
	.hooks = { .check = check_health, .saving = saving_health },
};
