/*
 * render.c - rows as JSON, in the order of the table and in DRF's forms (drf-wire §7).
 */
#include "base/datetime.h"
#include "resource/resource-internal.h"

static void put_time(struct json_writer *w, struct str text)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	usec_t at;

	if (datetime_parse_pg(text, &at) < 0)
		must_not_reach("PostgreSQL's timestamptz in a form that it does not have with TimeZone UTC");
	datetime_add_drf(&out, at);
	json_put_str(w, buf_str(&out));
}

/* jsonb's own text has spaces that DRF's has not. */
static void put_json(struct request *rq, struct json_writer *w, struct str text)
{
	struct json_error error;
	struct json *tree;

	if (json_parse(&rq->arena, text, JSON_STRICT, 1000, &tree, &error) < 0)
		must_not_reach("jsonb that is not JSON");
	json_put_tree(w, tree);
}

static void put_value(struct request *rq, struct json_writer *w, const struct resource *res, const struct field *f,
		      struct str text)
{
	if (str_is_null(text)) {
		json_put_null(w);
		return;
	}
	switch (f->type) {
	case FIELD_INTEGER:
		json_put_raw(w, text);
		return;
	case FIELD_BOOLEAN:
		json_put_bool(w, text.at[0] == 't');
		return;
	case FIELD_TIME:
		put_time(w, text);
		return;
	case FIELD_JSON:
		put_json(rq, w, text);
		return;
	case FIELD_KEY:
		if (res->key == RESOURCE_BIGINT)
			json_put_raw(w, text);
		else
			json_put_str(w, text);
		return;
	default:
		json_put_str(w, text);
		return;
	}
}

static void put_many(struct request *rq, struct json_writer *w, const struct field *f, const struct db_rows *rows)
{
	const struct plan *other = plan_of(f->refers);

	json_begin_array(w);
	for (int i = 0; i < rows->count; i++) {
		struct row row = row_read(other, &rq->arena, rows, i);

		row_render(rq, other, &row, NULL, w);
	}
	json_end_array(w);
}

void row_render(struct request *rq, const struct plan *p, const struct row *row, const struct db_rows *const *many,
		struct json_writer *w)
{
	const struct resource *res = p->resource;

	json_begin_object(w);
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];
		bool is_shown = !f->is_hidden && !f->is_write_only && (many != NULL || !f->is_in_detail);

		if (!is_shown)
			continue;
		json_put_key(w, str_c(f->name));
		if (f->render != NULL)
			f->render(rq, w, row);
		else if (f->type == FIELD_MANY)
			put_many(rq, w, f, many[i]);
		else
			put_value(rq, w, res, f, row->text[i]);
	}
	json_end_object(w);
}

int resource_render(struct request *rq, struct db_at at, const struct resource *res, const struct row *row,
		    bool in_detail, struct json_writer *w)
{
	const struct plan *p = plan_of(res);
	const struct db_rows **many = NULL;
	int r;

	if (in_detail)
		many = arena_array(&rq->arena, const struct db_rows *, res->field_count);
	for (size_t i = 0; in_detail && i < res->field_count; i++) {
		if (res->fields[i].type != FIELD_MANY)
			continue;
		struct db_rows *rows = arena_new(&rq->arena, struct db_rows);
		r = db_at_query(at, &rq->arena, &p->many[i], DB_VALUES(row_get(row, "id")), rows);
		if (r < 0)
			return r;
		many[i] = rows;
	}
	row_render(rq, p, row, many, w);
	return 0;
}
