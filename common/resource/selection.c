#include "resource/selection.h"

#include "base/error.h"
#include "resource/filter.h"
#include "resource/resource.h"

/* Of one search; each is looked for in every place. */
#define TERMS_MOST  64
#define ORDERS_MOST 16

/* clang-format off */
static const struct match {
	char how;
	bool is_like; /* the term's '%', '_' and '\\' mean themselves */
	const char *before, *between, *after; /* before, the place, between, the term, after */
} matches[] = {
	{ 0,   true,  "UPPER((",                ")::text) LIKE UPPER('%' || ",    "::text || '%')" },
	{ '^', true,  "UPPER((",                ")::text) LIKE UPPER(",           "::text || '%')" },
	{ '=', false, "UPPER((",                ")::text) = UPPER(",              "::text)" },
	{ '@', false, "to_tsvector(COALESCE((", ")::text, '')) @@ plainto_tsquery(", "::text)" },
	{ '$', false, "((",                     ")::text ~* ",                    "::text)" },
};
/* clang-format on */

static const struct match *find_match(char how)
{
	for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
		if (matches[i].how == how)
			return &matches[i];
	}
	return NULL;
}

static const struct scope *find_scope(const struct selections *s, const char *name)
{
	for (size_t i = 0; i < s->scope_count; i++) {
		if (strcmp(s->scopes[i].name, name) == 0)
			return &s->scopes[i];
	}
	return NULL;
}

const char *scope_sql(const struct selections *s, const char *name)
{
	const struct scope *scope = find_scope(s, name);

	must(scope != NULL);
	return scope->sql;
}

/* --- at start --- */

static bool is_wrong_snippet(const char *snippet)
{
	return snippet != NULL && !str_is_null(sql_unknown_name(snippet));
}

static const char *filter_fault(const struct selections *s, const struct filter *f)
{
	static const bool is_read[FIELD_TYPES] = {
		[FIELD_KEY] = true,      [FIELD_UUID] = true,    [FIELD_TEXT] = true,
		[FIELD_CHOICE] = true,   [FIELD_INTEGER] = true, [FIELD_DECIMAL] = true,
		[FIELD_BOOLEAN] = true,  [FIELD_TIME] = true,    [FIELD_DATE] = true,
		[FIELD_DURATION] = true,
	};

	if (f->name == NULL || f->sql == NULL)
		return "needs a name and what is compared";
	if (!is_read[f->type])
		return "has a type whose values no query can give";
	if (f->type == FIELD_CHOICE && f->lookup == LOOKUP_EXACT && f->choices == NULL)
		return "is a CHOICE without ONE_OF";
	if (f->type == FIELD_KEY && f->refers == NULL)
		return "is a KEY of nothing";
	if ((f->lookup == LOOKUP_ISNULL || f->lookup == LOOKUP_HOLDS) !=
		    (f->type == FIELD_BOOLEAN) &&
	    f->lookup != LOOKUP_EXACT)
		return "asks a yes or no of what is none";
	if (f->lookup == LOOKUP_HOLDS && find_scope(s, f->sql) == NULL)
		return "names a scope that does not exist";
	if (is_wrong_snippet(f->sql) || is_wrong_snippet(f->any_of) || is_wrong_snippet(f->join))
		return "has SQL with a name that does not exist";
	return NULL;
}

int selections_check(const char *resource, const struct selections *s)
{
	for (size_t i = 0; i < s->filter_count; i++) {
		const char *fault = filter_fault(s, &s->filters[i]);

		if (fault != NULL)
			return fail(-EINVAL, "%s: filter %s %s", resource,
				    s->filters[i].name == NULL ? "?" : s->filters[i].name, fault);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(s->filters[k].name, s->filters[i].name) == 0)
				return fail(-EINVAL, "%s: filter %s stands there twice", resource,
					    s->filters[i].name);
		}
	}
	for (size_t i = 0; i < s->scope_count; i++) {
		if (is_wrong_snippet(s->scopes[i].sql))
			return fail(-EINVAL, "%s: scope %s has SQL with a name that does not exist",
				    resource, s->scopes[i].name);
	}
	for (size_t i = 0; i < s->search_count; i++) {
		const struct search *one = &s->searches[i];

		if (find_match(one->how) == NULL)
			return fail(-EINVAL, "%s: search %zu has a prefix that does not exist",
				    resource, i + 1);
		if ((one->is_vector || one->config != NULL) && (one->how != '@' || !one->is_vector))
			return fail(-EINVAL, "%s: search %zu has a configuration and no vector",
				    resource, i + 1);
		if (is_wrong_snippet(one->sql) || is_wrong_snippet(one->any_of))
			return fail(-EINVAL,
				    "%s: search %zu has SQL with a name that does not exist",
				    resource, i + 1);
	}
	for (size_t i = 0; i < s->order_count; i++) {
		if (is_wrong_snippet(s->orders[i].sql))
			return fail(-EINVAL,
				    "%s: ordering %s has SQL with a name that does not exist",
				    resource, s->orders[i].name);
	}
	return 0;
}

/* --- the query --- */

static struct condition *add_condition(struct request *rq, struct condition ***end)
{
	struct condition *c = arena_new(&rq->arena, struct condition);

	**end = c;
	*end = &c->next;
	return c;
}

/* All values that came under a name, the last alone unless all count. */
static size_t find_sent(struct request *rq, const struct filter *f, struct str **ret)
{
	struct form_field pair;
	struct str *sent = NULL;
	size_t count = 0, cursor = 0, room = 0;

	while (request_query_next(rq, &cursor, &pair)) {
		if (!str_eq_c(pair.name, f->name))
			continue;
		if (!f->is_repeatable)
			count = 0;
		if (count == room) {
			struct str *more = arena_array(&rq->arena, struct str, 2 * room + 1);

			if (count > 0)
				memcpy(more, sent, count * sizeof(*more));
			sent = more;
			room = 2 * room + 1;
		}
		sent[count++] = pair.value;
	}
	*ret = sent;
	return count;
}

/* SELECT the place, from 1, of the first of the keys that names no row. */
static struct sql_statement ask_missing(struct request *rq, const struct condition *c)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;
	const struct resource *other = c->filter->refers;

	sql_add(&s, "SELECT v.place FROM unnest(ARRAY[");
	for (size_t i = 0; i < c->count; i++) {
		sql_add(&s, i > 0 ? ", " : "");
		sql_add_value(&s, c->values[i]);
	}
	sql_printf(&s,
		   "]::%s[]) WITH ORDINALITY v(id, place) WHERE NOT EXISTS "
		   "(SELECT 1 FROM %s t WHERE t.id = v.id",
		   other->key == RESOURCE_BIGINT ? "bigint" : "uuid", other->table);
	resource_add_exists(&s, other, "t");
	sql_add(&s, ") ORDER BY v.place LIMIT 1");
	return sql_finish(&s, &rq->arena, DB_SHARED, false);
}

/* The rows that a KEY names must be there; what the caller may not know of selects nothing anyway.  Yields. */
static int check_keys(struct request *rq, struct errors *errors, const struct condition *c)
{
	const struct filter *f = c->filter;
	const struct sql_context context = { .key = STR_NULL };
	struct sql_statement ask;
	struct db_rows rows;
	int r;

	if (f->type != FIELD_KEY || f->refers == NULL || c->count == 0)
		return 0;
	ask = ask_missing(rq, c);
	r = sql_run(rq, (struct db_at){ .db = request_reader(rq) }, &ask, &context, &rows);
	if (r < 0 || rows.count == 0)
		return r;
	if (f->is_repeatable)
		errors_add(errors, f->name,
			   "Select a valid choice. %.*s is not one of the available choices.",
			   STR_ARG(c->values[db_get_i64(&rows, 0, 0) - 1]));
	else
		errors_add(
			errors, f->name,
			"Select a valid choice. That choice is not one of the available choices.");
	return 0;
}

static void add_join(struct buf *joins, const struct filter *f)
{
	if (f->join != NULL && str_find(buf_str(joins), str_c(f->join)) < 0)
		buf_printf(joins, " %s", f->join);
}

static int read_filters(struct request *rq, const struct selections *all, struct condition ***end,
			struct buf *joins)
{
	struct errors errors;

	errors_init(&errors, rq);
	for (size_t i = 0; i < all->filter_count; i++) {
		const struct filter *f = &all->filters[i];
		struct str *sent, *values;
		size_t count = find_sent(rq, f, &sent);
		struct condition *c;
		int r;

		if (count == 0 || !filter_read(&errors, f, sent, count, &values, &count) ||
		    count == 0)
			continue;
		if (f->lookup == LOOKUP_HOLDS && !str_eq(values[0], STR("true")))
			continue;
		c = add_condition(rq, end);
		c->filter = f;
		c->selections = all;
		c->values = values;
		c->count = count;
		add_join(joins, f);
		r = check_keys(rq, &errors, c);
		if (r < 0)
			return r;
	}
	if (!errors_any(&errors))
		return 0;
	int r = reply_errors(rq, &errors);
	return r < 0 ? r : -E_INVALID;
}

static int read_search(struct request *rq, const struct selections *all, struct condition ***end)
{
	struct str text = request_query(rq, STR("search")), terms[TERMS_MOST];
	size_t count;
	int r;

	if (all->search_count == 0 || text.len == 0)
		return 0;
	if (memchr(text.at, '\0', text.len) != NULL) {
		/* DRF's CharField outside of a serializer: a bare array. */
		r = reply_refusal(rq, 400, STR("[\"Null characters are not allowed.\"]"));
		return r < 0 ? r : -E_INVALID;
	}
	count = search_terms(&rq->arena, text, terms, TERMS_MOST);
	for (size_t i = 0; i < count; i++) {
		struct condition *c = add_condition(rq, end);

		c->selections = all;
		c->values = arena_array(&rq->arena, struct str, 2);
		c->values[0] = terms[i];
		c->values[1] = sql_like_text(&rq->arena, terms[i]);
		c->count = 2;
	}
	return 0;
}

static const struct order *find_order(const struct selections *all, struct str name)
{
	for (size_t i = 0; i < all->order_count; i++) {
		if (str_eq_c(name, all->orders[i].name))
			return &all->orders[i];
	}
	return NULL;
}

static struct str read_order(struct request *rq, const struct selections *all)
{
	struct str rest = request_query(rq, STR("ordering")), name;
	_cleanup_(buf_fini) struct buf order = BUF_INIT;
	unsigned count = 0;

	while (count < ORDERS_MOST && str_cut(&rest, ',', &name)) {
		name = str_trim(name);
		bool is_down = str_starts(name, STR("-"));
		const struct order *o = find_order(all, str_slice(name, is_down, name.len));

		if (o == NULL)
			continue;
		buf_printf(&order, "%s%s%s", count++ == 0 ? "" : ", ", o->sql,
			   is_down ? " DESC" : "");
	}
	/* Rows that are equal in all that was named come in a stable order, or pages would overlap. */
	if (count == 0)
		return STR_NULL;
	buf_add_c(&order, ", t.id");
	return arena_str(&rq->arena, buf_str(&order));
}

int selection_read(struct request *rq, const struct selections *all, struct selection *ret)
{
	_cleanup_(buf_fini) struct buf joins = BUF_INIT;
	struct selection made = { 0 };
	struct condition **end = &made.conditions;
	int r;

	if (rq->raw_query.len > 0) {
		r = read_filters(rq, all, &end, &joins);
		if (r == 0)
			r = read_search(rq, all, &end);
		if (r < 0)
			return r;
		made.order = read_order(rq, all);
	}
	made.joins = arena_str(&rq->arena, buf_str(&joins));
	*ret = made;
	return 0;
}

/* --- as SQL --- */

static void add_match(struct sql *s, const struct search *one, const struct condition *c)
{
	const struct match *m = find_match(one->how);

	if (one->any_of != NULL) {
		sql_add(s, "EXISTS (SELECT FROM ");
		sql_add_over(s, one->any_of, "t");
		sql_add(s, " AND ");
	}
	if (one->is_vector) {
		sql_add(s, "(");
		sql_add_over(s, one->sql, "t");
		sql_add(s, ") @@ plainto_tsquery(");
	} else {
		sql_add(s, m->before);
		sql_add_over(s, one->sql, "t");
		sql_add(s, m->between);
	}
	if (one->config != NULL)
		sql_printf(s, "'%s'::regconfig, ", one->config);
	sql_add_value(s, c->values[m->is_like]);
	sql_add(s, m->after);
	if (one->any_of != NULL)
		sql_add(s, ")");
}

static void add_term(struct sql *s, const struct condition *c)
{
	sql_add(s, "(");
	for (size_t i = 0; i < c->selections->search_count; i++) {
		if (i > 0)
			sql_add(s, " OR ");
		add_match(s, &c->selections->searches[i], c);
	}
	sql_add(s, ")");
}

void selection_add(struct sql *s, const struct selection *selection)
{
	for (const struct condition *c = selection->conditions; c != NULL; c = c->next) {
		sql_add(s, " AND ");
		if (c->filter != NULL)
			filter_add(s, c);
		else
			add_term(s, c);
	}
}
