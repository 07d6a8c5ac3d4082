/*
 * render.c - rows as JSON, in the order of the table and in DRF's forms (drf-wire §7).
 */
#include "base/datetime.h"
#include "resource/resource-internal.h"

static void put_time(struct json_writer *w, struct str text)
{
	char drf[DATETIME_TEXT];
	usec_t at;

	if (datetime_parse_pg(text, &at) < 0)
		must_not_reach(
			"PostgreSQL's timestamptz in a form that it does not have with TimeZone UTC");
	json_put_plain(w, datetime_drf(at, drf));
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

static void put_value(struct request *rq, struct json_writer *w, const struct resource *res,
		      const struct field *f, struct str text)
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
			json_put_plain(w, text);
		return;
	case FIELD_DECIMAL:
		json_put_plain(w, text);
		return;
	default:
		json_put_str(w, text);
		return;
	}
}

static void put_many(struct request *rq, struct json_writer *w, const struct field *f,
		     struct str rows)
{
	const struct plan *other = plan_of(f->refers);
	struct json_error error;
	struct json *tree;

	json_begin_array(w);
	if (!str_is_null(rows)) { /* NULL: json_agg of no rows */
		if (json_parse(&rq->arena, rows, JSON_STRICT, 8, &tree, &error) < 0)
			must_not_reach("json_agg that is not JSON");
		for (const struct json *texts = tree->first; texts != NULL; texts = texts->next) {
			struct row row = row_from_array(other, &rq->arena, texts);

			row_render(rq, other, &row, false, w);
		}
	}
	json_end_array(w);
}

void row_render(struct request *rq, const struct plan *p, const struct row *row, bool in_detail,
		struct json_writer *w)
{
	const struct resource *res = p->resource;

	must(!in_detail || !p->has_many || row->is_in_detail);
	json_begin_object(w);
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (f->is_hidden || f->is_write_only || (f->is_in_detail && !in_detail))
			continue;
		json_put_ready_key(w, p->keys[i]);
		if (f->render != NULL)
			f->render(rq, w, row);
		else if (f->type == FIELD_MANY)
			put_many(rq, w, f, row->text[i]);
		else
			put_value(rq, w, res, f, row->text[i]);
	}
	json_end_object(w);
}

int resource_render(struct request *rq, struct db_at at, const struct resource *res,
		    const struct row *row, bool in_detail, struct json_writer *w)
{
	const struct plan *p = plan_of(res);
	struct row detailed;
	int r;

	/* A row that was just written comes without what points at it. */
	if (in_detail && p->has_many && !row->is_in_detail) {
		r = resource_find(rq, at, res, row_get(row, "id"), &detailed);
		if (r < 0)
			return r;
		row = &detailed;
	}
	row_render(rq, p, row, in_detail, w);
	return 0;
}
