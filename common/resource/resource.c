/*
 * resource.c - the routes of a resource, and who may take them.
 */
#include "resource/resource.h"

#include <stdlib.h>

#include "auth/identity.h"
#include "base/error.h"
#include "base/uuid.h"
#include "resource/cached.h"
#include "resource/resource-internal.h"

/* Bytes that most rows fit into as JSON: room for them is made once, not by doubling. */
#define USUAL_ROW 2000

/* --- who may --- */

static bool is_met(const struct permission *p, const struct identity *caller)
{
	switch (p->who) {
	case WHO_ANYONE:
		return true;
	case WHO_SIGNED_IN:
	case WHO_OWNER: /* of some row, perhaps: which one is asked when it is there */
		return caller != NULL;
	case WHO_STAFF:
		return caller != NULL && caller->is_staff;
	}
	must_not_reach("a permission for nobody known");
}

static int refusal(const struct identity *caller)
{
	return caller == NULL ? -E_UNAUTHENTICATED : -E_FORBIDDEN;
}

static int permit(struct request *rq, unsigned may)
{
	/* All rows of a path are the resource's; a method without a row has none of its own. */
	const struct resource *res = rq->view->first->about;

	for (size_t i = 0; i < res->permission_count; i++) {
		if ((res->permissions[i].may & may) && is_met(&res->permissions[i], rq->caller))
			return 0;
	}
	return refusal(rq->caller);
}

int resource_allow(const struct request *rq, const struct resource *res, const struct row *row,
		   unsigned may)
{
	for (size_t i = 0; i < res->permission_count; i++) {
		const struct permission *p = &res->permissions[i];

		if (!(p->may & may) || !is_met(p, rq->caller))
			continue;
		if (p->who != WHO_OWNER || str_eq(row->owner, rq->caller->id))
			return 0;
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

/* The key as PostgreSQL reads it; what can be no key is DRF's plain "Not found.". */
static int read_key(struct request *rq, const struct resource *res, struct str *ret)
{
	struct str text = rq->parameters[0];
	char canonical[UUID_TEXT + 1];
	struct uuid id;
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
	if (uuid_parse(text, &id) < 0)
		return fail(-E_NOT_FOUND, "Not found.");
	uuid_format(&id, canonical);
	*ret = arena_str(&rq->arena, str_c(canonical));
	return 0;
}

int resource_find(struct request *rq, struct db_at at, const struct resource *res, struct str key,
		  struct row *ret)
{
	const struct plan *p = plan_of(res);
	struct db_rows rows;
	int r;

	r = db_at_query(at, &rq->arena, &p->find_in_detail, DB_VALUES(key), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_NOT_FOUND, "No %s matches the given query.", res->model);
	*ret = row_read(p, &rq->arena, &rows, 0, true);
	return 0;
}

int row_reply(struct request *rq, struct db_at at, int status, const struct resource *res,
	      const struct row *row)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;
	int r;

	buf_reserve(&body, USUAL_ROW);
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	r = resource_render(rq, at, res, row, true, &w);
	return r < 0 ? r : reply_json_take(rq, status, &body);
}

/* --- the routes --- */

static int make_page(struct request *rq)
{
	return page_reply(rq, plan_of(rq->route->about));
}

static int list(struct request *rq)
{
	const struct resource *res = rq->route->about;

	return cached_reply(rq, res->list_ttl, make_page);
}

static int make_detail(struct request *rq)
{
	const struct resource *res = rq->route->about;
	struct str key;
	struct row row;
	int r;

	r = read_key(rq, res, &key);
	if (r == 0)
		r = resource_find(rq, (struct db_at){ .db = rq->thread->db }, res, key, &row);
	if (r == 0)
		r = resource_allow(rq, res, &row, MAY_READ);
	return r < 0 ? r : row_reply(rq, (struct db_at){ .db = rq->thread->db }, 200, res, &row);
}

static int retrieve(struct request *rq)
{
	const struct resource *res = rq->route->about;

	return cached_reply(rq, res->detail_ttl, make_detail);
}

/* Unless the answer was set with the transaction. */
static int save_and_reply(struct request *rq, enum validate_mode mode, struct str key, int status)
{
	const struct resource *res = rq->route->about;
	struct row row;
	int r;

	r = row_save(rq, res, mode, key, status, &row);
	if (r < 0 || reply_is_set(rq))
		return r;
	return row_reply(rq, (struct db_at){ .db = rq->thread->db }, status, res, &row);
}

static int create(struct request *rq)
{
	return save_and_reply(rq, VALIDATE_CREATE, STR_NULL, 201);
}

static int save(struct request *rq, enum validate_mode mode)
{
	struct str key;
	int r;

	r = read_key(rq, rq->route->about, &key);
	return r < 0 ? r : save_and_reply(rq, mode, key, 200);
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
	struct str key;
	int r;

	r = read_key(rq, rq->route->about, &key);
	if (r == 0)
		r = resource_remove(rq, rq->route->about, key);
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

/* Routes live as long as the process, like the tables they come from. */
static struct arena routes_arena;
static bool has_arena;

static void add_routes(struct route_table *table, const struct resource *res)
{
	struct route *rows = arena_array(&routes_arena, struct route, ARRAY_SIZE(actions));
	unsigned wanted = res->actions == 0 ? MAY_ALL : res->actions;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		const struct action *a = &actions[i];

		if (!(wanted & a->may))
			continue;
		rows[count++] = (struct route){
			.mount = ROUTE_API,
			.method = a->method,
			.pattern = arena_printf(&routes_arena, "%s%s", res->path,
						a->on_one ? "{id}/" : "")
					   .at,
			.handle = a->handle,
			.permit = a->permit,
			.name = arena_printf(&routes_arena, "%s-%s", res->name, a->suffix).at,
			.deadline = res->deadline,
			.max_body = res->max_body,
			.about = res,
		};
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
	for (size_t i = 0; i < count; i++) {
		int r = plan_build(resources[i]);

		if (r < 0)
			return r;
		add_routes(table, resources[i]);
		cached_register(resources[i]);
	}
	return 0;
}
