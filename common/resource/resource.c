/*
 * resource.c - the routes of a resource, and who may take them.
 */
#include "resource/resource.h"

#include <stdlib.h>

#include "auth/identity.h"
#include "base/error.h"
#include "base/uuid.h"
#include "resource/cached.h"
#include "resource/caller.h"
#include "resource/event.h"
#include "resource/python.h"
#include "resource/resource-internal.h"

/* Bytes that most rows fit into as JSON: room for them is made once, not by doubling. */
#define USUAL_ROW 2000

/* --- who may --- */

static bool is_one_of(enum who who, const struct identity *caller)
{
	switch (who) {
	case WHO_ANYONE:
		return true;
	case WHO_SIGNED_IN:
		return caller != NULL;
	case WHO_STAFF:
		return caller != NULL && caller->is_staff;
	}
	must_not_reach("a permission for nobody known");
}

/* Whether this row of the table is about the caller and lets him do any of that: 1, 0 or a negative error. */
static int is_met(struct request *rq, struct db_at at, const struct permission *p, unsigned may)
{
	bool holds = true;
	int r = 0;

	if (!(p->may & may) || !is_one_of(p->who, rq->caller))
		return 0;
	if (p->caller != NULL)
		r = caller_meets(rq, at, p->caller, &holds);
	return r < 0 ? r : holds;
}

static int refusal(const struct identity *caller)
{
	return caller == NULL ? -E_UNAUTHENTICATED : -E_FORBIDDEN;
}

static int permit(struct request *rq, unsigned may)
{
	/* All rows of a path are the resource's; a method without a row has none of its own. */
	const struct resource *res = rq->view->first->about;
	const struct db_at at = { .db = rq->thread->db };

	/* DRF then asks the view's permission as for a change of some row. */
	if (rq->route == NULL && !request_is_safe(rq))
		may = MAY_UPDATE | MAY_DELETE;
	for (size_t i = 0; i < res->permission_count; i++) {
		int r = is_met(rq, at, &res->permissions[i], may);

		if (r != 0)
			return r < 0 ? r : 0;
	}
	return refusal(rq->caller);
}

int resource_allow(struct request *rq, struct db_at at, const struct resource *res,
		   const struct row *row, unsigned may)
{
	for (size_t i = 0; i < res->permission_count; i++) {
		const struct permission *p = &res->permissions[i];

		if (!(p->may & may))
			continue;
		must(p->when == NULL || (row->view != VIEW_LIST && row->view != VIEW_SHAPE));
		if (p->when != NULL && !(row->allowed >> i & 1))
			continue;
		int r = is_met(rq, at, p, may);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return refusal(rq->caller);
}

static int permit_list(struct request *rq)
{
	return permit(rq, MAY_LIST);
}

static int permit_read(struct request *rq)
{
	return permit(rq, MAY_READ);
}

static int permit_create(struct request *rq)
{
	return permit(rq, MAY_CREATE);
}

static int permit_update(struct request *rq)
{
	return permit(rq, MAY_UPDATE);
}

static int permit_delete(struct request *rq)
{
	return permit(rq, MAY_DELETE);
}

/* --- one row --- */

int resource_read_key(struct request *rq, const struct resource *res, struct str *ret)
{
	struct str text = rq->parameters[0];
	int64_t number;

	if (res->key == RESOURCE_BIGINT) {
		int r = str_to_i64(text, &number);

		if (r == -ERANGE)
			return fail(-E_NOT_FOUND, "No %s matches the given query.", res->model);
		if (r < 0)
			return fail(-E_NOT_FOUND, "Not found.");
		*ret = text;
		return 0;
	}
	if (uuid_normalise(&rq->arena, text, ret) < 0)
		return fail(-E_NOT_FOUND, "Not found.");
	return 0;
}

bool resource_read_json_key(struct request *rq, const struct resource *res, const struct json *json,
			    struct str *ret)
{
	int64_t number;

	if (json->type != JSON_STRING && json->type != JSON_NUMBER)
		return false;
	*ret = python_text(&rq->arena, json);
	if (res->key == RESOURCE_BIGINT)
		return str_to_i64(*ret, &number) == 0;
	return uuid_normalise(&rq->arena, *ret, ret) == 0;
}

int resource_find(struct request *rq, struct db_at at, const struct resource *res, struct str key,
		  struct row *ret)
{
	const struct plan *p = plan_of(res);

	return row_find(rq, at, p, &p->retrieve, key, VIEW_RETRIEVAL, ret);
}

/* The same find with what the query asks for. */
static struct sql_statement narrow_find(struct request *rq, const struct plan *p,
					enum row_view view, const struct selection *selection,
					bool is_locked)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	sql_add(&s, "SELECT ");
	plan_add_columns(&s, p, view);
	sql_printf(&s, " FROM %s t%.*s WHERE t.id = ", p->resource->table,
		   STR_ARG(selection->joins));
	sql_add_name(&s, SQL_KEY);
	resource_add_rows(&s, p->resource, "t");
	selection_add(&s, selection);
	if (is_locked)
		sql_add(&s, " FOR UPDATE OF t");
	return sql_finish(&s, &rq->arena, is_locked ? DB_EXCLUSIVE : DB_SHARED, false);
}

int resource_object(struct request *rq, struct db_tx *tx, const struct resource *res, unsigned may,
		    struct row *ret)
{
	const struct db_at at = { .db = tx != NULL ? tx->db : request_reader(rq), .tx = tx };
	const struct plan *p = plan_of(res);
	enum row_view view = tx != NULL ? VIEW_PLAIN : VIEW_RETRIEVAL;
	struct selection selection;
	struct sql_statement find;
	struct str key;
	struct row row;
	int r;

	r = selection_read(rq, &res->select, &selection);
	if (r == 0)
		r = resource_read_key(rq, res, &key);
	if (r < 0)
		return r;
	if (selection.conditions != NULL)
		find = narrow_find(rq, p, view, &selection, tx != NULL);
	else
		find = tx != NULL ? p->find_for_update : p->retrieve;
	r = row_find(rq, at, p, &find, key, view, &row);
	if (r == 0 && may != 0)
		r = resource_allow(rq, at, res, &row, may);
	if (r == 0)
		*ret = row;
	return r;
}

int row_reply(struct request *rq, struct db_at at, int status, const struct resource *res,
	      const struct row *row, enum row_view view)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;
	int r;

	buf_reserve(&body, USUAL_ROW);
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	r = resource_render(rq, at, res, row, view, &w);
	return r < 0 ? r : reply_json_take(rq, status, &body);
}

int resource_reply(struct request *rq, int status, const struct resource *res,
		   const struct row *row, enum row_view view)
{
	return row_reply(rq, (struct db_at){ .db = request_reader(rq) }, status, res, row, view);
}

/* --- the routes --- */

static int make_page(struct request *rq)
{
	const struct resource *res = rq->route->about;
	const struct listing listing = { .is_bare = res->is_bare };

	return resource_list(rq, res, &listing);
}

static int list(struct request *rq)
{
	const struct resource *res = rq->route->about;

	return cached_reply(rq, res->list_ttl, make_page);
}

static int find_in_primary(struct request *rq, const struct resource *res, struct str key,
			   struct row *ret)
{
	return resource_find(rq, (struct db_at){ .db = rq->thread->db }, res, key, ret);
}

/* The row that the path names, as it is kept for everybody.  A query may narrow what is found: then it is read. */
static int kept_object(struct request *rq, const struct resource *res, struct row *ret)
{
	const struct db_at at = { .db = rq->thread->db };
	struct str key, name;
	struct row row;
	int r;

	if (res->row_ttl == 0 || rq->thread->cache == NULL || rq->raw_query.len > 0)
		return resource_object(rq, NULL, res, MAY_READ, ret);
	r = resource_read_key(rq, res, &key);
	if (r < 0)
		return r;
	name = arena_printf(&rq->arena, "%s:%.*s", res->name, STR_ARG(key));
	r = cached_row(rq, res, name, res->row_ttl, find_in_primary, key, &row);
	if (r == 0)
		r = resource_allow(rq, at, res, &row, MAY_READ);
	if (r == 0)
		*ret = row;
	return r;
}

static int make_detail(struct request *rq)
{
	const struct resource *res = rq->route->about;
	struct row row;
	int r;

	r = kept_object(rq, res, &row);
	return r < 0 ? r : resource_reply(rq, 200, res, &row, VIEW_RETRIEVAL);
}

static int retrieve(struct request *rq)
{
	const struct resource *res = rq->route->about;

	return cached_reply(rq, res->detail_ttl, make_detail);
}

static int create(struct request *rq)
{
	return resource_save_reply(rq, rq->route->about, VALIDATE_CREATE, 201);
}

static int save(struct request *rq, enum validate_mode mode)
{
	return resource_save_reply(rq, rq->route->about, mode, 200);
}

static int replace(struct request *rq)
{
	return save(rq, VALIDATE_REPLACE);
}

static int change(struct request *rq)
{
	return save(rq, VALIDATE_CHANGE);
}

static int delete (struct request *rq)
{
	int r = resource_remove(rq, rq->route->about);

	return r < 0 ? r : reply_empty(rq, 204);
}

/* clang-format off */
static const struct action {
	enum http_method method;
	bool on_one;         /* of one row: the path ends in its key */
	unsigned may;
	route_handler *handle, *permit;
	const char *suffix;  /* of the route's name */
} actions[] = {
	{ HTTP_GET,    false, MAY_LIST,   list,     permit_list,   "list" },
	{ HTTP_POST,   false, MAY_CREATE, create,   permit_create, "list" },
	{ HTTP_GET,    true,  MAY_READ,   retrieve, permit_read,   "detail" },
	{ HTTP_PUT,    true,  MAY_UPDATE, replace,  permit_update, "detail" },
	{ HTTP_PATCH,  true,  MAY_UPDATE, change,   permit_update, "detail" },
	{ HTTP_DELETE, true,  MAY_DELETE, delete,   permit_delete, "detail" },
};
/* clang-format on */

/* Of several rows: below the path. */
static const struct {
	enum http_method method;
	unsigned may;
	const char *name, *suffix;
	const char *verb, *more; /* of its description */
	route_handler *handle, *permit;
} bulk_actions[] = {
	{ HTTP_POST, MAY_CREATE, "bulk_create", "bulk-create", "Create", "", bulk_create,
	  permit_create },
	{ HTTP_PATCH, MAY_UPDATE, "bulk_update", "bulk-update", "Change",
	  "; each row names its `id`", bulk_update, permit_update },
	{ HTTP_POST, MAY_DELETE, "bulk_delete", "bulk-delete", "Delete", "", bulk_delete,
	  permit_delete },
};

/* Routes live as long as the process, like the tables they come from. */
static struct arena routes_arena;
static bool has_arena;

/* "product-image-list" */
static const char *route_name(const struct resource *res, const char *suffix)
{
	struct str name = arena_printf(&routes_arena, "%s-%s", res->name, suffix);

	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] == '_')
			((char *) name.at)[i] = '-';
	}
	return name.at;
}

static struct route make_route(const struct resource *res, enum http_method method,
			       const char *below, const char *suffix)
{
	return (struct route){
		.mount = ROUTE_API,
		.method = method,
		.pattern = arena_printf(&routes_arena, "%s%s", res->path, below).at,
		.name = route_name(res, suffix),
		.deadline = res->deadline,
		.max_body = res->max_body,
		.about = res,
		.accepts = res->accepts,
		.description = res->description,
	};
}

static const char *bulk_description(const struct resource *res, size_t which)
{
	return arena_printf(&routes_arena, "%s up to %d %.*s, all or none%s.",
			    bulk_actions[which].verb, BULK_ROWS_MOST, (int) strlen(res->path) - 1,
			    res->path, bulk_actions[which].more)
		.at;
}

static route_handler *permit_of(unsigned may)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (actions[i].may == may)
			return actions[i].permit;
	}
	return NULL;
}

static int check_other(const struct resource *res)
{
	if (res->other == 0 || permit_of(res->other) != NULL)
		return 0;
	return fail(-EINVAL, "%s: `other` is one of MAY_LIST, MAY_CREATE …, not several",
		    res->name);
}

static void add_routes(struct route_table *table, const struct resource *res)
{
	struct route *rows = arena_array(&routes_arena, struct route,
					 ARRAY_SIZE(actions) + ARRAY_SIZE(bulk_actions));
	unsigned wanted = res->actions == 0 ? MAY_ALL : res->actions;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		const struct action *a = &actions[i];

		if (!(wanted & a->may))
			continue;
		rows[count] = make_route(res, a->method, a->on_one ? "{id}/" : "", a->suffix);
		rows[count].handle = a->handle;
		if (!a->on_one)
			rows[count].permit_other = permit_of(res->other);
		rows[count++].permit = a->permit;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bulk_actions); i++) {
		if (!(res->bulk & bulk_actions[i].may))
			continue;
		struct str below = arena_printf(&routes_arena, "%s/", bulk_actions[i].name);
		rows[count] = make_route(res, bulk_actions[i].method, below.at,
					 bulk_actions[i].suffix);
		rows[count].description = bulk_description(res, i);
		rows[count].handle = bulk_actions[i].handle;
		rows[count++].permit = bulk_actions[i].permit;
	}
	route_table_add(table, rows, count);
}

int resource_routes(struct route_table *table, const struct resource *const *resources,
		    size_t count)
{
	if (!has_arena) {
		arena_init(&routes_arena);
		has_arena = true;
	}
	int r = event_check(resources, count);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = check_other(resources[i]);
	if (r == 0)
		r = plan_build(resources, count);
	for (size_t i = 0; r == 0 && i < count; i++)
		add_routes(table, resources[i]);
	for (size_t i = 0; r == 0 && i < count; i++)
		cached_register(resources[i]);
	return r;
}
