#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

/* Text and what CPython 3.11's json.loads(text.decode("utf-8")) says of it. */
/* clang-format off */
static const struct {
	struct str text;
	const char *sentence;
} broken[] = {
	{ STR_INIT(""), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT(" "), "Expecting value: line 1 column 2 (char 1)" },
	{ STR_INIT("x"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("{\"a\":}"), "Expecting value: line 1 column 6 (char 5)" },
	{ STR_INIT("{a:1}"), "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)" },
	{ STR_INIT("{\"a\":1,}"), "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)" },
	{ STR_INIT("{\"a\" 1}"), "Expecting ':' delimiter: line 1 column 6 (char 5)" },
	{ STR_INIT("{\"a\":1 \"b\":2}"), "Expecting ',' delimiter: line 1 column 8 (char 7)" },
	{ STR_INIT("{} x"), "Extra data: line 1 column 4 (char 3)" },
	{ STR_INIT("{\"a\":\"x"), "Unterminated string starting at: line 1 column 6 (char 5)" },
	{ STR_INIT("\"a\nb\""), "Invalid control character at: line 1 column 3 (char 2)" },
	{ STR_INIT("\"\\q\""), "Invalid \\escape: line 1 column 2 (char 1)" },
	{ STR_INIT("\"\\u12\""), "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ STR_INIT("[1,]"), "Expecting value: line 1 column 4 (char 3)" },
	{ STR_INIT("[,"), "Expecting value: line 1 column 2 (char 1)" },
	{ STR_INIT("["), "Expecting value: line 1 column 2 (char 1)" },
	{ STR_INIT("{"), "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)" },
	{ STR_INIT("{\"a\""), "Expecting ':' delimiter: line 1 column 5 (char 4)" },
	{ STR_INIT("{\"a\":"), "Expecting value: line 1 column 6 (char 5)" },
	{ STR_INIT("{\"a\":1"), "Expecting ',' delimiter: line 1 column 7 (char 6)" },
	{ STR_INIT("{\"a\":1,"), "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)" },
	{ STR_INIT("[1"), "Expecting ',' delimiter: line 1 column 3 (char 2)" },
	{ STR_INIT("[1 2]"), "Expecting ',' delimiter: line 1 column 4 (char 3)" },
	{ STR_INIT("-"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("01"), "Extra data: line 1 column 2 (char 1)" },
	{ STR_INIT("1."), "Extra data: line 1 column 2 (char 1)" },
	{ STR_INIT("1.e5"), "Extra data: line 1 column 2 (char 1)" },
	{ STR_INIT("tru"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("\"\\"), "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ STR_INIT("\"\\u"), "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ STR_INIT("\"\\ud800\\u12\""), "Invalid \\uXXXX escape: line 1 column 9 (char 8)" },
	{ STR_INIT("\"\\u 123\""), "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ STR_INIT("\"\\u+123\""), "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ STR_INIT("\""), "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ STR_INIT("\"abc"), "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ STR_INIT("1 2"), "Extra data: line 1 column 3 (char 2)" },
	{ STR_INIT("\n\n  x"), "Expecting value: line 3 column 3 (char 4)" },
	{ STR_INIT("\"\303\251\n\""), "Invalid control character at: line 1 column 3 (char 2)" },
	{ STR_INIT("\357\273\2771"), "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)" },
	{ STR_INIT("{\"a\":1,\n}"), "Expecting property name enclosed in double quotes: line 2 column 1 (char 8)" },
	{ STR_INIT("{1:2}"), "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)" },
	{ STR_INIT("[1,\n x]"), "Expecting value: line 2 column 2 (char 5)" },
	{ STR_INIT("{\"a\" "), "Expecting ':' delimiter: line 1 column 6 (char 5)" },
	{ STR_INIT("{ "), "Expecting property name enclosed in double quotes: line 1 column 3 (char 2)" },
	{ STR_INIT("[ "), "Expecting value: line 1 column 3 (char 2)" },
	{ STR_INIT("{\"a\":1, "), "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)" },
	{ STR_INIT("-Inf"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("1e"), "Extra data: line 1 column 2 (char 1)" },
	{ STR_INIT("1e+"), "Extra data: line 1 column 2 (char 1)" },
	{ STR_INIT("nul"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("+1"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("\"\\ud83d\\"), "Unterminated string starting at: line 1 column 1 (char 0)" },
	{ STR_INIT("\"\\ud83d\\uzzzz\""), "Invalid \\uXXXX escape: line 1 column 9 (char 8)" },
	{ STR_INIT("\"\\ud83d\\ude00"), "Invalid \\uXXXX escape: line 1 column 9 (char 8)" },
	{ STR_INIT("[\n\n\"abc\001\"]"), "Invalid control character at: line 3 column 5 (char 7)" },
	{ STR_INIT("\"\\u00e"), "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ STR_INIT("\"\\u00e\""), "Invalid \\uXXXX escape: line 1 column 3 (char 2)" },
	{ STR_INIT("[\"\303\251\", \"\360\237\230\200\", x]"), "Expecting value: line 1 column 12 (char 11)" },
	{ STR_INIT("\377"), "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte" },
	{ STR_INIT("{\"a\":\"\342\202\"}"), "'utf-8' codec can't decode bytes in position 6-7: invalid continuation byte" },
	{ STR_INIT("\"\355\240\200\""), "'utf-8' codec can't decode byte 0xed in position 1: invalid continuation byte" },
	{ STR_INIT("[\"\360\237\230\""), "'utf-8' codec can't decode bytes in position 2-4: invalid continuation byte" },
	{ STR_INIT("}"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("]"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("[1}"), "Expecting ',' delimiter: line 1 column 3 (char 2)" },
	{ STR_INIT("{\"a\":1]"), "Expecting ',' delimiter: line 1 column 7 (char 6)" },
	{ STR_INIT("\"a\000b\""), "Invalid control character at: line 1 column 3 (char 2)" },
	{ STR_INIT("\000"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("[1,,2]"), "Expecting value: line 1 column 4 (char 3)" },
	{ STR_INIT("'a'"), "Expecting value: line 1 column 1 (char 0)" },
	{ STR_INIT("[]]"), "Extra data: line 1 column 3 (char 2)" },
	{ STR_INIT("\"\\ud83dx\\u12"), "Invalid \\uXXXX escape: line 1 column 10 (char 9)" },
};
/* clang-format on */

static struct json *parse(struct arena *a, struct str text)
{
	struct json *tree = NULL;
	struct json_error e;

	cr_assert_eq(json_parse(a, text, JSON_PYTHON, 64, &tree, &e), 0, "%.*s: %s", STR_ARG(text),
		     e.sentence);
	return tree;
}

Test(json, broken_text_gets_pythons_words_and_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		for (int dialect = JSON_STRICT; dialect <= JSON_PYTHON; dialect++) {
			_cleanup_(arena_fini) struct arena a = { 0 };
			struct json *tree = NULL;
			struct json_error e;
			/* Of its exact size, so that ASan sees a byte too many. */
			char *copy = memcpy(malloc(MAX(broken[i].text.len, (size_t) 1)),
					    broken[i].text.at, broken[i].text.len);
			int r = json_parse(&a, str_make(copy, broken[i].text.len), dialect, 32,
					   &tree, &e);

			free(copy);
			cr_assert_eq(r, -EINVAL, "row %zu", i);
			cr_assert_str_eq(e.sentence, broken[i].sentence, "row %zu: %s", i,
					 e.sentence);
			cr_assert_null(tree, "written on success only");
		}
	}
}

Test(json, the_error_has_the_byte_offset)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct json *tree;
	struct json_error e;

	cr_assert_eq(json_parse(&a, STR("[\"\xc3\xa9\", x]"), JSON_STRICT, 32, &tree, &e), -EINVAL);
	cr_assert_eq(e.at, 7);
	cr_assert_str_eq(e.sentence, "Expecting value: line 1 column 7 (char 6)");
}

Test(json, words_that_are_no_json_pass_in_python_only)
{
	static const char *const words[] = { "NaN", "Infinity", "-Infinity" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_cleanup_(arena_fini) struct arena a = { 0 };
		struct json *tree = parse(&a, str_c(words[i]));
		struct json_error e;
		char expected[128];
		double x;

		cr_assert_eq(tree->type, JSON_NUMBER);
		cr_assert_eq(json_to_double(tree, &x), 0);
		cr_assert(i == 0 ? isnan(x) : isinf(x) && signbit(x) == (i == 2));
		cr_assert_eq(json_parse(&a, str_c(words[i]), JSON_STRICT, 32, &tree, &e), -EINVAL);
		snprintf(expected, sizeof(expected),
			 "Out of range float values are not JSON compliant: '%s'", words[i]);
		cr_assert_str_eq(e.sentence, expected);
	}
}

Test(json, values_stay_slices_of_the_input)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct str text = STR(
		" {\"n\": 1180591620717411303424, \"f\":0.10, \"s\":\"a\\u00e9\", \"l\":[1,{}],\"z\":null} ");
	struct json *tree = parse(&a, text);
	const struct json *n = json_get(tree, STR("n")), *s = json_get(tree, STR("s"));
	const struct json *l = json_get(tree, STR("l"));
	int64_t i;

	cr_assert_eq(tree->count, 5);
	cr_assert(str_eq(tree->text, str_trim(text)));
	cr_assert(n->is_integer && str_eq(n->text, STR("1180591620717411303424")));
	cr_assert(n->text.at > text.at && n->text.at < text.at + text.len);
	cr_assert_eq(json_to_i64(n, &i), -ERANGE);
	cr_assert(str_eq(json_get(tree, STR("f"))->text, STR("0.10")));
	cr_assert_eq(json_to_i64(json_get(tree, STR("f")), &i), -EINVAL);
	cr_assert(!s->is_plain && str_eq(s->text, STR("a\\u00e9")));
	cr_assert(str_eq(json_text(&a, s), STR("a\xc3\xa9")));
	cr_assert(str_eq(l->text, STR("[1,{}]")));
	cr_assert_eq(l->count, 2);
	cr_assert_eq(l->first->next->count, 0);
	cr_assert_eq(json_get(tree, STR("z"))->type, JSON_NULL);
	cr_assert_null(json_get(tree, STR("none")));
	cr_assert_null(json_get(l, STR("n")));
	cr_assert_null(json_get(NULL, STR("n")));
}

Test(json, the_last_of_equal_keys_wins_also_when_escaped)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct json *tree = parse(&a, STR("{\"ab\":1,\"a\\u0062\":true,\"b\":0}"));

	cr_assert_eq(tree->count, 3);
	cr_assert(json_is_true(json_get(tree, STR("ab"))));
	cr_assert(!json_is_true(json_get(tree, STR("b"))));
	cr_assert(!json_is_true(NULL));
	cr_assert(str_eq(json_key(&a, tree->first->next), STR("ab")));
}

Test(json, escapes_of_every_kind)
{
	static const struct {
		struct str text, value;
	} rows[] = {
		{ STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR_INIT("\"\\/\b\f\n\r\t") },
		{ STR_INIT("\"\\u0000x\""), STR_INIT("\0x") },
		{ STR_INIT("\"\\ud83d\\ude00\""), STR_INIT("\xf0\x9f\x98\x80") },
		{ STR_INIT("\"\\uD83D\""), STR_INIT("\xed\xa0\xbd") },
		{ STR_INIT("\"\\ud83dx\""), STR_INIT("\xed\xa0\xbdx") },
		{ STR_INIT("\"\\ud83d\\u0041\""), STR_INIT("\xed\xa0\xbd"
							   "A") },
		{ STR_INIT("\"\\ude00\\ud83d\""), STR_INIT("\xed\xb8\x80\xed\xa0\xbd") },
		{ STR_INIT("\"\\ud83d\\n\""), STR_INIT("\xed\xa0\xbd\n") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(arena_fini) struct arena a = { 0 };

		cr_assert(str_eq(json_text(&a, parse(&a, rows[i].text)), rows[i].value), "row %zu",
			  i);
	}
}

Test(json, depth_costs_bytes_and_is_bounded)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	static char deep[200001];
	struct json *tree;
	struct json_error e;

	memset(deep, '[', 100000);
	memset(deep + 100000, ']', 100000);
	cr_assert_eq(json_parse(&a, str_make(deep, 200000), JSON_STRICT, 100000, &tree, &e), 0);
	cr_assert_eq(json_parse(&a, str_make(deep, 200000), JSON_STRICT, 99999, &tree, &e),
		     -EINVAL);
	cr_assert_str_eq(e.sentence,
			 "Nesting is deeper than 99999 levels: line 1 column 100000 (char 99999)");
	cr_assert_eq(json_parse(&a, STR("[[1],[2]]"), JSON_STRICT, 2, &tree, &e), 0);
	cr_assert_eq(json_parse(&a, STR("[[1],[[2]]]"), JSON_STRICT, 2, &tree, &e), -EINVAL);
	cr_assert_eq(json_parse(&a, STR("1"), JSON_STRICT, 0, &tree, &e), 0);
}

Test(json, numbers)
{
	static const struct {
		const char *text;
		bool is_integer;
		double value;
	} rows[] = {
		{ "0", true, 0 },
		{ "-0", true, -0.0 },
		{ "12", true, 12 },
		{ "1.5", false, 1.5 },
		{ "1e3", false, 1000 },
		{ "1E+3", false, 1000 },
		{ "1.0", false, 1 },
		{ "-2e-1", false, -0.2 },
		{ "1e999", false, INFINITY },
		{ "-1e999", false, -INFINITY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(arena_fini) struct arena a = { 0 };
		struct json *n = parse(&a, str_c(rows[i].text));
		double x;

		cr_assert_eq(n->is_integer, rows[i].is_integer, "%s", rows[i].text);
		cr_assert_eq(json_to_double(n, &x), 0);
		cr_assert(x == rows[i].value && signbit(x) == signbit(rows[i].value), "%s",
			  rows[i].text);
	}
}

Test(json, conversions_refuse_other_types)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	double x;
	int64_t i;

	cr_assert_eq(json_to_i64(parse(&a, STR("\"1\"")), &i), -EINVAL);
	cr_assert_eq(json_to_double(parse(&a, STR("true")), &x), -EINVAL);
}
