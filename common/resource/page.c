/*
 * page.c - PageNumberPagination and LimitOffsetPagination of DRF: {"count", "next", "previous", "results"};
 * what cursor.c shares with them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/error.h"
#include "resource/coerce.h"
#include "resource/resource-internal.h"

#define QUERY_MOST 1000

/* Where in a list a page is. */
struct place {
	int64_t count, offset, limit;
};

static unsigned page_size(const struct resource *res)
{
	return res->page == 0 ? 20 : res->page;
}

/* int() of Python on the page's text; false when it is none. */
bool page_read_number(struct str text, int64_t *ret)
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

void page_add_query_text(struct buf *out, struct str text)
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
	page_add_query_text(query, name);
	buf_add_byte(query, '=');
	page_add_query_text(query, value);
}

static bool is_changed(struct str name, const struct form_field *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(name, changes[i].name))
			return true;
	}
	return false;
}

/* This request's URL with other values of these parameters, an absent one left out; DRF sorts the parameters
 * by name. */
struct str page_make_link(struct request *rq, const struct form_field *changes, size_t change_count)
{
	struct form_field *pairs = arena_array(&rq->arena, struct form_field,
					       QUERY_MOST + change_count);
	_cleanup_(buf_fini) struct buf query = BUF_INIT;
	_cleanup_(buf_fini) struct buf path = BUF_INIT;
	struct form_field pair;
	size_t count = 0, cursor = 0;

	while (count < QUERY_MOST && request_query_next(rq, &cursor, &pair)) {
		if (!is_changed(pair.name, changes, change_count))
			pairs[count++] = pair;
	}
	for (size_t i = 0; i < change_count; i++) {
		if (!str_is_null(changes[i].value))
			pairs[count++] = changes[i];
	}
	qsort(pairs, count, sizeof(pairs[0]), by_name);
	for (size_t i = 0; i < count; i++)
		add_pair(&query, pairs[i].name, pairs[i].value);
	percent_encode(&path, rq->path, STR("/!$&'()*+,;=:@"));
	return request_absolute(rq, arena_printf(&rq->arena, "%s%s", path.at, query.at));
}

struct str page_number_text(struct request *rq, int64_t number)
{
	return arena_printf(&rq->arena, "%" PRId64, number);
}

/* To the rows from `offset` on; the first page has no number, and no offset. */
static struct str page_link(struct request *rq, const struct resource *res,
			    const struct place *place, int64_t offset)
{
	const struct form_field number = {
		STR("page"), offset > 0 ? page_number_text(rq, offset / place->limit + 1) : STR_NULL
	};
	const struct form_field offsets[] = {
		{ STR("limit"), page_number_text(rq, place->limit) },
		{ STR("offset"), offset > 0 ? page_number_text(rq, offset) : STR_NULL },
	};

	return res->paging == PAGING_NUMBERS ? page_make_link(rq, &number, 1)
					     : page_make_link(rq, offsets, ARRAY_SIZE(offsets));
}

/* 1 … the last page; an empty list still has a first page.  An empty number counts as none (DRF since 3.16). */
static int choose_page(struct request *rq, int64_t pages, int64_t *ret)
{
	struct str text = request_query(rq, STR("page"));
	int64_t page = 1;

	if (str_eq(text, STR("last")))
		page = pages;
	else if (text.len > 0 && !page_read_number(text, &page))
		return fail(-E_NOT_FOUND, "Invalid page.");
	if (page < 1 || page > pages)
		return fail(-E_NOT_FOUND, "Invalid page.");
	*ret = page;
	return 0;
}

static void put_link(struct json_writer *w, struct request *rq, const struct resource *res,
		     const struct place *place, const char *name, bool exists, int64_t offset)
{
	json_put_key(w, str_c(name));
	if (exists)
		json_put_str(w, page_link(rq, res, place, offset));
	else
		json_put_null(w);
}

/* The rows that the listing is about: FROM and WHERE. */
void page_add_from(struct sql *s, const struct resource *res, const struct listing *listing,
		   const struct selection *selection)
{
	sql_printf(s, " FROM %s t%.*s WHERE true", res->table, STR_ARG(selection->joins));
	resource_add_rows(s, res, "t");
	if (listing->where != NULL) {
		sql_add(s, " AND (");
		sql_add_over(s, listing->where, "t");
		sql_add(s, ")");
	}
	for (const char *const *name = listing->scopes; name != NULL && *name != NULL; name++) {
		sql_add(s, " AND (");
		sql_add_over(s, scope_sql(&res->select, *name), "t");
		sql_add(s, ")");
	}
	selection_add(s, selection);
}

static struct sql_statement make_count(struct request *rq, const struct resource *res,
				       const struct listing *listing,
				       const struct selection *selection)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	sql_add(&s, "SELECT count(*)");
	page_add_from(&s, res, listing, selection);
	return sql_finish(&s, &rq->arena, DB_EXCLUSIVE, false);
}

static struct sql_statement make_page(struct request *rq, const struct plan *p,
				      const struct listing *listing,
				      const struct selection *selection, const struct place *place)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	const struct resource *res = p->resource;

	sql_add(&s, "SELECT ");
	plan_add_columns(&s, p, VIEW_LIST);
	page_add_from(&s, res, listing, selection);
	sql_add(&s, " ORDER BY ");
	if (!str_is_null(selection->order))
		buf_add_str(&s.text, selection->order);
	else
		sql_add_over(&s, listing->order != NULL ? listing->order : res->order, "t");
	if (!listing->is_bare) {
		sql_add(&s, " LIMIT ");
		sql_add_value(&s, page_number_text(rq, place->limit));
		sql_add(&s, " OFFSET ");
		sql_add_name(&s, SQL_OFFSET);
	}
	return sql_finish(&s, &rq->arena, DB_EXCLUSIVE, false);
}

static void put_rows(struct request *rq, const struct plan *p, const struct db_rows *rows,
		     struct json_writer *w)
{
	json_begin_array(w);
	for (int i = 0; i < rows->count; i++) {
		struct row row = row_read(p, &rq->arena, rows, i, VIEW_LIST);

		row_render(rq, p, &row, VIEW_LIST, w);
	}
	json_end_array(w);
}

/* The envelope and its page, or a bare array if `rows` are all. */
static int reply_list(struct request *rq, const struct plan *p, const struct db_rows *rows,
		      const struct place *place)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	if (place == NULL) {
		put_rows(rq, p, rows, &w);
		return reply_json_take(rq, 200, &body);
	}
	json_begin_object(&w);
	json_put_key(&w, STR("count"));
	json_put_i64(&w, place->count);
	put_link(&w, rq, p->resource, place, "next", place->offset + place->limit < place->count,
		 place->offset + place->limit);
	put_link(&w, rq, p->resource, place, "previous", place->offset > 0,
		 place->offset - place->limit);
	json_put_key(&w, STR("results"));
	put_rows(rq, p, rows, &w);
	json_end_object(&w);
	return reply_json_take(rq, 200, &body);
}

/* ?limit= and ?offset=; what is no number that makes sense counts as absent. */
static void read_offsets(struct request *rq, const struct resource *res, struct place *ret)
{
	int64_t most = res->page_most == 0 ? 100 : res->page_most, number;

	if (page_read_number(request_query(rq, STR("limit")), &number) && number > 0)
		ret->limit = MIN(number, most);
	if (page_read_number(request_query(rq, STR("offset")), &number) && number >= 0)
		ret->offset = MIN(number, INT64_MAX / 2); /* so that sums stay numbers */
}

static int find_place(struct request *rq, const struct resource *res, const struct db_rows *counted,
		      struct place *ret)
{
	int64_t page = 1;
	int r;

	*ret = (struct place){ .count = db_get_i64(counted, 0, 0), .limit = page_size(res) };
	if (res->paging == PAGING_OFFSETS) {
		read_offsets(rq, res, ret);
		return 0;
	}
	r = choose_page(rq, MAX(1, (ret->count + ret->limit - 1) / ret->limit), &page);
	if (r == 0)
		ret->offset = (page - 1) * ret->limit;
	return r;
}

/* Nothing was asked for but a page: what was built at start will do. */
static bool is_usual(const struct resource *res, const struct listing *listing,
		     const struct selection *selection)
{
	return selection_is_empty(selection) && listing->where == NULL && listing->scopes == NULL &&
	       listing->order == NULL && !listing->is_bare && res->paging == PAGING_NUMBERS;
}

int resource_list(struct request *rq, const struct resource *res, const struct listing *listing)
{
	const struct db_at at = { .db = request_reader(rq) };
	const struct plan *p = plan_of(res);
	struct sql_context context = { .key = listing->key };
	struct selection selection = { .joins = STR("") };
	struct sql_statement count, page;
	struct place place = { .count = 0 };
	struct db_rows rows;
	bool is_kept;
	int r = 0;

	if (!listing->is_unfiltered)
		r = selection_read(rq, &res->select, &selection);
	if (r < 0)
		return r;
	if (res->paging == PAGING_CURSOR && !listing->is_bare)
		return cursor_list(rq, p, listing, &selection);
	is_kept = is_usual(res, listing, &selection);
	if (!listing->is_bare) {
		count = is_kept ? p->count : make_count(rq, res, listing, &selection);
		r = sql_run(rq, at, &count, &context, &rows);
		if (r == 0)
			r = find_place(rq, res, &rows, &place);
		if (r < 0)
			return r;
		context.offset = page_number_text(rq, place.offset);
	}
	page = is_kept ? p->page : make_page(rq, p, listing, &selection, &place);
	r = sql_run(rq, at, &page, &context, &rows);
	return r < 0 ? r : reply_list(rq, p, &rows, listing->is_bare ? NULL : &place);
}
