#include "resource/cached.h"

#include <stdlib.h>

#include "auth/identity.h"
#include "auth/identity_cache.h"
#include "base/error.h"
#include "base/settings.h"
#include "http/etag.h"
#include "resource/resource-internal.h"

#define RESOURCES_MOST 64
/* Whoever asks with more is served, but not kept: a stranger chooses how many such keys there are. */
#define QUERY_MOST     512
#define PAIRS_MOST     64
/* How far rows stand within rows of rows, and one more. */
#define STEPS_MOST     3
/* Of a row in L1. */
#define ROW_IN_L1      (5 * MINUTE)

static const struct resource *registered[RESOURCES_MOST];
static size_t registered_count;

void cached_register(const struct resource *res)
{
	must(registered_count < RESOURCES_MOST);
	registered[registered_count++] = res;
}

/* Whether answers about `from` may show, or be chosen by, rows of `to`: a row inside a row, or a foreign
 * key that a removal follows. */
static bool reaches(const struct resource *from, const struct resource *to, unsigned steps)
{
	if (from == to)
		return true;
	for (size_t i = 0; steps > 0 && i < from->field_count; i++)
		if (from->fields[i].refers != NULL &&
		    reaches(from->fields[i].refers, to, steps - 1))
			return true;
	return false;
}

static bool is_kept(const struct resource *res)
{
	return res->list_ttl > 0 || res->detail_ttl > 0 || res->row_ttl > 0;
}

/* What may show rows of `res`; how many. */
static size_t groups_about(const struct resource *res, const char *groups[RESOURCES_MOST])
{
	size_t count = 0;

	for (size_t i = 0; i < registered_count; i++) {
		const struct resource *other = registered[i];

		if (is_kept(other) && (reaches(other, res, STEPS_MOST) || reaches(res, other, 1)))
			groups[count++] = other->table;
	}
	return count;
}

void resource_forget(struct request *rq, const struct resource *res)
{
	const char *groups[RESOURCES_MOST];

	if (rq->thread->cache != NULL)
		cache_drop(rq->thread->cache, groups, groups_about(res, groups));
}

void cached_on_write(struct cache *c, struct str table)
{
	const char *groups[RESOURCES_MOST];

	for (size_t i = 0; i < registered_count; i++) {
		if (str_eq_c(table, registered[i]->table))
			cache_end(c, groups, groups_about(registered[i], groups));
	}
}

void cached_on_listening(struct cache *c)
{
	for (size_t i = 0; i < registered_count; i++) {
		if (is_kept(registered[i]))
			cache_end(c, &registered[i]->table, 1);
	}
}

int cached_value(struct request *rq, const struct cache_entry *e, cache_maker *make, void *arg,
		 struct str *ret_value)
{
	if (rq->thread->cache == NULL || !identity_cache_is_listening(rq->thread->identities))
		return make(arg, &rq->arena, ret_value);
	return cache_get(rq->thread->cache, &rq->arena, e, make, arg, ret_value, NULL);
}

static int by_name(const void *a, const void *b)
{
	const struct form_field *one = a, *other = b;
	int order = str_cmp(one->name, other->name);

	return order != 0 ? order : str_cmp(one->value, other->value);
}

/* All that the answer depends on beside endpoint and caller; absent: too much to be kept. */
static struct str variant(struct request *rq)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct form_field pairs[PAIRS_MOST + 1];
	size_t count = 0, cursor = 0;

	if (rq->raw_query.len > QUERY_MOST)
		return STR_NULL;
	while (count <= PAIRS_MOST && request_query_next(rq, &cursor, &pairs[count]))
		count++;
	if (count > PAIRS_MOST)
		return STR_NULL;
	qsort(pairs, count, sizeof(pairs[0]), by_name);
	buf_printf(&text, "%.*s://%.*s%.*s\n%d %d", STR_ARG(rq->scheme), STR_ARG(rq->host),
		   STR_ARG(rq->path), rq->caller != NULL && rq->caller->is_staff,
		   rq->caller != NULL && rq->caller->is_superuser);
	for (size_t i = 0; i < count; i++) {
		/* Which of two of one name counts hangs on their order. */
		if (i > 0 && str_eq(pairs[i].name, pairs[i - 1].name))
			return STR_NULL;
		/* Lengths, because a name may hold any sign once it is decoded. */
		buf_printf(&text, "\n%zu %zu ", pairs[i].name.len, pairs[i].value.len);
		buf_add_str(&text, pairs[i].name);
		buf_add_str(&text, pairs[i].value);
	}
	return arena_str(&rq->arena, buf_str(&text));
}

struct making {
	struct request *rq;
	route_handler *make;
};

static int make_text(void *arg, struct arena *arena, struct str *ret_value)
{
	struct making *m = arg;
	int r;

	(void) arena; /* the request's own */
	request_read_primary(m->rq);
	r = m->make(m->rq);
	if (r < 0)
		return r;
	must(reply_status(m->rq) == 200);
	*ret_value = reply_json_text(m->rq);
	return 0;
}

static int reply_kept(struct request *rq, usec_t ttl, route_handler *make, struct str text)
{
	struct making making = { .rq = rq, .make = make };
	const struct resource *res = rq->route->about;
	const struct cache_entry entry = {
		.key = cache_key(&rq->arena, str_c(rq->route->name), identity_key(rq), text),
		.ttl = ttl,
		.groups = { res->table },
	};
	struct str value;
	int r;

	r = cached_value(rq, &entry, make_text, &making, &value);
	return r < 0 ? r : reply_json(rq, 200, value); /* if it was not made here */
}

int cached_reply(struct request *rq, usec_t ttl, route_handler *make)
{
	struct str text = STR_NULL;
	int r;

	if (rq->thread->cache == NULL)
		return make(rq);
	if (ttl > 0)
		text = variant(rq);
	if (str_is_null(text))
		r = make(rq);
	else
		r = reply_kept(rq, ttl, make, text);
	if (r == 0)
		reply_etag(rq);
	return r;
}

/* --- rows --- */

/* Whether what is read of a row, and of the rows in it, is the same whoever asks. */
static bool is_for_all(const struct resource *res, const char *rows, unsigned steps)
{
	if (steps == 0 || sql_has_names(rows) || sql_has_names(res->exists) ||
	    res->tenant_column != NULL)
		return false;
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];
		const struct resource *of = f->refers;

		if (sql_has_names(f->sql))
			return false;
		if ((f->type == FIELD_EMBED || f->type == FIELD_MANY) &&
		    !is_for_all(of, of->rows_through != NULL ? of->rows_through : of->rows,
				steps - 1))
			return false;
	}
	return true;
}

int cached_check(const struct resource *res)
{
	bool is_same = is_for_all(res, res->rows, STEPS_MOST);

	if (res->row_ttl == 0)
		return 0;
	for (size_t i = 0; i < res->permission_count; i++) {
		const struct permission *p = &res->permissions[i];

		if ((p->may & MAY_READ) && (p->caller != NULL || p->when != NULL))
			is_same = false;
	}
	return is_same ? 0
		       : fail(-EINVAL,
			      "resource %s: its rows are not the same for everybody, so they "
			      "cannot be kept for all (row_ttl)",
			      res->name);
}

struct finding {
	struct request *rq;
	const struct resource *resource;
	struct str key;
	cached_finder *find;
};

/* ["text of a field", null, …] */
static int find_texts(void *arg, struct arena *arena, struct str *ret_value)
{
	const struct finding *f = arg;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct json_writer w;
	struct row row;
	int r;

	r = f->find(f->rq, f->resource, f->key, &row);
	if (r < 0)
		return r;
	json_writer_init(&w, &text, JSON_ESCAPE_DRF, false);
	json_begin_array(&w);
	for (size_t i = 0; i < f->resource->field_count; i++) {
		if (str_is_null(row.text[i]))
			json_put_null(&w);
		else
			json_put_str(&w, row.text[i]);
	}
	json_end_array(&w);
	*ret_value = arena_str(arena, buf_str(&text));
	return 0;
}

static struct row row_from_texts(const struct resource *res, struct arena *arena, struct str texts)
{
	struct row row = { .resource = res,
			   .text = arena_array(arena, struct str, res->field_count),
			   .view = VIEW_RETRIEVAL };
	const struct json *text;
	struct json_error error;
	struct json *tree;

	if (json_parse(arena, texts, JSON_STRICT, 2, &tree, &error) < 0)
		must_not_reach("a kept row that is not JSON");
	text = tree->first;
	for (size_t i = 0; i < res->field_count; i++, text = text->next) {
		must(text != NULL);
		if (text->type == JSON_STRING)
			row.text[i] = json_text(arena, text);
	}
	return row;
}

int cached_row(struct request *rq, const struct resource *res, struct str name, usec_t ttl,
	       cached_finder *find, struct str key, struct row *ret)
{
	struct finding finding = { .rq = rq, .resource = res, .key = key, .find = find };
	const struct cache_entry entry = {
		.key = name,
		.ttl = ttl,
		.l1_ttl = ROW_IN_L1,
		.groups = { res->table },
	};
	struct str texts;
	int r;

	r = cached_value(rq, &entry, find_texts, &finding, &texts);
	if (r == 0)
		*ret = row_from_texts(res, &rq->arena, texts);
	return r;
}
