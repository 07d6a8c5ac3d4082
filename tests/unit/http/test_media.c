#include "http/fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct route rows[] = {
	{ .method = HTTP_GET,
	  .pattern = "x/",
	  .handle = permit_anyone,
	  .permit = permit_anyone,
	  .name = "x" },
};

static void write_file(const char *name, const char *text, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", fx.folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, len), (ssize_t) len);
	close(fd);
}

static void set_up(void)
{
	char path[256];

	fixture_with_media();
	snprintf(path, sizeof(path), "%s/products", fx.folder);
	cr_assert_eq(mkdir(path, 0755), 0);
	write_file("products/a.jpg", "0123456789", 10);
	write_file("evil.html", "<script>", 8);
	write_file("empty.png", "", 0);
	snprintf(path, sizeof(path), "%s/link.png", fx.folder);
	cr_assert_eq(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof(path), "%s/pipe.png", fx.folder);
	cr_assert_eq(mkfifo(path, 0644), 0);
	fixture_start(rows, ARRAY_SIZE(rows));
}

TestSuite(media, .init = set_up, .fini = fixture_stop);

Test(media, serves_a_file_as_strangers_bytes)
{
	struct http_answer a = ask("GET", "/media/products/a.jpg", "Authorization: bad", NULL);

	cr_assert_eq(a.status, 200);
	assert_str(a.body, "0123456789");
	assert_str(answer_header(&a, "Content-Type"), "image/jpeg");
	assert_str(answer_header(&a, "X-Content-Type-Options"), "nosniff");
	assert_str(answer_header(&a, "Content-Security-Policy"), "default-src 'none'; sandbox");
	assert_str(answer_header(&a, "Accept-Ranges"), "bytes");
	cr_assert_gt(answer_header(&a, "ETag").len, 4);
	cr_assert_eq(answer_header(&a, "Last-Modified").len, 29);
	cr_assert(str_is_null(answer_header(&a, "Allow")));
	a = ask("GET", "/media/evil.html", NULL, NULL);
	assert_str(answer_header(&a, "Content-Type"), "application/octet-stream");
	a = ask("GET", "/media/empty.png", NULL, NULL);
	cr_assert_eq(a.status, 200);
	cr_assert_eq(a.body.len, 0);
}

Test(media, no_path_leads_out)
{
	static const char *const paths[] = {
		"/media/../etc/passwd",
		"/media/%2e%2e/%2e%2e/etc/passwd",
		"/media/products/../../etc/passwd",
		"/media//etc/passwd",
		"/media/%2fetc/passwd",
		"/media/link.png",
		"/media/pipe.png",
		"/media/products",
		"/media/products/",
		"/media/products/a.jpg/",
		"/media/products/a.jpg/b",
		"/media/nothing.png",
		"/media/a%00b",
		"/media/",
		"/media",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct http_answer a = ask("GET", paths[i], NULL, NULL);

		cr_assert_eq(a.status, 404, "%s: %d", paths[i], a.status);
		assert_contains(a.body, "<title>Not Found</title>");
	}
}

Test(media, head_says_how_long_it_is)
{
	struct http_answer a = ask("HEAD", "/media/products/a.jpg", NULL, NULL);

	cr_assert_eq(a.status, 200);
	cr_assert_eq(a.body.len, 0);
	assert_str(answer_header(&a, "Content-Type"), "image/jpeg");
	cr_assert_eq(ask("POST", "/media/products/a.jpg", NULL, NULL).status, 405);
}

Test(media, what_the_client_has_is_not_sent_again)
{
	struct http_answer first = ask("GET", "/media/products/a.jpg", NULL, NULL), a;
	struct str etag = answer_header(&first, "ETag");
	struct str modified = answer_header(&first, "Last-Modified");
	/* clang-format off */
	const struct {
		struct str line;
		int status;
	} cases[] = {
		{ arena_printf(&fx.arena, "If-None-Match: %.*s", STR_ARG(etag)), 304 },
		{ arena_printf(&fx.arena, "If-None-Match: \"x\", W/%.*s", STR_ARG(etag)), 304 },
		{ STR("If-None-Match: *"), 304 },
		{ STR("If-None-Match: \"x\""), 200 },
		{ arena_printf(&fx.arena, "If-None-Match: \"x\"\nIf-Modified-Since: %.*s", STR_ARG(modified)), 200 },
		{ arena_printf(&fx.arena, "If-Modified-Since: %.*s", STR_ARG(modified)), 304 },
		{ STR("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), 200 },
		{ STR("If-Modified-Since: yesterday"), 200 },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		a = ask("GET", "/media/products/a.jpg", cases[i].line.at, NULL);
		cr_assert_eq(a.status, cases[i].status, "%s: %d", cases[i].line.at, a.status);
		cr_assert(str_eq(answer_header(&a, "ETag"), etag));
		if (a.status == 304) {
			cr_assert_eq(a.body.len, 0);
			cr_assert(str_is_null(answer_header(&a, "Content-Type")));
		}
	}
}

Test(media, sends_the_range_that_is_asked_for)
{
	/* clang-format off */
	static const struct {
		const char *range;
		int status;
		const char *body, *content_range;
	} cases[] = {
		{ "bytes=0-3",        206, "0123",       "bytes 0-3/10" },
		{ "bytes=4-",         206, "456789",     "bytes 4-9/10" },
		{ "bytes=-3",         206, "789",        "bytes 7-9/10" },
		{ "bytes=-30",        206, "0123456789", "bytes 0-9/10" },
		{ "bytes=8-99",       206, "89",         "bytes 8-9/10" },
		{ "bytes=9-9",        206, "9",          "bytes 9-9/10" },
		{ "bytes=10-",        416, "",           "bytes */10" },
		{ "bytes=-0",         416, "",           "bytes */10" },
		{ "bytes=3-1",        200, "0123456789", NULL },
		{ "bytes=0-1,3-4",    200, "0123456789", NULL },
		{ "bytes=a-b",        200, "0123456789", NULL },
		{ "bytes=",           200, "0123456789", NULL },
		{ "lines=0-1",        200, "0123456789", NULL },
		{ "bytes=99999999999999999999-", 200, "0123456789", NULL },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str line = arena_printf(&fx.arena, "Range: %s", cases[i].range);
		struct http_answer a = ask("GET", "/media/products/a.jpg", line.at, NULL);
		struct str range = answer_header(&a, "Content-Range");

		cr_assert_eq(a.status, cases[i].status, "%s: %d", cases[i].range, a.status);
		assert_str(a.body, cases[i].body);
		cr_assert(str_eq(range, str_c(cases[i].content_range)), "%s: %.*s", cases[i].range,
			  STR_ARG(range));
	}
}

Test(media, a_range_of_a_file_that_has_changed_is_the_whole_file)
{
	struct http_answer first = ask("GET", "/media/products/a.jpg", NULL, NULL);
	struct str etag = answer_header(&first, "ETag");
	struct str same = arena_printf(&fx.arena, "Range: bytes=0-3\nIf-Range: %.*s",
				       STR_ARG(etag));

	cr_assert_eq(ask("GET", "/media/products/a.jpg", same.at, NULL).status, 206);
	cr_assert_eq(ask("GET", "/media/products/a.jpg", "Range: bytes=0-3\nIf-Range: \"x\"", NULL)
			     .status,
		     200);
	cr_assert_eq(ask("GET", "/media/products/a.jpg",
			 "Range: bytes=0-3\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT", NULL)
			     .status,
		     200);
}

Test(media, may_be_cancelled_at_every_wait)
{
	unsigned parks = ask("GET", "/media/products/a.jpg", NULL, NULL).parks;

	cr_assert_geq(parks, 1);
	for (unsigned n = 1; n <= parks; n++) {
		struct http_ask q = { .method = "GET",
				      .path = "/media/products/a.jpg",
				      .cancel_at = n };
		struct http_answer a = ask_with(q, NULL);

		cr_assert_eq(a.replies, 1);
		cr_assert_eq(a.status, 503);
	}
}

Test(media, a_long_file_leaves_in_pieces)
{
	static char bytes[300 * 1000];
	struct http_answer a;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char) (i * 7 + i / 251);
	write_file("long.png", bytes, sizeof(bytes));
	a = ask("GET", "/media/long.png", NULL, NULL);
	cr_assert_eq(a.status, 200);
	cr_assert(str_eq(a.body, str_make(bytes, sizeof(bytes))));
	a = ask("GET", "/media/long.png", "Range: bytes=65530-200000", NULL);
	cr_assert_eq(a.status, 206);
	cr_assert(str_eq(a.body, str_make(bytes + 65530, 200000 - 65530 + 1)));
}
