#include "http/fixture.h"

#include "base/error.h"

/* Answers what it understood: "kind name=value …" or the JSON text. */
static int echo(struct request *rq)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	const struct body *body, *again;
	int r = request_body(rq, body_any, &body);

	if (r < 0)
		return r;
	cr_assert_eq(request_body(rq, body_any, &again), 0);
	cr_assert_eq(again, body);
	if (body->kind == BODY_JSON) {
		buf_add_c(&b, "json ");
		buf_add_str(&b, body->json->text);
	} else {
		buf_add_c(&b, body->kind == BODY_FORM ? "form" : "multipart");
	}
	for (size_t i = 0; i < body->field_count; i++)
		buf_printf(&b, " %.*s=%.*s", STR_ARG(body->fields[i].name),
			   STR_ARG(body->fields[i].value));
	for (size_t i = 0; i < body->upload_count; i++)
		buf_printf(&b, " %.*s:%zu", STR_ARG(body->uploads[i].filename),
			   body->uploads[i].bytes.len);
	return reply_text(rq, 200, "text/plain", buf_str(&b));
}

static int only_json(struct request *rq)
{
	const struct body *body;
	int r = request_body(rq, (enum body_kind[]){ BODY_JSON, BODY_NONE }, &body);

	return r < 0 ? r : reply_empty(rq, 204);
}

static int twice(struct request *rq)
{
	const struct body *body;
	int r = request_body(rq, body_any, &body);

	cr_assert_eq(request_body(rq, body_any, &body), r);
	return r;
}

static const struct route rows[] = {
	{ .method = HTTP_POST,
	  .pattern = "echo/",
	  .handle = echo,
	  .permit = permit_anyone,
	  .name = "echo" },
	{ .method = HTTP_POST,
	  .pattern = "json/",
	  .handle = only_json,
	  .permit = permit_anyone,
	  .name = "json" },
	{ .method = HTTP_POST,
	  .pattern = "twice/",
	  .handle = twice,
	  .permit = permit_anyone,
	  .name = "twice" },
};

static void set_up(void)
{
	fixture_start(rows, ARRAY_SIZE(rows));
}

TestSuite(body, .init = set_up, .fini = fixture_stop);

#define JSON      "Content-Type: application/json"
#define FORM      "Content-Type: application/x-www-form-urlencoded"
#define MULTIPART "Content-Type: multipart/form-data; boundary=b"

/* clang-format off */
static const struct {
	const char *headers, *body;
	int status;
	const char *answer;
} cases[] = {
	{ JSON,  "{\"a\": [1, 2]}",                     200, "json {\"a\": [1, 2]}" },
	{ JSON,  "",                                    200, "json {}" },
	{ NULL,  "",                                    200, "json {}" },
	{ "Content-Type: text/plain", "",               200, "json {}" },
	{ FORM,  "",                                    200, "form" },
	{ "Content-Type: application/json; charset=latin-1", "1", 200, "json 1" },
	{ "Content-Type: APPLICATION/JSON ; x=y", "1",  200, "json 1" },
	{ "Content-Type: */*", "1",                     200, "json 1" },
	{ JSON,  "{",                                   400, "{\"detail\":\"JSON parse error - Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\"}" },
	{ JSON,  "   ",                                 400, "{\"detail\":\"JSON parse error - Expecting value: line 1 column 4 (char 3)\"}" },
	{ JSON,  "{} x",                                400, "{\"detail\":\"JSON parse error - Extra data: line 1 column 4 (char 3)\"}" },
	{ JSON,  "NaN",                                 400, "{\"detail\":\"JSON parse error - Out of range float values are not JSON compliant: 'NaN'\"}" },
	{ JSON,  "{\"a\":\"\xc3\"}",                    400, "{\"detail\":\"JSON parse error - 'utf-8' codec can't decode byte 0xc3 in position 6: invalid continuation byte\"}" },
	{ "Content-Type: text/plain", "x",              415, "{\"detail\":\"Unsupported media type \\\"text/plain\\\" in request.\"}" },
	{ "Content-Type: text/plain; charset=utf-8", "x", 415, "{\"detail\":\"Unsupported media type \\\"text/plain; charset=utf-8\\\" in request.\"}" },
	{ "Content-Type: json", "x",                    415, "{\"detail\":\"Unsupported media type \\\"json\\\" in request.\"}" },
	{ "Content-Type: multipart/mixed", "x",         415, "{\"detail\":\"Unsupported media type \\\"multipart/mixed\\\" in request.\"}" },
	{ "Content-Type:", "x",                         415, "{\"detail\":\"Unsupported media type \\\"\\\" in request.\"}" },
	{ NULL,  "x",                                   415, "{\"detail\":\"Unsupported media type \\\"\\\" in request.\"}" },
	{ "Content-Type: a\xff", "x",                   415, "{\"detail\":\"Unsupported media type \\\"a\xef\xbf\xbd\\\" in request.\"}" },
	{ FORM,  "title=A+b%20c%2B&content=%C3%A9%0D%0A%26", 200, "form title=A b c+ content=\xc3\xa9\r\n&" },
	{ FORM,  "title=100%25+%zz&content=%",          200, "form title=100% %zz content=%" },
	{ FORM,  "t=abc%ff%fe",                         200, "form t=abc\xef\xbf\xbd\xef\xbf\xbd" },
	{ FORM,  "title&content",                       200, "form title= content=" },
	{ FORM,  "&&a=1&&b=2&",                         200, "form a=1 b=2" },
	{ FORM,  "a=1;b=2",                             200, "form a=1;b=2" },
	{ FORM,  "a=1=2",                               200, "form a=1=2" },
	{ FORM,  "{\"a\":1}",                           200, "form {\"a\":1}=" },
	{ MULTIPART, "--b--\r\n",                       200, "multipart" },
	{ MULTIPART, "--b\r\nContent-Disposition: form-data; name=f; filename=a.txt\r\n\r\nxyz\r\n--b--", 200, "multipart a.txt:3" },
	{ "Content-Type: multipart/form-data", "x",     400, "{\"detail\":\"Multipart form parse error - Invalid boundary in multipart: None\"}" },
	{ "Content-Type: multipart/form-data; boundary=", "x", 400, "{\"detail\":\"Multipart form parse error - Invalid boundary in multipart: \"}" },
};
/* clang-format on */

Test(body, is_read_with_the_words_of_drf)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_answer a = ask("POST", "/api/v1/echo/", cases[i].headers,
					   cases[i].body);

		cr_assert_eq(a.status, cases[i].status, "%s: %d %.*s", cases[i].body, a.status,
			     STR_ARG(a.body));
		cr_assert(str_eq_c(a.body, cases[i].answer), "%s: %.*s", cases[i].body,
			  STR_ARG(a.body));
	}
}

Test(body, gives_the_same_error_each_time)
{
	struct http_answer a = ask("POST", "/api/v1/twice/", JSON, "[1,");

	cr_assert_eq(a.status, 400);
	assert_str(a.body,
		   "{\"detail\":\"JSON parse error - Expecting value: line 1 column 4 (char "
		   "3)\"}");
}

Test(body, of_a_kind_that_the_handler_does_not_take_is_415)
{
	cr_assert_eq(ask("POST", "/api/v1/json/", JSON, "1").status, 204);
	cr_assert_eq(ask("POST", "/api/v1/json/", FORM, "a=1").status, 415);
}

static struct http_answer ask_repeated(const char *headers, const char *piece, size_t times)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	while (times-- > 0)
		buf_add_c(&b, piece);
	return ask("POST", "/api/v1/echo/", headers, b.at);
}

Test(body, with_too_many_fields_gets_the_page_of_django)
{
	struct http_answer a = ask_repeated(FORM, "a=1&", 999);

	cr_assert_eq(a.status, 200);
	a = ask_repeated(FORM, "a=1&", 1000);
	cr_assert_eq(a.status, 400);
	assert_str(answer_header(&a, "content-type"), "text/html; charset=utf-8");
	assert_contains(a.body, "<title>Bad Request (400)</title>");
	cr_assert(str_is_null(answer_header(&a, "allow")));
}

Test(body, takes_depth_that_people_use_and_refuses_more)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct http_answer a;

	for (size_t depth = 61; depth <= 20000; depth += 20000 - 61) {
		buf_clear(&b);
		for (size_t i = 0; i < depth; i++)
			buf_add_byte(&b, '[');
		for (size_t i = 0; i < depth; i++)
			buf_add_byte(&b, ']');
		a = ask("POST", "/api/v1/echo/", JSON, b.at);
		cr_assert_eq(a.status, depth == 61 ? 200 : 400);
	}
	assert_contains(a.body, "{\"detail\":\"JSON parse error - ");
}

Test(body, with_too_many_values_is_refused_before_a_tree_is_built)
{
	struct http_answer a = ask_repeated(JSON, "[],", 200000);

	cr_assert_eq(a.status, 400);
	assert_str(a.body, "{\"detail\":\"JSON parse error - More than 200000 values\"}");
	/* commas in a string are no values: this one fails for what it is */
	a = ask_repeated(JSON, "\",,,,,\\\"\"", 50000);
	assert_contains(a.body, "Extra data");
}
