/*
 * row.c - rows as they come out of an answer.
 */
#include "base/error.h"
#include "resource/resource-internal.h"

static uint32_t read_allowed(const struct plan *p, const struct db_rows *rows, int number,
			     int column)
{
	const struct resource *res = p->resource;
	uint32_t allowed = 0;

	for (size_t i = 0; i < res->permission_count; i++) {
		if (res->permissions[i].when == NULL)
			continue;
		/* NULL is no. */
		if (!db_is_null(rows, number, column) && db_get_bool(rows, number, column))
			allowed |= UINT32_C(1) << i;
		column++;
	}
	return allowed;
}

struct row row_read(const struct plan *p, struct arena *arena, const struct db_rows *rows,
		    int number, enum row_view view)
{
	size_t count = p->resource->field_count;
	struct row row = { .resource = p->resource,
			   .text = arena_array(arena, struct str, count),
			   .view = view };

	for (size_t i = 0; i < count; i++) {
		if (p->column_of[view][i] >= 0)
			row.text[i] = db_get(rows, number, p->column_of[view][i]);
	}
	if (view != VIEW_LIST)
		row.allowed = read_allowed(p, rows, number, p->column_count[view]);
	return row;
}

struct row row_from_array(const struct shape *shape, struct arena *arena, const struct json *texts)
{
	const struct resource *res = shape->plan->resource;
	struct row row = { .resource = res,
			   .text = arena_array(arena, struct str, res->field_count),
			   .view = VIEW_SHAPE };
	const struct json *text = texts->first;

	for (size_t i = 0; i < shape->count; i++) {
		must(text != NULL);
		if (text->type == JSON_STRING)
			row.text[shape->places[i]] = json_text(arena, text);
		else if (text->type == JSON_ARRAY) /* a relation's: read when it is shown */
			row.text[shape->places[i]] = text->text;
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

int row_get_i64(const struct row *row, const char *field, int64_t *ret)
{
	if (str_to_i64(row_get(row, field), ret) < 0)
		return fail(-E_INTERNAL, "%s.%s is no whole number", row->resource->name, field);
	return 0;
}

int row_find(struct request *rq, struct db_at at, const struct plan *p,
	     const struct sql_statement *find, struct str key, enum row_view view, struct row *ret)
{
	const struct sql_context context = { .key = key };
	struct db_rows rows;
	int r;

	r = sql_run(rq, at, find, &context, &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_NOT_FOUND, "No %s matches the given query.", p->resource->model);
	*ret = row_read(p, &rq->arena, &rows, 0, view);
	return 0;
}
