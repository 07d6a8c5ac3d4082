/*
 * page.c - PageNumberPagination of DRF: {"count", "next", "previous", "results"}.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/error.h"
#include "resource/coerce.h"
#include "resource/resource-internal.h"

#define QUERY_MOST 1000

/* int() of Python on the page's text; false when it is none. */
static bool read_page_number(struct str text, int64_t *ret)
{
	text = python_strip(text);
	if (text.len > 1 && text.at[0] == '+')
		text = str_slice(text, 1, text.len);
	return str_to_i64(text, ret) == 0;
}

static int by_name(const void *a, const void *b)
{
	const struct form_field *one = a, *other = b;
	int order = str_cmp(one->name, other->name);

	/* qsort is not stable: equal names keep the order of their places in memory. */
	return order != 0 ? order : one->value.at < other->value.at ? -1 : 1;
}

static void add_query_text(struct buf *out, struct str text)
{
	struct str piece;

	/* quote_plus: a space is '+'. */
	for (bool is_first = true; str_cut(&text, ' ', &piece); is_first = false) {
		if (!is_first)
			buf_add_byte(out, '+');
		percent_encode(out, piece, STR(""));
	}
}

static void add_pair(struct buf *query, struct str name, struct str value)
{
	buf_add_byte(query, query->len == 0 ? '?' : '&');
	add_query_text(query, name);
	buf_add_byte(query, '=');
	add_query_text(query, value);
}

/* This request's URL with another page; DRF sorts the parameters by name, and page 1 has none. */
static struct str page_link(struct request *rq, int64_t page)
{
	struct form_field *pairs = arena_array(&rq->arena, struct form_field, QUERY_MOST + 1);
	_cleanup_(buf_fini) struct buf query = BUF_INIT;
	_cleanup_(buf_fini) struct buf path = BUF_INIT;
	struct form_field pair;
	size_t count = 0, cursor = 0;

	while (count < QUERY_MOST && request_query_next(rq, &cursor, &pair)) {
		if (!str_eq(pair.name, STR("page")))
			pairs[count++] = pair;
	}
	if (page > 1)
		pairs[count++] = (struct form_field){ STR("page"),
						      arena_printf(&rq->arena, "%" PRId64, page) };
	qsort(pairs, count, sizeof(pairs[0]), by_name);
	for (size_t i = 0; i < count; i++)
		add_pair(&query, pairs[i].name, pairs[i].value);
	percent_encode(&path, rq->path, STR("/!$&'()*+,;=:@"));
	return request_absolute(rq, arena_printf(&rq->arena, "%s%s", path.at, query.at));
}

/* 1 … the last page; an empty list still has a first page. */
static int choose_page(struct request *rq, int64_t pages, int64_t *ret)
{
	struct str text = request_query(rq, STR("page"));
	int64_t page = 1;

	if (str_eq(text, STR("last")))
		page = pages;
	else if (!str_is_null(text) && !read_page_number(text, &page))
		return fail(-E_NOT_FOUND, "Invalid page.");
	if (page < 1 || page > pages)
		return fail(-E_NOT_FOUND, "Invalid page.");
	*ret = page;
	return 0;
}

static void put_link(struct json_writer *w, struct request *rq, const char *name, bool exists,
		     int64_t page)
{
	json_put_key(w, str_c(name));
	if (exists)
		json_put_str(w, page_link(rq, page));
	else
		json_put_null(w);
}

int page_reply(struct request *rq, const struct plan *p)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	int64_t size = p->resource->page == 0 ? 20 : p->resource->page;
	struct db_rows counted, rows;
	struct json_writer w;
	int64_t page = 1;
	int r;

	r = db_query(rq->thread->db, &rq->arena, &p->count, DB_NO_VALUES, &counted);
	if (r < 0)
		return r;
	int64_t count = db_get_i64(&counted, 0, 0);
	int64_t pages = MAX(1, (count + size - 1) / size);
	r = choose_page(rq, pages, &page);
	if (r < 0)
		return r;
	struct str offset = arena_printf(&rq->arena, "%" PRId64, (page - 1) * size);
	r = db_query(rq->thread->db, &rq->arena, &p->page, DB_VALUES(offset), &rows);
	if (r < 0)
		return r;
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("count"));
	json_put_i64(&w, count);
	put_link(&w, rq, "next", page < pages, page + 1);
	put_link(&w, rq, "previous", page > 1, page - 1);
	json_put_key(&w, STR("results"));
	json_begin_array(&w);
	for (int i = 0; i < rows.count; i++) {
		struct row row = row_read(p, &rq->arena, &rows, i, false);

		row_render(rq, p, &row, false, &w);
	}
	json_end_array(&w);
	json_end_object(&w);
	return reply_json(rq, 200, buf_str(&body));
}
