#include "http/fixture.h"

#include <zlib.h>
#include <zstd.h>

/* Several pieces of what common/http/finish.c takes at once. */
#define LONG (300 * 1000)

static char text[LONG + 1];

static int long_text(struct request *rq)
{
	reply_header(rq, STR("ETag"), STR("\"a\""));
	return reply_text(rq, 200, "text/plain", str_c(text));
}

static const struct route rows[] = {
	{ .method = HTTP_GET,
	  .pattern = "long/",
	  .handle = long_text,
	  .permit = permit_anyone,
	  .name = "long" },
};

static void set_up(void)
{
	for (size_t i = 0; i < LONG; i++)
		text[i] = (char) ('a' + i * i % 26);
	fx_options.compress = true;
	fixture_start(rows, ARRAY_SIZE(rows));
}

TestSuite(finish, .init = set_up, .fini = fixture_stop);

static char unpacked[LONG + 1];

Test(finish, gzip_of_several_pieces)
{
	struct http_answer a = ask("GET", "/api/v1/long/", "Accept-Encoding: gzip\n", NULL);
	z_stream z = { .next_in = (Bytef *) a.body.at,
		       .avail_in = (uInt) a.body.len,
		       .next_out = (Bytef *) unpacked,
		       .avail_out = sizeof(unpacked) };

	assert_str(answer_header(&a, "content-encoding"), "gzip");
	assert_str(answer_header(&a, "etag"), "W/\"a\"");
	cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
	cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	cr_assert_eq(z.total_out, LONG);
	cr_assert_arr_eq(unpacked, text, LONG);
	inflateEnd(&z);
}

Test(finish, zstd_of_several_pieces)
{
	struct http_answer a = ask("GET", "/api/v1/long/", "Accept-Encoding: zstd\n", NULL);

	assert_str(answer_header(&a, "content-encoding"), "zstd");
	cr_assert_eq(ZSTD_decompress(unpacked, sizeof(unpacked), a.body.at, a.body.len), LONG);
	cr_assert_arr_eq(unpacked, text, LONG);
}

/* The fiber waits between two pieces; the answer that was ready goes as it is. */
Test(finish, who_is_cancelled_while_compressing_has_his_answer)
{
	const struct http_ask q = { .method = "GET", .path = "/api/v1/long/", .cancel_at = 2 };
	struct http_answer a = ask_with(q, "Accept-Encoding: gzip\n");

	cr_assert_eq(a.status, 200);
	cr_assert(str_is_null(answer_header(&a, "content-encoding")));
	assert_str(a.body, text);
	assert_str(answer_header(&a, "vary"), "Accept-Encoding, origin");
}
