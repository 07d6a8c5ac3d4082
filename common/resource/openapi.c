#include "resource/openapi.h"

#include <stdlib.h>

#include "auth/identity.h"
#include "base/yaml.h"
#include "resource/openapi-internal.h"

#define MOUNT "/api/v1/"

/* What a route does, to the document. */
enum deed { LISTS, CREATES, RETRIEVES, UPDATES, PARTLY_UPDATES, DESTROYS };

static const char *const deed_names[] = {
	[LISTS] = "list",
	[CREATES] = "create",
	[RETRIEVES] = "retrieve",
	[UPDATES] = "update",
	[PARTLY_UPDATES] = "partial_update",
	[DESTROYS] = "destroy",
};

static const unsigned deed_rights[] = {
	[LISTS] = MAY_LIST,     [CREATES] = MAY_CREATE,        [RETRIEVES] = MAY_READ,
	[UPDATES] = MAY_UPDATE, [PARTLY_UPDATES] = MAY_UPDATE, [DESTROYS] = MAY_DELETE,
};

struct document {
	struct components components;
	struct json_writer w;
};

static bool is_about_one(const struct route *route)
{
	return strstr(route->pattern, "{id}") != NULL;
}

static enum deed deed_of(const struct route *route)
{
	const struct operation *o = route->operation;

	switch (route->method) {
	case HTTP_POST:
		return CREATES;
	case HTTP_PUT:
		return UPDATES;
	case HTTP_PATCH:
		return PARTLY_UPDATES;
	case HTTP_DELETE:
		return DESTROYS;
	default:
		if (o == NULL)
			return route->about == NULL || is_about_one(route) ? RETRIEVES : LISTS;
		return o->answered == ANSWERS_ARRAY || o->answered == ANSWERS_PAGE ||
				       o->answers_array
			       ? LISTS
			       : RETRIEVES;
	}
}

/* --- names --- */

/* The words of the path and what is done: "posts_comments_list". */
static void put_operation_id(struct json_writer *w, const struct route *route)
{
	_cleanup_(buf_fini) struct buf id = BUF_INIT;
	struct str rest = str_c(route->pattern), word;

	while (str_cut(&rest, '/', &word)) {
		if (word.len == 0 || word.at[0] == '{')
			continue;
		for (size_t i = 0; i < word.len; i++)
			buf_add_byte(&id, word.at[i] == '-' ? '_' : word.at[i]);
		buf_add_byte(&id, '_');
	}
	buf_add_c(&id, deed_names[deed_of(route)]);
	json_put_key(w, STR("operationId"));
	json_put_str(w, buf_str(&id));
}

static void put_tags(struct json_writer *w, const struct route *route)
{
	struct str rest = str_c(route->pattern), first;

	(void) str_cut(&rest, '/', &first);
	json_put_key(w, STR("tags"));
	json_begin_array(w);
	json_put_str(w, first);
	json_end_array(w);
}

static const struct resource *resource_of(const struct route *route)
{
	return route->operation != NULL ? route->operation->resource : route->about;
}

static void put_description(struct json_writer *w, const struct route *route)
{
	const struct resource *res = resource_of(route);

	if (route->description != NULL)
		put_text(w, "description", route->description);
	else if (res != NULL && res->description != NULL)
		put_text(w, "description", res->description);
}

/* --- who may --- */

static bool is_public(const struct route *route)
{
	const struct resource *res = route->about;

	if (res == NULL)
		return route->permit == permit_anyone ||
		       (route->permit == permit_signed_in_writes && route->method == HTTP_GET);
	for (size_t i = 0; i < res->permission_count; i++) {
		if (res->permissions[i].who == WHO_ANYONE &&
		    (res->permissions[i].may & deed_rights[deed_of(route)]) != 0)
			return true;
	}
	return false;
}

static void put_security(struct json_writer *w, const struct route *route)
{
	if ((route->flags & ROUTE_NO_AUTHENTICATION) != 0)
		return;
	json_put_key(w, STR("security"));
	json_put_raw(w,
		     is_public(route) ? STR("[{\"jwtAuth\":[]},{}]") : STR("[{\"jwtAuth\":[]}]"));
}

/* --- parameters --- */

struct parameter {
	const char *name, *description;
	const struct filter *filter; /* NULL: of a type */
	const char *type;            /* NULL: the path's key */
};

static const struct {
	const char *type, *format;
} filter_types[FIELD_TYPES] = {
	[FIELD_KEY] = { "string", "uuid" },          [FIELD_UUID] = { "string", "uuid" },
	[FIELD_TEXT] = { "string", NULL },           [FIELD_INTEGER] = { "integer", NULL },
	[FIELD_DECIMAL] = { "number", NULL },        [FIELD_BOOLEAN] = { "boolean", NULL },
	[FIELD_TIME] = { "string", "date-time" },    [FIELD_DATE] = { "string", "date" },
	[FIELD_DURATION] = { "string", "duration" }, [FIELD_CHOICE] = { "string", NULL },
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void put_sorted_choices(struct json_writer *w, const char *const *choices)
{
	const char *sorted[64];
	size_t count = 0;

	while (choices[count] != NULL) {
		must(count < ARRAY_SIZE(sorted));
		sorted[count] = choices[count];
		count++;
	}
	qsort(sorted, count, sizeof(sorted[0]), by_text);
	json_put_key(w, STR("enum"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		json_put_c(w, sorted[i]);
	json_end_array(w);
}

static void put_filter_type(struct json_writer *w, const struct filter *f)
{
	json_begin_object(w);
	if (f->refers != NULL) {
		put_key_type(w, f->refers);
	} else {
		put_text(w, "type", filter_types[f->type].type);
		if (filter_types[f->type].format != NULL)
			put_text(w, "format", filter_types[f->type].format);
	}
	if (f->choices != NULL)
		put_sorted_choices(w, f->choices);
	json_end_object(w);
}

static void put_filter(struct json_writer *w, const struct filter *f)
{
	bool is_list = f->lookup == LOOKUP_IN || f->lookup == LOOKUP_RANGE;

	put_text(w, "in", "query");
	put_text(w, "name", f->name);
	json_put_key(w, STR("schema"));
	if (!is_list && !f->is_repeatable) {
		put_filter_type(w, f);
		if (f->choices != NULL)
			put_choices_description(w, f->choices);
		return;
	}
	json_begin_object(w);
	put_text(w, "type", "array");
	json_put_key(w, STR("items"));
	put_filter_type(w, f);
	json_end_object(w);
	if (is_list)
		put_text(w, "description", "Multiple values may be separated by commas.");
	json_put_key(w, STR("explode"));
	json_put_bool(w, !is_list);
	put_text(w, "style", "form");
}

/* "A UUID string identifying this product image." */
static void put_key_parameter(struct json_writer *w, const struct resource *res)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	buf_add_c(&text, res != NULL && res->key == RESOURCE_BIGINT
				 ? "A unique integer value identifying this "
				 : "A UUID string identifying this ");
	for (const char *c = res != NULL ? res->name : "object"; *c != '\0'; c++)
		buf_add_byte(&text, *c == '_' || *c == '-' ? ' ' : *c);
	buf_add_byte(&text, '.');
	put_text(w, "in", "path");
	put_text(w, "name", "id");
	json_put_key(w, STR("schema"));
	json_begin_object(w);
	put_key_type(w, res);
	json_end_object(w);
	json_put_key(w, STR("description"));
	json_put_str(w, buf_str(&text));
	json_put_key(w, STR("required"));
	json_put_bool(w, true);
}

static int by_name(const void *a, const void *b)
{
	const struct parameter *one = a, *other = b;

	return strcmp(one->name, other->name);
}

/* More than any table has: filters, and what DRF adds. */
#define PARAMETERS_MOST 100

/* What a list may be asked, and the key of the path. */
static size_t choose_parameters(const struct route *route, struct parameter *ret)
{
	const struct resource *res = resource_of(route);
	const struct operation *o = route->operation;
	bool is_list = o == NULL && deed_of(route) == LISTS;
	size_t count = 0;

	if (is_about_one(route))
		ret[count++] = (struct parameter){ .name = "id" };
	if (is_list && !res->is_bare && res->paging == PAGING_CURSOR) {
		ret[count++] = (struct parameter){ .name = "cursor",
						   .description = "The pagination cursor value.",
						   .type = "string" };
		if (res->page_parameter != NULL)
			ret[count++] = (struct parameter){
				.name = res->page_parameter,
				.description = "Number of results to return per page.",
				.type = "integer"
			};
	} else if (is_list && !res->is_bare && res->paging == PAGING_OFFSETS) {
		ret[count++] = (struct parameter){
			.name = "limit",
			.description = "Number of results to return per page.",
			.type = "integer"
		};
		ret[count++] = (struct parameter){
			.name = "offset",
			.description = "The initial index from which to return the results.",
			.type = "integer"
		};
	} else if ((is_list && !res->is_bare) || (o != NULL && o->answered == ANSWERS_PAGE)) {
		ret[count++] = (struct parameter){
			.name = "page",
			.description = "A page number within the paginated result set.",
			.type = "integer"
		};
	}
	if (!is_list)
		return count;
	if (res->select.search_count > 0)
		ret[count++] = (struct parameter){ .name = "search",
						   .description = "A search term.",
						   .type = "string" };
	if (res->select.order_count > 0)
		ret[count++] = (struct parameter){
			.name = "ordering",
			.description = "Which field to use when ordering the results.",
			.type = "string"
		};
	for (size_t i = 0; i < res->select.filter_count; i++) {
		const struct filter *f = &res->select.filters[i];

		must(count < PARAMETERS_MOST);
		ret[count++] = (struct parameter){ .name = f->name, .filter = f };
	}
	return count;
}

/* What DRF adds. */
static void put_usual_parameter(struct json_writer *w, const struct parameter *p)
{
	put_text(w, "name", p->name);
	json_put_key(w, STR("required"));
	json_put_bool(w, false);
	put_text(w, "in", "query");
	put_text(w, "description", p->description);
	json_put_key(w, STR("schema"));
	json_begin_object(w);
	put_text(w, "type", p->type);
	json_end_object(w);
}

static void put_parameters(struct json_writer *w, const struct route *route)
{
	struct parameter parameters[PARAMETERS_MOST];
	size_t count = choose_parameters(route, parameters);

	if (count == 0)
		return;
	qsort(parameters, count, sizeof(parameters[0]), by_name);
	json_put_key(w, STR("parameters"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++) {
		const struct parameter *p = &parameters[i];

		json_begin_object(w);
		if (p->filter != NULL)
			put_filter(w, p->filter);
		else if (p->type == NULL)
			put_key_parameter(w, resource_of(route));
		else
			put_usual_parameter(w, p);
		json_end_object(w);
	}
	json_end_array(w);
}

/* --- bodies --- */

/* {"schema": …} of one component, or of a list of them. */
static void put_schema(struct json_writer *w, struct str component, bool is_array)
{
	json_begin_object(w);
	json_put_key(w, STR("schema"));
	if (is_array) {
		json_begin_object(w);
		put_text(w, "type", "array");
		json_put_key(w, STR("items"));
		put_reference(w, component);
		json_end_object(w);
	} else {
		put_reference(w, component);
	}
	json_end_object(w);
}

/* The component of the route's body; absent if it reads none. */
static struct str choose_body(struct document *d, const struct route *route)
{
	const struct operation *o = route->operation;

	if (o != NULL && o->reads != NULL)
		return component_form(&d->components, o->reads);
	if (o != NULL && o->reads_rows != NULL)
		return component_read(&d->components, o->reads_rows, route->method, o->preset,
				      o->reads_as);
	if (o != NULL || route->about == NULL)
		return STR_NULL;
	if (route->method != HTTP_POST && route->method != HTTP_PUT && route->method != HTTP_PATCH)
		return STR_NULL;
	return component_read(&d->components, route->about, route->method, NULL, NULL);
}

static void put_body(struct document *d, const struct route *route)
{
	const struct operation *o = route->operation;
	struct str component = choose_body(d, route);
	bool is_array = o != NULL && o->reads_array;
	const char *types[3];
	size_t count = body_types(route->accepts != NULL ? route->accepts : body_any, types);

	if (str_is_null(component))
		return;
	json_put_key(&d->w, STR("requestBody"));
	json_begin_object(&d->w);
	json_put_key(&d->w, STR("content"));
	json_begin_object(&d->w);
	for (size_t i = 0; i < count; i++) {
		json_put_key(&d->w, str_c(types[i]));
		put_schema(&d->w, component, is_array);
	}
	json_end_object(&d->w);
	if (is_array || component_has_required(&d->components, component)) {
		json_put_key(&d->w, STR("required"));
		json_put_bool(&d->w, true);
	}
	json_end_object(&d->w);
}

static void put_content(struct document *d, struct str component, bool is_array)
{
	json_put_key(&d->w, STR("content"));
	json_begin_object(&d->w);
	json_put_key(&d->w, STR("application/json"));
	put_schema(&d->w, component, is_array);
	json_end_object(&d->w);
	put_text(&d->w, "description", "");
}

/* Of a resource's own route. */
static void put_rows_answer(struct document *d, const struct route *route)
{
	const struct resource *res = route->about;
	struct components *all = &d->components;

	switch (deed_of(route)) {
	case DESTROYS:
		put_text(&d->w, "description", "No response body");
		break;
	case LISTS:
		if (res->is_bare)
			put_content(d, component_shown(all, res, VIEW_LIST), true);
		else
			put_content(d, component_page(all, res), false);
		break;
	case RETRIEVES:
		put_content(d, component_shown(all, res, VIEW_RETRIEVAL), false);
		break;
	default:
		put_content(d, component_shown(all, res, VIEW_DETAIL), false);
	}
}

/* Of a route by hand. */
static void put_told_answer(struct document *d, const struct route *route)
{
	const struct operation *o = route->operation;
	struct components *all = &d->components;

	if (o->answer_types != NULL) {
		json_put_key(&d->w, STR("content"));
		json_begin_object(&d->w);
		for (const char *const *type = o->answer_types; *type != NULL; type++) {
			json_put_key(&d->w, str_c(*type));
			json_put_raw(&d->w, o->answers_bytes
						    ? STR("{\"schema\":{\"type\":\"string\","
							  "\"format\":\"binary\"}}")
						    : STR("{\"schema\":{\"type\":\"object\","
							  "\"additionalProperties\":{}}}"));
		}
		json_end_object(&d->w);
		put_text(&d->w, "description", "");
	} else if (o->answered == ANSWERS_PAGE) {
		put_content(d, component_page(all, o->rows), false);
	} else if (o->answered == ANSWERS_ARRAY) {
		put_content(d, component_shown(all, o->rows, VIEW_LIST), true);
	} else if (o->answered == ANSWERS_ROW) {
		put_content(d, component_shown(all, o->rows, VIEW_DETAIL), false);
	} else if (o->answers != NULL) {
		put_content(d, component_form(all, o->answers), o->answers_array);
	} else {
		put_text(&d->w, "description", "No response body");
	}
}

static int usual_status(const struct route *route)
{
	enum deed deed = deed_of(route);

	if (deed == DESTROYS)
		return 204;
	return deed == CREATES && route->operation == NULL ? 201 : 200;
}

static void put_answers(struct document *d, const struct route *route)
{
	const struct operation *o = route->operation;
	int status = o != NULL && o->status != 0 ? o->status : usual_status(route);

	json_put_key(&d->w, STR("responses"));
	json_begin_object(&d->w);
	json_put_key(&d->w, arena_printf(d->components.arena, "%d", status));
	json_begin_object(&d->w);
	if (o != NULL)
		put_told_answer(d, route);
	else if (route->about != NULL)
		put_rows_answer(d, route);
	else
		put_text(&d->w, "description", "No response body");
	json_end_object(&d->w);
	json_end_object(&d->w);
}

/* --- paths --- */

static void put_operation(struct document *d, const struct route *route)
{
	static const char *const methods[HTTP_METHODS] = {
		[HTTP_GET] = "get",     [HTTP_POST] = "post",     [HTTP_PUT] = "put",
		[HTTP_PATCH] = "patch", [HTTP_DELETE] = "delete",
	};

	json_put_key(&d->w, str_c(methods[route->method]));
	json_begin_object(&d->w);
	put_operation_id(&d->w, route);
	put_description(&d->w, route);
	put_parameters(&d->w, route);
	put_tags(&d->w, route);
	put_body(d, route);
	put_security(&d->w, route);
	put_answers(d, route);
	json_end_object(&d->w);
}

/* A parameter comes before any word: "posts/{id}/" before "posts/my_posts/". */
static int by_pattern(const void *a, const void *b)
{
	const char *one = (*(const struct view *const *) a)->pattern;
	const char *other = (*(const struct view *const *) b)->pattern;

	while (*one != '\0' && *one == *other) {
		one++;
		other++;
	}
	return (*one == '{' ? 1 : (unsigned char) *one) -
	       (*other == '{' ? 1 : (unsigned char) *other);
}

static bool is_told(const struct view *v)
{
	return v->mount == ROUTE_API && v->pattern[0] != '\0' &&
	       (v->first->flags & (ROUTE_NO_NEGOTIATION | ROUTE_UNTOLD)) == 0;
}

static void put_paths(struct document *d, const struct route_table *routes)
{
	static const enum http_method methods[] = { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH,
						    HTTP_DELETE };
	const struct view *const *views;
	size_t count = route_table_views(routes, &views);
	const struct view **sorted = arena_array(d->components.arena, const struct view *,
						 count + 1);

	memcpy(sorted, views, count * sizeof(views[0]));
	qsort(sorted, count, sizeof(sorted[0]), by_pattern);
	json_put_key(&d->w, STR("paths"));
	json_begin_object(&d->w);
	for (size_t i = 0; i < count; i++) {
		if (!is_told(sorted[i]))
			continue;
		json_put_key(&d->w,
			     arena_printf(d->components.arena, MOUNT "%s", sorted[i]->pattern));
		json_begin_object(&d->w);
		for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
			if (sorted[i]->routes[methods[m]] != NULL)
				put_operation(d, sorted[i]->routes[methods[m]]);
		}
		json_end_object(&d->w);
	}
	json_end_object(&d->w);
}

static void put_document(struct document *d, const struct route_table *routes,
			 const struct openapi_info *info)
{
	json_begin_object(&d->w);
	put_text(&d->w, "openapi", "3.0.3");
	json_put_key(&d->w, STR("info"));
	json_begin_object(&d->w);
	put_text(&d->w, "title", info->title);
	put_text(&d->w, "version", info->version);
	json_end_object(&d->w);
	put_paths(d, routes);
	json_put_key(&d->w, STR("components"));
	json_begin_object(&d->w);
	components_put(&d->components, &d->w);
	json_put_key(&d->w, STR("securitySchemes"));
	json_put_raw(&d->w, STR("{\"jwtAuth\":{\"type\":\"http\",\"scheme\":\"bearer\","
				"\"bearerFormat\":\"JWT\"}}"));
	json_end_object(&d->w);
	json_end_object(&d->w);
}

void openapi_build(struct arena *arena, const struct route_table *routes,
		   const struct openapi_info *info, struct openapi *ret)
{
	_cleanup_(arena_fini) struct arena scratch;
	_cleanup_(buf_fini) struct buf compact = BUF_INIT, text = BUF_INIT;
	struct document d = { .components = { .arena = &scratch, .routes = routes } };
	struct json_error error;
	struct json *tree;

	arena_init(&scratch);
	json_writer_init(&d.w, &compact, JSON_ESCAPE_DRF, false);
	put_document(&d, routes, info);
	json_indent(&text, buf_str(&compact), 4);
	ret->json = arena_str(arena, buf_str(&text));
	must(json_parse(&scratch, buf_str(&compact), JSON_STRICT, 64, &tree, &error) == 0);
	buf_clear(&text);
	yaml_add(&text, &scratch, tree);
	ret->yaml = arena_str(arena, buf_str(&text));
}
