#include "http/route.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "http/throttles.h"

/*
 * A tree of path segments.  A view stands at the node of its last segment, as `slash` when its
 * pattern ends with '/', else as `bare`; an API view at two nodes, one for each mount.
 */
struct place {
	const struct view *view;
	struct str mount;
};

struct node {
	struct str segment;
	struct node *first; /* children with a literal segment */
	struct node *next;
	struct node *parameter; /* the child for {…} */
	struct place slash, bare;
};

struct row {
	const struct route *route;
	struct row *next;
};

struct prefix {
	struct str path;
	const struct view *view;
	struct prefix *next;
};

struct route_table {
	struct arena arena;
	struct row *rows, **rows_end;
	struct prefix *prefixes;
	struct view **views;
	size_t view_count, row_count;
	struct node root;
	bool is_sealed;
};

/* The mount that stands first here wins where both match ("/api/v1/…" is below "/api/" too). */
static const struct str api_mounts[] = { STR_INIT("/api/v1/"), STR_INIT("/api/") };
static const struct str root_mount = STR_INIT("/");

/* DRF's order in Allow. */
static const enum http_method allow_order[] = {
	HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_HEAD, HTTP_OPTIONS,
};
_Static_assert(ARRAY_SIZE(allow_order) == HTTP_METHODS, "every method has its place in Allow");

struct route_table *route_table_new(void)
{
	struct route_table *t = calloc(1, sizeof(*t));

	must(t != NULL);
	arena_init(&t->arena);
	t->rows_end = &t->rows;
	return t;
}

struct route_table *route_table_free(struct route_table *t)
{
	if (t == NULL)
		return NULL;
	arena_fini(&t->arena);
	free(t);
	return NULL;
}

void route_table_add(struct route_table *t, const struct route *rows, size_t count)
{
	must(!t->is_sealed);
	for (size_t i = 0; i < count; i++) {
		struct row *row = arena_new(&t->arena, struct row);

		row->route = &rows[i];
		*t->rows_end = row;
		t->rows_end = &row->next;
		t->row_count++;
	}
}

static bool has_row(const struct view *v, enum http_method method)
{
	switch (method) {
	case HTTP_HEAD:
		return v->routes[HTTP_HEAD] != NULL || v->routes[HTTP_GET] != NULL;
	case HTTP_OPTIONS:
		/* DRF answers it everywhere with the view's metadata. */
		return v->routes[HTTP_OPTIONS] != NULL ||
		       (v->first->flags & ROUTE_NO_NEGOTIATION) == 0;
	default:
		return v->routes[method] != NULL;
	}
}

static void allow_fill(struct route_table *t, struct view *v)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(allow_order); i++) {
		if (!has_row(v, allow_order[i]))
			continue;
		if (b.len > 0)
			buf_add_c(&b, ", ");
		buf_add_c(&b, http_method_names[allow_order[i]]);
	}
	v->allow = arena_str(&t->arena, buf_str(&b));
}

void *route_table_keep(struct route_table *t, size_t size)
{
	return arena_zalloc(&t->arena, size);
}

void route_table_add_prefix(struct route_table *t, const char *prefix, const struct route *row)
{
	struct prefix *p = arena_new(&t->arena, struct prefix);
	struct view *v = arena_new(&t->arena, struct view);

	must(!t->is_sealed && prefix[0] == '/' && row->method < HTTP_METHODS);
	v->pattern = prefix;
	v->mount = ROUTE_ROOT;
	v->routes[row->method] = row;
	v->first = row;
	v->metrics = arena_new(&t->arena, struct view_metrics);
	allow_fill(t, v);
	p->path = str_c(prefix);
	p->view = v;
	p->next = t->prefixes;
	t->prefixes = p;
}

/* "{name}" */
static bool is_parameter(struct str segment)
{
	return segment.len > 2 && segment.at[0] == '{' && segment.at[segment.len - 1] == '}';
}

static int pattern_check(const struct route *r)
{
	struct str rest = str_c(r->pattern), segment;
	unsigned parameters = 0;

	if (str_starts(rest, STR("/")))
		return fail(-EINVAL, "route \"%s\": a pattern begins without a slash", r->pattern);
	while (rest.len > 0 && str_cut(&rest, '/', &segment)) {
		if (segment.len == 0)
			return fail(-EINVAL, "route \"%s\": a segment is empty", r->pattern);
		if (is_parameter(segment))
			parameters++;
		else if (str_find_char(segment, '{') >= 0 || str_find_char(segment, '}') >= 0)
			return fail(-EINVAL, "route \"%s\": a parameter is a whole segment, {name}",
				    r->pattern);
	}
	if (parameters > ROUTE_PARAMETERS)
		return fail(-EINVAL, "route \"%s\": more than %d parameters", r->pattern,
			    ROUTE_PARAMETERS);
	return 0;
}

static int row_check(const struct route *r)
{
	if (r->pattern == NULL || r->name == NULL)
		return fail(-EINVAL, "route \"%s\": has no %s",
			    r->pattern == NULL ? "" : r->pattern,
			    r->pattern == NULL ? "pattern" : "name");
	if (r->method >= HTTP_METHODS)
		return fail(-EINVAL, "route \"%s\": the method is none that is served", r->pattern);
	if (r->handle == NULL)
		return fail(-EINVAL, "route \"%s\" (%s): has no handler", r->pattern, r->name);
	if (r->permit == NULL)
		return fail(
			-EINVAL,
			"route \"%s\" (%s): has no permission; permit_anyone says that everybody may",
			r->pattern, r->name);
	if (r->deadline < 0)
		return fail(-EINVAL, "route \"%s\" (%s): the deadline is negative", r->pattern,
			    r->name);
	if (r->throttle_scope != NULL && !throttles_has_scope(r->throttle_scope))
		return fail(-EINVAL, "route \"%s\" (%s): there is no throttle scope \"%s\"",
			    r->pattern, r->name, r->throttle_scope);
	return pattern_check(r);
}

static struct node *child(struct route_table *t, struct node *n, struct str segment)
{
	struct node *c;

	if (is_parameter(segment)) {
		if (n->parameter == NULL)
			n->parameter = arena_new(&t->arena, struct node);
		return n->parameter;
	}
	for (c = n->first; c != NULL; c = c->next)
		if (str_eq(c->segment, segment))
			return c;
	c = arena_new(&t->arena, struct node);
	c->segment = segment;
	c->next = n->first;
	n->first = c;
	return c;
}

static struct node *walk_down(struct route_table *t, struct node *n, struct str path)
{
	struct str segment;

	while (path.len > 0 && str_cut(&path, '/', &segment))
		n = child(t, n, segment);
	return n;
}

/* Puts the view at its place below a mount.  Two patterns may not meet there. */
static int view_plant(struct route_table *t, const struct view *v, struct str mount)
{
	struct str pattern = str_c(v->pattern);
	struct node *n = walk_down(t, &t->root, str_slice(mount, 1, mount.len));
	struct place *place;

	n = walk_down(t, n, pattern);
	place = pattern.len == 0 || str_ends(pattern, STR("/")) ? &n->slash : &n->bare;
	if (place->view != NULL)
		return fail(-EINVAL, "route \"%s\" matches the same paths as \"%s\"", v->pattern,
			    place->view->pattern);
	*place = (struct place){ v, mount };
	return 0;
}

static struct view *view_of(struct route_table *t, const struct route *r)
{
	struct view *v;

	for (size_t i = 0; i < t->view_count; i++)
		if (t->views[i]->mount == r->mount && strcmp(t->views[i]->pattern, r->pattern) == 0)
			return t->views[i];
	v = arena_new(&t->arena, struct view);
	v->pattern = r->pattern;
	v->mount = r->mount;
	v->first = r;
	v->metrics = arena_new(&t->arena, struct view_metrics);
	t->views[t->view_count++] = v;
	return v;
}

int route_table_seal(struct route_table *t)
{
	int r;

	must(!t->is_sealed);
	t->views = arena_array(&t->arena, struct view *, t->row_count + 1);
	for (struct row *row = t->rows; row != NULL; row = row->next) {
		const struct route *route = row->route;
		struct view *v;

		r = row_check(route);
		if (r < 0)
			return r;
		v = view_of(t, route);
		if (v->routes[route->method] != NULL)
			return fail(-EINVAL, "route \"%s\": %s stands there twice (%s, %s)",
				    route->pattern, http_method_names[route->method],
				    v->routes[route->method]->name, route->name);
		v->routes[route->method] = route;
	}
	for (size_t i = 0; i < t->view_count; i++) {
		struct view *v = t->views[i];
		size_t mounts = v->mount == ROUTE_API ? ARRAY_SIZE(api_mounts) : 1;

		allow_fill(t, v);
		for (size_t m = 0; m < mounts; m++) {
			r = view_plant(t, v, v->mount == ROUTE_API ? api_mounts[m] : root_mount);
			if (r < 0)
				return r;
		}
	}
	t->is_sealed = true;
	return 0;
}

size_t route_table_views(const struct route_table *t, const struct view *const **ret)
{
	*ret = (const struct view *const *) t->views;
	return t->view_count;
}

/* What stands at the end of a path. */
static bool arrive(const struct node *n, bool has_slash, struct route_match *m)
{
	const struct place *place = has_slash ? &n->slash : &n->bare;

	m->view = place->view;
	m->mount = place->mount;
	return place->view != NULL;
}

/*
 * `rest` begins after a slash.  With `adds_slash` a path that does not end with one is taken as if
 * it did. Recursion is as deep as the table's longest pattern, whatever the path.
 */
static bool descend(const struct node *n, struct str rest, bool adds_slash, unsigned parameters,
		    struct route_match *m)
{
	struct str segment;
	bool is_last;

	if (rest.len == 0)
		return arrive(n, true, m);
	str_cut(&rest, '/', &segment);
	is_last = str_is_null(rest);
	if (segment.len == 0)
		return false;
	for (const struct node *c = n->first; c != NULL; c = c->next) {
		if (!str_eq(c->segment, segment))
			continue;
		if (is_last ? arrive(c, adds_slash, m)
			    : descend(c, rest, adds_slash, parameters, m))
			return true;
		break;
	}
	if (n->parameter == NULL || str_find_char(segment, '.') >= 0)
		return false;
	m->parameters[parameters] = segment;
	return is_last ? arrive(n->parameter, adds_slash, m)
		       : descend(n->parameter, rest, adds_slash, parameters + 1, m);
}

/* Cuts ".json" or ".json/" off the end. */
static bool cut_suffix(struct str *path, struct str *ret_format)
{
	struct str p = *path;
	size_t dot;

	if (str_ends(p, STR("/")))
		p.len--;
	for (dot = p.len; dot > 0; dot--) {
		char c = p.at[dot - 1];

		if (c == '.')
			break;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			return false;
	}
	if (dot == 0 || dot == p.len)
		return false;
	*ret_format = str_slice(p, dot, p.len);
	path->len = dot - 1;
	return true;
}

static bool find_suffixed(const struct route_table *t, struct str path, struct route_match *ret)
{
	struct route_match m = { .view = NULL };

	if (!cut_suffix(&path, &m.format) || !descend(&t->root, path, true, 0, &m))
		return false;
	if (m.view->mount != ROUTE_API || (m.view->first->flags & ROUTE_NO_SUFFIX) != 0)
		return false;
	*ret = m;
	return true;
}

static bool find_prefix(const struct route_table *t, struct str path, struct route_match *ret)
{
	for (const struct prefix *p = t->prefixes; p != NULL; p = p->next) {
		if (path.len <= p->path.len || !str_starts(path, p->path))
			continue;
		*ret = (struct route_match){ .view = p->view, .mount = root_mount };
		ret->parameters[0] = str_slice(path, p->path.len, path.len);
		return true;
	}
	return false;
}

bool route_table_find(const struct route_table *t, struct str path, struct route_match *ret)
{
	struct route_match m = { .view = NULL };

	must(t->is_sealed);
	if (path.len == 0 || path.at[0] != '/')
		return false;
	if (find_prefix(t, path, ret))
		return true;
	path = str_slice(path, 1, path.len);
	if (!descend(&t->root, path, false, 0, &m)) {
		if (find_suffixed(t, path, ret))
			return true;
		m = (struct route_match){ .wants_slash = true }; /* without what was tried */
		if (str_ends(path, STR("/")) || !descend(&t->root, path, true, 0, &m))
			return false;
	}
	*ret = m;
	return true;
}

const struct route *view_route(const struct view *v, enum http_method method)
{
	if (method >= HTTP_METHODS)
		return NULL;
	if (method == HTTP_HEAD && v->routes[HTTP_HEAD] == NULL)
		return v->routes[HTTP_GET];
	return v->routes[method];
}

int permit_anyone(struct request *rq)
{
	return 0;
}
