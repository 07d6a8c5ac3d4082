/*
 * Options of a resource that no resource of the shop uses: ?limit= and ?offset=, ?fields=.
 */
#include "services/fixture.h"

#include "base/json.h"
#include "resource/resource.h"

/* clang-format off */
static const struct field fields[] = {
	FIELD("id",         KEY),
	FIELD("name",       TEXT, REQUIRED, LENGTH(50)),
	FIELD("slug",       TEXT, READ_ONLY),
	FIELD("created_at", TIME, HIDDEN, .is_now_at_creation = true),
	FIELD("updated_at", TIME, HIDDEN, .is_now_at_save = true),
};
static const struct permission permissions[] = { ALLOW(ANYONE, MAY_LIST | MAY_READ) };
/* clang-format on */

/* The shop's tags once more, in pages of another kind. */
const struct resource fixture_resource = {
	.name = "word",
	.model = "Word",
	.path = "words/",
	.table = "tags",
	.help = "A word.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.rows = "length(t.name) = 1", /* those of this test */
	.order = "t.name",
	.page = 2,
	.page_most = 3,
	.paging = PAGING_OFFSETS,
	.takes_fields = true,
	.actions = MAY_LIST | MAY_READ,
};

#define WORDS "/api/v1/words/"

static const struct json *get(const char *path)
{
	const struct http_ask ask = { .method = "GET", .path = path };
	struct http_answer answer;
	struct json_error error;
	struct json *tree;

	http_ask(fx.server, &fx.arena, &ask, &answer);
	cr_assert_eq(answer.status, 200, "%s: %d %.*s", path, answer.status, STR_ARG(answer.body));
	cr_assert_eq(json_parse(&fx.arena, answer.body, JSON_STRICT, 8, &tree, &error), 0);
	return tree;
}

static struct str text_of(const struct json *object, const char *key)
{
	const struct json *value = json_get(object, str_c(key));

	cr_assert_not_null(value, "no %s", key);
	return value->type == JSON_STRING ? json_text(&fx.arena, value) : value->text;
}

static void make_words(void)
{
	fixture_start();
	for (char c = 'a'; c <= 'e'; c++)
		sql("INSERT INTO tags (id, name, slug, created_at, updated_at) "
		    "VALUES (gen_random_uuid(), '%c', '%c', now(), now()) ON CONFLICT DO NOTHING",
		    c, c);
}

/* "abc": the names of a page's rows. */
static struct str names_of(const struct json *page)
{
	_cleanup_(buf_fini) struct buf names = BUF_INIT;

	for (const struct json *row = json_get(page, STR("results"))->first; row != NULL;
	     row = row->next)
		buf_add_str(&names, text_of(row, "name"));
	return arena_str(&fx.arena, buf_str(&names));
}

static const struct {
	const char *query, *names, *next, *previous;
} pages[] = {
	{ "", "ab", "?limit=2&offset=2", "null" },
	{ "?offset=2", "cd", "?limit=2&offset=4", "?limit=2" },
	{ "?offset=1", "bc", "?limit=2&offset=3", "?limit=2" },
	{ "?limit=3&offset=3", "de", "null", "?limit=3" },
	{ "?limit=1&offset=4", "e", "null", "?limit=1&offset=3" },
	{ "?limit=1000", "abc", "?limit=3&offset=3", "null" },
	{ "?limit=0&offset=-1", "ab", "?limit=2&offset=2", "null" },
	{ "?limit=x&offset=y", "ab", "?limit=2&offset=2", "null" },
	{ "?offset=9223372036854775807", "", "null", "?limit=2&offset=4611686018427387901" },
	{ "?z=1&a=2", "ab", "?a=2&limit=2&offset=2&z=1", "null" },
};

Test(listing, limit_and_offset)
{
	make_words();
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		const struct json *page = get(
			arena_printf(&fx.arena, WORDS "%s", pages[i].query).at);

		cr_assert(str_eq_c(text_of(page, "count"), "5"));
		cr_assert(str_eq_c(names_of(page), pages[i].names), "%s: %.*s", pages[i].query,
			  STR_ARG(names_of(page)));
		cr_assert(json_get(page, STR("next"))->type == JSON_NULL
				  ? strcmp(pages[i].next, "null") == 0
				  : str_ends(text_of(page, "next"), str_c(pages[i].next)),
			  "%s: next %.*s", pages[i].query, STR_ARG(text_of(page, "next")));
		cr_assert(json_get(page, STR("previous"))->type == JSON_NULL
				  ? strcmp(pages[i].previous, "null") == 0
				  : str_ends(text_of(page, "previous"), str_c(pages[i].previous)),
			  "%s: previous %.*s", pages[i].query, STR_ARG(text_of(page, "previous")));
	}
	fixture_stop();
}

Test(listing, fields)
{
	make_words();
	/* In the order of the table, whatever the order asked for; unknown names are passed over. */
	const struct json *row =
		json_get(get(WORDS "?fields=slug,%20name,nothing"), STR("results"))->first;
	cr_assert_eq(row->count, 2);
	cr_assert(str_eq(json_key(&fx.arena, row->first), STR("name")));
	cr_assert(str_eq(json_key(&fx.arena, row->first->next), STR("slug")));
	row = json_get(get(WORDS "?fields="), STR("results"))->first;
	cr_assert_eq(row->count, 3, "an empty list is none");
	row = get(
		arena_printf(&fx.arena, WORDS "%.*s/?fields=name", STR_ARG(text_of(row, "id"))).at);
	cr_assert_eq(row->count, 1);
	/* Off where the resource does not say so. */
	row = json_get(get("/api/v1/tags/?fields=name"), STR("results"))->first;
	cr_assert_eq(row->count, 3);
	fixture_stop();
}
