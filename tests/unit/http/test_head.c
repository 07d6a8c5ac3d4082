#include "http/internal.h"

#include <criterion/criterion.h>

#define START "POST / HTTP/1.1\r\n"

/* clang-format off */
static const struct {
	const char *head, *fault; /* NULL: fine */
} cases[] = {
	{ START "host: a\r\n\r\n",                                                                NULL },
	{ START "host: a\r\ncontent-length: 5\r\n\r\nhost: b\r\n",                                NULL },
	{ START "host: a\ncontent-length: 5\n\ncontent-length: 6\n",                              "a line that ends without a carriage return" },
	{ START "host: a\r\nx: b\ncontent-length: 5\r\n\r\n",                                   "a line that ends without a carriage return" },
	{ START "host: a\r\ncontent-length: 5\r\n\n",                                           "a line that ends without a carriage return" },
	{ START "host: a\r\ntransfer-encoding: chunked\r\n\r\n",                                  NULL },
	{ START "content-length: 5\r\ncontent-length: 5\r\n\r\n",                                 "more than one Content-Length" },
	{ START "content-length: 5\r\nhost: a\r\nContent-Length: 6\r\n\r\n",                      "more than one Content-Length" },
	{ START "content-length: 5\ncontent-length: 6\n\n",                                       "a line that ends without a carriage return" },
	{ START "transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n",                        "both Content-Length and Transfer-Encoding" },
	{ START "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n",                        "both Content-Length and Transfer-Encoding" },
	{ START "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",                  "more than one Transfer-Encoding" },
	{ START "host: a\r\nhost: b\r\n\r\n",                                                     "more than one Host" },
	{ START "host: a\r\nx: 1\r\n content-length: 5\r\n\r\n",                                  "a folded header line" },
	{ START "host: a\r\nx: 1\r\n\tb\r\n\r\n",                                                 "a folded header line" },
	{ START "host: a\r\nx: content-length: 5\r\ny: content-length: 6\r\n\r\n",                NULL },
};
/* clang-format on */

Test(head, finds_what_two_readers_may_understand_in_two_ways)
{
	bool is_chunked = false;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *fault = head_fault(str_c(cases[i].head), &is_chunked);

		cr_assert(str_eq(str_c(fault), str_c(cases[i].fault)), "%s: %s", cases[i].head,
			  fault == NULL ? "nothing" : fault);
	}
}

Test(head, refuses_a_head_without_an_end_in_sight)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	bool is_chunked;

	buf_add_c(&b, START);
	while (b.len < HEAD_MOST)
		buf_add_c(&b, "x: 1\r\n");
	buf_add_c(&b, "\r\n");
	cr_assert_str_eq(head_fault(buf_str(&b), &is_chunked), "a head that is too long");
}

Test(head, tells_a_chunked_body)
{
	bool is_chunked = true;

	cr_assert_null(head_fault(STR(START "host: a\r\ncontent-length: 5\r\n\r\n"), &is_chunked));
	cr_assert(!is_chunked);
	cr_assert_null(head_fault(STR(START "Transfer-Encoding: chunked\r\n\r\n"), &is_chunked));
	cr_assert(is_chunked);
}
