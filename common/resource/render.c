/*
 * render.c - rows as JSON, in the order of the table and in DRF's forms (drf-wire §7).
 */
#include "base/datetime.h"
#include "base/duration.h"
#include "resource/resource-internal.h"

static void put_time(struct json_writer *w, struct str text)
{
	char drf[DATETIME_TEXT];
	usec_t at;

	/* Years beyond 9999, "infinity": another program's rows, which no DRF could show either. */
	if (datetime_parse_pg(text, &at) < 0)
		json_put_str(w, text);
	else
		json_put_plain(w, datetime_drf(at, drf));
}

/* PostgreSQL drops zeros at the end of a fraction, Python does not. */
static void put_clock(struct json_writer *w, struct str text)
{
	static const char zeros[] = "000000";
	ptrdiff_t dot = str_find_char(text, '.');
	_cleanup_(buf_fini) struct buf full = BUF_INIT;

	buf_add_str(&full, text);
	if (dot >= 0)
		buf_add_c(&full, zeros + MIN(text.len - (size_t) dot - 1, sizeof(zeros) - 1));
	json_put_plain(w, buf_str(&full));
}

static void put_duration(struct json_writer *w, struct str micros)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	int64_t length;

	must(str_to_i64(micros, &length) == 0); /* plan.c reads it so */
	duration_add(&text, length);
	json_put_plain(w, buf_str(&text));
}

static struct json *read_related(struct request *rq, struct str text)
{
	struct json_error error;
	struct json *tree;

	if (json_parse(&rq->arena, text, JSON_STRICT, 64, &tree, &error) < 0)
		must_not_reach("PostgreSQL's json that is not JSON");
	return tree;
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
		      const struct field *f, struct str text);

static void put_array(struct request *rq, struct json_writer *w, const struct resource *res,
		      const struct field *f, struct str texts)
{
	const struct json *tree = read_related(rq, texts);

	json_begin_array(w);
	for (const struct json *one = tree->first; one != NULL; one = one->next)
		put_value(rq, w, res, f->element,
			  one->type == JSON_NULL ? STR_NULL : json_text(&rq->arena, one));
	json_end_array(w);
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
	case FIELD_CLOCK:
		put_clock(w, text);
		return;
	case FIELD_DURATION:
		put_duration(w, text);
		return;
	case FIELD_JSON:
		put_json(rq, w, text);
		return;
	case FIELD_ARRAY:
		put_array(rq, w, res, f, text);
		return;
	case FIELD_KEY:
		if (res->key == RESOURCE_BIGINT)
			json_put_raw(w, text);
		else
			json_put_plain(w, text);
		return;
	case FIELD_DECIMAL:
	case FIELD_DATE:
		json_put_plain(w, text);
		return;
	default:
		json_put_str(w, text);
		return;
	}
}

static void put_shape(struct request *rq, struct json_writer *w, const struct shape *shape,
		      const struct json *texts);

static void put_relation(struct request *rq, struct json_writer *w, const struct plan *p,
			 size_t place, struct str text)
{
	const struct field *f = &p->resource->fields[place];
	const struct json *tree = str_is_null(text) ? NULL : read_related(rq, text);

	if (f->type == FIELD_EMBED) {
		if (tree == NULL)
			json_put_null(w);
		else
			put_shape(rq, w, &p->shapes[place], tree);
		return;
	}
	json_begin_array(w);
	for (const struct json *one = tree == NULL ? NULL : tree->first; one != NULL;
	     one = one->next) {
		if (f->type == FIELD_MANY)
			put_shape(rq, w, &p->shapes[place], one);
		else
			json_put_tree(w, one);
	}
	json_end_array(w);
}

static void put_field(struct request *rq, struct json_writer *w, const struct plan *p,
		      const struct row *row, size_t place)
{
	const struct field *f = &p->resource->fields[place];

	json_put_ready_key(w, p->keys[place]);
	if (f->render != NULL)
		f->render(rq, w, row);
	else if (field_is_relation(f))
		put_relation(rq, w, p, place, row->text[place]);
	else
		put_value(rq, w, p->resource, f, row->text[place]);
}

static void put_shape(struct request *rq, struct json_writer *w, const struct shape *shape,
		      const struct json *texts)
{
	const struct row row = row_from_array(shape, &rq->arena, texts);

	json_begin_object(w);
	for (size_t i = 0; i < shape->count; i++) {
		const struct field *f = &shape->plan->resource->fields[shape->places[i]];

		if (!f->is_hidden)
			put_field(rq, w, shape->plan, &row, shape->places[i]);
	}
	json_end_object(w);
}

static bool is_shown(const struct field *f, enum row_view view)
{
	enum shown most = view == VIEW_RETRIEVAL ? SHOWN_IN_RETRIEVAL
			  : view == VIEW_DETAIL  ? SHOWN_IN_DETAIL
						 : SHOWN_ALWAYS;

	return !f->is_hidden && !f->is_write_only && f->shown <= most &&
	       (view != VIEW_BULK || !f->is_left_out_of_bulk);
}

/* Whether ?fields= names it, or there is none.  The last one of the name counts. */
static bool is_wanted(const struct field *f, struct str wanted)
{
	struct str name;

	if (wanted.len == 0)
		return true;
	while (str_cut(&wanted, ',', &name)) {
		if (str_eq_c(str_trim(name), f->name))
			return true;
	}
	return false;
}

void row_render(struct request *rq, const struct plan *p, const struct row *row, enum row_view view,
		struct json_writer *w)
{
	const struct resource *res = p->resource;

	struct str wanted = res->takes_fields ? request_query(rq, STR("fields")) : STR_NULL;

	json_begin_object(w);
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (is_shown(f, view) && is_wanted(f, wanted))
			put_field(rq, w, p, row, i);
	}
	json_end_object(w);
}

/* Whether a row that was read for one view has all that another shows. */
static bool has_all(const struct plan *p, enum row_view read, enum row_view shown)
{
	for (size_t i = 0; read != shown && i < p->resource->field_count; i++) {
		const struct field *f = &p->resource->fields[i];

		if (is_shown(f, shown) && !f->is_not_a_column && p->column_of[read][i] < 0)
			return false;
	}
	return true;
}

int resource_render(struct request *rq, struct db_at at, const struct resource *res,
		    const struct row *row, enum row_view view, struct json_writer *w)
{
	const struct plan *p = plan_of(res);
	struct row read;
	int r;

	/* A row that was just written comes without what others are to it. */
	if (!has_all(p, row->view, view)) {
		enum row_view more = view == VIEW_RETRIEVAL ? VIEW_RETRIEVAL : VIEW_DETAIL;

		r = row_find(rq, at, p, &p->reread[more], row_get(row, "id"), more, &read);
		if (r < 0)
			return r;
		row = &read;
	}
	row_render(rq, p, row, view, w);
	return 0;
}
