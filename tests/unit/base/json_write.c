#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/json.h"
#include "base/world.h"

Test(json_write, commas_and_colons_come_by_themselves)
{
	for (int spaced = 0; spaced < 2; spaced++) {
		_cleanup_(buf_fini) struct buf b = BUF_INIT;
		struct json_writer w;

		json_writer_init(&w, &b, JSON_ESCAPE_DRF, spaced);
		json_begin_object(&w);
		json_put_key(&w, STR("a"));
		json_begin_array(&w);
		json_put_i64(&w, -5);
		json_put_null(&w);
		json_begin_array(&w);
		json_end_array(&w);
		json_put_bool(&w, true);
		json_end_array(&w);
		json_put_key(&w, STR("b\""));
		json_put_str(&w, STR_NULL);
		json_put_key(&w, STR("c"));
		json_begin_object(&w);
		json_end_object(&w);
		json_put_key(&w, STR("d"));
		json_put_double(&w, 1);
		json_put_key(&w, STR("e"));
		json_put_raw(&w, STR("[1]"));
		json_put_key(&w, STR("f"));
		json_put_c(&w, "x");
		json_end_object(&w);
		cr_assert_eq(w.depth, 0);
		cr_assert_str_eq(
			b.at,
			spaced ? "{\"a\": [-5, null, [], true], \"b\\\"\": null, \"c\": {}, \"d\": 1.0, \"e\": [1], \"f\": \"x\"}"
			       : "{\"a\":[-5,null,[],true],\"b\\\"\":null,\"c\":{},\"d\":1.0,\"e\":[1],\"f\":\"x\"}");
	}
}

Test(json_write, what_was_made_before_is_taken_as_it_is)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &b, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_ready_key(&w, STR("\"a\":"));
	json_put_plain(&w, STR("1.50"));
	json_put_ready_key(&w, STR("\"b\":"));
	json_begin_array(&w);
	json_put_plain(&w, STR(""));
	json_put_plain(&w, STR("x"));
	json_end_array(&w);
	json_end_object(&w);
	cr_assert_str_eq(b.at, "{\"a\":\"1.50\",\"b\":[\"\",\"x\"]}");
}

Test(json_write, a_ready_key_behind_a_key_is_a_bug, .signal = SIGABRT)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &b, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("a"));
	json_put_ready_key(&w, STR("\"b\":"));
}

/* DRF: compared with rest_framework's renderer; ASCII: with json.dumps. */
Test(json_write, escapes_are_those_of_drf_or_of_dumps)
{
	static const struct {
		struct str text;
		const char *drf, *ascii;
	} rows[] = {
		{ STR_INIT(""), "\"\"", "\"\"" },
		{ STR_INIT("a/\x7f"), "\"a/\x7f\"", "\"a/\\u007f\"" },
		{ STR_INIT("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"",
		  "\"\\\"\\\\\\b\\f\\n\\r\\t\"" },
		{ STR_INIT("\0\x1f"), "\"\\u0000\\u001f\"", "\"\\u0000\\u001f\"" },
		{ STR_INIT("\xc3\xa9"), "\"\xc3\xa9\"", "\"\\u00e9\"" },
		{ STR_INIT("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
		  "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"",
		  "\"\\u2027\\u2028\\u2029\\u202a\"" },
		{ STR_INIT("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"" },
		{ STR_INIT("\xed\x9f\xbf\xed\xa0\xbd."), "\"\xed\x9f\xbf\\ud83d.\"",
		  "\"\\ud7ff\\ud83d.\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(buf_fini) struct buf drf = BUF_INIT, ascii = BUF_INIT;

		json_escape_add(&drf, rows[i].text, JSON_ESCAPE_DRF);
		json_escape_add(&ascii, rows[i].text, JSON_ESCAPE_ASCII);
		cr_assert_str_eq(drf.at, rows[i].drf, "row %zu: %s", i, drf.at);
		cr_assert_str_eq(ascii.at, rows[i].ascii, "row %zu: %s", i, ascii.at);
	}
}

Test(json_write, floats_are_pythons_repr)
{
	static const struct {
		double x;
		const char *repr;
	} rows[] = {
		{ 0.0, "0.0" },
		{ -0.0, "-0.0" },
		{ 1.0, "1.0" },
		{ 0.1, "0.1" },
		{ 0.30000000000000004, "0.30000000000000004" },
		{ 100.0, "100.0" },
		{ 1e15, "1000000000000000.0" },
		{ 9999999999999998.0, "9999999999999998.0" },
		{ 1e16, "1e+16" },
		{ 123456789012345680.0, "1.2345678901234568e+17" },
		{ 1e22, "1e+22" },
		{ 1e100, "1e+100" },
		{ 0.0001, "0.0001" },
		{ 0.00001, "1e-05" },
		{ 1.5e-7, "1.5e-07" },
		{ 5e-324, "5e-324" },
		{ 2.2250738585072014e-308, "2.2250738585072014e-308" },
		{ 2.225073858507201e-308, "2.225073858507201e-308" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ 0x1p-44, "5.684341886080802e-14" },
		{ 0x1p-1074, "5e-324" },
		{ 9007199254740993.0, "9007199254740992.0" },
		{ 4.35, "4.35" },
		{ INFINITY, "Infinity" },
		{ -INFINITY, "-Infinity" },
		{ NAN, "NaN" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(buf_fini) struct buf b = BUF_INIT;

		json_double_add(&b, rows[i].x);
		cr_assert_str_eq(b.at, rows[i].repr);
	}
}

/* Digits of the significand of a float's text. */
static int digits(const char *text)
{
	int n = 0, zeros = 0;

	for (; *text != '\0' && *text != 'e'; text++) {
		if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
			continue;
		zeros = *text == '0' ? zeros + 1 : 0;
		n++;
	}
	return n - zeros;
}

Test(json_write, any_float_reads_back_and_no_shorter_text_does)
{
	struct fake_world f;

	fake_world_init(&f, 11, 0);
	world_set(&f.world);
	for (int i = 0; i < 200000; i++) {
		_cleanup_(buf_fini) struct buf b = BUF_INIT;
		uint64_t bits;
		double x;
		char shorter[40];

		random_bytes(&bits, sizeof(bits));
		if (i % 8 == 0)
			bits &= UINT64_C(0xfff)
				<< 52; /* powers of two, where neighbours are uneven */
		memcpy(&x, &bits, sizeof(x));
		if (!isfinite(x) || x == 0)
			continue;
		json_double_add(&b, x);
		cr_assert(strtod(b.at, NULL) == x, "%s", b.at);
		if (digits(b.at) > 1) {
			snprintf(shorter, sizeof(shorter), "%.*e", digits(b.at) - 2, x);
			cr_assert(strtod(shorter, NULL) != x, "%s is longer than %s", b.at,
				  shorter);
		}
	}
	world_set(NULL);
}

Test(json_write, a_tree_is_written_normalised_with_numbers_as_they_were)
{
	static const char *const rows[][2] = {
		{ " [ 1180591620717411303424 , 0.10 , 1E5, -0 , NaN ] ",
		  "[1180591620717411303424,0.10,1E5,-0,NaN]" },
		{ "{\"a\" : [ ] , \"b\" : { } , \"c\":[[[1]],[]]}",
		  "{\"a\":[],\"b\":{},\"c\":[[[1]],[]]}" },
		{ "[\"\\u00e9\\/\\u000A\", {\"\\u0061\\\"\": true}, false, null]",
		  "[\"\xc3\xa9/\\n\",{\"a\\\"\":true},false,null]" },
		{ "5", "5" },
		{ "\"x\"", "\"x\"" },
		{ "[]", "[]" },
		{ "{\"a\":{\"b\":{\"c\":1},\"d\":2},\"e\":3}",
		  "{\"a\":{\"b\":{\"c\":1},\"d\":2},\"e\":3}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(arena_fini) struct arena a = { 0 };
		_cleanup_(buf_fini) struct buf b = BUF_INIT;
		struct json_writer w;
		struct json_error e;
		struct json *tree;

		cr_assert_eq(json_parse(&a, str_c(rows[i][0]), JSON_PYTHON, 32, &tree, &e), 0, "%s",
			     e.sentence);
		json_writer_init(&w, &b, JSON_ESCAPE_DRF, false);
		json_put_tree(&w, tree);
		cr_assert_str_eq(b.at, rows[i][1]);
		cr_assert_eq(w.depth, 0);
	}
}

Test(json_write, two_keys_in_a_row_are_a_bug, .signal = SIGABRT)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &b, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("a"));
	json_put_key(&w, STR("b"));
}
