/*
 * cursor.c - CursorPagination of DRF: {"next", "previous", "results"}, whose links have a ?cursor=.
 *
 * A cursor is the base64 of a query: r=1 if it leads backwards, p=<position>, the value behind which the
 * page begins.  That is what DRF writes, byte for byte, where the rows on both sides of a page's edge
 * have different values.  Where they have the same DRF counts rows (o), so that a row which comes or goes
 * meanwhile lets others be skipped or come twice, and beyond a thousand equal ones it goes round in
 * circles.  We name the row at the edge instead, i=<key>: the page begins behind (value, key), whatever
 * else has that value.  DRF's own cursors with o are understood, up to its bound.
 *
 * One statement a page: the row behind it is read with it, and nothing is counted.
 */
#include "base/codec.h"
#include "base/datetime.h"
#include "base/error.h"
#include "base/uuid.h"
#include "resource/coerce.h"
#include "resource/resource-internal.h"

#define OFFSET_MOST 1000 /* DRF's */

struct cursor {
	int64_t offset;
	bool is_reverse;
	struct str position; /* as it stands in the cursor; absent: from the first row on */
	struct str value;    /* the same as SQL text */
	struct str key;      /* absent: behind all rows of that value */
};

/* What a page was cut from. */
struct cut {
	struct request *rq;
	const struct plan *plan;
	struct cursor cursor;
	struct row *rows; /* in the order in which they are answered */
	size_t count;
	struct str behind; /* position of the row read beyond the page; absent: there is none */
};

static struct str parameter(void)
{
	return STR("cursor");
}

/* --- values of the field --- */

static bool read_text(struct arena *arena _unused_, struct str text, struct str *ret)
{
	*ret = text;
	return text.len == 0 || memchr(text.at, '\0', text.len) == NULL;
}

static bool read_whole(struct arena *arena _unused_, struct str text, struct str *ret)
{
	int64_t number;

	*ret = text;
	return str_to_i64(text, &number) == 0;
}

static bool read_uuid(struct arena *arena, struct str text, struct str *ret)
{
	return uuid_normalise(arena, text, ret) == 0;
}

static bool read_time(struct arena *arena, struct str text, struct str *ret)
{
	_cleanup_(buf_fini) struct buf iso = BUF_INIT;
	usec_t at;

	if (datetime_parse(text, &at) < 0)
		return false;
	datetime_add_python(&iso, at);
	*ret = arena_str(arena, buf_str(&iso));
	return true;
}

/* clang-format off */
static const struct kind {
	bool (*read)(struct arena *, struct str, struct str *);
	const char *cast;
} kinds[FIELD_TYPES] = {
	[FIELD_KEY]     = { read_uuid,    "::uuid" },
	[FIELD_UUID]    = { read_uuid,    "::uuid" },
	[FIELD_TEXT]    = { read_text,    "::text" },
	[FIELD_SLUG]    = { read_text,    "::text" },
	[FIELD_INTEGER] = { read_whole,   "::bigint" },
	[FIELD_DECIMAL] = { decimal_text, "::numeric" },
	[FIELD_TIME]    = { read_time,    "::timestamptz" },
};
/* clang-format on */

static const struct kind *kind_of(const struct resource *res, const struct field *f)
{
	bool is_number = f->type == FIELD_KEY && res->key == RESOURCE_BIGINT;

	return &kinds[is_number ? FIELD_INTEGER : f->type];
}

static const struct field *key_field(const struct resource *res)
{
	const struct field *f = res->fields;

	while (f->type != FIELD_KEY) /* plan.c: there is one */
		f++;
	return f;
}

static bool is_down(const struct resource *res)
{
	return res->cursor[0] == '-';
}

static const struct field *find_field(const struct resource *res)
{
	const char *name = res->cursor + is_down(res);

	for (size_t i = 0; i < res->field_count; i++) {
		if (strcmp(res->fields[i].name, name) == 0)
			return &res->fields[i];
	}
	return NULL;
}

/* str() of the value as Python has it. */
static struct str position_of(const struct cut *c, const struct row *row)
{
	const struct field *f = find_field(c->plan->resource);
	struct str text = row->text[f - c->plan->resource->fields];
	_cleanup_(buf_fini) struct buf time = BUF_INIT;
	usec_t at;

	if (f->type != FIELD_TIME || datetime_parse_pg(text, &at) < 0)
		return text;
	datetime_add_python(&time, at);
	((char *) time.at)[10] = ' '; /* str(), not isoformat() */
	return arena_str(&c->rq->arena, buf_str(&time));
}

/* --- at start --- */

int cursor_check(const struct resource *res)
{
	const struct field *f;

	if ((res->paging == PAGING_CURSOR) != (res->cursor != NULL))
		return fail(-EINVAL, "resource %s: PAGING_CURSOR and `cursor` belong together",
			    res->name);
	if (res->cursor == NULL)
		return res->page_parameter == NULL
			       ? 0
			       : fail(-EINVAL,
				      "resource %s: only pages by cursor have a page_parameter",
				      res->name);
	f = find_field(res);
	if (f == NULL || !field_is_stored(f) || kinds[f->type].read == NULL)
		return fail(-EINVAL,
			    "resource %s: cursor %s is no column whose values have an order",
			    res->name, res->cursor);
	if (f->is_nullable || f->is_write_only || f->shown != SHOWN_ALWAYS)
		return fail(-EINVAL,
			    "resource %s: cursor %s must be in every row that a list reads",
			    res->name, res->cursor);
	for (size_t i = 0; i < res->select.filter_count; i++) {
		if (res->select.filters[i].join != NULL)
			return fail(
				-EINVAL,
				"resource %s: by filter %s a row comes more than once, and a cursor "
				"cannot stand between the same row",
				res->name, res->select.filters[i].name);
	}
	if (res->select.order_count > 0)
		return fail(-EINVAL, "resource %s: pages by cursor have one order, it has ORDERS",
			    res->name);
	return 0;
}

/* --- reading --- */

/* base64.b64decode: other signs of ASCII are passed over. */
static bool decode(struct arena *arena, struct str encoded, struct str *ret)
{
	_cleanup_(buf_fini) struct buf clean = BUF_INIT;
	char *bytes = arena_alloc(arena, encoded.len + 3);
	size_t len;

	for (size_t i = 0; i < encoded.len; i++) {
		char c = encoded.at[i];

		if ((unsigned char) c >= 0x80)
			return false;
		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '+' || c == '/' || c == '=')
			buf_add_byte(&clean, c);
	}
	if (base64_decode(buf_str(&clean), bytes, &len) < 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char) bytes[i] >= 0x80)
			return false;
	}
	*ret = str_make(bytes, len);
	return true;
}

/* parse_qs: the first one of a name counts; without '=' its value is empty. */
static struct str find_token(struct arena *arena, struct str query, char name)
{
	struct str piece, head;

	while (str_cut(&query, '&', &piece)) {
		if (!str_cut(&piece, '=', &head) || head.len != 1 || head.at[0] != name)
			continue;
		return str_is_null(piece) ? STR("")
					  : utf8_repair(arena, percent_decode(arena, piece, true));
	}
	return STR_NULL;
}

static bool read_count(struct str text, int64_t *ret)
{
	if (str_is_null(text)) {
		*ret = 0;
		return true;
	}
	return page_read_number(text, ret);
}

static int read_cursor(struct request *rq, const struct resource *res, struct cursor *ret)
{
	struct str encoded = request_query(rq, parameter()), query;
	const struct field *f = find_field(res), *key = key_field(res);
	struct arena *arena = &rq->arena;
	struct cursor made = { .position = STR_NULL, .key = STR_NULL };
	int64_t reverse;

	if (str_is_null(encoded)) {
		*ret = made;
		return 0;
	}
	if (!decode(arena, encoded, &query) ||
	    !read_count(find_token(arena, query, 'o'), &made.offset) || made.offset < 0 ||
	    !read_count(find_token(arena, query, 'r'), &reverse))
		return fail(-E_NOT_FOUND, "Invalid cursor");
	made.offset = MIN(made.offset, (int64_t) OFFSET_MOST);
	made.is_reverse = reverse != 0;
	made.position = find_token(arena, query, 'p');
	made.key = find_token(arena, query, 'i');
	/* What the column cannot hold is an error of the server's to DRF. */
	if (!str_is_null(made.position) &&
	    !kind_of(res, f)->read(arena, made.position, &made.value))
		return fail(-E_NOT_FOUND, "Invalid cursor");
	if (!str_is_null(made.key) &&
	    (str_is_null(made.position) || !kind_of(res, key)->read(arena, made.key, &made.key)))
		return fail(-E_NOT_FOUND, "Invalid cursor");
	*ret = made;
	return 0;
}

static int64_t read_size(struct request *rq, const struct resource *res)
{
	int64_t size = res->page == 0 ? 20 : res->page;
	int64_t most = res->page_most == 0 ? 100 : res->page_most, number;

	if (res->page_parameter != NULL &&
	    page_read_number(request_query(rq, str_c(res->page_parameter)), &number) && number > 0)
		size = MIN(number, most);
	return size;
}

/* --- the statement --- */

/* Rows behind the cursor's, in the direction in which it leads. */
static void add_behind(struct sql *s, const struct resource *res, const struct cursor *c)
{
	const struct field *f = find_field(res), *key = key_field(res);
	const char *than = c->is_reverse != is_down(res) ? "<" : ">";
	bool is_pair = !str_is_null(c->key);

	if (str_is_null(c->position))
		return;
	sql_printf(s, is_pair ? " AND (t.%s, t.id) %s (" : " AND t.%s %s ", field_column(f), than);
	sql_add_value(s, c->value);
	sql_add(s, kind_of(res, f)->cast);
	if (!is_pair)
		return;
	sql_add(s, ", ");
	sql_add_value(s, c->key);
	sql_add(s, kind_of(res, key)->cast);
	sql_add(s, ")");
}

static struct sql_statement make_statement(const struct cut *c, const struct listing *listing,
					   const struct selection *selection, int64_t size)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	const struct resource *res = c->plan->resource;
	const char *way = c->cursor.is_reverse != is_down(res) ? " DESC" : "";

	sql_add(&s, "SELECT ");
	plan_add_columns(&s, c->plan, VIEW_LIST);
	page_add_from(&s, res, listing, selection);
	add_behind(&s, res, &c->cursor);
	sql_printf(&s, " ORDER BY t.%s%s, t.id%s LIMIT ", field_column(find_field(res)), way, way);
	sql_add_value(&s, page_number_text(c->rq, size + 1));
	sql_add(&s, " OFFSET ");
	sql_add_value(&s, page_number_text(c->rq, c->cursor.offset));
	return sql_finish(&s, &c->rq->arena, DB_EXCLUSIVE, false);
}

static void read_rows(struct cut *c, const struct db_rows *found, int64_t size)
{
	c->count = (size_t) MIN(size, (int64_t) found->count);
	c->rows = arena_array(&c->rq->arena, struct row, c->count + 1);
	for (size_t i = 0; i < c->count; i++) {
		size_t place = c->cursor.is_reverse ? c->count - 1 - i : i;

		c->rows[place] = row_read(c->plan, &c->rq->arena, found, (int) i, VIEW_LIST);
	}
	if ((size_t) found->count > c->count) {
		const struct row row = row_read(c->plan, &c->rq->arena, found, (int) c->count,
						VIEW_LIST);

		c->behind = position_of(c, &row);
	}
}

/* --- the answer --- */

static struct str make_cursor(const struct cut *c, bool is_reverse, struct str position,
			      struct str key)
{
	_cleanup_(buf_fini) struct buf query = BUF_INIT, encoded = BUF_INIT;

	buf_add_c(&query, is_reverse ? "r=1" : "");
	if (!str_is_null(position)) {
		buf_add_c(&query, query.len > 0 ? "&p=" : "p=");
		page_add_query_text(&query, position);
	}
	if (!str_is_null(key)) {
		buf_add_c(&query, "&i=");
		page_add_query_text(&query, key);
	}
	base64_encode(&encoded, buf_str(&query));
	return arena_str(&c->rq->arena, buf_str(&encoded));
}

/* The cursor that leads from the page's last row forwards, or from its first one backwards. */
static struct str edge_cursor(const struct cut *c, bool is_reverse)
{
	bool is_onwards = is_reverse == c->cursor.is_reverse;
	struct str neighbour = is_onwards ? c->behind : c->cursor.position;
	const struct row *edge;
	struct str position;
	bool is_tied;

	/* An empty page is left by the way it was come to. */
	if (c->count == 0)
		return make_cursor(c, is_reverse, c->cursor.position, c->cursor.key);
	edge = &c->rows[is_reverse ? 0 : c->count - 1];
	position = position_of(c, edge);
	is_tied = str_is_null(neighbour) || str_eq(position, neighbour) ||
		  (!is_onwards && c->cursor.offset > 0);
	return make_cursor(c, is_reverse, position, is_tied ? row_get(edge, "id") : STR_NULL);
}

static void put_link(struct json_writer *w, const struct cut *c, const char *name, bool is_reverse)
{
	bool is_onwards = is_reverse == c->cursor.is_reverse;
	bool is_there = is_onwards ? !str_is_null(c->behind)
				   : !str_is_null(c->cursor.position) || c->cursor.offset > 0;

	json_put_key(w, str_c(name));
	if (!is_there) {
		json_put_null(w);
		return;
	}
	const struct form_field changed = { parameter(), edge_cursor(c, is_reverse) };
	json_put_str(w, page_make_link(c->rq, &changed, 1));
}

static int reply(const struct cut *c)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	put_link(&w, c, "next", false);
	put_link(&w, c, "previous", true);
	json_put_key(&w, STR("results"));
	json_begin_array(&w);
	for (size_t i = 0; i < c->count; i++)
		row_render(c->rq, c->plan, &c->rows[i], VIEW_LIST, &w);
	json_end_array(&w);
	json_end_object(&w);
	return reply_json_take(c->rq, 200, &body);
}

int cursor_list(struct request *rq, const struct plan *p, const struct listing *listing,
		const struct selection *selection)
{
	const struct db_at at = { .db = request_reader(rq) };
	const struct sql_context context = { .key = listing->key };
	struct cut c = { .rq = rq, .plan = p, .behind = STR_NULL };
	int64_t size = read_size(rq, p->resource);
	struct sql_statement page;
	struct db_rows rows;
	int r;

	r = read_cursor(rq, p->resource, &c.cursor);
	if (r < 0)
		return r;
	page = make_statement(&c, listing, selection, size);
	r = sql_run(rq, at, &page, &context, &rows);
	if (r < 0)
		return r;
	read_rows(&c, &rows, size);
	return reply(&c);
}
