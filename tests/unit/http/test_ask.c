#include "http/fixture.h"

#include "base/error.h"
#include "base/world.h"

static int handled; /* how often a handler ran */

static int hello(struct request *rq)
{
	handled++;
	return reply_json(rq, 200, STR("{\"hello\":\"world\"}"));
}

/* As a resource does it: the object first, then the body. */
static int update(struct request *rq)
{
	const struct body *body;
	int r = fiber_sleep(0);

	if (r < 0)
		return r;
	if (!str_eq(rq->parameters[0], STR("7")))
		return fail(-E_NOT_FOUND, "No Post matches the given query.");
	r = request_body(rq, body_any, &body);
	if (r < 0)
		return r;
	return reply_json(rq, 200, STR("{\"id\":7}"));
}

/* Waits five times, and holds something that must be given back. */
static int waits(struct request *rq)
{
	_cleanup_(arena_fini) struct arena own = { 0 };
	int r;

	(void) arena_alloc(&own, 100);
	for (int i = 0; i < 5; i++) {
		r = fiber_sleep(MSEC);
		if (r < 0)
			return r;
	}
	return reply_json(rq, 201, STR("{\"waited\":true}"));
}

static int success_then_failure(struct request *rq)
{
	reply_header(rq, STR("X-Said"), STR("too early"));
	int r = reply_json(rq, 201, STR("{\"created\":true}"));

	if (r < 0)
		return r;
	return fail(-E_CONFLICT, "the COMMIT failed");
}

static int own_error(struct request *rq)
{
	int r = reply_json(rq, 400, STR("{\"title\":[\"This field is required.\"]}"));

	return r < 0 ? r : fail(-E_INVALID, "one field");
}

static int two_answers(struct request *rq)
{
	int r = reply_json(rq, 200, STR("\"first\""));

	return r < 0 ? r : reply_json(rq, 201, STR("\"second\""));
}

static int no_answer(struct request *rq)
{
	return 0;
}

static int broken(struct request *rq)
{
	return fail(-E_SQL, "42P01 relation \"secret\" does not exist");
}

static int away(struct request *rq)
{
	return fail(-E_UNAVAILABLE, "connection to 10.0.0.1 refused");
}

static int slow(struct request *rq)
{
	int r = fiber_sleep(MINUTE);

	return r < 0 ? r : reply_empty(rq, 204);
}

static int nothing(struct request *rq)
{
	return reply_empty(rq, 204);
}

static int absolute(struct request *rq)
{
	return reply_text(rq, 200, "text/plain", request_absolute(rq, rq->mount));
}

static int query(struct request *rq)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct str last = request_query(rq, STR("a"));
	struct form_field f;
	size_t cursor = 0;

	buf_printf(&b, "%.*s|", STR_ARG(str_is_null(last) ? STR("absent") : last));
	while (request_query_next(rq, &cursor, &f))
		buf_printf(&b, " %.*s=%.*s", STR_ARG(f.name), STR_ARG(f.value));
	return reply_text(rq, 200, "text/plain", buf_str(&b));
}

static int varies(struct request *rq)
{
	reply_header(rq, STR("Vary"), STR("Accept"));
	reply_header(rq, STR("Cross-Origin-Opener-Policy"), STR("unsafe-none"));
	reply_header(rq, STR("X-Own"), STR("1"));
	reply_header(rq, STR("x-own"), STR("2"));
	return reply_json(rq, 200, STR("{}"));
}

/* clang-format off */
#define ROW(m, p, h, who, ...) { .method = HTTP_##m, .pattern = (p), .handle = (h), .permit = (who), ##__VA_ARGS__ }
/* clang-format on */

/* clang-format off */
static const struct route rows[] = {
	ROW(GET,    "hello/",        hello,                permit_anyone, .name = "hello/"),
	ROW(GET,    "posts/",        hello,                permit_anyone, .name = "post-list"),
	ROW(POST,   "posts/",        waits,                permit_somebody, .name = "posts/"),
	ROW(GET,    "posts/{id}/",   hello,                permit_somebody, .name = "post-detail"),
	ROW(PUT,    "posts/{id}/",   update,               permit_somebody, .name = "posts/{id}/"),
	ROW(GET,    "private/",      hello,                permit_somebody, .name = "private/"),
	ROW(GET,    "open/",         hello,                permit_anyone, .flags = ROUTE_NO_AUTHENTICATION, .name = "open/"),
	ROW(GET,    "closed/",       hello,                permit_somebody, .flags = ROUTE_NO_AUTHENTICATION, .name = "closed/"),
	ROW(GET,    "waits/",        waits,                permit_anyone, .name = "waits/"),
	ROW(GET,    "early/",        success_then_failure, permit_anyone, .name = "early/"),
	ROW(GET,    "own/",          own_error,            permit_anyone, .name = "own/"),
	ROW(GET,    "two/",          two_answers,          permit_anyone, .name = "two/"),
	ROW(GET,    "none/",         no_answer,            permit_anyone, .name = "none/"),
	ROW(GET,    "broken/",       broken,               permit_anyone, .name = "broken/"),
	ROW(GET,    "away/",         away,                 permit_anyone, .name = "away/"),
	ROW(GET,    "slow/",         slow,                 permit_anyone, .deadline = 20 * MSEC, .name = "slow/"),
	ROW(GET,    "nothing/",      nothing,              permit_anyone, .name = "nothing/"),
	ROW(GET,    "absolute/",     absolute,             permit_anyone, .name = "absolute/"),
	ROW(GET,    "query/",        query,                permit_anyone, .name = "query/"),
	ROW(GET,    "varies/",       varies,               permit_anyone, .name = "varies/"),
	ROW(GET,    "healthz",       hello,                permit_anyone, .mount = ROUTE_ROOT, .flags = ROUTE_NO_NEGOTIATION, .name = "healthz"),
	ROW(POST,   "small/",        nothing,              permit_anyone, .max_body = 10, .name = "small/"),
};
/* clang-format on */

static void set_up(void)
{
	fixture_start(rows, ARRAY_SIZE(rows));
}

TestSuite(ask, .init = set_up, .fini = fixture_stop);

static void assert_header(const struct http_answer *a, const char *name, const char *value)
{
	struct str is = answer_header(a, name);

	cr_assert(str_eq(is, str_c(value)) && str_is_null(is) == (value == NULL),
		  "%s is \"%.*s\", not \"%s\"", name, STR_ARG(is), value);
}

static void assert_standing(const struct http_answer *a)
{
	assert_header(a, "Vary", "origin");
	assert_header(a, "X-Content-Type-Options", "nosniff");
	assert_header(a, "Referrer-Policy", "same-origin");
	assert_header(a, "Cross-Origin-Opener-Policy", "same-origin");
}

Test(ask, an_answer_has_exactly_the_headers_of_drf)
{
	struct http_answer a = ask("GET", "/api/v1/posts/", NULL, NULL);

	cr_assert_eq(a.status, 200);
	cr_assert_eq(a.replies, 1);
	assert_str(a.body, "{\"hello\":\"world\"}");
	assert_standing(&a);
	assert_header(&a, "Content-Type", "application/json");
	assert_header(&a, "Allow", "GET, POST, HEAD, OPTIONS");
	assert_header(&a, "X-Frame-Options", "DENY");
	cr_assert_eq(answer_header(&a, "X-Request-ID").len, 36);
	cr_assert_eq(a.header_count, 8);
}

Test(ask, a_handler_may_replace_standing_headers)
{
	struct http_answer a = ask("GET", "/api/v1/varies/", NULL, NULL);

	assert_header(&a, "Vary", "Accept, origin");
	assert_header(&a, "Cross-Origin-Opener-Policy", "unsafe-none");
	assert_header(&a, "X-Own", "2");
}

#define NOT_FOUND                                                                                  \
	"\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n"     \
	"<body>\n  <h1>Not Found</h1><p>The requested resource was not found on this "             \
	"server.</p>\n</body>\n</html>\n"

Test(ask, an_unknown_path_gets_the_page_of_django)
{
	static const char *const paths[] = {
		"/",
		"/nowhere",
		"/api/v1/nowhere/",
		"/api/v1//posts/",
		"/API/v1/posts/",
		"/api/v1/posts/../hello/",
		"*",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct http_answer a = ask("GET", paths[i], "Accept: text/html\nAuthorization: bad",
					   NULL);

		cr_assert_eq(a.status, 404, "%s: %d", paths[i], a.status);
		assert_str(a.body, NOT_FOUND);
		assert_header(&a, "Content-Type", "text/html; charset=utf-8");
		assert_header(&a, "X-Frame-Options", "DENY");
		assert_header(&a, "Allow", NULL);
		assert_standing(&a);
	}
}

Test(ask, a_missing_slash_is_redirected_for_safe_methods_only)
{
	/* clang-format off */
	static const struct {
		const char *path, *location;
	} cases[] = {
		{ "/api/v1/posts",                      "/api/v1/posts/" },
		{ "/api/v1/posts?page=2&search=a+b",    "/api/v1/posts/?page=2&search=a+b" },
		{ "/api/posts?",                        "/api/posts/?" },
		{ "/api/v1/posts/a%20%c3%a9",           "/api/v1/posts/a%20%C3%A9/" },
		{ "/api/v1/posts/a%0d%0aSet-Cookie:x",  "/api/v1/posts/a%0D%0ASet-Cookie:x/" },
		{ "/api/v1/posts?a=%0d%0a",             "/api/v1/posts/?a=%0d%0a" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_answer a = ask(i % 2 == 0 ? "GET" : "HEAD", cases[i].path,
					   "Authorization: bad", NULL);

		cr_assert_eq(a.status, 301, "%s: %d", cases[i].path, a.status);
		assert_header(&a, "Location", cases[i].location);
		assert_header(&a, "Content-Type", "text/html; charset=utf-8");
		assert_header(&a, "X-Frame-Options", NULL);
		assert_header(&a, "Allow", NULL);
		assert_standing(&a);
		cr_assert_eq(a.body.len, 0);
	}
	cr_assert_eq(ask("POST", "/api/v1/posts", "Authorization: good", NULL).status, 201);
	cr_assert_eq(ask("PUT", "/api/v1/posts/7", "Authorization: good", NULL).status, 200);
}

/* clang-format off */
static const struct {
	const char *method, *path, *headers, *body;
	int status;
	const char *answer; /* NULL: not looked at */
} order[] = {
	/* negotiation wins over authentication, permission, method and body */
	{ "GET",    "/api/v1/posts/",           "Accept: text/html\nAuthorization: bad",  NULL, 406, "{\"detail\":\"Could not satisfy the request Accept header.\"}" },
	{ "GET",    "/api/v1/posts/?format=xml", "Accept: text/html\nAuthorization: bad", NULL, 404, "{\"detail\":\"Not found.\"}" },
	{ "POST",   "/api/v1/posts/",           "Accept: text/html\nContent-Type: application/json", "{", 406, NULL },
	{ "OPTIONS", "/api/v1/posts/",          "Accept: text/html",                      NULL, 406, NULL },
	/* a bad token is told on public routes too */
	{ "GET",    "/api/v1/posts/",           "Authorization: bad",                     NULL, 401, "{\"detail\":\"Given token not valid for any token type\"}" },
	{ "GET",    "/api/v1/open/",            "Authorization: bad",                     NULL, 200, NULL },
	/* permission: who is nobody hears 401, also before 405 */
	{ "POST",   "/api/v1/posts/",           "Content-Type: text/plain",               "x",  401, "{\"detail\":\"Authentication credentials were not provided.\"}" },
	{ "DELETE", "/api/v1/private/",         NULL,                                     NULL, 401, NULL },
	{ "GET",    "/api/v1/closed/",          NULL,                                     NULL, 403, "{\"detail\":\"You do not have permission to perform this action.\"}" },
	/* method, before the body */
	{ "DELETE", "/api/v1/private/",         "Authorization: good",                    NULL, 405, "{\"detail\":\"Method \\\"DELETE\\\" not allowed.\"}" },
	{ "FOO",    "/api/v1/private/",         "Authorization: good",                    NULL, 405, "{\"detail\":\"Method \\\"FOO\\\" not allowed.\"}" },
	{ "PUT",    "/api/v1/posts/",           "Content-Type: application/json",         "{",  405, "{\"detail\":\"Method \\\"PUT\\\" not allowed.\"}" },
	{ "HEAD",   "/api/v1/small/",           NULL,                                     NULL, 405, "" },
	/* the object, before the body */
	{ "PUT",    "/api/v1/posts/8/",         "Authorization: good\nContent-Type: application/json", "{", 404, "{\"detail\":\"No Post matches the given query.\"}" },
	{ "PUT",    "/api/v1/posts/7/",         "Authorization: good\nContent-Type: text/plain", "x", 415, NULL },
	{ "PUT",    "/api/v1/posts/7/",         "Authorization: good\nContent-Type: application/json", "{", 400, NULL },
	{ "PUT",    "/api/v1/posts/7/",         "Authorization: good\nContent-Type: application/json", "{}", 200, "{\"id\":7}" },
	/* what has a suffix */
	{ "GET",    "/api/v1/posts.json",       NULL,                                     NULL, 200, NULL },
	{ "GET",    "/api/v1/posts.xml",        NULL,                                     NULL, 404, "{\"detail\":\"Not found.\"}" },
	{ "GET",    "/api/v1/posts.json?format=xml", NULL,                                NULL, 200, NULL },
	{ "PUT",    "/api/v1/posts/7.json",     "Authorization: good",                    NULL, 200, NULL },
	/* paths are decoded before they are matched */
	{ "GET",    "/api/v1/p%6Fsts/",         NULL,                                     NULL, 200, NULL },
	{ "GET",    "/api/v1/posts%2F",         NULL,                                     NULL, 200, NULL },
};
/* clang-format on */

Test(ask, checks_in_the_order_of_drf)
{
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct http_answer a = ask(order[i].method, order[i].path, order[i].headers,
					   order[i].body);

		cr_assert_eq(a.status, order[i].status, "%s %s (%s): %d %.*s", order[i].method,
			     order[i].path, order[i].headers, a.status, STR_ARG(a.body));
		cr_assert_eq(a.replies, 1);
		if (order[i].answer != NULL)
			assert_str(a.body, order[i].answer);
		cr_assert_not(str_is_null(answer_header(&a, "allow")));
		assert_header(&a, "WWW-Authenticate",
			      a.status == 401 ? "Bearer realm=\"api\"" : NULL);
	}
}

/* clang-format off */
static const struct {
	const char *accept;
	int status;
	const char *answer;
} accepts[] = {
	{ NULL,                                     200, "{\"hello\":\"world\"}" },
	{ "Accept: application/json",               200, "{\"hello\":\"world\"}" },
	{ "Accept: */*",                            200, "{\"hello\":\"world\"}" },
	{ "Accept: application/*",                  200, NULL },
	{ "Accept: text/html, application/json",    200, NULL },
	{ "Accept: application/json;q=0",           200, NULL },
	{ "Accept: text/html;q=1, */*;q=0.1",       200, NULL },
	{ "Accept: application/json; charset=utf-8", 200, NULL },
	{ "Accept: text/html\nAccept: */*",         200, NULL },
	{ "Accept:",                                406, NULL },
	{ "Accept: text/*",                         406, NULL },
	{ "Accept: nonsense",                       406, NULL },
	{ "Accept: application/vnd.api+json",       406, NULL },
	{ "Accept: application/json; indent=4",     200, "{\n    \"hello\": \"world\"\n}" },
	{ "Accept: application/json; indent=99",    200, "{\n        \"hello\": \"world\"\n}" },
	{ "Accept: application/json; indent=0",     200, "{\"hello\":\"world\"}" },
	{ "Accept: application/json; indent=-3",    200, "{\"hello\":\"world\"}" },
	{ "Accept: application/json; indent=x",     200, "{\"hello\":\"world\"}" },
	{ "Accept: */*; indent=1",                  200, "{\n \"hello\": \"world\"\n}" },
	{ "Accept: */*; indent=1, application/json", 200, "{\"hello\":\"world\"}" },
};
/* clang-format on */

Test(ask, negotiates_as_drf_does)
{
	for (size_t i = 0; i < ARRAY_SIZE(accepts); i++) {
		struct http_answer a = ask("GET", "/api/v1/hello/", accepts[i].accept, NULL);

		cr_assert_eq(a.status, accepts[i].status, "%s: %d", accepts[i].accept, a.status);
		if (accepts[i].answer != NULL)
			assert_str(a.body, accepts[i].answer);
	}
	assert_str(ask("GET", "/api/v1/private/", "Accept: application/json; indent=2", NULL).body,
		   "{\n  \"detail\": \"Authentication credentials were not provided.\"\n}");
}

Test(ask, the_query_may_name_the_format)
{
	/* clang-format off */
	static const struct {
		const char *path;
		int status;
	} cases[] = {
		{ "/api/v1/hello/?format=json", 200 },
		{ "/api/v1/hello/?format=",     200 },
		{ "/api/v1/hello/?format=api",  404 },
		{ "/api/v1/hello/?format=JSON", 404 },
		{ "/api/v1/hello/?format=json&format=xml", 404 },
		{ "/api/v1/hello/?formats=xml", 200 },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(ask("GET", cases[i].path, NULL, NULL).status, cases[i].status, "%s",
			     cases[i].path);
}

Test(ask, a_plain_view_is_not_negotiated)
{
	struct http_answer a = ask("GET", "/healthz", "Accept: text/html", NULL);

	cr_assert_eq(a.status, 200);
	assert_header(&a, "Allow", NULL);
	cr_assert_eq(ask("OPTIONS", "/healthz", NULL, NULL).status, 405);
}

Test(ask, success_does_not_stand_when_a_failure_follows)
{
	struct http_answer a = ask("GET", "/api/v1/early/", NULL, NULL);

	cr_assert_eq(a.status, 409);
	assert_str(a.body, "{\"detail\":\"the COMMIT failed\"}");
	assert_header(&a, "X-Said", NULL);
	cr_assert_eq(a.result, -E_CONFLICT);
}

Test(ask, an_own_error_body_stands)
{
	struct http_answer a = ask("GET", "/api/v1/own/", NULL, NULL);

	cr_assert_eq(a.status, 400);
	assert_str(a.body, "{\"title\":[\"This field is required.\"]}");
}

Test(ask, the_first_of_two_answers_wins)
{
	struct http_answer a = ask("GET", "/api/v1/two/", NULL, NULL);

	cr_assert_eq(a.status, 200);
	assert_str(a.body, "\"first\"");
	cr_assert_eq(a.replies, 1);
}

Test(ask, our_own_faults_keep_their_reasons_for_the_log)
{
	struct http_answer a = ask("GET", "/api/v1/broken/", NULL, NULL);

	cr_assert_eq(a.status, 500);
	assert_header(&a, "Content-Type", "text/html; charset=utf-8");
	assert_contains(a.body, "<h1>Server Error (500)</h1><p></p>");
	cr_assert_lt(str_find(a.body, STR("secret")), 0);
	assert_contains(fx_logged(), "relation");
	assert_contains(fx_logged(), "error=E_SQL");
	assert_contains(fx_logged(), "name=\"GET /api/v1/broken/\"");

	a = ask("GET", "/api/v1/away/", NULL, NULL);
	cr_assert_eq(a.status, 503);
	assert_str(a.body, "{\"detail\":\"A service that is needed does not answer.\"}");
	assert_header(&a, "Retry-After", "1");
	assert_contains(fx_logged(), "10.0.0.1");

	a = ask("GET", "/api/v1/none/", NULL, NULL);
	cr_assert_eq(a.status, 500);
	assert_contains(fx_logged(), "gave no answer");
}

Test(ask, a_deadline_ends_the_handler)
{
	usec_t before = now_monotonic();
	struct http_answer a = ask("GET", "/api/v1/slow/", NULL, NULL);

	cr_assert_eq(a.status, 503);
	cr_assert_eq(a.result, -ETIMEDOUT);
	assert_str(a.body, "{\"detail\":\"The time allowed for this has run out.\"}");
	cr_assert_lt(now_monotonic() - before, 5 * SEC);
}

Test(ask, nothing_has_no_content_type)
{
	struct http_answer a = ask("GET", "/api/v1/nothing/", NULL, NULL);

	cr_assert_eq(a.status, 204);
	cr_assert_eq(a.body.len, 0);
	assert_header(&a, "Content-Type", NULL);
	assert_header(&a, "Allow", "GET, HEAD, OPTIONS");
}

Test(ask, head_has_the_headers_of_get_and_no_body)
{
	struct http_answer a = ask("HEAD", "/api/v1/hello/", NULL, NULL);

	cr_assert_eq(a.status, 200);
	cr_assert_eq(a.body.len, 0);
	assert_header(&a, "Content-Type", "application/json");
	cr_assert_eq(handled, 1);
	cr_assert_eq(ask("HEAD", "/api/v1/nowhere/", NULL, NULL).body.len, 0);
}

Test(ask, options_tells_what_the_view_takes)
{
	struct http_answer a = ask("OPTIONS", "/api/v1/posts/", NULL, NULL);

	cr_assert_eq(a.status, 200);
	assert_str(
		a.body,
		"{\"name\":\"Post List\",\"description\":\"\",\"renders\":[\"application/json\"],"
		"\"parses\":[\"application/json\",\"application/x-www-form-urlencoded\","
		"\"multipart/form-data\"]}");
	cr_assert_eq(ask("OPTIONS", "/api/v1/posts/7/", NULL, NULL).status, 401);
	a = ask("OPTIONS", "/api/v1/posts/7/", "Authorization: good", NULL);
	assert_contains(a.body, "\"name\":\"Post Instance\"");
	cr_assert_eq(handled, 0);
}

Test(ask, a_cors_preflight_is_answered_at_once)
{
	struct http_answer a = ask("OPTIONS", "/api/v1/nowhere/",
				   "Origin: https://shop.example.org\n"
				   "Access-Control-Request-Method: POST\nAuthorization: bad",
				   NULL);

	cr_assert_eq(a.status, 200);
	cr_assert_eq(a.body.len, 0);
	assert_header(&a, "Content-Type", "text/html; charset=utf-8");
	assert_header(&a, "Vary", "origin");
	assert_header(&a, "X-Frame-Options", NULL);
	assert_header(&a, "X-Content-Type-Options", NULL);
	assert_header(&a, "Allow", NULL);
}

Test(ask, hosts_are_checked)
{
	/* clang-format off */
	static const struct {
		const char *host;
		int status;
	} cases[] = {
		{ "Host: example.org",        200 },
		{ "Host: example.org:8000",   200 },
		{ "Host: EXAMPLE.org",        200 },
		{ "Host: 127.0.0.1:1",        200 },
		{ "Host: [::1]:8000",         200 },
		{ "Host: [::1]",              200 },
		{ "Host: a/b",                400 },
		{ "Host: a@b",                400 },
		{ "Host: a b",                400 },
		{ "Host: a:",                 400 },
		{ "Host: a:b",                400 },
		{ "Host: [::1",               400 },
		{ "Host: [::1]x",             400 },
		{ "Host: []",                 400 },
		{ "Host:",                    400 },
		{ "Host: a\"onload=",         400 },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(ask("GET", "/api/v1/hello/", cases[i].host, NULL).status,
			     cases[i].status, "%s", cases[i].host);
	assert_str(ask("GET", "/api/absolute/", "Host: a.org:81", NULL).body,
		   "http://a.org:81/api/");
	assert_str(ask("GET", "http://b.org/api/v1/absolute/", "Host: a.org", NULL).body,
		   "http://b.org/api/v1/");
}

Test(ask, the_query_is_decoded_and_its_last_value_wins)
{
	/* clang-format off */
	static const struct {
		const char *path, *answer;
	} cases[] = {
		{ "/api/v1/query/",                          "absent|" },
		{ "/api/v1/query/?",                         "absent|" },
		{ "/api/v1/query/?a",                        "| a=" },
		{ "/api/v1/query/?a=1&b=2&a=3",              "3| a=1 b=2 a=3" },
		{ "/api/v1/query/?%61=x%20y+z",              "x y z| a=x y z" },
		{ "/api/v1/query/?&&a=1=2&",                 "1=2| a=1=2" },
		{ "/api/v1/query/?a=%ff",                    "\xef\xbf\xbd| a=\xef\xbf\xbd" },
		{ "/api/v1/query/?aa=1",                     "absent| aa=1" },
		{ "/api/v1/query/?a=1?b=2",                  "1?b=2| a=1?b=2" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_str(ask("GET", cases[i].path, NULL, NULL).body, cases[i].answer);
}

Test(ask, too_many_query_fields_are_refused)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	buf_add_c(&b, "/api/v1/query/?");
	for (int i = 0; i < 1000; i++)
		buf_add_c(&b, "a&");
	cr_assert_eq(ask("GET", b.at, NULL, NULL).status, 400);
}

Test(ask, request_ids_are_kept_or_made)
{
	struct http_answer a = ask("GET", "/api/v1/hello/", "X-Request-ID: abc-1_2.3", NULL), b;

	assert_header(&a, "X-Request-ID", "abc-1_2.3");
	assert_contains(fx_logged(), "request=abc-1_2.3");
	a = ask("GET", "/api/v1/hello/", "X-Request-ID: a b", NULL);
	b = ask("GET", "/api/v1/hello/", "X-Request-ID: 0123456789012345678901234567890123456789",
		NULL);
	cr_assert_eq(answer_header(&a, "X-Request-ID").len, 36);
	cr_assert_eq(answer_header(&b, "X-Request-ID").len, 36);
	cr_assert_not(str_eq(answer_header(&a, "X-Request-ID"), answer_header(&b, "X-Request-ID")));
	cr_assert_eq(answer_header(&a, "X-Request-ID").at[14], '8'); /* the version of its UUID */
}

Test(ask, a_body_over_its_routes_limit_is_413)
{
	struct http_answer a = ask("POST", "/api/v1/small/", NULL, "0123456789");

	cr_assert_eq(a.status, 204);
	a = ask("POST", "/api/v1/small/", "Authorization: bad", "0123456789a");
	cr_assert_eq(a.status, 413);
	assert_str(a.body, "{\"detail\":\"Request body too large.\"}");
	assert_header(&a, "Allow", "POST, OPTIONS");
}

Test(ask, one_access_line_each_and_none_when_the_level_is_low)
{
	struct str before;

	(void) ask("GET", "/api/v1/hello/?secret=1", NULL, NULL);
	assert_contains(fx_logged(), "method=GET path=/api/v1/hello/ status=200 bytes=17");
	cr_assert_lt(str_find(fx_logged(), STR("secret")), 0);
	before = fx_logged();
	log_setup(LOG_WARN, false, "test");
	(void) ask("GET", "/api/v1/hello/", NULL, NULL);
	cr_assert_eq(fx_logged().len, before.len);
	log_setup(LOG_INFO, false, "test");
}

/* The rule that pays for fibers: at whichever wait a request is cancelled, it ends, gives
 * everything back (fixture_stop) and is answered once. */
Test(ask, may_be_cancelled_at_every_wait)
{
	unsigned parks = ask("GET", "/api/v1/waits/", NULL, NULL).parks;

	cr_assert_geq(parks, 5);
	for (unsigned n = 1; n <= parks; n++) {
		struct http_ask q = { .method = "GET", .path = "/api/v1/waits/", .cancel_at = n };
		struct http_answer a = ask_with(q, NULL);

		cr_assert_eq(a.result, -ECANCELED, "at wait %u: %d", n, a.result);
		cr_assert_eq(a.status, 503, "at wait %u: %d", n, a.status);
		cr_assert_eq(a.replies, 1, "at wait %u", n);
		cr_assert_eq(live_get(LIVE_fibers), 0);
		cr_assert_eq(live_get(LIVE_timers), 1); /* the sweep's */
	}
	cr_assert_eq(ask("GET", "/api/v1/waits/", NULL, NULL).status, 201);
}

Test(ask, an_answer_for_who_has_left_is_dropped)
{
	struct http_ask q = { .method = "GET", .path = "/api/v1/waits/", .leaves = true };
	struct http_answer a = ask_with(q, NULL);
	struct http_stats stats;

	cr_assert_eq(a.replies, 0);
	cr_assert_eq(a.result, -ECANCELED);
	cr_assert_eq(live_get(LIVE_requests), 0);
	http_stats(&stats);
	cr_assert_eq(stats.client_gone, 1);
	assert_contains(fx_logged(), "status=499");
}

Test(ask, counts_what_it_answers)
{
	struct http_stats before, after;

	http_stats(&before);
	(void) ask("GET", "/api/v1/hello/", NULL, NULL);
	(void) ask("GET", "/api/v1/nowhere/", NULL, NULL);
	(void) ask("GET", "/api/v1/broken/", NULL, NULL);
	http_stats(&after);
	cr_assert_eq(after.requests - before.requests, 3);
	for (int class = 2; class <= 5; class ++)
		cr_assert_eq(after.by_class[class] - before.by_class[class], class == 3 ? 0 : 1);
	cr_assert_eq(after.in_flight, 0);
}
