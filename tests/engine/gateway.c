/*
 * A gateway of resources that no application here has (schema.sql): pages by cursor, computed fields, rights, rows
 * written with a row, tenants, search by words.
 */
#include "auth/identity.h"
#include "base/settings.h"
#include "gateway/gateway.h"
#include "gateway/health.h"
#include "resource/openapi.h"

static const struct permission anyone[] = { ALLOW(ANYONE, MAY_ALL) };
static const struct permission signed_in[] = { ALLOW(SIGNED_IN, MAY_ALL) };

/* clang-format off */

/* --- pages by cursor: one table in three orders --- */

static const struct field reading_fields[] = {
	FIELD("id",       KEY),
	FIELD("name",     TEXT,    REQUIRED),
	FIELD("level",    INTEGER, REQUIRED),
	FIELD("taken_at", TIME,    REQUIRED),
};
static const struct resource level;
static const struct filter reading_filters[] = {
	FILTER("level", INTEGER, EXACT, "t.level"),
	FILTER("same", KEY, EXACT, "t.id", REFERS(&level)),
};
static const struct search reading_searches[] = { { .sql = "t.name" } };

#define READINGS(name_, model_, path_, cursor_, ...) { \
	.name = (name_), .model = (model_), .path = (path_), .table = "readings", .help = "What was measured.", \
	.key = RESOURCE_BIGINT, FIELDS(reading_fields), PERMISSIONS(anyone), .order = "t.id", \
	.paging = PAGING_CURSOR, .cursor = (cursor_), .page = 3, \
	.select = { FILTERS(reading_filters), SEARCHES(reading_searches) }, ##__VA_ARGS__ }

static const struct resource latest = READINGS("latest", "Latest", "latest/", "-taken_at",
	.page_parameter = "page_size", .page_most = 5);
static const struct resource level = READINGS("level", "Level", "levels/", "level", .actions = MAY_LIST);
static const struct resource arrival = READINGS("arrival", "Arrival", "arrivals/", "id", .actions = MAY_LIST);

/* --- computed: cases, aggregates, ranks, by which is filtered and ordered too --- */

#define PRIORITY "CASE WHEN t.level >= 3 THEN 100 WHEN t.level = 2 THEN 50 ELSE 25 END"
#define ALIKE    "FROM readings r WHERE r.name = t.name"
static const struct field ticket_fields[] = {
	FIELD("id",       KEY),
	FIELD("priority", INTEGER, COMPUTED(PRIORITY)),
	FIELD("fee",      DECIMAL, DIGITS(6, 2), COMPUTED("CASE t.level WHEN 1 THEN 25 WHEN 2 THEN 4.5 ELSE 0 END::numeric(6, 2)")),
	FIELD("above",    INTEGER, COMPUTED("(SELECT count(*) FILTER (WHERE r.level > t.level) " ALIKE ")")),
	FIELD("average",  DECIMAL, NULLABLE, DIGITS(5, 2), COMPUTED("(SELECT round(avg(r.level), 2) " ALIKE ")")),
	FIELD("place",    INTEGER, COMPUTED("(SELECT k.place FROM (SELECT r.id, rank() OVER (ORDER BY r.taken_at) AS place "
	                                    ALIKE ") k WHERE k.id = t.id)")),
};
static const struct filter ticket_filters[] = {
	FILTER("name",          TEXT,    EXACT, "t.name"),
	FILTER("priority__gte", INTEGER, GTE,   PRIORITY),
};
static const struct order ticket_orders[] = { { "priority", PRIORITY }, { "taken_at", "t.taken_at" } };
static const struct resource ticket = {
	.name = "ticket", .model = "Ticket", .path = "tickets/", .table = "readings", .help = "What is urgent.",
	.key = RESOURCE_BIGINT, FIELDS(ticket_fields), PERMISSIONS(anyone), .order = PRIORITY " DESC, t.taken_at",
	.actions = MAY_LIST, .select = { FILTERS(ticket_filters), ORDERS(ticket_orders) },
};

/* --- rights --- */

static const struct field person_fields[] = { FIELD("id", KEY), FIELD("username", TEXT, READ_ONLY) };
static const struct resource person = {
	.name = "person", .model = "Person", .path = "people/", .table = "users", .help = "Who owns articles.",
	FIELDS(person_fields), PERMISSIONS(signed_in), .order = "t.id", .actions = MAY_NOTHING,
};

static const struct field article_fields[] = {
	FIELD("id",        KEY),
	FIELD("title",     TEXT,      REQUIRED, LENGTH(100)),
	FIELD("body",      TEXT,      BLANK),
	FIELD("owner",     REFERENCE, COLUMN("owner_id"), READ_ONLY, REFERS(&person)),
	FIELD("published", BOOLEAN,   USUALLY("false")),
};
static const struct permission article_permissions[] = {
	ALLOW(ANYONE,               MAY_LIST | MAY_READ),
	ALLOW_IF("has_perm('press.add_article') or in_group('writers') and not in_group('guests')", MAY_CREATE),
	ALLOW_OWNER("t.owner_id",   MAY_UPDATE | MAY_DELETE),
	ALLOW_GRANTED("change",     MAY_UPDATE),
	ALLOW_WHEN(SIGNED_IN,       MAY_UPDATE, "has_perm('press.change_article') AND NOT in_group('guests')"),
	ALLOW_IF("has_perm('press.delete_article')", MAY_DELETE),
};

/* clang-format on */

static int saving_article(struct change *c)
{
	if (c->old == NULL)
		values_set(&c->values, "owner", c->rq->caller->id);
	return 0;
}

/* clang-format off */

static const struct search article_searches[] = { VECTOR("t.words", "english") };
static const struct resource article = {
	.name = "article", .model = "Article", .path = "articles/", .table = "articles", .help = "Read by some.",
	FIELDS(article_fields), PERMISSIONS(article_permissions),
	.rows = "t.published OR t.owner_id = :caller OR granted('view') OR has_perm('press.view_article')",
	.order = "t.title, t.id",
	.select = { SEARCHES(article_searches) },
	.hooks = { .saving = saving_article },
};

/* Without a vector's column: DRF's own SQL. */
static const struct search text_searches[] = {
	{ .how = '@', .sql = "t.title" },
	{ .how = '@', .sql = "t.body" },
};
static const struct field text_fields[] = { FIELD("id", KEY), FIELD("title", TEXT, READ_ONLY), FIELD("body", TEXT, READ_ONLY) };
static const struct resource text = {
	.name = "text", .model = "Text", .path = "texts/", .table = "articles", .help = "Articles, found by their words.",
	FIELDS(text_fields), PERMISSIONS(anyone), .order = "t.title, t.id", .actions = MAY_LIST | MAY_READ,
	.select = { SEARCHES(text_searches) },
};

/* --- rows that are written with a row --- */

static const struct field address_fields[] = {
	FIELD("id",     KEY),
	FIELD("street", TEXT, REQUIRED, LENGTH(50)),
	FIELD("city",   TEXT, REQUIRED, LENGTH(20)),
};
static const struct resource address = {
	.name = "address", .model = "Address", .path = "addresses/", .table = "addresses", .help = "Where it goes.",
	FIELDS(address_fields), PERMISSIONS(anyone), .order = "t.id", .actions = MAY_NOTHING,
};

static const struct resource order;

static const struct field line_fields[] = {
	FIELD("id",    KEY),
	FIELD("order", REFERENCE, COLUMN("order_id"), REQUIRED, REFERS(&order)),
	FIELD("sku",   TEXT,      REQUIRED, LENGTH(10), UNIQUE("lines_sku_key", NULL)),
	FIELD("count", INTEGER,   USUALLY("1"), AT_LEAST("1", NULL)),
};
static const char *const line_shape[] = { "id", "sku", "count", NULL };
static const struct resource line = {
	.name = "line", .model = "Line", .path = "lines/", .table = "lines", .help = "What was ordered.",
	FIELDS(line_fields), PERMISSIONS(anyone), .order = "t.sku",
};

static const struct field parcel_fields[] = {
	FIELD("id",     KEY),
	FIELD("order",  REFERENCE, COLUMN("order_id"), READ_ONLY, REFERS(&order)),
	FIELD("label",  TEXT,      REQUIRED, LENGTH(20)),
	FIELD("weight", INTEGER,   NULLABLE),
};
static const char *const parcel_shape[] = { "id", "label", "weight", NULL };
static const struct resource parcel = {
	.name = "parcel", .model = "Parcel", .path = "parcels/", .table = "parcels", .help = "In what it goes.",
	.key = RESOURCE_BIGINT, FIELDS(parcel_fields), PERMISSIONS(anyone), .order = "t.id", .actions = MAY_LIST | MAY_READ,
};

static const struct field order_fields[] = {
	FIELD("id",         KEY),
	FIELD("note",       TEXT,  REQUIRED, LENGTH(30)),
	FIELD("address",    EMBED, COLUMN("address_id"), WRITTEN, NULLABLE, REFERS(&address)),
	FIELD("address_id", UUID,  HIDDEN, NULLABLE),
	FIELD("lines",      MANY,  THROUGH("order_id"), REPLACED(4), REQUIRED, REFERS(&line), SHAPE(line_shape), CALLED("OrderLine")),
	FIELD("parcels",    MANY,  THROUGH("order_id"), MATCHED(4), REFERS(&parcel), SHAPE(parcel_shape), CALLED("OrderParcel")),
};
static const struct resource order = {
	.name = "order", .model = "Order", .path = "orders/", .table = "orders", .help = "With its lines.",
	FIELDS(order_fields), PERMISSIONS(anyone), .order = "t.note, t.id", .bulk = MAY_CREATE,
};

/* --- tenants: of whoever asks, and of the host that is asked --- */

#define TENANT_OF_CALLER "SELECT m.tenant_id FROM members m WHERE m.user_id = :caller"

static const struct resource project;
static const struct field task_fields[] = {
	FIELD("id",      KEY),
	FIELD("project", REFERENCE, COLUMN("project_id"), REQUIRED, REFERS(&project)),
	FIELD("title",   TEXT,      REQUIRED, LENGTH(50)),
};
static const char *const project_summary[] = { "id", "name", NULL };
static const struct field shown_task_fields[] = {
	FIELD("id",      KEY),
	FIELD("project", EMBED, COLUMN("project_id"), READ_ONLY, REFERS(&project), SHAPE(project_summary), CALLED("ProjectSummary")),
	FIELD("title",   TEXT,  READ_ONLY),
};
static const struct filter task_filters[] = { FILTER("project", KEY, EXACT, "t.project_id", REFERS(&project)) };
static const struct resource task = {
	.name = "task", .model = "Task", .path = "tasks/", .table = "tasks", .help = "Something to do.",
	FIELDS(task_fields), PERMISSIONS(signed_in), .order = "t.title, t.id",
	TENANT("tenant_id", TENANT_OF_CALLER), .select = { FILTERS(task_filters) },
};
/* Not scoped itself, so that what it embeds must be. */
static const struct resource shown_task = {
	.name = "shown_task", .model = "ShownTask", .path = "shown-tasks/", .table = "tasks", .help = "All tasks.",
	FIELDS(shown_task_fields), PERMISSIONS(signed_in), .order = "t.title, t.id", .actions = MAY_LIST | MAY_READ,
};
static const char *const task_summary[] = { "id", "title", NULL };
static const struct field project_fields[] = {
	FIELD("id",    KEY),
	FIELD("name",  TEXT, REQUIRED, LENGTH(50), UNIQUE("projects_name_key", NULL)),
	FIELD("tasks", MANY, READ_ONLY, THROUGH("project_id"), REFERS(&task), SHAPE(task_summary), CALLED("TaskSummary")),
};
static const struct resource project = {
	.name = "project", .model = "Project", .path = "projects/", .table = "projects", .help = "What a tenant does.",
	FIELDS(project_fields), PERMISSIONS(signed_in), .order = "t.name, t.id",
	TENANT("tenant_id", TENANT_OF_CALLER), .bulk = MAY_CREATE | MAY_UPDATE | MAY_DELETE,
};

static const struct field page_fields[] = { FIELD("id", KEY), FIELD("name", TEXT, REQUIRED, LENGTH(50)) };
static const struct resource page = {
	.name = "page", .model = "Page", .path = "pages/", .table = "pages", .help = "Of the site that is asked.",
	.key = RESOURCE_BIGINT, FIELDS(page_fields), PERMISSIONS(anyone), .order = "t.id",
	TENANT("site_id", "SELECT s.id FROM sites s WHERE s.domain = :host"),
};

/* clang-format on */

static struct openapi document;

static int schema(struct request *rq)
{
	return reply_json(rq, 200, document.json);
}

static void sealed(const struct route_table *routes)
{
	static const struct openapi_info info = { .title = "Engine", .version = "1" };
	static struct arena arena;

	arena_init(&arena);
	openapi_build(&arena, routes, &info, &document);
}

int main(int argc, char **argv)
{
	static const struct resource *const resources[] = {
		&latest, &level,  &arrival, &ticket, &person,     &article, &text, &address,
		&line,   &parcel, &order,   &task,   &shown_task, &project, &page,
	};
	static const struct route routes[] = {
		HEALTH_ROUTES,
		{ .mount = ROUTE_API,
		  .method = HTTP_GET,
		  .pattern = "schema/",
		  .name = "schema",
		  .handle = schema,
		  .permit = permit_anyone,
		  .flags = ROUTE_UNTOLD },
	};
	static const struct gateway_program program = {
		.name = "engine-gateway",
		.version = "1",
		GATEWAY_RESOURCES(resources),
		GATEWAY_ROUTES(routes),
		.sealed = sealed,
	};

	return gateway_main(argc, argv, &program);
}
