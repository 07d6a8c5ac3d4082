#include "resource/cached.h"

#include <stdlib.h>

#include "auth/identity.h"
#include "base/settings.h"
#include "coord/cache.h"
#include "http/etag.h"

#define RESOURCES_MOST 64
/* Whoever asks with more is served, but not kept: a stranger chooses how many such keys there are. */
#define QUERY_MOST     512
#define PAIRS_MOST     64
/* How far rows stand within rows of rows, and one more. */
#define STEPS_MOST     3

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

void resource_forget(struct request *rq, const struct resource *res)
{
	const char *groups[RESOURCES_MOST];
	size_t count = 0;

	if (rq->thread->cache == NULL)
		return;
	for (size_t i = 0; i < registered_count; i++) {
		const struct resource *other = registered[i];

		if ((other->list_ttl > 0 || other->detail_ttl > 0) &&
		    (reaches(other, res, STEPS_MOST) || reaches(res, other, 1)))
			groups[count++] = other->table;
	}
	cache_drop(rq->thread->cache, groups, count);
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

	r = cache_get(rq->thread->cache, &rq->arena, &entry, make_text, &making, &value, NULL);
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
