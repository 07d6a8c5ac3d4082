#include "http/internal.h"

#include <criterion/criterion.h>

Test(reply, indents_json_as_python_does)
{
	/* clang-format off */
	static const struct {
		const char *compact, *shown;
		unsigned indent;
	} cases[] = {
		{ "{\"a\":1}",                          "{\n    \"a\": 1\n}", 4 },
		{ "{}",                                 "{}", 2 },
		{ "[]",                                 "[]", 2 },
		{ "[{},[]]",                            "[\n  {},\n  []\n]", 2 },
		{ "{\"a\":[1,2],\"b\":{\"c\":null}}",   "{\n \"a\": [\n  1,\n  2\n ],\n \"b\": {\n  \"c\": null\n }\n}", 1 },
		{ "\"a,{}[]:\\\"\\\\\"",                "\"a,{}[]:\\\"\\\\\"", 4 },
		{ "[\"\\\\\",1]",                       "[\n \"\\\\\",\n 1\n]", 1 },
		{ "17",                                 "17", 8 },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_fini) struct buf b = BUF_INIT;

		json_indent(&b, str_c(cases[i].compact), cases[i].indent);
		cr_assert_str_eq(b.at, cases[i].shown, "%s became %s", cases[i].compact, b.at);
	}
}
