/*
 * plan.c - the SQL of a resource.
 *
 * Texts are made from the tables alone; values always travel as parameters.
 *
 * What other resources are to a row (EMBED, MANY, KEYS) comes with it, as one more column each: a JSON
 * array of texts for one row, an array of those for several.  PostgreSQL evaluates these columns for the
 * rows of the page only, after LIMIT.  So a page costs one statement and a retrieve one, whatever they show
 * (the model is O-02 of the requirements, its second form).
 */
#include "base/error.h"
#include "base/map.h"
#include "resource/cached.h"
#include "resource/caller.h"
#include "resource/nested.h"
#include "resource/resource-internal.h"

/* Embedding that does not end would not end here either. */
#define DEPTH_MOST 6

/* Plans live as long as the process. */
static struct arena plans_arena;
static struct map plans;
static struct plan *first_plan;

void resource_add_tenant(struct sql *s, const struct resource *res, const char *alias)
{
	if (res->tenant_column == NULL)
		return;
	sql_printf(s, " AND %s.%s = (", alias, res->tenant_column);
	sql_add_over(s, res->tenant, alias);
	sql_add(s, ")");
}

void resource_add_exists(struct sql *s, const struct resource *res, const char *alias)
{
	resource_add_tenant(s, res, alias);
	if (res->exists == NULL)
		return;
	sql_add(s, " AND (");
	sql_add_over(s, res->exists, alias);
	sql_add(s, ")");
}

void resource_add_rows(struct sql *s, const struct resource *res, const char *alias)
{
	resource_add_exists(s, res, alias);
	if (res->rows == NULL)
		return;
	sql_add(s, " AND (");
	s->row_of = res->name;
	sql_add_over(s, res->rows, alias);
	sql_add(s, ")");
}

/* --- columns --- */

/* Write-only columns (password hashes) never leave the database by this way. */
static bool is_read(const struct field *f, enum row_view view)
{
	static const enum shown most_shown[VIEWS] = {
		[VIEW_LIST] = SHOWN_ALWAYS,      [VIEW_PLAIN] = SHOWN_IN_RETRIEVAL,
		[VIEW_DETAIL] = SHOWN_IN_DETAIL, [VIEW_RETRIEVAL] = SHOWN_IN_RETRIEVAL,
		[VIEW_SHAPE] = SHOWN_ALWAYS,     [VIEW_BULK] = SHOWN_ALWAYS,
	};

	if (f->is_not_a_column || f->is_write_only || f->shown > most_shown[view])
		return false;
	return view != VIEW_PLAIN || !field_is_relation(f);
}

static void add_own_column(struct sql *s, const struct field *f, const char *alias)
{
	static const struct {
		const char *before, *behind;
	} forms[FIELD_TYPES] = {
		/* Days and hours of an interval depend on IntervalStyle; microseconds do not. */
		[FIELD_DURATION] = { "(EXTRACT(EPOCH FROM ", ") * 1000000)::bigint" },
		/* Texts of the items, as JSON: no need to read PostgreSQL's own braces. */
		[FIELD_ARRAY] = { "array_to_json(", "::text[])" },
		[FIELD_IP] = { "host(", ")" },
	};
	bool has_form = forms[f->type].before != NULL;

	sql_add(s, has_form ? forms[f->type].before : "");
	if (f->sql != NULL)
		sql_add_over(s, f->sql, alias);
	else
		sql_printf(s, "%s.%s", alias, field_column(f));
	sql_add(s, has_form ? forms[f->type].behind : "");
}

static void add_field(struct sql *s, const struct plan *p, size_t place, const char *alias,
		      unsigned depth);

/* A row of that shape as a JSON array; related ones as arrays inside. */
static void add_array(struct sql *s, const struct shape *shape, const char *alias, unsigned depth)
{
	sql_add(s, "json_build_array(");
	for (size_t i = 0; i < shape->count; i++) {
		const struct field *f = &shape->plan->resource->fields[shape->places[i]];

		if (i > 0)
			sql_add(s, ", ");
		if (field_is_relation(f)) {
			add_field(s, shape->plan, shape->places[i], alias, depth);
			continue;
		}
		sql_add(s, "(");
		add_own_column(s, f, alias);
		sql_add(s, ")::text");
	}
	sql_add(s, ")");
}

/* FROM the rows that belong to `outer`, as `alias`. */
static void add_from(struct sql *s, const struct field *f, const char *alias, const char *outer)
{
	const struct resource *other = f->refers;

	if (f->type == FIELD_EMBED) {
		sql_printf(s, " FROM %s %s WHERE %s.id = %s.%s", other->table, alias, alias, outer,
			   f->column);
		resource_add_tenant(s, other, alias);
		return;
	}
	if (f->link != NULL)
		sql_printf(s, " FROM %s %s JOIN %s l%s ON l%s.%s = %s.id WHERE l%s.%s = %s.id",
			   other->table, alias, f->link, alias, alias, f->link_other, alias, alias,
			   f->link_own, outer);
	else
		sql_printf(s, " FROM %s %s WHERE %s.%s = %s.id", other->table, alias, alias,
			   f->through, outer);
	if (other->rows_through != NULL) {
		resource_add_tenant(s, other, alias);
		sql_add(s, " AND (");
		s->row_of = other->name;
		sql_add_over(s, other->rows_through, alias);
		sql_add(s, ")");
	} else {
		resource_add_rows(s, other, alias);
	}
}

static void add_relation(struct sql *s, const struct plan *p, size_t place, const char *outer,
			 unsigned depth)
{
	const struct field *f = &p->resource->fields[place];
	char alias[8];

	must(depth < DEPTH_MOST); /* refused by check_depth */
	(void) snprintf(alias, sizeof(alias), "t%u", depth + 1);
	sql_add(s, "(SELECT ");
	if (f->type == FIELD_EMBED) {
		add_array(s, &p->shapes[place], alias, depth + 1);
		add_from(s, f, alias, outer);
		sql_add(s, ")");
		return;
	}
	sql_add(s, "json_agg(");
	if (f->type == FIELD_KEYS)
		sql_printf(s, "%s.id", alias);
	else
		add_array(s, &p->shapes[place], alias, depth + 1);
	sql_add(s, " ORDER BY ");
	sql_add_over(s, f->sorted != NULL ? f->sorted : f->refers->order, alias);
	sql_add(s, ")");
	add_from(s, f, alias, outer);
	sql_add(s, ")");
}

static void add_field(struct sql *s, const struct plan *p, size_t place, const char *alias,
		      unsigned depth)
{
	const struct field *f = &p->resource->fields[place];

	if (field_is_relation(f))
		add_relation(s, p, place, alias, depth);
	else
		add_own_column(s, f, alias);
}

static bool has_permissions(enum row_view view)
{
	return view == VIEW_PLAIN || view == VIEW_DETAIL || view == VIEW_RETRIEVAL;
}

void plan_add_columns(struct sql *s, const struct plan *p, enum row_view view)
{
	const struct resource *res = p->resource;
	bool is_first = true;

	for (size_t i = 0; i < res->field_count; i++) {
		if (p->column_of[view][i] < 0)
			continue;
		if (!is_first)
			sql_add(s, ", ");
		is_first = false;
		add_field(s, p, i, "t", 0);
	}
	for (size_t i = 0; has_permissions(view) && i < res->permission_count; i++) {
		if (res->permissions[i].when == NULL)
			continue;
		sql_add(s, ", (");
		s->row_of = res->name;
		sql_add_over(s, res->permissions[i].when, "t");
		sql_add(s, ")");
	}
}

/* --- what is built once --- */

static void number_columns(struct plan *p)
{
	const struct resource *res = p->resource;

	for (unsigned view = 0; view < VIEWS; view++) {
		int next = 0;

		p->column_of[view] = arena_array(&plans_arena, int, res->field_count);
		for (size_t i = 0; i < res->field_count; i++)
			p->column_of[view][i] = is_read(&res->fields[i], (enum row_view) view)
							? next++
							: -1;
		p->column_count[view] = next;
	}
}

static void build_keys(struct plan *p)
{
	const struct resource *res = p->resource;

	p->keys = arena_array(&plans_arena, struct str, res->field_count);
	for (size_t i = 0; i < res->field_count; i++) {
		_cleanup_(buf_fini) struct buf key = BUF_INIT;

		json_escape_add(&key, str_c(res->fields[i].name), JSON_ESCAPE_DRF);
		buf_add_byte(&key, ':');
		p->keys[i] = arena_str(&plans_arena, buf_str(&key));
	}
}

static bool find_place(const struct resource *res, const char *name, size_t *ret)
{
	for (size_t i = 0; i < res->field_count; i++) {
		if (strcmp(res->fields[i].name, name) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static int build_shape(struct plan *p, size_t place)
{
	const struct field *f = &p->resource->fields[place];
	const struct resource *other = f->refers;
	struct shape *shape = &p->shapes[place];

	shape->plan = plan_of(other);
	shape->places = arena_array(&plans_arena, size_t, other->field_count);
	for (size_t i = 0; f->shape == NULL && i < other->field_count; i++) {
		if (is_read(&other->fields[i], VIEW_SHAPE))
			shape->places[shape->count++] = i;
	}
	for (const char *const *name = f->shape; name != NULL && *name != NULL; name++) {
		if (shape->count == other->field_count ||
		    !find_place(other, *name, &shape->places[shape->count]))
			return fail(-EINVAL, "%s: field %s shows %s.%s, which does not exist",
				    p->resource->name, f->name, other->name, *name);
		shape->count++;
	}
	return 0;
}

static int check_depth(const struct plan *p, const struct shape *shape, unsigned depth)
{
	int r = 0;

	if (depth == DEPTH_MOST)
		return fail(-EINVAL, "%s is embedded in itself: give one of them a SHAPE",
			    p->resource->name);
	for (size_t i = 0; i < shape->count && r == 0; i++)
		r = check_depth(p, &shape->plan->shapes[shape->places[i]], depth + 1);
	return r;
}

static int check_depths(const struct plan *p)
{
	int r = 0;

	for (size_t i = 0; i < p->resource->field_count && r == 0; i++)
		r = check_depth(p, &p->shapes[i], 0);
	return r;
}

static int check_permissions(const struct resource *res)
{
	if (res->permission_count == 0)
		return fail(-EINVAL, "resource %s has no permissions: nobody could use it",
			    res->name);
	if (res->permission_count > PERMISSIONS_MOST)
		return fail(-EINVAL, "resource %s has more than %d permissions", res->name,
			    PERMISSIONS_MOST);
	for (size_t i = 0; i < res->permission_count; i++) {
		const char *when = res->permissions[i].when;
		int r = res->permissions[i].caller == NULL
				? 0
				: caller_check(res->permissions[i].caller);

		if (r < 0)
			return fail_in(r, "resource %s: permission %zu", res->name, i + 1);
		if (when != NULL && !str_is_null(sql_unknown_name(when)))
			return fail(-EINVAL,
				    "resource %s: permission %zu has a name that does not exist",
				    res->name, i + 1);
	}
	return 0;
}

/* What is kept of answers is not asked again who may see it. */
static bool keeps_what_rights_decide(const struct resource *res)
{
	bool is_decided = sql_has_rights(res->rows) || res->tenant_column != NULL;

	for (size_t i = 0; i < res->permission_count; i++) {
		const struct permission *p = &res->permissions[i];

		is_decided = is_decided || ((p->may & (MAY_LIST | MAY_READ)) &&
					    (p->caller != NULL || sql_has_rights(p->when)));
	}
	return is_decided && (res->list_ttl > 0 || res->detail_ttl > 0);
}

static int check_rights(const struct resource *res)
{
	const char *const snippets[] = { res->exists, res->order, res->tenant };
	bool is_astray = false;

	for (size_t i = 0; i < ARRAY_SIZE(snippets); i++)
		is_astray = is_astray || sql_has_grants(snippets[i]);
	for (size_t i = 0; i < res->field_count; i++)
		is_astray = is_astray || sql_has_grants(res->fields[i].sql);
	for (size_t i = 0; i < res->select.filter_count; i++)
		is_astray = is_astray || sql_has_grants(res->select.filters[i].sql);
	for (size_t i = 0; i < res->select.scope_count; i++)
		is_astray = is_astray || sql_has_grants(res->select.scopes[i].sql);
	if (is_astray)
		return fail(-EINVAL, "resource %s: granted() stands beside `rows` and permissions",
			    res->name);
	if ((res->tenant_column == NULL) != (res->tenant == NULL))
		return fail(-EINVAL, "resource %s: a tenant needs a column and SQL", res->name);
	if (keeps_what_rights_decide(res))
		return fail(
			-EINVAL,
			"resource %s: rights or a tenant decide who sees its rows, so its answers "
			"cannot be kept (list_ttl, detail_ttl)",
			res->name);
	return 0;
}

static int check_snippets(const struct resource *res)
{
	const char *const snippets[] = { res->exists, res->rows, res->rows_through, res->order,
					 res->tenant };

	for (size_t i = 0; i < ARRAY_SIZE(snippets); i++) {
		if (snippets[i] != NULL && !str_is_null(sql_unknown_name(snippets[i])))
			return fail(-EINVAL,
				    "resource %s: its SQL has a name that does not exist: %s",
				    res->name, snippets[i]);
	}
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if ((f->sql != NULL && !str_is_null(sql_unknown_name(f->sql))) ||
		    (f->sorted != NULL && !str_is_null(sql_unknown_name(f->sorted))))
			return fail(-EINVAL, "%s: field %s has SQL with a name that does not exist",
				    res->name, f->name);
	}
	return 0;
}

static int check_resource(const struct resource *res)
{
	bool has_key = false;
	int r;

	if (res->name == NULL || res->model == NULL || res->path == NULL || res->table == NULL ||
	    res->order == NULL || res->help == NULL)
		return fail(-EINVAL, "resource %s needs a name, model, path, table, order and help",
			    res->name == NULL ? "?" : res->name);
	for (size_t i = 0; i < res->field_count; i++)
		has_key = has_key || res->fields[i].type == FIELD_KEY;
	if (!has_key)
		return fail(-EINVAL, "resource %s has no KEY field", res->name);
	r = check_permissions(res);
	if (r == 0)
		r = field_table_check(res->name, res->fields, res->field_count);
	if (r == 0)
		r = check_snippets(res);
	if (r == 0)
		r = nested_check_table(res);
	if (r == 0)
		r = check_rights(res);
	if (r == 0)
		r = cached_check(res);
	if (r == 0)
		r = cursor_check(res);
	return r < 0 ? r : selections_check(res->name, &res->select);
}

const struct plan *plan_of(const struct resource *res)
{
	struct plan *p = map_find(&plans, str_c(res->name));

	must(p != NULL && p->resource == res);
	return p;
}

/* The resource and all that it refers to, without SQL. */
static int add_plan(const struct resource *res)
{
	int r;

	if (map_find(&plans, str_c(res->name)) != NULL)
		return 0;
	r = check_resource(res);
	if (r < 0)
		return r;
	struct plan *p = arena_new(&plans_arena, struct plan);
	p->resource = res;
	p->next = first_plan;
	first_plan = p;
	p->shapes = arena_array(&plans_arena, struct shape, res->field_count);
	build_keys(p);
	number_columns(p);
	map_put(&plans, str_c(res->name), p);
	/* After this plan stands: two resources may show each other. */
	for (size_t i = 0; i < res->field_count && r == 0; i++) {
		if (res->fields[i].refers != NULL)
			r = add_plan(res->fields[i].refers);
	}
	for (size_t i = 0; i < res->select.filter_count && r == 0; i++) {
		if (res->select.filters[i].refers != NULL)
			r = add_plan(res->select.filters[i].refers);
	}
	for (size_t i = 0; i < res->field_count && r == 0; i++) {
		if (res->fields[i].type == FIELD_EMBED || res->fields[i].type == FIELD_MANY)
			r = build_shape(p, i);
	}
	return r;
}

/* --- statements --- */

static struct sql_statement keep(const struct sql *s, enum db_lane lane)
{
	return sql_finish(s, &plans_arena, lane, true);
}

static void begin_find(struct sql *s, const struct plan *p, enum row_view view)
{
	sql_add(s, "SELECT ");
	plan_add_columns(s, p, view);
	sql_printf(s, " FROM %s t WHERE t.id = ", p->resource->table);
	sql_add_name(s, SQL_KEY);
}

static struct sql_statement build_retrieve(const struct plan *p)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	begin_find(&s, p, VIEW_RETRIEVAL);
	resource_add_rows(&s, p->resource, "t");
	return keep(&s, DB_SHARED);
}

static struct sql_statement build_reread(const struct plan *p, enum row_view view)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	begin_find(&s, p, view);
	resource_add_tenant(&s, p->resource, "t");
	return keep(&s, DB_SHARED);
}

static struct sql_statement build_find_for_update(const struct plan *p)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	begin_find(&s, p, VIEW_PLAIN);
	resource_add_rows(&s, p->resource, "t");
	sql_add(&s, " FOR UPDATE OF t");
	return keep(&s, DB_EXCLUSIVE);
}

static struct sql_statement build_count(const struct plan *p)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	sql_printf(&s, "SELECT count(*) FROM %s t WHERE true", p->resource->table);
	resource_add_rows(&s, p->resource, "t");
	return keep(&s, DB_EXCLUSIVE);
}

static struct sql_statement build_page(const struct plan *p)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	const struct resource *res = p->resource;

	sql_add(&s, "SELECT ");
	plan_add_columns(&s, p, VIEW_LIST);
	sql_printf(&s, " FROM %s t WHERE true", res->table);
	resource_add_rows(&s, res, "t");
	sql_add(&s, " ORDER BY ");
	sql_add_over(&s, res->order, "t");
	sql_printf(&s, " LIMIT %u OFFSET ", res->page == 0 ? 20 : res->page);
	sql_add_name(&s, SQL_OFFSET);
	return keep(&s, DB_EXCLUSIVE);
}

static bool is_inserted(const struct resource *res, const struct field *f)
{
	return field_is_stored(f) && (f->type != FIELD_KEY || res->key != RESOURCE_BIGINT);
}

static struct sql_statement build_insert(const struct plan *p)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	const struct resource *res = p->resource;
	const char *before = "";

	sql_printf(&s, "INSERT INTO %s AS t (", res->table);
	for (size_t i = 0; i < res->field_count; i++) {
		if (!is_inserted(res, &res->fields[i]))
			continue;
		sql_printf(&s, "%s%s", before, field_column(&res->fields[i]));
		before = ", ";
	}
	if (res->tenant_column != NULL)
		sql_printf(&s, "%s%s", before, res->tenant_column);
	sql_add(&s, ") VALUES (");
	before = "";
	for (size_t i = 0; i < res->field_count; i++) {
		if (!is_inserted(res, &res->fields[i]))
			continue;
		sql_add(&s, before);
		sql_add_value(&s, STR_NULL); /* given when it is run */
		before = ", ";
	}
	if (res->tenant_column != NULL) {
		sql_printf(&s, "%s(", before);
		sql_add_over(&s, res->tenant, "t");
		sql_add(&s, ")");
	}
	sql_add(&s, ") RETURNING ");
	plan_add_columns(&s, p, VIEW_PLAIN);
	return keep(&s, DB_EXCLUSIVE);
}

static struct sql_statement build_remove(const struct plan *p)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	const struct resource *res = p->resource;

	if (res->remove != NULL)
		sql_printf(&s, "UPDATE %s t SET %s WHERE t.id = ", res->table, res->remove);
	else
		sql_printf(&s, "DELETE FROM %s t WHERE t.id = ", res->table);
	sql_add_name(&s, SQL_KEY);
	resource_add_tenant(&s, res, "t");
	return keep(&s, DB_EXCLUSIVE);
}

static void build_statements(struct plan *p)
{
	p->retrieve = build_retrieve(p);
	p->reread[VIEW_DETAIL] = build_reread(p, VIEW_DETAIL);
	p->reread[VIEW_RETRIEVAL] = build_reread(p, VIEW_RETRIEVAL);
	p->find_for_update = build_find_for_update(p);
	p->count = build_count(p);
	p->page = build_page(p);
	p->insert = build_insert(p);
	p->remove = build_remove(p);
}

int plan_build(const struct resource *const *resources, size_t count)
{
	int r = 0;

	if (map_count(&plans) == 0) {
		arena_init(&plans_arena);
		map_init(&plans);
	}
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_plan(resources[i]);
	for (struct plan *p = first_plan; p != NULL && r == 0; p = p->next)
		r = check_depths(p);
	for (struct plan *p = first_plan; p != NULL && r == 0; p = p->next) {
		if (str_is_null(p->insert.statement.sql))
			build_statements(p);
	}
	return r;
}

bool plan_update(const struct plan *p, struct arena *arena, const struct values *values,
		 struct sql_statement *ret)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	const struct resource *res = p->resource;
	bool is_first = true;

	sql_printf(&s, "UPDATE %s AS t SET ", res->table);
	for (size_t i = 0; i < res->field_count; i++) {
		if (!field_is_stored(&res->fields[i]) || !values->is_given[i])
			continue;
		sql_printf(&s, "%s%s = ", is_first ? "" : ", ", field_column(&res->fields[i]));
		sql_add_value(&s, values->text[i]);
		is_first = false;
	}
	if (is_first)
		return false;
	sql_add(&s, " WHERE t.id = ");
	sql_add_name(&s, SQL_KEY);
	resource_add_tenant(&s, res, "t");
	sql_add(&s, " RETURNING ");
	plan_add_columns(&s, p, VIEW_PLAIN);
	*ret = sql_finish(&s, arena, DB_EXCLUSIVE, false);
	return true;
}
