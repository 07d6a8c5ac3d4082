#include "http/route.h"

#include <criterion/criterion.h>

#include "base/error.h"

static int handle(struct request *rq)
{
	return 0;
}

/* clang-format off */
#define ROW(m, p, ...) { .method = (m), .pattern = (p), .handle = handle, .permit = permit_anyone, .name = (p), ##__VA_ARGS__ }
/* clang-format on */

static const struct route rows[] = {
	ROW(HTTP_GET, ""),
	ROW(HTTP_GET, "users/"),
	ROW(HTTP_POST, "users/"),
	ROW(HTTP_GET, "users/{id}/"),
	ROW(HTTP_DELETE, "users/{id}/"),
	ROW(HTTP_PATCH, "users/{id}/"),
	ROW(HTTP_PUT, "users/{id}/"),
	ROW(HTTP_GET, "users/me/"),
	ROW(HTTP_POST, "users/{id}/set_password/"),
	ROW(HTTP_GET, "users/{id}/posts/{post}/"),
	ROW(HTTP_POST, "users/me/photo/"),
	ROW(HTTP_POST, "auth/login/", .flags = ROUTE_NO_SUFFIX),
	ROW(HTTP_GET, "healthz", .mount = ROUTE_ROOT, .flags = ROUTE_NO_NEGOTIATION),
	ROW(HTTP_POST, "hooks/", .mount = ROUTE_ROOT, .flags = ROUTE_NO_NEGOTIATION),
};

static struct route_table *table;

static void set_up(void)
{
	table = route_table_new();
	route_table_add(table, rows, ARRAY_SIZE(rows));
	cr_assert_eq(route_table_seal(table), 0);
}

static void tear_down(void)
{
	table = route_table_free(table);
}

TestSuite(route, .init = set_up, .fini = tear_down);

/* clang-format off */
static const struct {
	const char *path, *pattern; /* NULL: nothing matches */
	const char *mount, *first, *second, *format;
	bool wants_slash;
} cases[] = {
	{ "/api/v1/",                       "",                         "/api/v1/" },
	{ "/api/",                          "",                         "/api/" },
	{ "/api/v1",                        "",                         "/api/v1/", .wants_slash = true },
	{ "/api",                           "",                         "/api/",    .wants_slash = true },
	{ "/api/v1/users/",                 "users/",                   "/api/v1/" },
	{ "/api/users/",                    "users/",                   "/api/" },
	{ "/api/v1/users",                  "users/",                   "/api/v1/", .wants_slash = true },
	{ "/api/v1/users/7/",               "users/{id}/",              "/api/v1/", "7" },
	{ "/api/users/7",                   "users/{id}/",              "/api/",    "7", .wants_slash = true },
	{ "/api/v1/users/me/",              "users/me/",                "/api/v1/" },
	{ "/api/v1/users/me",               "users/me/",                "/api/v1/", .wants_slash = true },
	{ "/api/v1/users/mee/",             "users/{id}/",              "/api/v1/", "mee" },
	{ "/api/v1/users/me/set_password/", "users/{id}/set_password/", "/api/v1/", "me" },
	{ "/api/v1/users/me/photo/",        "users/me/photo/",          "/api/v1/" },
	{ "/api/v1/users/7/photo/",         NULL },
	{ "/api/v1/users/7/posts/9/",       "users/{id}/posts/{post}/", "/api/v1/", "7", "9" },
	{ "/api/v1/users.json",             "users/",                   "/api/v1/", .format = "json" },
	{ "/api/v1/users.json/",            "users/",                   "/api/v1/", .format = "json" },
	{ "/api/v1/users/7.xml",            "users/{id}/",              "/api/v1/", "7", .format = "xml" },
	{ "/api/v1/.json",                  "",                         "/api/v1/", .format = "json" },
	{ "/api/v1/users.JSON",             NULL },
	{ "/api/v1/users.",                 NULL },
	{ "/api/v1/users/a.b.json",         NULL },
	{ "/api/v1/auth/login/",            "auth/login/",              "/api/v1/" },
	{ "/api/v1/auth/login.json",        NULL },
	{ "/healthz",                       "healthz",                  "/" },
	{ "/healthz/",                      NULL },
	{ "/healthz.json",                  NULL },
	{ "/hooks",                         "hooks/",                   "/",        .wants_slash = true },
	{ "/",                              NULL },
	{ "",                               NULL },
	{ "users/",                         NULL },
	{ "//api/v1/users/",                NULL },
	{ "/api/v1//users/",                NULL },
	{ "/api/v1/users//",                NULL },
	{ "/API/v1/users/",                 NULL },
	{ "/api/v2/users/",                 NULL },
	{ "/api/v1/posts/../users/me/",     NULL },
	{ "/api/v1/users/7/nowhere/",       NULL },
};
/* clang-format on */

static void assert_same(const char *path, const char *what, struct str is, const char *wanted)
{
	cr_assert(str_eq(is, str_c(wanted)) && str_is_null(is) == (wanted == NULL),
		  "%s: %s is \"%.*s\"", path, what, STR_ARG(is));
}

Test(route, finds_the_view_and_its_parameters)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = cases[i].path;
		struct route_match m;
		bool found = route_table_find(table, str_c(path), &m);

		cr_assert_eq(found, cases[i].pattern != NULL, "%s: found is %d", path, found);
		if (!found)
			continue;
		cr_assert_str_eq(m.view->pattern, cases[i].pattern, "%s: %s", path,
				 m.view->pattern);
		assert_same(path, "mount", m.mount, cases[i].mount);
		assert_same(path, "first parameter", m.parameters[0], cases[i].first);
		assert_same(path, "second parameter", m.parameters[1], cases[i].second);
		assert_same(path, "format", m.format, cases[i].format);
		cr_assert_eq(m.wants_slash, cases[i].wants_slash, "%s: wants_slash", path);
	}
}

Test(route, lists_the_methods_in_the_order_of_drf)
{
	static const struct {
		const char *path, *allow;
	} allows[] = {
		{ "/api/v1/users/", "GET, POST, HEAD, OPTIONS" },
		{ "/api/v1/users/7/", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS" },
		{ "/api/v1/users/7/set_password/", "POST, OPTIONS" },
		{ "/healthz", "GET, HEAD" },
		{ "/hooks/", "POST" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(allows); i++) {
		struct route_match m;

		cr_assert(route_table_find(table, str_c(allows[i].path), &m));
		cr_assert(str_eq_c(m.view->allow, allows[i].allow), "%s: %.*s", allows[i].path,
			  STR_ARG(m.view->allow));
	}
}

Test(route, answers_head_by_the_row_of_get)
{
	struct route_match m;

	cr_assert(route_table_find(table, STR("/api/v1/users/"), &m));
	cr_assert_eq(view_route(m.view, HTTP_HEAD), &rows[1]);
	cr_assert_eq(view_route(m.view, HTTP_POST), &rows[2]);
	cr_assert_null(view_route(m.view, HTTP_DELETE));
	cr_assert_null(view_route(m.view, HTTP_METHODS));
}

Test(route, keeps_the_views_in_the_order_added)
{
	const struct view *const *views;

	cr_assert_eq(route_table_views(table, &views), 10);
	cr_assert_str_eq(views[1]->pattern, "users/");
	cr_assert_eq(views[1]->first, &rows[1]);
	cr_assert_str_eq(views[9]->pattern, "hooks/");
}

Test(route, a_prefix_takes_everything_below_it)
{
	static const struct route media = ROW(HTTP_GET, "media", .flags = ROUTE_NO_NEGOTIATION);
	struct route_table *t = route_table_new();
	struct route_match m;

	route_table_add_prefix(t, "/media/", &media);
	cr_assert_eq(route_table_seal(t), 0);
	cr_assert(route_table_find(t, STR("/media/a/../b.png"), &m));
	cr_assert_eq(view_route(m.view, HTTP_GET), &media);
	assert_same("media", "the rest", m.parameters[0], "a/../b.png");
	cr_assert_not(route_table_find(t, STR("/media/"), &m));
	cr_assert_not(route_table_find(t, STR("/media"), &m));
	route_table_free(t);
}

static void assert_refused(const struct route *bad, size_t count, const char *words)
{
	struct route_table *t = route_table_new();

	route_table_add(t, bad, count);
	cr_assert_eq(route_table_seal(t), -EINVAL, "not refused: %s", words);
	cr_assert_not_null(strstr(fail_reason(-EINVAL), words), "\"%s\" does not say \"%s\"",
			   fail_reason(-EINVAL), words);
	route_table_free(t);
}

Test(route, refuses_bad_tables_with_a_sentence)
{
	static const struct route no_permit[] = {
		{ .pattern = "a/", .name = "a", .handle = handle }
	};
	static const struct route no_handle[] = {
		{ .pattern = "a/", .name = "a", .permit = handle }
	};
	static const struct route twice[] = { ROW(HTTP_GET, "a/"), ROW(HTTP_GET, "a/") };
	static const struct route slash[] = { ROW(HTTP_GET, "/a/") };
	static const struct route empty[] = { ROW(HTTP_GET, "a//b/") };
	static const struct route half[] = { ROW(HTTP_GET, "a/x{id}/") };
	static const struct route many[] = { ROW(HTTP_GET, "{a}/{b}/{c}/{d}/{e}/") };
	static const struct route same[] = { ROW(HTTP_GET, "a/{id}/"), ROW(HTTP_PUT, "a/{pk}/") };

	assert_refused(no_permit, 1, "has no permission");
	assert_refused(no_handle, 1, "has no handler");
	assert_refused(twice, 2, "GET stands there twice");
	assert_refused(slash, 1, "begins without a slash");
	assert_refused(empty, 1, "a segment is empty");
	assert_refused(half, 1, "a parameter is a whole segment");
	assert_refused(many, 1, "more than 4 parameters");
	assert_refused(same, 2, "matches the same paths as \"a/{id}/\"");
}
