/*
 * selection.h - which rows, and in which order: ?filter=, ?search= and ?ordering= as django-filter and
 * DRF read them (drf-wire §9).
 *
 * A resource lists what may be asked for; everything else in a query is ignored.
 *
 *     static const struct filter filters[] = {
 *             FILTER("price__gte",     DECIMAL, GTE,   "t.price"),
 *             FILTER("brand",          KEY,     EXACT, "t.brand_id", REFERS(&brand_resource)),
 *             FILTER("brand__isnull",  BOOLEAN, ISNULL, "t.brand_id"),
 *             FILTER("tags",           KEY,     EXACT, "l.tag_id", REFERS(&tag_resource), REPEATABLE,
 *                    ANY_OF("products_tags l WHERE l.product_id = t.id")),
 *     };
 *
 * Filters, then search, then ordering; they act on lists and, as DRF's get_object has it, on details too.
 * Messages of several filters come together, in the order of the table.  Values travel as parameters.
 */
#ifndef RESOURCE_SELECTION_H
#define RESOURCE_SELECTION_H

#include "resource/field.h"
#include "resource/sql.h"

enum lookup {
	LOOKUP_EXACT,
	LOOKUP_IN,    /* a,b,c */
	LOOKUP_RANGE, /* a,b */
	LOOKUP_GT,
	LOOKUP_GTE,
	LOOKUP_LT,
	LOOKUP_LTE,
	LOOKUP_ICONTAINS,
	LOOKUP_ISTARTSWITH,
	LOOKUP_ISNULL, /* type BOOLEAN */
	LOOKUP_DATE,   /* the day of a time, in UTC; type DATE */
	LOOKUP_YEAR,   /* of a date or, with AT_UTC in the SQL, of a time; type INTEGER */
	LOOKUP_HOLDS, /* type BOOLEAN: the SQL names a scope; asked for if true, anything if false */
	LOOKUPS,
};

/* A parameter.  `type` says how its value is read and what is said of a wrong one: KEY (of a row of
 * `refers` that must exist), UUID, TEXT, INTEGER, DECIMAL, BOOLEAN, TIME, DATE, DURATION, CHOICE. */
struct filter {
	const char *name;
	enum field_type type;
	enum lookup lookup;
	const char *
		sql; /* what is compared: over t and the names of sql.h, or over `any_of`'s aliases */
	const struct resource *refers;
	const char *const *choices; /* CHOICE with EXACT; NULL-terminated */
	const char *join; /* "JOIN books b ON b.author_id = t.id": a row comes once per match */
	const char *
		any_of; /* "products_tags l WHERE l.product_id = t.id": a row comes once if any matches */
	bool is_repeatable; /* tags=1&tags=2: any of them */
	bool is_lenient;    /* TIME: a declared DateTimeFilter also takes Django's own formats */
};
/* clang-format off */
#define FILTER(name_, type_, lookup_, sql_, ...) \
	{ .name = (name_), .type = FIELD_##type_, .lookup = LOOKUP_##lookup_, .sql = (sql_), ##__VA_ARGS__ }
#define JOIN(sql_)   .join = (sql_)
#define ANY_OF(sql_) .any_of = (sql_)
#define REPEATABLE   .is_repeatable = true
#define LENIENT      .is_lenient = true
#define AT_UTC(sql_) "(" sql_ " AT TIME ZONE 'UTC')"
/* clang-format on */

/* A condition with a name, for filters and listings (resource.h), which may put several together. */
struct scope {
	const char *name;
	const char *sql; /* over t and the names of sql.h */
};

/* A place that ?search= looks at; how by DRF's prefix. */
struct search {
	char how; /* 0 contains, '^' starts with, '=' equals, '@' full text, '$' regular expression */
	const char *sql;
	const char *any_of; /* as in struct filter */
	/* '@': the SQL is a tsvector already, so that an index can answer; and the configuration by which terms
	 * become one: "english"; NULL: the database's. */
	bool is_vector;
	const char *config;
};
/* clang-format off */
/* ?search= by words: a column of type tsvector, with a GIN index. */
#define VECTOR(sql_, config_) { .how = '@', .sql = (sql_), .is_vector = true, .config = (config_) }
/* clang-format on */

/* A name that ?ordering= may say. */
struct order {
	const char *name, *sql;
};

struct selections {
	const struct filter *filters;
	size_t filter_count;
	const struct search *searches;
	size_t search_count;
	const struct order *orders;
	size_t order_count;
	const struct scope *scopes;
	size_t scope_count;
};
/* clang-format off */
#define FILTERS(list_)  .filters = (list_), .filter_count = ARRAY_SIZE(list_)
#define SEARCHES(list_) .searches = (list_), .search_count = ARRAY_SIZE(list_)
#define ORDERS(list_)   .orders = (list_), .order_count = ARRAY_SIZE(list_)
#define SCOPES(list_)   .scopes = (list_), .scope_count = ARRAY_SIZE(list_)
/* clang-format on */

/* At start: 0, or -EINVAL with a sentence that names the parameter. */
int selections_check(const char *resource, const struct selections *) _must_check_;

/* The condition of a scope; the name must exist (a bug otherwise: filters are checked at start). */
const char *scope_sql(const struct selections *, const char *name);

/* What a query asks for. */
struct selection {
	struct str joins;             /* SQL behind FROM … t; empty: none */
	struct condition *conditions; /* all hold */
	struct str order;             /* SQL; absent: the usual one */
};
static inline bool selection_is_empty(const struct selection *s)
{
	return s->conditions == NULL && str_is_null(s->order);
}

/*
 * 0; -E_INVALID after the 400 was set as the reply.  Asks the database whether the rows exist that KEY
 * filters name.  Yields.
 */
int selection_read(struct request *, const struct selections *, struct selection *ret)
	may_yield _must_check_;
/* " AND …" for each condition. */
void selection_add(struct sql *, const struct selection *);

/* The terms of a search: split at white space and commas, phrases in quotes kept.  At most `most` are
 * filled; returns how many. */
size_t search_terms(struct arena *, struct str text, struct str *ret, size_t most);

#endif
