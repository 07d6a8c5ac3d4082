#include "resource/nested.h"

#include "base/error.h"
#include "resource/form_parts.h"
#include "resource/python.h"
#include "resource/resource-internal.h"

#define ROWS_MOST 1000

struct nested_row {
	struct change *change;
	struct values
		checked; /* as validated: what the hooks of a lost race have set does not count */
};

/* What was sent for one field. */
struct nested {
	struct nested *next;
	const struct field *field;
	bool is_null;
	struct nested_row *rows;
	size_t count;
};

/* --- at start --- */

static const struct field *find_stored(const struct resource *res, const char *column)
{
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];

		if (field_is_stored(f) && strcmp(field_column(f), column) == 0)
			return f;
	}
	return NULL;
}

/* The field that holds the key of the other row: ours for one row, theirs for many. */
static const struct field *holder_of(const struct resource *res, const struct field *f)
{
	return f->nested == NESTED_ONE ? find_stored(res, f->column)
				       : find_stored(f->refers, f->through);
}

static bool is_in_shape(const struct field *f, const struct field *inner)
{
	const char *const *name = f->shape;

	if (name == NULL)
		return true;
	while (*name != NULL && strcmp(*name, inner->name) != 0)
		name++;
	return *name != NULL;
}

int nested_check_table(const struct resource *res)
{
	for (size_t i = 0; i < res->field_count; i++) {
		const struct field *f = &res->fields[i];
		const struct field *holder;

		if (f->nested == NESTED_NOT)
			continue;
		holder = holder_of(res, f);
		if (holder == NULL || holder->is_write_only || holder->shown != SHOWN_ALWAYS)
			return fail(
				-EINVAL,
				"%s: field %s is written, so its column must be a field that is read",
				res->name, f->name);
		if (f->nested != NESTED_ONE && f->most_rows > ROWS_MOST)
			return fail(-EINVAL, "%s: field %s takes more than %d rows", res->name,
				    f->name, ROWS_MOST);
		for (size_t k = 0; k < f->refers->field_count; k++) {
			const struct field *inner = &f->refers->fields[k];

			if ((inner->is_required || inner->is_required_once) && inner != holder &&
			    !is_in_shape(f, inner))
				return fail(-EINVAL,
					    "%s: field %s is written without %s, which is required",
					    res->name, f->name, inner->name);
		}
	}
	return 0;
}

/* --- what was sent --- */

static const struct body *body_of_json(struct arena *arena, const struct json *json)
{
	struct body *body = arena_new(arena, struct body);

	body->kind = BODY_JSON;
	body->json = json;
	return body;
}

/* The same of a form's item; one that is no row is a text to whoever wants an object. */
static const struct body *body_of_item(struct arena *arena, const struct form_item *item)
{
	static const struct json text = { .type = JSON_STRING, .is_plain = true };

	return item->row != NULL ? item->row : body_of_json(arena, &text);
}

/* Of MATCHED: what is sent as "id"; NULL: nothing. */
static const struct json *sent_key(struct arena *arena, const struct body *body)
{
	const struct json *sent = NULL;
	struct json *text;

	if (body->kind == BODY_JSON) {
		if (body->json->type == JSON_OBJECT)
			sent = json_get(body->json, STR("id"));
		return sent == NULL || sent->type == JSON_NULL ? NULL : sent;
	}
	for (size_t i = body->field_count; i-- > 0;) {
		if (!str_eq_c(body->fields[i].name, "id"))
			continue;
		if (body->fields[i].value.len == 0)
			return NULL;
		text = arena_new(arena, struct json);
		*text = (struct json){ .type = JSON_STRING,
				       .is_plain = true,
				       .text = body->fields[i].value };
		return text;
	}
	return NULL;
}

static struct change *new_change(struct change *c, const struct field *f, const struct body *body)
{
	struct preset *presets = arena_array(&c->rq->arena, struct preset, 2);
	struct change *inner;

	inner = change_new(c->rq, f->refers, VALIDATE_CREATE, body);
	inner->tx = c->tx;
	inner->only = f->shape;
	if (f->nested == NESTED_ONE)
		return inner;
	presets[0] = (struct preset){ holder_of(c->resource, f)->name, STR_NULL };
	inner->presets = presets;
	return inner;
}

/* The row with this key becomes the one that is changed, if it belongs to ours. */
static int find_old(struct change *c, const struct field *f, struct change *inner, struct str key)
{
	const struct db_at at = { .db = c->rq->thread->db, .tx = c->tx };
	const struct plan *p = plan_of(f->refers);
	struct row *old = arena_new(&c->rq->arena, struct row);
	int r;

	r = row_find(c->rq, at, p, &p->find_for_update, key, VIEW_PLAIN, old);
	if (r == 0 && f->nested == NESTED_MATCHED &&
	    !str_eq(row_get(old, holder_of(c->resource, f)->name), row_get(c->old, "id")))
		r = -E_NOT_FOUND;
	if (r < 0)
		return r;
	inner->old = old;
	inner->mode = c->mode == VALIDATE_CHANGE ? VALIDATE_CHANGE : VALIDATE_REPLACE;
	return 0;
}

static bool is_named_already(const struct nested *n, size_t count, struct str key)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *old = n->rows[i].change->old;

		if (old != NULL && str_eq(row_get(old, "id"), key))
			return true;
	}
	return false;
}

/* Of MATCHED: the row that "id" names. */
static int match_row(struct change *c, struct nested *n, size_t place, const struct json *sent)
{
	struct change *inner = n->rows[place].change;
	struct str key;
	int r = -E_NOT_FOUND;

	if (resource_read_json_key(c->rq, n->field->refers, sent, &key)) {
		if (is_named_already(n, place, key)) {
			errors_add(&inner->errors, "id", "This row stands there twice.");
			return 0;
		}
		if (c->old != NULL)
			r = find_old(c, n->field, inner, key);
	}
	if (r != -E_NOT_FOUND)
		return r;
	errors_quote(&inner->errors, "id", "Invalid pk \"", python_text(&c->rq->arena, sent),
		     "\" - object does not exist.");
	return 0;
}

static int check_row(struct change *c, struct nested *n, size_t place, const struct body *body)
{
	struct change *inner = new_change(c, n->field, body);
	const struct json *sent = NULL;
	int r = 0;

	n->rows[place].change = inner;
	if (body->kind == BODY_JSON && body->json->type == JSON_NULL) {
		errors_add(&inner->errors, NULL, "This field may not be null.");
		inner->errors.is_bare = true;
		return 0;
	}
	if (n->field->nested == NESTED_MATCHED)
		sent = sent_key(&c->rq->arena, body);
	if (sent != NULL)
		r = match_row(c, n, place, sent);
	if (r == 0 && !errors_any(&inner->errors))
		r = change_check(inner);
	n->rows[place].checked = inner->values;
	return r;
}

/* Ends what was there and is not named.  Before the rows are checked: what has to be unique among them
 * may be theirs. */
static int remove_others(struct change *c, const struct nested *n)
{
	const struct resource *other = n->field->refers;
	const struct sql_context context = { .key = row_get(c->old, "id") };
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	struct db_rows rows;

	if (other->remove != NULL)
		sql_printf(&s, "UPDATE %s t SET %s WHERE t.%s = ", other->table, other->remove,
			   n->field->through);
	else
		sql_printf(&s, "DELETE FROM %s t WHERE t.%s = ", other->table, n->field->through);
	sql_add_name(&s, SQL_KEY);
	resource_add_exists(&s, other, "t");
	for (size_t i = 0; i < n->count; i++) {
		if (n->rows[i].change == NULL || n->rows[i].change->old == NULL)
			continue;
		sql_add(&s, " AND t.id <> ");
		sql_add_value(&s, row_get(n->rows[i].change->old, "id"));
	}
	struct sql_statement remove = sql_finish(&s, &c->rq->arena, DB_EXCLUSIVE, false);
	return sql_run(c->rq, (struct db_at){ .db = c->rq->thread->db, .tx = c->tx }, &remove,
		       &context, &rows);
}

static int check_many(struct change *c, struct nested *n, const struct body *const *sent,
		      size_t count)
{
	struct errors **each = arena_array(&c->rq->arena, struct errors *, count + 1);
	int r = 0;

	n->count = count;
	n->rows = arena_array(&c->rq->arena, struct nested_row, n->count + 1);
	if (c->old != NULL && n->field->nested == NESTED_REPLACED)
		r = remove_others(c, n);
	for (size_t i = 0; i < n->count && r == 0; i++) {
		r = check_row(c, n, i, sent[i]);
		each[i] = &n->rows[i].change->errors;
	}
	if (r < 0)
		return r;
	errors_adopt(&c->errors, n->field->name, each, n->count);
	return c->old != NULL && n->field->nested == NESTED_MATCHED ? remove_others(c, n) : 0;
}

static int check_one(struct change *c, struct nested *n, const struct body *body)
{
	struct str key = c->old == NULL ? STR_NULL
					: row_get(c->old, holder_of(c->resource, n->field)->name);
	struct change *inner = new_change(c, n->field, body);
	int r = 0;

	n->count = 1;
	n->rows = arena_new(&c->rq->arena, struct nested_row);
	n->rows[0].change = inner;
	if (!str_is_null(key))
		r = find_old(c, n->field, inner, key);
	if (r == 0)
		r = change_check(inner);
	n->rows[0].checked = inner->values;
	errors_adopt_one(&c->errors, n->field->name, &inner->errors);
	return r;
}

static struct nested *add_nested(struct change *c, const struct field *f)
{
	struct nested *n = arena_new(&c->rq->arena, struct nested);

	n->field = f;
	n->next = c->_nested;
	c->_nested = n;
	return n;
}

static int check_field_one(struct change *c, const struct field *f)
{
	struct nested *n = add_nested(c, f);
	struct arena *arena = &c->rq->arena;
	const struct body *body;

	if (c->body->kind == BODY_JSON) {
		body = body_of_json(arena, json_get(c->body->json, str_c(f->name)));
		n->is_null = body->json->type == JSON_NULL;
	} else {
		body = form_row(arena, c->body, f->name);
	}
	return n->is_null ? 0 : check_one(c, n, body);
}

/* False after a message: it is no list. */
static bool read_many(struct change *c, const struct field *f, const struct body *const **ret,
		      size_t *ret_count)
{
	struct arena *arena = &c->rq->arena;
	const struct json *json = NULL;
	const struct form_item *items;
	const struct body **bodies;
	size_t count;

	if (c->body->kind == BODY_JSON) {
		json = json_get(c->body->json, str_c(f->name));
		if (json->type != JSON_ARRAY && json->type != JSON_NULL)
			errors_add(errors_within(&c->errors, f->name), NULL,
				   "Expected a list of items but got type \"%s\".",
				   python_type_name(json));
		if (json->type != JSON_ARRAY)
			return false;
		count = json->count;
		json = json->first;
	} else {
		count = form_list(arena, c->body, f->name, &items);
	}
	bodies = arena_array(arena, const struct body *, count + 1);
	for (size_t i = 0; i < count; i++) {
		if (json == NULL) {
			bodies[i] = body_of_item(arena, &items[i]);
			continue;
		}
		bodies[i] = body_of_json(arena, json);
		json = json->next;
	}
	*ret = bodies;
	*ret_count = count;
	return true;
}

static int check_field_many(struct change *c, const struct field *f)
{
	const struct body *const *sent;
	size_t count;

	if (!read_many(c, f, &sent, &count))
		return 0;
	if (count > f->most_rows) {
		errors_add(errors_within(&c->errors, f->name), NULL,
			   "Ensure this field has no more than %u elements.", f->most_rows);
		return 0;
	}
	return check_many(c, add_nested(c, f), sent, count);
}

int nested_check(struct change *c)
{
	int r = 0;

	c->_nested = NULL;
	for (size_t i = 0; i < c->resource->field_count && r == 0; i++) {
		const struct field *f = &c->resource->fields[i];

		if (f->nested != NESTED_NOT && c->values.is_given[i])
			r = f->nested == NESTED_ONE ? check_field_one(c, f)
						    : check_field_many(c, f);
	}
	return r;
}

/* --- writing --- */

static int write_one(struct change *c, struct nested_row *row, const char *holder, struct str key)
{
	struct change *inner = row->change;
	int r;

	inner->tx = c->tx;
	inner->enqueued = NULL;
	inner->values = values_copy(&row->checked, &c->rq->arena);
	if (holder != NULL)
		values_set(&inner->values, holder, key);
	r = change_write(inner);
	return r == -E_UNIQUE ? change_blame(inner) : r;
}

int nested_write_before(struct change *c)
{
	int r = 0;

	for (const struct nested *n = c->_nested; n != NULL && r == 0; n = n->next) {
		struct str key = STR_NULL;

		if (n->field->nested != NESTED_ONE)
			continue;
		if (!n->is_null)
			r = write_one(c, &n->rows[0], NULL, STR_NULL);
		if (r < 0 || errors_any(&c->errors))
			return r;
		if (!n->is_null)
			key = row_get(n->rows[0].change->row, "id");
		values_set(&c->values, holder_of(c->resource, n->field)->name, key);
	}
	return r;
}

/* The row that ours pointed at. */
static int remove_one(struct change *c, const struct nested *n)
{
	const struct sql_context context = {
		.key = row_get(c->old, holder_of(c->resource, n->field)->name)
	};
	struct db_rows rows;

	return sql_run(c->rq, (struct db_at){ .db = c->rq->thread->db, .tx = c->tx },
		       &plan_of(n->field->refers)->remove, &context, &rows);
}

int nested_write_behind(struct change *c)
{
	int r = 0;

	for (const struct nested *n = c->_nested; n != NULL && r == 0; n = n->next) {
		if (n->field->nested == NESTED_ONE) {
			if (n->is_null && c->old != NULL)
				r = remove_one(c, n);
			continue;
		}
		const char *holder = holder_of(c->resource, n->field)->name;
		for (size_t i = 0; i < n->count && r == 0 && !errors_any(&c->errors); i++)
			r = write_one(c, &n->rows[i], holder, row_get(c->row, "id"));
	}
	return r;
}

void nested_finish(struct change *c)
{
	for (const struct nested *n = c->_nested; n != NULL; n = n->next) {
		resource_forget(c->rq, n->field->refers);
		for (size_t i = 0; i < n->count; i++)
			change_finish(n->rows[i].change);
	}
}
