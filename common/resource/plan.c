/*
 * plan.c - the SQL of a resource.
 *
 * Texts are made from the tables alone; values always travel as parameters.
 */
#include "base/error.h"
#include "base/map.h"
#include "resource/resource-internal.h"

/* Plans live as long as the process. */
static struct arena plans_arena;
static struct map plans;

static const char *column_name(const struct field *f)
{
	return f->column != NULL ? f->column : f->name;
}

static const char *rows_of(const struct resource *res)
{
	return res->rows == NULL ? "true" : res->rows;
}

static bool is_stored(const struct field *f)
{
	return f->sql == NULL && !f->is_not_a_column && f->type != FIELD_MANY;
}

/* Write-only columns (password hashes) never leave the database by this way. */
static bool is_read(const struct field *f)
{
	return f->type != FIELD_MANY && !f->is_not_a_column && !f->is_write_only;
}

static void build_columns(struct plan *p, struct buf *columns)
{
	const struct resource *res = p->resource;
	int next = 0;

	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		p->column_of[i] = is_read(f) ? next++ : -1;
		if (!is_read(f))
			continue;
		buf_add_c(columns, columns->len == 0 ? "" : ", ");
		if (f->sql != NULL)
			buf_add_c(columns, f->sql);
		else
			buf_printf(columns, "t.%s", column_name(f));
	}
	p->column_count = next;
	p->owner_column = -1;
	for (size_t i = 0; i < res->permission_count && p->owner_column < 0; i++) {
		if (res->permissions[i].who != WHO_OWNER)
			continue;
		buf_printf(columns, ", %s", res->permissions[i].owner);
		p->owner_column = next;
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

static struct db_statement statement(enum db_lane lane, const char *format, ...) _printf_(2, 3);

static struct db_statement statement(enum db_lane lane, const char *format, ...)
{
	struct db_statement made = { .lane = lane };
	va_list args;

	va_start(args, format);
	made.sql = arena_vprintf(&plans_arena, format, args);
	va_end(args);
	return made;
}

static void build_insert(struct plan *p)
{
	_cleanup_(buf_fini) struct buf names = BUF_INIT;
	_cleanup_(buf_fini) struct buf values = BUF_INIT;
	const struct resource *res = p->resource;
	unsigned number = 0;

	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (!is_stored(f) || (f->type == FIELD_KEY && res->key == RESOURCE_BIGINT))
			continue;
		buf_printf(&names, "%s%s", number == 0 ? "" : ", ", column_name(f));
		number++;
		buf_printf(&values, "%s$%u", number == 1 ? "" : ", ", number);
	}
	p->insert = statement(DB_EXCLUSIVE, "INSERT INTO %s AS t (%s) VALUES (%s) RETURNING %.*s",
			      res->table, names.at, values.at, STR_ARG(p->columns));
}

/* The other resource's select list as one array of texts. */
static void add_text_array(struct buf *out, const struct plan *other)
{
	const struct resource *res = other->resource;
	bool is_first = true;

	buf_add_c(out, "json_build_array(");
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (other->column_of[i] < 0)
			continue;
		buf_printf(out, "%s(%s%s)::text", is_first ? "" : ", ", f->sql != NULL ? "" : "t.",
			   f->sql != NULL ? f->sql : column_name(f));
		is_first = false;
	}
	buf_add_c(out, ")");
}

static void build_detail(struct plan *p)
{
	_cleanup_(buf_fini) struct buf columns = BUF_INIT;
	const struct resource *res = p->resource;
	/* Behind the columns of every read and the owner's. */
	int next = p->owner_column >= 0 ? p->owner_column + 1 : p->column_count;

	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		p->many_column_of[i] = f->type == FIELD_MANY ? next++ : -1;
		if (f->type != FIELD_MANY)
			continue;
		buf_add_c(&columns, ", (SELECT json_agg(");
		add_text_array(&columns, plan_of(f->refers));
		buf_printf(&columns, " ORDER BY %s) FROM %s t WHERE t.%s = $1 AND %s)",
			   f->refers->order, f->refers->table, f->through,
			   f->refers->rows_through != NULL ? f->refers->rows_through
							   : rows_of(f->refers));
	}
	p->has_many = columns.len > 0;
	p->find_in_detail = statement(DB_SHARED, "SELECT %.*s%s FROM %s t WHERE t.id = $1 AND %s",
				      STR_ARG(p->columns), columns.at, res->table, rows_of(res));
}

const struct plan *plan_of(const struct resource *res)
{
	struct plan *p = map_find(&plans, str_c(res->name));

	must(p != NULL && p->resource == res);
	return p;
}

static int check_resource(const struct resource *res)
{
	bool has_key = false;

	if (res->name == NULL || res->model == NULL || res->path == NULL || res->table == NULL ||
	    res->order == NULL || res->help == NULL)
		return fail(-EINVAL, "resource %s needs a name, model, path, table, order and help",
			    res->name == NULL ? "?" : res->name);
	if (res->permission_count == 0)
		return fail(-EINVAL, "resource %s has no permissions: nobody could use it",
			    res->name);
	for (size_t i = 0; i < res->permission_count; i++) {
		if ((res->permissions[i].who == WHO_OWNER) != (res->permissions[i].owner != NULL))
			return fail(-EINVAL,
				    "resource %s: permission %zu must name an owner, or none",
				    res->name, i + 1);
	}
	for (size_t i = 0; i < res->field_count; i++)
		has_key = has_key || res->fields[i].type == FIELD_KEY;
	if (!has_key)
		return fail(-EINVAL, "resource %s has no KEY field", res->name);
	return field_table_check(res->name, res->fields, res->field_count);
}

int plan_build(const struct resource *res)
{
	_cleanup_(buf_fini) struct buf columns = BUF_INIT;
	const char *rows = rows_of(res);
	unsigned page = res->page == 0 ? 20 : res->page;
	int r;

	if (map_find(&plans, str_c(res->name)) != NULL)
		return 0;
	r = check_resource(res);
	if (r < 0)
		return r;
	if (map_count(&plans) == 0) {
		arena_init(&plans_arena);
		map_init(&plans);
	}
	struct plan *p = arena_new(&plans_arena, struct plan);
	p->resource = res;
	p->column_of = arena_array(&plans_arena, int, res->field_count);
	p->many_column_of = arena_array(&plans_arena, int, res->field_count);
	build_keys(p);
	build_columns(p, &columns);
	p->columns = arena_str(&plans_arena, buf_str(&columns));
	p->find = statement(DB_SHARED, "SELECT %s FROM %s t WHERE t.id = $1 AND %s", columns.at,
			    res->table, rows);
	p->find_for_update = statement(DB_EXCLUSIVE, "%.*s FOR UPDATE OF t", STR_ARG(p->find.sql));
	p->count = statement(DB_EXCLUSIVE, "SELECT count(*) FROM %s t WHERE %s", res->table, rows);
	p->page = statement(DB_EXCLUSIVE,
			    "SELECT %s FROM %s t WHERE %s ORDER BY %s LIMIT %u OFFSET $1",
			    columns.at, res->table, rows, res->order, page);
	if (res->remove != NULL)
		p->remove = statement(DB_EXCLUSIVE, "UPDATE %s t SET %s WHERE t.id = $1",
				      res->table, res->remove);
	else
		p->remove = statement(DB_EXCLUSIVE, "DELETE FROM %s t WHERE t.id = $1", res->table);
	build_insert(p);
	map_put(&plans, str_c(res->name), p);
	/* After this plan stands: two resources may show each other. */
	for (size_t i = 0; i < res->field_count && r == 0; i++) {
		if (res->fields[i].refers != NULL)
			r = plan_build(res->fields[i].refers);
	}
	if (r == 0)
		build_detail(p);
	return r;
}

struct db_statement plan_update(const struct plan *p, struct arena *arena,
				const struct values *values, struct str *params, size_t *ret_count)
{
	_cleanup_(buf_fini) struct buf sets = BUF_INIT;
	const struct resource *res = p->resource;
	size_t count = 1; /* $1 is the key */

	for (size_t i = 0; i < res->field_count; i++) {
		if (!is_stored(&res->fields[i]) || !values->is_given[i])
			continue;
		params[count++] = values->text[i];
		buf_printf(&sets, "%s%s = $%zu", sets.len == 0 ? "" : ", ",
			   column_name(&res->fields[i]), count);
	}
	*ret_count = count;
	return (struct db_statement){
		.sql = arena_printf(arena, "UPDATE %s AS t SET %s WHERE t.id = $1 RETURNING %.*s",
				    res->table, sets.at, STR_ARG(p->columns)),
		.is_varying = true,
	};
}

struct row row_read(const struct plan *p, struct arena *arena, const struct db_rows *rows,
		    int number, bool in_detail)
{
	size_t count = p->resource->field_count;
	struct row row = { .resource = p->resource,
			   .text = arena_array(arena, struct str, count),
			   .is_in_detail = in_detail };

	for (size_t i = 0; i < count; i++) {
		int column = p->column_of[i];

		if (in_detail && p->many_column_of[i] >= 0)
			column = p->many_column_of[i];
		if (column >= 0)
			row.text[i] = db_get(rows, number, column);
	}
	if (p->owner_column >= 0)
		row.owner = db_get(rows, number, p->owner_column);
	return row;
}

struct row row_from_array(const struct plan *p, struct arena *arena, const struct json *texts)
{
	size_t count = p->resource->field_count;
	struct row row = { .resource = p->resource, .text = arena_array(arena, struct str, count) };
	const struct json *text = texts->first;

	for (size_t i = 0; i < count; i++) {
		if (p->column_of[i] < 0)
			continue;
		must(text != NULL);
		if (text->type == JSON_STRING)
			row.text[i] = json_text(arena, text);
		text = text->next;
	}
	return row;
}

struct str row_get(const struct row *row, const char *field)
{
	for (size_t i = 0; i < row->resource->field_count; i++) {
		if (strcmp(row->resource->fields[i].name, field) == 0)
			return row->text[i];
	}
	must_not_reach("a field that its resource does not have");
}
