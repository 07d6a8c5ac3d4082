/*
 * save.c - creating and changing a row: validation, hooks, one transaction, jobs after the commit.
 */
#include "auth/identity.h"
#include "base/datetime.h"
#include "base/error.h"
#include "base/uuid.h"
#include "base/world.h"
#include "http/once.h"
#include "resource/resource-internal.h"

/* How often a save is tried again when a value that a hook made (a slug) was taken by somebody else
 * meanwhile. */
#define RACES_MOST 5

int change_enqueue(struct change *c, const struct task *task, const void *arguments)
{
	struct enqueued *job;
	int r;

	r = enqueue_args(c->rq->thread->producer, c->tx, &c->rq->arena, task, arguments, NULL,
			 &job);
	if (r < 0)
		return r;
	job->next = c->enqueued;
	c->enqueued = job;
	return 0;
}

static struct db_at change_at(const struct change *c)
{
	return (struct db_at){ .db = c->rq->thread->db, .tx = c->tx };
}

/* --- what only the database can say --- */

static int check_reference(struct change *c, const struct field *f, struct str key, struct str sent)
{
	struct arena *arena = &c->rq->arena;
	const struct resource *other = f->refers;
	const struct db_statement exists = {
		.sql = arena_printf(arena, "SELECT 1 FROM %s t WHERE t.id = $1 AND %s",
				    other->table, other->rows == NULL ? "true" : other->rows),
	};
	struct db_rows rows;
	int r;

	r = db_at_query(change_at(c), arena, &exists, DB_VALUES(key), &rows);
	if (r == 0 && rows.count == 0)
		errors_add(&c->errors, f->name, "Invalid pk \"%.*s\" - object does not exist.",
			   STR_ARG(sent));
	return r;
}

static void blame_duplicate(struct change *c, const struct field *f)
{
	if (f->unique_words != NULL) {
		errors_add(&c->errors, f->name, "%s", f->unique_words);
		return;
	}
	char *model = arena_c(&c->rq->arena, str_c(c->resource->model));
	char *name = arena_c(&c->rq->arena, str_c(f->name));
	for (char *at = model; *at != '\0'; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char) (*at + ('a' - 'A'));
	}
	for (char *at = name; *at != '\0'; at++) {
		if (*at == '_')
			*at = ' ';
	}
	errors_add(&c->errors, f->name, "%s with this %s already exists.", model, name);
}

static int check_unique(struct change *c, const struct field *f, struct str value)
{
	struct arena *arena = &c->rq->arena;
	const struct resource *res = c->resource;
	/* NULL is distinct from every key, so at creation no row is left out. */
	struct str self = c->old == NULL ? STR_NULL : row_get(c->old, "id");
	const struct db_statement is_taken = {
		.sql = arena_printf(
			arena,
			"SELECT 1 FROM %s t WHERE t.%s = $1 AND t.id IS DISTINCT FROM $2 AND %s",
			res->table, f->column == NULL ? f->name : f->column,
			res->rows == NULL ? "true" : res->rows),
	};
	struct db_rows rows;
	int r;

	r = db_at_query(change_at(c), arena, &is_taken, DB_VALUES(value, self), &rows);
	if (r == 0 && rows.count > 0)
		blame_duplicate(c, f);
	return r;
}

static int check_in_database(struct change *c)
{
	for (size_t i = 0; i < c->resource->field_count; i++) {
		const struct field *f = &c->resource->fields[i];
		struct str value = c->values.text[i];
		int r = 0;

		if (!c->values.is_given[i] || str_is_null(value) || errors_has(&c->errors, f->name))
			continue;
		if (f->type == FIELD_REFERENCE)
			r = check_reference(c, f, value, c->values.sent[i]);
		else if (f->is_unique)
			r = check_unique(c, f, value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The fields' own rules, the database's, then the resource's. */
static int check(struct change *c)
{
	const struct resource *res = c->resource;
	int r;

	r = validate_body(c->rq, res->fields, res->field_count, c->mode,
			  res->accepts == 0 ? BODY_ANY : res->accepts, &c->errors, &c->values);
	if (r < 0)
		return r;
	r = check_in_database(c);
	if (r == 0 && !errors_any(&c->errors) && res->hooks.check != NULL)
		r = res->hooks.check(c);
	return r;
}

/* --- writing --- */

static struct str usual_value(const struct field *f)
{
	if (f->usual != NULL)
		return str_c(f->usual);
	return f->is_nullable || f->type != FIELD_TEXT ? STR_NULL : STR("");
}

static struct str time_text(struct arena *arena, usec_t at)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	datetime_add_python(&text, at);
	return arena_str(arena, buf_str(&text));
}

/* What the server sets in every row: the key, the times; at creation also what was left out. */
static void fill(struct change *c)
{
	struct arena *arena = &c->rq->arena;
	struct str now = time_text(arena, now_realtime());
	bool is_new = c->old == NULL;

	for (size_t i = 0; i < c->resource->field_count; i++) {
		const struct field *f = &c->resource->fields[i];

		if (f->is_now_at_save || (is_new && f->is_now_at_creation)) {
			c->values.text[i] = now;
		} else if (is_new && f->type == FIELD_KEY && c->resource->key == RESOURCE_UUID) {
			char text[UUID_TEXT + 1];
			struct uuid id = uuid_v7();

			uuid_format(&id, text);
			c->values.text[i] = arena_str(arena, str_c(text));
		} else if (is_new && !c->values.is_given[i]) {
			c->values.text[i] = usual_value(f);
			continue;
		} else {
			continue;
		}
		c->values.is_given[i] = true;
	}
}

static size_t insert_params(const struct change *c, struct str *params)
{
	size_t count = 0;

	for (size_t i = 0; i < c->resource->field_count; i++) {
		const struct field *f = &c->resource->fields[i];

		if (f->sql != NULL || f->is_not_a_column || f->type == FIELD_MANY ||
		    (f->type == FIELD_KEY && c->resource->key == RESOURCE_BIGINT))
			continue;
		params[count++] = c->values.text[i];
	}
	return count;
}

static int write_row(struct change *c, struct row *ret)
{
	const struct plan *p = plan_of(c->resource);
	struct arena *arena = &c->rq->arena;
	struct str *params = arena_array(arena, struct str, c->resource->field_count + 1);
	struct db_statement update;
	struct db_rows rows;
	size_t count;
	int r;

	fill(c);
	if (c->old == NULL) {
		count = insert_params(c, params);
		r = db_tx_query(c->tx, arena, &p->insert, params, count, &rows);
	} else {
		params[0] = row_get(c->old, "id");
		update = plan_update(p, arena, &c->values, params, &count);
		if (count == 1) { /* nothing to set, and no time of change either */
			*ret = *c->old;
			return 0;
		}
		r = db_tx_query(c->tx, arena, &update, params, count, &rows);
	}
	if (r < 0)
		return r;
	must(rows.count == 1); /* inserted, or locked by this transaction */
	*ret = row_read(p, arena, &rows, 0, false);
	return 0;
}

/* A violation by a value that the client sent is the client's; -E_UNIQUE stays for what a hook
 * made. */
static int blame_violation(struct change *c)
{
	const char *constraint = db_failure(c->rq->thread->db)->constraint;

	for (size_t i = 0; i < c->resource->field_count; i++) {
		const struct field *f = &c->resource->fields[i];

		if (f->is_unique && !str_is_null(c->values.sent[i]) &&
		    strcmp(f->unique_constraint, constraint) == 0) {
			blame_duplicate(c, f);
			return 0;
		}
	}
	return -E_UNIQUE;
}

static int reply_invalid(struct change *c)
{
	int r = reply_errors(c->rq, &c->errors);

	return r < 0 ? r : -E_INVALID;
}

/* Everything between BEGIN and COMMIT but the checks. */
static int write_in_transaction(struct change *c, struct row *ret)
{
	const struct hooks *hooks = &c->resource->hooks;
	int r = 0;

	if (hooks->saving != NULL)
		r = hooks->saving(c);
	if (r < 0)
		return r;
	if (errors_any(&c->errors))
		return reply_invalid(c);
	r = write_row(c, ret);
	if (r == -E_UNIQUE) {
		r = blame_violation(c);
		return r < 0 ? r : reply_invalid(c);
	}
	if (r < 0)
		return r;
	c->row = ret;
	if (hooks->saved != NULL)
		r = hooks->saved(c);
	if (r == 0 && c->_status != 0 && request_keeps_answer(c->rq))
		r = row_reply(c->rq, change_at(c), c->_status, c->resource, ret);
	return r < 0 ? r : request_commit(c->rq, c->tx);
}

static int finish(struct change *c)
{
	if (c->enqueued != NULL)
		enqueue_push(c->rq->thread->producer, c->enqueued);
	resource_forget(c->rq, c->resource, false);
	return c->resource->hooks.done != NULL ? c->resource->hooks.done(c) : 0;
}

static int create_once(struct change *c, struct row *ret)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r;

	r = request_begin(c->rq, &tx);
	if (r < 0)
		return r;
	c->tx = &tx;
	c->enqueued = NULL;
	r = write_in_transaction(c, ret);
	c->tx = NULL;
	return r;
}

static int create(struct change *c, struct row *ret)
{
	int r;

	r = check(c);
	if (r < 0)
		return r;
	if (errors_any(&c->errors))
		return reply_invalid(c);
	const struct values checked = values_copy(&c->values, &c->rq->arena);
	for (unsigned tries = 0; tries < RACES_MOST; tries++) {
		/* What the hooks of a lost race had set must not look like the client's. */
		c->values = values_copy(&checked, &c->rq->arena);
		r = create_once(c, ret);
		if (r != -E_UNIQUE)
			break;
	}
	return r < 0 ? r : finish(c);
}

/* One row of the API, locked until the transaction ends. */
static int find_locked(struct request *rq, struct db_tx *tx, const struct resource *res,
		       struct str key, struct row *ret)
{
	const struct plan *p = plan_of(res);
	struct db_rows rows;
	int r;

	r = db_tx_query(tx, &rq->arena, &p->find_for_update, DB_VALUES(key), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_NOT_FOUND, "No %s matches the given query.", res->model);
	*ret = row_read(p, &rq->arena, &rows, 0, false);
	return 0;
}

/* BEGIN, the row with this key, locked, and the caller's right to do that to it. */
static int begin_on_row(struct change *c, struct db_tx *tx, struct str key, unsigned may)
{
	struct row *old = arena_new(&c->rq->arena, struct row);
	int r;

	r = request_begin(c->rq, tx);
	if (r < 0)
		return r;
	c->tx = tx;
	r = find_locked(c->rq, tx, c->resource, key, old);
	if (r == 0)
		r = resource_allow(c->rq, c->resource, old, may);
	if (r < 0)
		return r;
	c->old = old;
	return 0;
}

static int change_row(struct change *c, struct str key, struct row *ret)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r;

	r = begin_on_row(c, &tx, key, MAY_UPDATE);
	if (r < 0)
		return r;
	r = check(c);
	if (r < 0)
		return r;
	if (errors_any(&c->errors))
		return reply_invalid(c);
	r = write_in_transaction(c, ret);
	c->tx = NULL;
	return r < 0 ? r : finish(c);
}

int row_save(struct request *rq, const struct resource *res, enum validate_mode mode,
	     struct str key, int status, struct row *ret)
{
	struct change *c = arena_new(&rq->arena, struct change);

	c->rq = rq;
	c->resource = res;
	c->mode = mode;
	c->_status = status;
	errors_init(&c->errors, rq);
	return mode == VALIDATE_CREATE ? create(c, ret) : change_row(c, key, ret);
}

int resource_save(struct request *rq, const struct resource *res, enum validate_mode mode,
		  struct str key, struct row *ret)
{
	return row_save(rq, res, mode, key, 0, ret);
}

static int remove_row(struct change *c, struct str key)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	const struct hooks *hooks = &c->resource->hooks;
	struct db_rows rows;
	int r;

	r = begin_on_row(c, &tx, key, MAY_DELETE);
	if (r < 0)
		return r;
	if (hooks->deleting != NULL)
		r = hooks->deleting(c);
	if (r == 0)
		r = db_tx_query(&tx, &c->rq->arena, &plan_of(c->resource)->remove, DB_VALUES(key),
				&rows);
	if (r == 0)
		r = request_commit(c->rq, &tx);
	c->tx = NULL;
	return r;
}

int resource_remove(struct request *rq, const struct resource *res, struct str key)
{
	struct change *c = arena_new(&rq->arena, struct change);
	int r;

	c->rq = rq;
	c->resource = res;
	errors_init(&c->errors, rq);
	r = remove_row(c, key);
	if (r < 0)
		return r;
	if (c->enqueued != NULL)
		enqueue_push(rq->thread->producer, c->enqueued);
	resource_forget(rq, res, true);
	return res->hooks.deleted != NULL ? res->hooks.deleted(c) : 0;
}
