/*
 * links.c - sets of keys (KEYS fields): pairs in a table of their own, written as a whole.
 */
#include "base/error.h"
#include "resource/coerce.h"
#include "resource/resource-internal.h"

/* The place (from 0) of the first key that has no row that the caller may know of; -1 if all have. */
static int find_missing(struct change *c, const struct field *f, struct str array, int64_t *ret)
{
	const struct db_at at = { .db = c->rq->thread->db, .tx = c->tx };
	const struct sql_context context = { .key = STR_NULL };
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	struct db_rows rows;
	int r;

	sql_add(&s, "SELECT n - 1 FROM unnest(");
	sql_add_value(&s, array);
	sql_printf(
		&s,
		"::uuid[]) WITH ORDINALITY u (k, n) WHERE NOT EXISTS (SELECT FROM %s t WHERE t.id = k",
		f->refers->table);
	resource_add_rows(&s, f->refers, "t");
	sql_add(&s, ") ORDER BY n LIMIT 1");
	struct sql_statement ask = sql_finish(&s, &c->rq->arena, DB_EXCLUSIVE, false);
	r = sql_run(c->rq, at, &ask, &context, &rows);
	if (r < 0)
		return r;
	*ret = rows.count > 0 ? db_get_i64(&rows, 0, 0) : -1;
	return 0;
}

/* The key at that place as the client wrote it. */
static struct str find_sent(struct change *c, const struct field *f, int64_t place)
{
	const struct body *body = c->body;
	const struct json *one;

	if (body->kind == BODY_JSON) {
		one = json_get(body->json, str_c(f->name))->first;
		for (int64_t i = 0; i < place; i++)
			one = one->next;
		return one->key.at != NULL
			       ? json_key(&c->rq->arena, one) /* of an object: see coerce.c */
			       : python_text(&c->rq->arena, one);
	}
	for (size_t i = 0; i < body->field_count; i++) {
		if (str_eq_c(body->fields[i].name, f->name) && place-- == 0)
			return body->fields[i].value;
	}
	must_not_reach("a key that was checked and not sent");
}

int links_check(struct change *c, size_t place)
{
	const struct field *f = &c->resource->fields[place];
	int64_t missing;
	int r;

	r = find_missing(c, f, c->values.text[place], &missing);
	if (r < 0 || missing < 0)
		return r;
	errors_forget(&c->errors,
		      f->name); /* DRF takes key by key: what stands behind is not reached */
	errors_add(&c->errors, f->name, "Invalid pk \"%.*s\" - object does not exist.",
		   STR_ARG(find_sent(c, f, missing)));
	return 0;
}

static int write_link(struct change *c, const struct field *f, struct str key, struct str array)
{
	struct arena *arena = &c->rq->arena;
	const struct db_statement drop = {
		.sql = arena_printf(arena,
				    "DELETE FROM %s WHERE %s = $1 AND %s <> ALL ($2::uuid[])",
				    f->link, f->link_own, f->link_other),
		.is_varying = true,
	};
	const struct db_statement add = {
		.sql = arena_printf(
			arena,
			"INSERT INTO %s (%s, %s) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
			f->link, f->link_own, f->link_other),
		.is_varying = true,
	};
	int r = 0;

	if (c->old != NULL)
		r = db_tx_query(c->tx, arena, &drop, DB_VALUES(key, array), NULL);
	if (r == 0 && !str_eq_c(array, "{}"))
		r = db_tx_query(c->tx, arena, &add, DB_VALUES(key, array), NULL);
	return r;
}

int links_write(struct change *c, const struct row *row)
{
	int r = 0;

	for (size_t i = 0; i < c->resource->field_count && r == 0; i++) {
		const struct field *f = &c->resource->fields[i];

		if (f->type == FIELD_KEYS && c->values.is_given[i])
			r = write_link(c, f, row_get(row, "id"), c->values.text[i]);
	}
	return r;
}
