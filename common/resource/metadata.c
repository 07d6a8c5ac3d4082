/*
 * metadata.c - "actions" of OPTIONS: every field of a table in the words of DRF's SimpleMetadata
 * (drf-wire §15).
 */
#include "auth/identity.h"
#include "base/error.h"
#include "resource/operation.h"
#include "resource/resource-internal.h"

static const char *const type_names[FIELD_TYPES] = {
	[FIELD_KEY] = "string",          [FIELD_TEXT] = "string",
	[FIELD_EMAIL] = "email",         [FIELD_INTEGER] = "integer",
	[FIELD_DECIMAL] = "decimal",     [FIELD_BOOLEAN] = "boolean",
	[FIELD_TIME] = "datetime",       [FIELD_DATE] = "date",
	[FIELD_DURATION] = "duration",   [FIELD_CHOICE] = "choice",
	[FIELD_REFERENCE] = "field",     [FIELD_UUID] = "string",
	[FIELD_JSON] = "field",          [FIELD_UPLOAD] = "file upload",
	[FIELD_EMBED] = "nested object", [FIELD_MANY] = "field",
	[FIELD_KEYS] = "field",          [FIELD_URL] = "url",
	[FIELD_IP] = "string",           [FIELD_CLOCK] = "time",
	[FIELD_ARRAY] = "list",
};

static const char *type_name(const struct resource *res, const struct field *f, bool is_read_only)
{
	if (f->is_untyped && is_read_only)
		return "field";
	if (f->is_slug)
		return "slug";
	/* A choice that nobody may make is a text. */
	if (f->type == FIELD_CHOICE && is_read_only)
		return "string";
	if (f->type == FIELD_KEY && res != NULL && res->key == RESOURCE_BIGINT)
		return "integer";
	return type_names[f->type];
}

static void put_label(struct json_writer *w, const char *name)
{
	_cleanup_(buf_fini) struct buf label = BUF_INIT;

	field_label_add(&label, name);
	json_put_str(w, buf_str(&label));
}

/* A number as its text has it; nothing where a rule has words of its own: DRF's metadata knows nothing of
 * a method that checks. */
static void put_bound(struct json_writer *w, const char *key, const char *number, const char *words,
		      const char *usual)
{
	const char *bound = number != NULL && words == NULL ? number : usual;

	if (bound == NULL)
		return;
	json_put_key(w, str_c(key));
	json_put_raw(w, str_c(bound));
}

/* What a client that writes has to keep to. */
static void put_limits(struct json_writer *w, const struct field *f)
{
	bool is_integer = f->type == FIELD_INTEGER;

	if (f->most_length > 0 && !f->is_most_untold) {
		json_put_key(w, STR("max_length"));
		json_put_i64(w, f->most_length);
	}
	if (!is_integer && f->type != FIELD_DECIMAL)
		return;
	put_bound(w, "min_value", f->least, f->least_words, is_integer ? INTEGER_LEAST : NULL);
	put_bound(w, "max_value", f->most, f->most_words, is_integer ? INTEGER_MOST : NULL);
}

static void put_digits(struct json_writer *w, const struct field *f)
{
	json_put_key(w, STR("max_digits"));
	json_put_i64(w, f->digits);
	json_put_key(w, STR("decimal_places"));
	json_put_i64(w, f->places);
}

static void put_choices(struct json_writer *w, const struct field *f)
{
	json_put_key(w, STR("choices"));
	json_begin_array(w);
	for (const char *const *c = f->choices; *c != NULL; c++) {
		json_begin_object(w);
		json_put_key(w, STR("value"));
		json_put_c(w, *c);
		json_put_key(w, STR("display_name"));
		put_label(w, *c);
		json_end_object(w);
	}
	json_end_array(w);
}

/* Where what is written has a shape of its own, DRF tells of what is shown, which nobody writes. */
static bool is_only_shown(const struct resource *res)
{
	return res->writes != NULL;
}

static void put_field(struct json_writer *w, const struct resource *res, const struct field *f,
		      bool is_read_only);

/* The fields of rows that stand inside another's. */
static void put_children(struct json_writer *w, const struct shape *shape)
{
	const struct resource *res = shape->plan->resource;

	json_put_key(w, STR("children"));
	json_begin_object(w);
	for (size_t i = 0; i < shape->count; i++) {
		const struct field *f = &res->fields[shape->places[i]];

		if (!f->is_hidden)
			put_field(w, res, f, is_only_shown(res) || field_is_read_only(f));
	}
	json_end_object(w);
}

static void put_related(struct json_writer *w, const struct resource *res, const struct field *f)
{
	const struct shape *shape = &plan_of(res)->shapes[f - res->fields];

	if (f->type == FIELD_EMBED) {
		put_children(w, shape);
		return;
	}
	json_put_key(w, STR("child"));
	json_begin_object(w);
	json_put_key(w, STR("type"));
	json_put_c(w, "nested object");
	json_put_key(w, STR("required"));
	json_put_bool(w, !field_is_read_only(f) && f->is_required);
	json_put_key(w, STR("read_only"));
	json_put_bool(w, field_is_read_only(f));
	put_children(w, shape);
	json_end_object(w);
}

static void put_field(struct json_writer *w, const struct resource *res, const struct field *f,
		      bool is_read_only)
{
	json_put_key(w, str_c(f->name));
	json_begin_object(w);
	json_put_key(w, STR("type"));
	json_put_c(w, type_name(res, f, is_read_only));
	json_put_key(w, STR("required"));
	json_put_bool(w, !is_read_only && (f->is_required || f->is_required_once));
	json_put_key(w, STR("read_only"));
	json_put_bool(w, is_read_only);
	json_put_key(w, STR("label"));
	put_label(w, f->name);
	if (f->help != NULL) {
		json_put_key(w, STR("help_text"));
		json_put_c(w, f->help);
	}
	if (!is_read_only)
		put_limits(w, f);
	if (f->type == FIELD_DECIMAL)
		put_digits(w, f);
	if (f->type == FIELD_CHOICE && !is_read_only)
		put_choices(w, f);
	if (f->type == FIELD_EMBED || f->type == FIELD_MANY)
		put_related(w, res, f);
	json_end_object(w);
}

/* A view of rows: all that its answers to writes show, and what only is written. */
static void put_rows_fields(struct json_writer *w, const struct resource *res)
{
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (f->is_hidden || f->shown > SHOWN_IN_DETAIL ||
		    (is_only_shown(res) && f->is_write_only))
			continue;
		put_field(w, res, f, is_only_shown(res) || field_is_read_only(f));
	}
}

static void put_form_fields(struct json_writer *w, const struct form *form)
{
	for (size_t i = 0; i < form->count; i++)
		put_field(w, NULL, &form->fields[i], field_is_read_only(&form->fields[i]));
}

/* Of rows that are no view's own: what is read. */
static void put_read_fields(struct json_writer *w, const struct resource *res)
{
	for (size_t i = 0; i < res->field_count; i++) {
		if (!field_is_read_only(&res->fields[i]))
			put_field(w, res, &res->fields[i], false);
	}
}

/* False if nothing is known of what this route takes. */
static bool put_method(struct json_writer *w, const struct route *route)
{
	const struct operation *o = route->operation;
	const struct resource *res = o != NULL ? o->resource : route->about;
	const struct form *form = o == NULL ? NULL : o->lists != NULL ? o->lists : o->reads;

	if (res != NULL)
		put_rows_fields(w, res);
	else if (form != NULL)
		put_form_fields(w, form);
	else if (o != NULL && o->reads_rows != NULL)
		put_read_fields(w, o->reads_rows);
	else
		return false;
	return form == NULL || form->count > 0;
}

/* 1 if the caller may do it, as the view itself would answer, else 0; a negative error only when that
 * cannot be told. */
static int may_do(struct request *rq, const struct route *route)
{
	enum http_method method = rq->method;
	struct row row;
	int r;

	rq->method = route->method;
	rq->route = route;
	r = route->permit(rq);
	if (r == 0 && route->method == HTTP_PUT && route->about != NULL)
		r = resource_object(rq, NULL, route->about, MAY_UPDATE, &row);
	rq->method = method;
	rq->route = NULL;
	if (r == 0)
		return 1;
	return r == -ECANCELED || error_http(r) >= 500 ? r : 0;
}

int resource_describe(struct request *rq, struct json_writer *w)
{
	static const enum http_method methods[] = { HTTP_POST, HTTP_PUT };
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer actions;
	bool is_any = false;

	json_writer_init(&actions, &out, JSON_ESCAPE_DRF, false);
	json_begin_object(&actions);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		const struct route *route = rq->view->routes[methods[i]];
		int r = route == NULL ? 0 : may_do(rq, route);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		json_put_key(&actions, str_c(http_method_names[methods[i]]));
		json_begin_object(&actions);
		is_any = put_method(&actions, route) || is_any;
		json_end_object(&actions);
	}
	json_end_object(&actions);
	if (is_any) {
		json_put_key(w, STR("actions"));
		json_put_raw(w, buf_str(&out));
	}
	return 0;
}
