/*
 * bulk.c - many rows with one request: all of them in one transaction, or none.
 *
 * Rows are checked one after another, each behind the writes of those before it, so that two rows with
 * one unique value are found out.  A row with errors does not end the work: all rows are looked at, and
 * the answer is an array with {} for each good one.
 *
 * A row that somebody else's transaction has made meanwhile breaks ours (-E_UNIQUE).  Then all is done
 * again from the start; this time the checks see that row and blame whoever is to blame.
 */
#include "base/error.h"
#include "http/once.h"
#include "resource/coerce.h"
#include "resource/resource-internal.h"

#define RACES_MOST 5

struct bulk {
	struct request *rq;
	const struct resource *resource;
	unsigned may;
	const struct json *rows; /* an array */
	struct change **changes; /* one per row */
	size_t count;
};

static struct change **new_changes(struct bulk *b)
{
	struct change **changes = arena_array(&b->rq->arena, struct change *, b->count);
	enum validate_mode mode = b->may == MAY_CREATE ? VALIDATE_CREATE : VALIDATE_CHANGE;

	for (size_t i = 0; i < b->count; i++) {
		changes[i] = change_new(b->rq, b->resource, mode, NULL);
		changes[i]->most_shown = SHOWN_ALWAYS; /* the answer shows no more */
	}
	return changes;
}

/* --- one row --- */

/* The row with this key into c->old; what keeps it from there is said under "id". */
static int find_row(struct bulk *b, struct change *c, const struct json *key)
{
	int r = -E_NOT_FOUND;

	if (key != NULL && resource_read_json_key(b->rq, b->resource, key, &c->key))
		r = change_find(c, b->may);
	if (r != -E_NOT_FOUND && r != -E_FORBIDDEN)
		return r;
	errors_add(&c->errors, "id", "%s", error_sentence(r));
	return 0;
}

static int save_row(struct bulk *b, struct change *c, const struct json *row)
{
	struct body *body = arena_new(&b->rq->arena, struct body);
	int r = 0;

	body->kind = BODY_JSON;
	body->json = row;
	c->body = body;
	if (b->may == MAY_UPDATE)
		r = find_row(b, c, row->type == JSON_OBJECT ? json_get(row, STR("id")) : NULL);
	if (r < 0 || errors_any(&c->errors))
		return r;
	r = change_check(c);
	return r < 0 || errors_any(&c->errors) ? r : change_write(c);
}

static int remove_row(struct bulk *b, struct change *c, const struct json *key)
{
	int r = find_row(b, c, key);

	return r < 0 || errors_any(&c->errors) ? r : change_remove(c);
}

/* --- all of them --- */

static int reply_row_errors(struct bulk *b)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;
	int r;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_array(&w);
	for (size_t i = 0; i < b->count; i++)
		errors_put(&b->changes[i]->errors, &w);
	json_end_array(&w);
	r = reply_refusal(b->rq, 400, buf_str(&body));
	return r < 0 ? r : -E_INVALID;
}

static int reply_rows(struct bulk *b, struct db_at at)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	bool is_new = b->may == MAY_CREATE;
	struct json_writer w;
	int r = 0;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_array(&w);
	for (size_t i = 0; i < b->count && r == 0; i++)
		r = resource_render(b->rq, at, b->resource, b->changes[i]->row,
				    is_new ? VIEW_LIST : VIEW_BULK, &w);
	json_end_array(&w);
	return r < 0 ? r : reply_json_take(b->rq, is_new ? 201 : 200, &body);
}

static int reply_done(struct bulk *b, struct db_at at)
{
	if (b->may != MAY_DELETE)
		return reply_rows(b, at);
	return reply_json(b->rq, 200, arena_printf(&b->rq->arena, "{\"deleted\":%zu}", b->count));
}

static int run_once(struct bulk *b)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	const struct json *row = b->rows->first;
	bool has_errors = false;
	int r;

	b->changes = new_changes(b);
	r = request_begin(b->rq, &tx);
	for (size_t i = 0; i < b->count && r == 0; i++, row = row->next) {
		struct change *c = b->changes[i];

		c->tx = &tx;
		r = b->may == MAY_DELETE ? remove_row(b, c, row) : save_row(b, c, row);
		has_errors = has_errors || errors_any(&c->errors);
	}
	if (r == 0 && has_errors)
		r = reply_row_errors(b);
	if (r == 0)
		r = reply_done(b, (struct db_at){ .db = b->rq->thread->db, .tx = &tx });
	return r < 0 ? r : request_commit(b->rq, &tx);
}

static int run(struct bulk *b)
{
	int r = -E_UNIQUE;

	for (unsigned tries = 0; tries < RACES_MOST && r == -E_UNIQUE; tries++)
		r = run_once(b);
	if (r < 0)
		return r;
	resource_forget(b->rq, b->resource);
	for (size_t i = 0; i < b->count; i++) {
		if (b->may == MAY_DELETE)
			change_finish_removal(b->changes[i]);
		else
			change_finish(b->changes[i]);
	}
	return 0;
}

/* `rows` NULL: a form, or nothing, stands where they should; `kind` is what Python calls it. */
static int bulk(struct request *rq, unsigned may, const struct json *rows, const char *kind)
{
	struct bulk b = { .rq = rq, .resource = rq->route->about, .may = may, .rows = rows };
	struct errors errors;
	int r;

	errors_init(&errors, rq);
	if (rows == NULL || rows->type != JSON_ARRAY) {
		errors_add(&errors, NULL, "Expected a list of items but got type \"%s\".",
			   rows == NULL ? kind : python_type_name(rows));
	} else {
		for (const struct json *row = rows->first; row != NULL; row = row->next)
			b.count++;
		if (b.count < 1 || b.count > BULK_ROWS_MOST)
			errors_add(&errors, NULL, "Send 1 to %d rows.", BULK_ROWS_MOST);
	}
	if (!errors_any(&errors))
		return run(&b);
	r = reply_errors(rq, &errors);
	return r < 0 ? r : -E_INVALID;
}

static int bulk_save(struct request *rq, unsigned may)
{
	const struct body *body;
	int r;

	r = request_body(rq, body_any, &body);
	if (r < 0)
		return r;
	return bulk(rq, may, body->kind == BODY_JSON ? body->json : NULL, "QueryDict");
}

int bulk_create(struct request *rq)
{
	return bulk_save(rq, MAY_CREATE);
}

int bulk_update(struct request *rq)
{
	return bulk_save(rq, MAY_UPDATE);
}

/* {"ids":[…]} */
int bulk_delete(struct request *rq)
{
	const struct json *ids = NULL;
	const char *kind = "NoneType";
	const struct body *body;
	int r;

	r = request_body(rq, body_any, &body);
	if (r < 0)
		return r;
	if (body->kind == BODY_JSON && body->json->type == JSON_OBJECT)
		ids = json_get(body->json, STR("ids"));
	for (size_t i = 0; i < body->field_count; i++) {
		if (str_eq_c(body->fields[i].name, "ids"))
			kind = "str";
	}
	return bulk(rq, MAY_DELETE, ids, kind);
}
