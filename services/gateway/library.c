/*
 * library.c - authors, publishers and books: anybody reads, staff writes.
 *
 * Authors come as one array with all their books, in one statement whatever their number.
 */
#include "shop.h"

static const char *const author_shape[] = { "id", "name", "email", NULL };
static const char *const publisher_shape[] = { "id", "name", NULL };
static const char *const book_shape[] = { "id", "title", "publisher", "published_date", NULL };

static const struct permission permissions[] = {
	ALLOW(ANYONE, MAY_LIST | MAY_READ),
	ALLOW(STAFF, MAY_ALL),
};

/* clang-format off */
static const struct field author_fields[] = {
	/*    name          type   rules */
	FIELD("id",         KEY),
	FIELD("name",       TEXT,  REQUIRED, LENGTH(100)),
	FIELD("email",      EMAIL, REQUIRED, LENGTH(254), KEEP_DOMAIN),
	FIELD("books",      MANY,  READ_ONLY, REFERS(&book_resource), THROUGH("author_id"), SHAPE(book_shape),
	                           CALLED("AuthorBook"), SORTED("t.published_date DESC, t.id")),
	FIELD("created_at", TIME,  HIDDEN, .is_now_at_creation = true),
	FIELD("updated_at", TIME,  HIDDEN, .is_now_at_save = true),
};
static const struct filter author_filters[] = {
	FILTER("name",             TEXT, EXACT,     "t.name"),
	FILTER("name__icontains",  TEXT, ICONTAINS, "t.name"),
	FILTER("email",            TEXT, EXACT,     "t.email"),
	FILTER("books__publisher", KEY,  EXACT,     "b.publisher_id", REFERS(&publisher_resource),
	       JOIN("JOIN books b ON b.author_id = t.id")),
};
static const struct search author_searches[] = {
	{ .sql = "t.name" },
	{ .how = '=', .sql = "t.email" },
	{ .sql = "k.title", .any_of = "books k WHERE k.author_id = t.id" },
};
static const struct order name_orders[] = { { "name", "t.name" }, { "created_at", "t.created_at" } };

static const struct field publisher_fields[] = {
	FIELD("id",         KEY),
	FIELD("name",       TEXT,  REQUIRED, LENGTH(100)),
	FIELD("created_at", TIME,  HIDDEN, .is_now_at_creation = true),
	FIELD("updated_at", TIME,  HIDDEN, .is_now_at_save = true),
};
static const struct search name_searches[] = { { .sql = "t.name" } };

#define AUTHOR_NAME "(SELECT a.name FROM authors a WHERE a.id = t.author_id)"
static const struct field book_fields[] = {
	/*    name              type       rules */
	FIELD("id",             KEY),
	FIELD("title",          TEXT,      REQUIRED, LENGTH(200)),
	FIELD("author",         EMBED,     COLUMN("author_id"), READ_ONLY, REFERS(&author_resource), SHAPE(author_shape), CALLED("BookAuthor")),
	FIELD("author_id",      REFERENCE, REQUIRED, WRITE_ONLY, REFERS(&author_resource)),
	FIELD("publisher",      EMBED,     COLUMN("publisher_id"), READ_ONLY, NULLABLE, REFERS(&publisher_resource), SHAPE(publisher_shape)),
	FIELD("publisher_id",   REFERENCE, NULLABLE, WRITE_ONLY, REFERS(&publisher_resource)),
	FIELD("published_date", DATE,      NULLABLE),
	FIELD("created_at",     TIME,      NOW_AT_CREATION),
	FIELD("updated_at",     TIME,      NOW_AT_SAVE),
};
static const struct filter book_filters[] = {
	/*     parameter                 value    lookup       of */
	FILTER("author",                 KEY,     EXACT,       "t.author_id", REFERS(&author_resource)),
	FILTER("author__in",             KEY,     IN,          "t.author_id", REFERS(&author_resource)),
	FILTER("author__name",           TEXT,    EXACT,       AUTHOR_NAME),
	FILTER("author__name__icontains", TEXT,   ICONTAINS,   AUTHOR_NAME),
	FILTER("publisher",              KEY,     EXACT,       "t.publisher_id", REFERS(&publisher_resource)),
	FILTER("publisher__isnull",      BOOLEAN, ISNULL,      "t.publisher_id"),
	FILTER("title__icontains",       TEXT,    ICONTAINS,   "t.title"),
	FILTER("title__istartswith",     TEXT,    ISTARTSWITH, "t.title"),
	FILTER("published_date",         DATE,    EXACT,       "t.published_date"),
	FILTER("published_date__gt",     DATE,    GT,          "t.published_date"),
	FILTER("published_date__gte",    DATE,    GTE,         "t.published_date"),
	FILTER("published_date__lt",     DATE,    LT,          "t.published_date"),
	FILTER("published_date__lte",    DATE,    LTE,         "t.published_date"),
	FILTER("published_date__range",  DATE,    RANGE,       "t.published_date"),
	FILTER("published_date__year",   INTEGER, YEAR,        "t.published_date"),
	FILTER("published_date__isnull", BOOLEAN, ISNULL,      "t.published_date"),
};
static const struct search book_searches[] = { { .how = '^', .sql = "t.title" }, { .sql = AUTHOR_NAME } };
static const struct order book_orders[] = {
	{ "title", "t.title" },
	{ "published_date", "t.published_date" },
	{ "author__name", AUTHOR_NAME },
	{ "created_at", "t.created_at" },
};
/* clang-format on */

const struct resource author_resource = {
	.name = "author",
	.model = "Author",
	.path = "authors/",
	.table = "authors",
	.description =
		"Authors with their books and publishers in two statements, whatever their number.",
	.help = "Who writes books.",
	.fields = author_fields,
	.field_count = ARRAY_SIZE(author_fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.order = "t.name, t.id",
	.is_bare = true,
	.select = { FILTERS(author_filters), SEARCHES(author_searches), ORDERS(name_orders) },
};

const struct resource publisher_resource = {
	.name = "publisher",
	.model = "Publisher",
	.path = "publishers/",
	.table = "publishers",
	.help = "Who prints books.",
	.fields = publisher_fields,
	.field_count = ARRAY_SIZE(publisher_fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.order = "t.name, t.id",
	.select = { SEARCHES(name_searches), ORDERS(name_orders) },
};

const struct resource book_resource = {
	.name = "book",
	.model = "Book",
	.path = "books/",
	.table = "books",
	.help = "What an author wrote.",
	.fields = book_fields,
	.field_count = ARRAY_SIZE(book_fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.order = "t.published_date DESC, t.id",
	.select = { FILTERS(book_filters), SEARCHES(book_searches), ORDERS(book_orders) },
};
