/*
 * save.c - creating and changing a row: validation, hooks, one transaction, jobs after the commit.
 */
#include "auth/identity.h"
#include "base/error.h"
#include "base/uuid.h"
#include "http/etag.h"
#include "http/once.h"
#include "resource/event.h"
#include "resource/nested.h"
#include "resource/resource-internal.h"

/* How often a save is tried again when a value that a hook made (a slug) was taken by somebody else
 * meanwhile. */
#define RACES_MOST 5

#define NOT_NULL_VIOLATION "23502"

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

static int check_reference(struct request *rq, struct db_at at, const struct values *v,
			   size_t place, struct errors *errors)
{
	const struct field *f = &v->fields[place];
	const struct sql_context context = { .key = v->text[place] };
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	struct db_rows rows;
	int r;

	sql_printf(&s, "SELECT 1 FROM %s t WHERE t.id = ", f->refers->table);
	sql_add_name(&s, SQL_KEY);
	resource_add_rows(&s, f->refers, "t");
	struct sql_statement ask = sql_finish(&s, &rq->arena, DB_EXCLUSIVE, false);
	r = sql_run(rq, at, &ask, &context, &rows);
	if (r == 0 && rows.count == 0)
		errors_add(errors, f->name, "Invalid pk \"%.*s\" - object does not exist.",
			   STR_ARG(v->sent[place]));
	return r;
}

int resource_check_references(struct request *rq, struct db_at at, const struct values *v,
			      struct errors *errors)
{
	int r = 0;

	for (size_t i = 0; i < v->count && r == 0; i++) {
		if (v->fields[i].type == FIELD_REFERENCE && v->is_given[i] &&
		    !str_is_null(v->text[i]))
			r = check_reference(rq, at, v, i, errors);
	}
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
	/* NULL is distinct from every key, so at creation no row is left out. */
	const struct sql_context context = { .key = c->old == NULL ? STR_NULL
								   : row_get(c->old, "id") };
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	struct db_rows rows;
	int r;

	sql_printf(&s, "SELECT 1 FROM %s t WHERE t.%s = ", c->resource->table, field_column(f));
	sql_add_value(&s, value);
	sql_add(&s, " AND t.id IS DISTINCT FROM ");
	sql_add_name(&s, SQL_KEY);
	resource_add_exists(&s, c->resource, "t");
	struct sql_statement ask = sql_finish(&s, &c->rq->arena, DB_EXCLUSIVE, false);
	r = sql_run(c->rq, change_at(c), &ask, &context, &rows);
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

		if (!c->values.is_given[i] || str_is_null(value) ||
		    (errors_has(&c->errors, f->name) && f->type != FIELD_KEYS))
			continue;
		if (f->type == FIELD_REFERENCE)
			r = check_reference(c->rq, change_at(c), &c->values, i, &c->errors);
		else if (f->type == FIELD_KEYS)
			r = links_check(c, i);
		else if (f->is_unique)
			r = check_unique(c, f, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_body(struct change *c)
{
	const enum body_kind *accepts = c->resource->accepts;

	if (c->body != NULL)
		return 0;
	return request_body(c->rq, accepts == NULL ? body_any : accepts, &c->body);
}

/* The fields' own rules, the database's, then the resource's. */
int change_check(struct change *c)
{
	const struct resource *res = c->resource;
	const struct validation validation = {
		.fields = res->fields,
		.count = res->field_count,
		.mode = c->mode,
		.presets = c->presets,
		.only = c->only,
		.most_shown = c->most_shown,
	};
	int r;

	r = read_body(c);
	if (r < 0)
		return r;
	validate_parsed(&validation, c->body, &c->errors, &c->values);
	r = check_in_database(c);
	if (r == 0)
		r = nested_check(c);
	if (r == 0 && res->hooks.validate != NULL)
		r = res->hooks.validate(c);
	if (r == 0 && !errors_any(&c->errors) && res->hooks.check != NULL)
		r = res->hooks.check(c);
	errors_sort(&c->errors, res->fields, res->field_count);
	return r;
}

/* --- writing --- */

static struct str usual_value(const struct field *f)
{
	if (f->usual != NULL)
		return str_c(f->usual);
	return f->is_nullable || f->type != FIELD_TEXT ? STR_NULL : STR("");
}

/* What the server sets in every row: the key, the times; at creation also what was left out. */
static void fill(struct change *c)
{
	struct arena *arena = &c->rq->arena;
	struct str now = values_now(arena);
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

static void insert_values(const struct change *c, struct str *values)
{
	size_t count = 0;

	for (size_t i = 0; i < c->resource->field_count; i++) {
		const struct field *f = &c->resource->fields[i];

		if (!field_is_stored(f) ||
		    (f->type == FIELD_KEY && c->resource->key == RESOURCE_BIGINT))
			continue;
		values[count++] = c->values.text[i];
	}
}

static int insert_row(struct change *c, struct db_rows *ret)
{
	const struct plan *p = plan_of(c->resource);
	struct str *values = arena_array(&c->rq->arena, struct str, c->resource->field_count);
	const struct sql_context context = { .values = values };
	const struct db_failure *failure;
	int r;

	insert_values(c, values);
	r = sql_run(c->rq, change_at(c), &p->insert, &context, ret);
	if (r != -E_SQL || c->resource->tenant_column == NULL)
		return r;
	failure = db_failure(c->rq->thread->db);
	if (strcmp(failure->sqlstate, NOT_NULL_VIOLATION) == 0 &&
	    strcmp(failure->column, c->resource->tenant_column) == 0)
		return c->rq->caller == NULL ? -E_UNAUTHENTICATED : -E_FORBIDDEN; /* of no tenant */
	return r;
}

static int write_row(struct change *c, struct row *ret)
{
	const struct plan *p = plan_of(c->resource);
	struct sql_statement update;
	struct db_rows rows;
	int r;

	fill(c);
	if (c->old == NULL) {
		r = insert_row(c, &rows);
	} else {
		const struct sql_context context = { .key = row_get(c->old, "id") };

		/* Nothing to set, and no time of change either: the row stays as it is. */
		if (!plan_update(p, &c->rq->arena, &c->values, &update)) {
			*ret = *c->old;
			return links_write(c, ret);
		}
		r = sql_run(c->rq, change_at(c), &update, &context, &rows);
	}
	if (r < 0)
		return r;
	must(rows.count == 1); /* inserted, or locked by this transaction */
	*ret = row_read(p, &c->rq->arena, &rows, 0, VIEW_PLAIN);
	/* The answer to a write has the members of a JSON value as they were sent; jsonb keeps no order. */
	for (size_t i = 0; i < c->resource->field_count; i++) {
		if (c->resource->fields[i].type == FIELD_JSON && !str_is_null(c->values.sent[i]))
			ret->text[i] = c->values.text[i];
	}
	return links_write(c, ret);
}

int change_blame(struct change *c)
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
	if (c->resource->unique_together != NULL &&
	    strcmp(c->resource->unique_together, constraint) == 0) {
		errors_add(&c->errors, NULL, "%s", c->resource->unique_together_words);
		return 0;
	}
	return -E_UNIQUE;
}

static int reply_invalid(struct change *c)
{
	int r = reply_errors(c->rq, &c->errors);

	return r < 0 ? r : -E_INVALID;
}

int change_write(struct change *c)
{
	const struct hooks *hooks = &c->resource->hooks;
	struct row *row = arena_new(&c->rq->arena, struct row);
	int r = 0;

	if (hooks->saving != NULL)
		r = hooks->saving(c);
	if (r == 0 && !errors_any(&c->errors))
		r = nested_write_before(c);
	if (r < 0 || errors_any(&c->errors))
		return r;
	r = write_row(c, row);
	if (r < 0)
		return r;
	c->row = row;
	r = nested_write_behind(c);
	if (r < 0 || errors_any(&c->errors))
		return r;
	return hooks->saved != NULL ? hooks->saved(c) : 0;
}

/* Everything between BEGIN and COMMIT but the checks. */
static int write_in_transaction(struct change *c)
{
	int r;

	r = change_write(c);
	if (r == -E_UNIQUE)
		r = change_blame(c);
	if (r < 0)
		return r;
	if (errors_any(&c->errors))
		return reply_invalid(c);
	if (c->_status != 0 && request_keeps_answer(c->rq))
		r = row_reply(c->rq, change_at(c), c->_status, c->resource, c->row, VIEW_DETAIL);
	return r < 0 ? r : request_commit(c->rq, c->tx);
}

void change_finish(struct change *c)
{
	if (c->enqueued != NULL)
		enqueue_push(c->rq->thread->producer, c->enqueued);
	c->tx = NULL;
	if (c->resource->hooks.done != NULL)
		c->resource->hooks.done(c);
	event_tell(c->rq, c->old == NULL ? EVENT_CREATED : EVENT_CHANGED, c->row);
	nested_finish(c);
}

static int finish(struct change *c)
{
	resource_forget(c->rq, c->resource);
	change_finish(c);
	return 0;
}

static int create_once(struct change *c)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r;

	r = request_begin(c->rq, &tx);
	if (r < 0)
		return r;
	c->tx = &tx;
	c->enqueued = NULL;
	r = write_in_transaction(c);
	c->tx = NULL;
	return r;
}

static int create(struct change *c)
{
	int r;

	r = change_check(c);
	if (r < 0)
		return r;
	if (errors_any(&c->errors))
		return reply_invalid(c);
	const struct values checked = values_copy(&c->values, &c->rq->arena);
	for (unsigned tries = 0; tries < RACES_MOST; tries++) {
		/* What the hooks of a lost race had set must not look like the client's. */
		c->values = values_copy(&checked, &c->rq->arena);
		r = create_once(c);
		if (r != -E_UNIQUE)
			break;
	}
	return r < 0 ? r : finish(c);
}

int change_find(struct change *c, unsigned may)
{
	const struct plan *p = plan_of(c->resource);
	struct row *old = arena_new(&c->rq->arena, struct row);
	int r;

	if (str_is_null(c->key))
		r = resource_object(c->rq, c->tx, c->resource, may, old);
	else
		r = row_find(c->rq, change_at(c), p, &p->find_for_update, c->key, VIEW_PLAIN, old);
	if (r == 0 && !str_is_null(c->key))
		r = resource_allow(c->rq, change_at(c), c->resource, old, may);
	if (r == 0)
		c->old = old;
	return r;
}

/* What a GET of the row would answer now must be what the client has seen, if it says so. */
static int check_condition(struct change *c)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct json_writer w;
	int r;

	if (!request_is_conditional(c->rq))
		return 0;
	json_writer_init(&w, &text, JSON_ESCAPE_DRF, false);
	r = resource_render(c->rq, change_at(c), c->resource, c->old, VIEW_RETRIEVAL, &w);
	return r < 0 ? r : request_check_match(c->rq, buf_str(&text));
}

/* BEGIN, and the row. */
static int begin_on_row(struct change *c, struct db_tx *tx, unsigned may)
{
	int r = request_begin(c->rq, tx);

	c->tx = tx;
	if (r == 0)
		r = change_find(c, may);
	return r < 0 ? r : check_condition(c);
}

static int change_row(struct change *c)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r;

	r = begin_on_row(c, &tx, MAY_UPDATE);
	if (r < 0)
		return r;
	r = change_check(c);
	if (r < 0)
		return r;
	if (errors_any(&c->errors))
		return reply_invalid(c);
	r = write_in_transaction(c);
	return r < 0 ? r : finish(c);
}

struct change *change_new(struct request *rq, const struct resource *res, enum validate_mode mode,
			  const struct body *body)
{
	struct change *c = arena_new(&rq->arena, struct change);

	c->rq = rq;
	c->resource = res;
	c->mode = mode;
	c->body = body;
	c->most_shown = SHOWN_IN_RETRIEVAL;
	errors_init(&c->errors, rq);
	return c;
}

static int save(struct change *c, struct row *ret)
{
	int r = c->mode == VALIDATE_CREATE ? create(c) : change_row(c);

	if (r == 0)
		*ret = *c->row;
	return r;
}

/* Unless the answer was set with the transaction. */
static int save_and_reply(struct change *c, int status)
{
	struct row row;
	int r;

	c->_status = status;
	r = save(c, &row);
	if (r < 0 || reply_is_set(c->rq))
		return r;
	return resource_reply(c->rq, status, c->resource, &row, VIEW_DETAIL);
}

int resource_save(struct request *rq, const struct resource *res, enum validate_mode mode,
		  struct row *ret)
{
	return save(change_new(rq, res, mode, NULL), ret);
}

int resource_save_reply(struct request *rq, const struct resource *res, enum validate_mode mode,
			int status)
{
	return save_and_reply(change_new(rq, res, mode, NULL), status);
}

static struct change *new_creation(struct request *rq, const struct resource *res,
				   const struct preset *presets)
{
	struct change *c = change_new(rq, res, VALIDATE_CREATE, NULL);

	c->presets = presets;
	return c;
}

int resource_change(struct request *rq, const struct resource *res, enum validate_mode mode,
		    struct str key, struct row *ret)
{
	struct change *c = change_new(rq, res, mode, NULL);

	c->key = key;
	return save(c, ret);
}

int resource_create(struct request *rq, const struct resource *res, const struct preset *presets,
		    struct row *ret)
{
	return save(new_creation(rq, res, presets), ret);
}

int resource_create_reply(struct request *rq, const struct resource *res,
			  const struct preset *presets, int status)
{
	return save_and_reply(new_creation(rq, res, presets), status);
}

int change_remove(struct change *c)
{
	const struct sql_context context = { .key = row_get(c->old, "id") };
	const struct hooks *hooks = &c->resource->hooks;
	struct db_rows rows;
	int r = 0;

	if (hooks->deleting != NULL)
		r = hooks->deleting(c);
	if (r < 0)
		return r;
	return sql_run(c->rq, change_at(c), &plan_of(c->resource)->remove, &context, &rows);
}

void change_finish_removal(struct change *c)
{
	if (c->enqueued != NULL)
		enqueue_push(c->rq->thread->producer, c->enqueued);
	c->tx = NULL;
	if (c->resource->hooks.deleted != NULL)
		c->resource->hooks.deleted(c);
	event_tell(c->rq, EVENT_DELETED, c->old);
}

static int remove_row(struct change *c)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r;

	r = begin_on_row(c, &tx, MAY_DELETE);
	if (r == 0)
		r = change_remove(c);
	if (r == 0)
		r = request_commit(c->rq, &tx);
	return r;
}

int resource_remove(struct request *rq, const struct resource *res)
{
	struct change *c = change_new(rq, res, VALIDATE_CHANGE, NULL);
	int r;

	r = remove_row(c);
	if (r < 0)
		return r;
	resource_forget(rq, res);
	change_finish_removal(c);
	return 0;
}
