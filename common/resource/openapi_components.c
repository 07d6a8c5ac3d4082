#include "resource/openapi-internal.h"

#include <stdlib.h>

/* --- names --- */

static struct component *find(struct components *all, struct str name)
{
	for (struct component *c = all->first; c != NULL; c = c->next) {
		if (str_eq(c->name, name))
			return c;
	}
	return NULL;
}

/* The first of a name is the component; the others mean the same. */
static struct str add(struct components *all, const struct component *component)
{
	struct component *c = find(all, component->name);

	if (c == NULL) {
		c = arena_new(all->arena, struct component);
		*c = *component;
		c->next = all->first;
		all->first = c;
	}
	return c->name;
}

static bool shows_more(const struct resource *res, enum shown least, enum shown most)
{
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (!f->is_hidden && f->shown >= least && f->shown <= most)
			return true;
	}
	return false;
}

static const char *base_name(const struct resource *res)
{
	return res->component != NULL ? res->component : res->model;
}

struct str component_shown(struct components *all, const struct resource *res, enum row_view view)
{
	enum shown most = view == VIEW_RETRIEVAL ? SHOWN_IN_RETRIEVAL
			  : view == VIEW_DETAIL  ? SHOWN_IN_DETAIL
						 : SHOWN_ALWAYS;
	bool is_more = shows_more(res, SHOWN_IN_DETAIL, most);
	const struct component c = {
		.name = arena_printf(all->arena, "%s%s", base_name(res), is_more ? "Detail" : ""),
		.of = COMPONENT_SHOWN,
		.resource = res,
		.view = is_more ? view : VIEW_LIST,
	};

	return add(all, &c);
}

struct str component_read(struct components *all, const struct resource *res,
			  enum http_method method, const char *preset, const char *name)
{
	const char *changes = res->changes != NULL ? res->changes : res->writes;
	struct component c = { .resource = res, .view = VIEW_DETAIL, .preset = preset };

	if (res->writes == NULL) {
		if (method != HTTP_PATCH && name == NULL)
			return component_shown(all, res, VIEW_DETAIL);
		c.name = component_shown(all, res, VIEW_DETAIL);
		c.of = COMPONENT_SHOWN;
		c.view = find(all, c.name)->view;
	} else {
		c.name = str_c(method == HTTP_POST ? res->writes : changes);
		c.of = method == HTTP_POST || res->changes == NULL ? COMPONENT_CREATED
								   : COMPONENT_CHANGED;
	}
	if (name != NULL)
		c.name = str_c(name);
	if (method == HTTP_PATCH) {
		c.name = arena_printf(all->arena, "Patched%.*s", STR_ARG(c.name));
		c.is_partial = true;
	}
	return add(all, &c);
}

struct str component_form(struct components *all, const struct form *form)
{
	const struct component c = { .name = str_c(form->name),
				     .of = COMPONENT_FORM,
				     .form = form };

	return add(all, &c);
}

struct str component_page(struct components *all, const struct resource *res)
{
	struct str items = component_shown(all, res, VIEW_LIST);
	const struct component c = {
		.name = arena_printf(all->arena, "Paginated%.*sList", STR_ARG(items)),
		.of = COMPONENT_PAGE,
		.resource = res,
		.items = items,
	};

	return add(all, &c);
}

/* A whole list row has the resource's own component. */
static struct str component_shape(struct components *all, const struct field *f,
				  const struct shape *shape)
{
	const struct component c = {
		.name = f->shape_name != NULL ? str_c(f->shape_name) : STR_NULL,
		.of = COMPONENT_SHAPE,
		.resource = f->refers,
		.shape = shape,
	};

	if (f->shape_name == NULL)
		return component_shown(all, f->refers, VIEW_LIST);
	return add(all, &c);
}

/* "product_image" and "status" to "ProductImageStatus". */
static void add_camel(struct buf *out, const char *name)
{
	bool is_start = true;

	for (; *name != '\0'; name++) {
		bool is_gap = *name == '_' || *name == '-';

		if (!is_gap)
			buf_add_byte(out, is_start && *name >= 'a' && *name <= 'z'
						  ? (char) (*name - 'a' + 'A')
						  : *name);
		is_start = is_gap;
	}
}

/* Whether another resource has other choices under the same name. */
static bool is_ambiguous(const struct components *all, const struct field *f)
{
	const struct view *const *views;
	size_t count = route_table_views(all->routes, &views);

	for (size_t i = 0; i < count; i++) {
		const struct resource *res = views[i]->first->about;

		for (size_t k = 0; res != NULL && k < res->field_count; k++) {
			const struct field *other = &res->fields[k];

			if (other->type == FIELD_CHOICE && strcmp(other->name, f->name) == 0 &&
			    other->choices != f->choices)
				return true;
		}
	}
	return false;
}

static struct str component_choices(struct components *all, const struct resource *res,
				    const struct field *f)
{
	_cleanup_(buf_fini) struct buf name = BUF_INIT;

	if (res != NULL && is_ambiguous(all, f))
		buf_add_c(&name, res->model);
	add_camel(&name, f->name);
	buf_add_c(&name, "Enum");
	const struct component c = {
		.name = arena_str(all->arena, buf_str(&name)),
		.of = COMPONENT_CHOICES,
		.choices = f->choices,
	};
	return add(all, &c);
}

/* --- pieces --- */

void put_text(struct json_writer *w, const char *key, const char *text)
{
	json_put_key(w, str_c(key));
	json_put_c(w, text);
}

static void put_flag(struct json_writer *w, const char *key)
{
	json_put_key(w, str_c(key));
	json_put_bool(w, true);
}

void put_reference(struct json_writer *w, struct str name)
{
	_cleanup_(buf_fini) struct buf path = BUF_INIT;

	buf_printf(&path, "#/components/schemas/%.*s", STR_ARG(name));
	json_begin_object(w);
	json_put_key(w, STR("$ref"));
	json_put_str(w, buf_str(&path));
	json_end_object(w);
}

void put_choices_description(struct json_writer *w, const char *const *choices)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	for (; *choices != NULL; choices++) {
		buf_printf(&text, "%s* `%s` - ", text.len > 0 ? "\n" : "", *choices);
		field_label_add(&text, *choices);
	}
	json_put_key(w, STR("description"));
	json_put_str(w, buf_str(&text));
}

/* Of the keys of a resource's rows; members of an object that is open. */
void put_key_type(struct json_writer *w, const struct resource *res)
{
	if (res != NULL && res->key == RESOURCE_BIGINT) {
		put_text(w, "type", "integer");
		return;
	}
	put_text(w, "type", "string");
	put_text(w, "format", "uuid");
}

/* What is the same whatever the field's rules are. */
static const struct {
	const char *type, *format;
} plain_types[FIELD_TYPES] = {
	[FIELD_TEXT] = { "string", NULL },     [FIELD_EMAIL] = { "string", "email" },
	[FIELD_INTEGER] = { "integer", NULL }, [FIELD_DECIMAL] = { "string", "decimal" },
	[FIELD_BOOLEAN] = { "boolean", NULL }, [FIELD_TIME] = { "string", "date-time" },
	[FIELD_DATE] = { "string", "date" },   [FIELD_DURATION] = { "string", NULL },
	[FIELD_CHOICE] = { "string", NULL },   [FIELD_UUID] = { "string", "uuid" },
	[FIELD_UPLOAD] = { "string", "uri" },  [FIELD_URL] = { "string", "uri" },
	[FIELD_IP] = { "string", NULL },       [FIELD_CLOCK] = { "string", "time" },
};

static void put_type(struct json_writer *w, const struct resource *res, const struct field *f,
		     bool is_written)
{
	switch (f->type) {
	case FIELD_KEY:
		put_key_type(w, res);
		return;
	case FIELD_REFERENCE:
		put_key_type(w, f->refers);
		return;
	case FIELD_KEYS:
		put_text(w, "type", "array");
		json_put_key(w, STR("items"));
		json_begin_object(w);
		put_key_type(w, f->refers);
		if (f->is_write_only)
			put_flag(w, "writeOnly");
		json_end_object(w);
		return;
	case FIELD_JSON:
		/* Any JSON; what a function makes is an object. */
		if (f->render != NULL && !is_written) {
			put_text(w, "type", "object");
			json_put_key(w, STR("additionalProperties"));
			json_put_raw(w, STR("{}"));
		}
		return;
	case FIELD_ARRAY:
		put_text(w, "type", "array");
		json_put_key(w, STR("items"));
		json_begin_object(w);
		put_type(w, res, f->element, is_written);
		json_end_object(w);
		return;
	default:
		put_text(w, "type", plain_types[f->type].type);
		if (plain_types[f->type].format != NULL)
			put_text(w, "format", plain_types[f->type].format);
	}
}

static void put_decimal_pattern(struct json_writer *w, const struct field *f)
{
	_cleanup_(buf_fini) struct buf pattern = BUF_INIT;

	buf_printf(&pattern, "^-?\\d{0,%u}(?:\\.\\d{0,%u})?$", f->digits - f->places, f->places);
	json_put_key(w, STR("pattern"));
	json_put_str(w, buf_str(&pattern));
}

/* `is_written`: as clients send it; `is_row`: of a table, whose integers have a column's bounds. */
static void put_limits(struct json_writer *w, const struct field *f, bool is_written, bool is_row)
{
	if (f->type == FIELD_DECIMAL && f->digits > 0)
		put_decimal_pattern(w, f);
	if (f->is_slug)
		put_text(w, "pattern", "^[-a-zA-Z0-9_]+$");
	if (!is_written)
		return;
	if (f->most_length > 0 && !f->is_most_untold && f->type != FIELD_UPLOAD) {
		json_put_key(w, STR("maxLength"));
		json_put_i64(w, f->most_length);
	}
	if (f->type != FIELD_INTEGER || !is_row)
		return;
	json_put_key(w, STR("maximum"));
	json_put_raw(w, str_c(f->most != NULL && f->most_words == NULL ? f->most : INTEGER_MOST));
	json_put_key(w, STR("minimum"));
	json_put_raw(w,
		     str_c(f->least != NULL && f->least_words == NULL ? f->least : INTEGER_LEAST));
}

static struct str name_of_related(struct components *all, const struct resource *res,
				  const struct field *f)
{
	if (f->form != NULL)
		return component_form(all, f->form);
	if (res == NULL)
		return component_shown(all, f->refers, VIEW_LIST);
	return component_shape(all, f, &plan_of(res)->shapes[f - res->fields]);
}

/* An object of its own: beside "$ref" nothing else counts, so what is said of it wraps the reference. */
static void put_referring(struct json_writer *w, struct str name, bool is_read_only, bool is_many,
			  bool is_nullable, unsigned most)
{
	if (!is_read_only && !is_many && !is_nullable) {
		put_reference(w, name);
		return;
	}
	json_begin_object(w);
	if (is_many) {
		put_text(w, "type", "array");
		json_put_key(w, STR("items"));
		put_reference(w, name);
		if (most > 0) {
			json_put_key(w, STR("maxItems"));
			json_put_i64(w, most);
		}
	} else {
		json_put_key(w, STR("allOf"));
		json_begin_array(w);
		put_reference(w, name);
		json_end_array(w);
	}
	if (is_read_only)
		put_flag(w, "readOnly");
	if (is_nullable)
		put_flag(w, "nullable");
	json_end_object(w);
}

static void put_property(struct components *all, struct json_writer *w, const struct component *c,
			 const struct field *f, bool is_read_only)
{
	const struct resource *res = c->resource;

	json_put_key(w, str_c(f->name));
	if (f->type == FIELD_EMBED || f->type == FIELD_MANY) {
		put_referring(w, name_of_related(all, res, f), is_read_only, f->type == FIELD_MANY,
			      f->is_nullable, f->most_rows);
		return;
	}
	if (f->type == FIELD_CHOICE && !is_read_only) {
		put_referring(w, component_choices(all, res, f), false, false, false, 0);
		return;
	}
	json_begin_object(w);
	put_type(w, res, f, !is_read_only);
	if (is_read_only)
		put_flag(w, "readOnly");
	if (f->is_write_only && !is_read_only)
		put_flag(w, "writeOnly");
	/* A file that is not there is null. */
	if (f->is_nullable || (f->type == FIELD_UPLOAD && is_read_only))
		put_flag(w, "nullable");
	put_limits(w, f, !is_read_only, res != NULL);
	if (f->help != NULL)
		put_text(w, "description", f->help);
	json_end_object(w);
}

/* --- which fields --- */

struct member {
	const struct field *field;
	bool is_read_only, is_required;
};

static bool is_preset_field(const struct component *c, const struct field *f)
{
	return c->preset != NULL && strcmp(c->preset, f->name) == 0;
}

static bool choose_shown(const struct component *c, const struct field *f, struct member *ret)
{
	const struct resource *res = c->resource;
	bool is_apart = res->writes != NULL;
	enum shown most = c->view == VIEW_RETRIEVAL ? SHOWN_IN_RETRIEVAL
			  : c->view == VIEW_DETAIL  ? SHOWN_IN_DETAIL
						    : SHOWN_ALWAYS;

	if (f->is_hidden || f->shown > most || (is_apart && f->is_write_only))
		return false;
	ret->is_read_only = is_apart || field_is_read_only(f) || is_preset_field(c, f);
	ret->is_required = ret->is_read_only || f->is_required || f->is_required_once;
	return true;
}

static bool choose(const struct component *c, const struct field *f, struct member *ret)
{
	*ret = (struct member){ .field = f };
	switch (c->of) {
	case COMPONENT_SHOWN:
	case COMPONENT_SHAPE:
		return choose_shown(c, f, ret);
	case COMPONENT_CREATED:
		ret->is_required = f->is_required || f->is_required_once;
		return !field_is_read_only(f);
	case COMPONENT_CHANGED:
		ret->is_required = f->is_required;
		return !field_is_read_only(f) && !f->is_fixed;
	default:
		ret->is_read_only = f->is_read_only;
		ret->is_required = f->is_required || f->is_read_only;
		return true;
	}
}

/* In the order of the component; returns how many. */
static size_t choose_members(const struct component *c, struct member *ret, size_t most)
{
	const struct field *fields = c->form != NULL ? c->form->fields : c->resource->fields;
	size_t all = c->shape != NULL  ? c->shape->count
		     : c->form != NULL ? c->form->count
				       : c->resource->field_count;
	size_t count = 0;

	for (size_t i = 0; i < all; i++) {
		size_t place = c->shape != NULL ? c->shape->places[i] : i;

		must(count < most);
		if (choose(c, &fields[place], &ret[count]))
			count++;
	}
	return count;
}

static int by_field_name(const void *a, const void *b)
{
	const struct member *const *one = a, *const *other = b;

	return strcmp((*one)->field->name, (*other)->field->name);
}

static void put_required(struct components *all, struct json_writer *w, struct member *members,
			 size_t count)
{
	const struct member **required = arena_array(all->arena, const struct member *, count + 1);
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (members[i].is_required)
			required[n++] = &members[i];
	}
	if (n == 0)
		return;
	qsort(required, n, sizeof(required[0]), by_field_name);
	json_put_key(w, STR("required"));
	json_begin_array(w);
	for (size_t i = 0; i < n; i++)
		json_put_c(w, required[i]->field->name);
	json_end_array(w);
}

/* --- the bodies --- */

/* More than any table has. */
#define MEMBERS_MOST 150

static void put_object(struct components *all, struct json_writer *w, const struct component *c)
{
	struct member members[MEMBERS_MOST];
	size_t count = choose_members(c, members, MEMBERS_MOST);

	json_begin_object(w);
	put_text(w, "type", "object");
	if (c->form != NULL && c->form->description != NULL)
		put_text(w, "description", c->form->description);
	json_put_key(w, STR("properties"));
	json_begin_object(w);
	for (size_t i = 0; i < count; i++)
		put_property(all, w, c, members[i].field, members[i].is_read_only);
	json_end_object(w);
	if (!c->is_partial)
		put_required(all, w, members, count);
	json_end_object(w);
}

/* One of the two links of a page. */
static void put_link(struct json_writer *w, const char *name, const char *query)
{
	_cleanup_(buf_fini) struct buf example = BUF_INIT;

	buf_printf(&example, "http://api.example.org/accounts/?%s", query);
	json_put_key(w, str_c(name));
	json_begin_object(w);
	put_text(w, "type", "string");
	put_flag(w, "nullable");
	put_text(w, "format", "uri");
	json_put_key(w, STR("example"));
	json_put_str(w, buf_str(&example));
	json_end_object(w);
}

static void put_page(struct json_writer *w, const struct component *c)
{
	/* The examples are DRF's. */
	static const struct {
		const char *next, *previous;
	} queries[] = {
		[PAGING_NUMBERS] = { "page=4", "page=2" },
		[PAGING_OFFSETS] = { "page=4", "page=2" },
		[PAGING_CURSOR] = { "cursor=cD00ODY%3D\"", "cursor=cj0xJnA9NDg3" },
	};
	bool is_counted = c->resource->paging != PAGING_CURSOR;

	json_begin_object(w);
	put_text(w, "type", "object");
	json_put_key(w, STR("required"));
	json_put_raw(w, is_counted ? STR("[\"count\",\"results\"]") : STR("[\"results\"]"));
	json_put_key(w, STR("properties"));
	json_begin_object(w);
	if (is_counted) {
		json_put_key(w, STR("count"));
		json_put_raw(w, STR("{\"type\":\"integer\",\"example\":123}"));
	}
	put_link(w, "next", queries[c->resource->paging].next);
	put_link(w, "previous", queries[c->resource->paging].previous);
	json_put_key(w, STR("results"));
	put_referring(w, c->items, false, true, false, 0);
	json_end_object(w);
	json_end_object(w);
}

static void put_enum(struct json_writer *w, const struct component *c)
{
	json_begin_object(w);
	json_put_key(w, STR("enum"));
	json_begin_array(w);
	for (const char *const *choice = c->choices; *choice != NULL; choice++)
		json_put_c(w, *choice);
	json_end_array(w);
	put_text(w, "type", "string");
	put_choices_description(w, c->choices);
	json_end_object(w);
}

static void write_body(struct components *all, struct component *c)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	if (c->of == COMPONENT_PAGE)
		put_page(&w, c);
	else if (c->of == COMPONENT_CHOICES)
		put_enum(&w, c);
	else
		put_object(all, &w, c);
	c->body = arena_str(all->arena, buf_str(&body));
}

bool component_has_required(struct components *all, struct str name)
{
	const struct component *c = find(all, name);
	struct member members[MEMBERS_MOST];
	size_t count;

	if (c->is_partial)
		return false;
	count = choose_members(c, members, MEMBERS_MOST);
	for (size_t i = 0; i < count; i++) {
		if (members[i].is_required && !members[i].is_read_only)
			return true;
	}
	return false;
}

static int by_name(const void *a, const void *b)
{
	const struct component *const *one = a, *const *other = b;

	return str_cmp((*one)->name, (*other)->name);
}

void components_put(struct components *all, struct json_writer *w)
{
	struct component **sorted;
	bool is_more = true;
	size_t count = 0, i = 0;

	/* Writing one names others, which come to the front of the list. */
	while (is_more) {
		is_more = false;
		for (struct component *c = all->first; c != NULL; c = c->next) {
			if (str_is_null(c->body)) {
				write_body(all, c);
				is_more = true;
			}
		}
	}
	for (struct component *c = all->first; c != NULL; c = c->next)
		count++;
	sorted = arena_array(all->arena, struct component *, count + 1);
	for (struct component *c = all->first; c != NULL; c = c->next)
		sorted[i++] = c;
	qsort(sorted, count, sizeof(sorted[0]), by_name);
	json_put_key(w, STR("schemas"));
	json_begin_object(w);
	for (i = 0; i < count; i++) {
		json_put_key(w, sorted[i]->name);
		json_put_raw(w, sorted[i]->body);
	}
	json_end_object(w);
}
