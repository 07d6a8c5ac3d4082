#include "base/str.h"

#include <errno.h>
#include <math.h>

#include <criterion/criterion.h>

Test(str, absent_and_empty_differ_but_compare_by_length)
{
	cr_assert(str_is_null(str_c(NULL)));
	cr_assert(!str_is_null(STR("")));
	cr_assert(str_eq(STR_NULL, STR("")));
	cr_assert_eq(str_slice(STR_NULL, 0, 5).len, 0);
}

Test(str, compares_bytes_then_lengths)
{
	cr_assert(str_cmp(STR("a"), STR("b")) < 0);
	cr_assert(str_cmp(STR("b"), STR("a")) > 0);
	cr_assert(str_cmp(STR("a"), STR("ab")) < 0);
	cr_assert(str_cmp(STR("ab"), STR("a")) > 0);
	cr_assert_eq(str_cmp(STR("ab"), STR("ab")), 0);
	cr_assert(str_cmp(STR("\xff"), STR("a")) > 0); /* unsigned, as memcmp */
	cr_assert_eq(str_cmp(STR_NULL, STR_NULL), 0);
	cr_assert(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
	cr_assert(!str_eq_nocase(STR("a["), STR("a{"))); /* 32 apart, but no letters */
}

Test(str, finds_prefix_suffix_and_needle)
{
	cr_assert(str_starts(STR("abc"), STR("ab")));
	cr_assert(!str_starts(STR("a"), STR("ab")));
	cr_assert(str_ends(STR("abc"), STR("bc")));
	cr_assert(!str_ends(STR("c"), STR("bc")));
	cr_assert_eq(str_find(STR("abcbc"), STR("bc")), 1);
	cr_assert_eq(str_find(STR("abc"), STR("x")), -1);
	cr_assert_eq(str_find(STR("abc"), STR("")), 0);
	cr_assert_eq(str_find(STR_NULL, STR("a")), -1);
	cr_assert_eq(str_find_char(STR("abc"), 'c'), 2);
	cr_assert_eq(str_find_char(STR_NULL, 'c'), -1);
}

Test(str, slices_clamp_and_trim_takes_white_space_only)
{
	cr_assert(str_eq(str_slice(STR("abc"), 1, 99), STR("bc")));
	cr_assert(str_eq(str_slice(STR("abc"), 5, 2), STR("")));
	cr_assert(str_eq(str_trim(STR(" \t\r\n\v\fa b ")), STR("a b")));
	cr_assert(str_eq(str_trim(STR("  ")), STR("")));
}

Test(str, cut_visits_every_item_empty_ones_too)
{
	static const char *const expected[] = { "a", "", "b", "" };
	struct str rest = STR("a,,b,"), item;
	size_t n = 0;

	while (str_cut(&rest, ',', &item)) {
		cr_assert(n < ARRAY_SIZE(expected));
		cr_assert(str_eq_c(item, expected[n]), "item %zu", n);
		n++;
	}
	cr_assert_eq(n, ARRAY_SIZE(expected));
	rest = STR("");
	cr_assert(str_cut(&rest, ',', &item) && item.len == 0);
	cr_assert(!str_cut(&rest, ',', &item));
}

Test(str, whole_numbers_are_whole_and_bounded)
{
	static const struct {
		const char *text;
		int r;
		int64_t value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "-1", 0, -1 },
		{ "+7", 0, 7 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "-9223372036854775808", 0, INT64_MIN },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "-9223372036854775809", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ "--1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
		{ "0x1", -EINVAL, 0 },
	};
	uint64_t u = 99;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t value = 0;

		cr_assert_eq(str_to_i64(str_c(rows[i].text), &value), rows[i].r, "%s",
			     rows[i].text);
		cr_assert_eq(value, rows[i].value, "%s", rows[i].text);
	}
	cr_assert_eq(str_to_u64(STR("-1"), &u), -EINVAL);
	cr_assert_eq(str_to_u64(STR("18446744073709551616"), &u), -ERANGE);
	cr_assert_eq(u, 99, "written on success only");
	cr_assert_eq(str_to_u64(STR("18446744073709551615"), &u), 0);
	cr_assert_eq(u, UINT64_MAX);
}

Test(str, decimals_are_decimals)
{
	static const struct {
		const char *text;
		int r;
		double value;
	} rows[] = {
		{ "0.1", 0, 0.1 },
		{ "-2.5e-3", 0, -0.0025 },
		{ ".5", 0, 0.5 },
		{ "5.", 0, 5 },
		{ "1e400", -ERANGE, 0 },
		{ "1e-400", 0, 0 },
		{ "5e-324", 0, 5e-324 },
		{ "0.1000000000000000055511151231257827021181583404541015625000000000000000", 0,
		  0.1 },
		{ "", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ "1e", -EINVAL, 0 },
		{ "nan", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		double value = 0;

		cr_assert_eq(str_to_double(str_c(rows[i].text), &value), rows[i].r, "%s",
			     rows[i].text);
		cr_assert(value == rows[i].value, "%s", rows[i].text);
	}
}

Test(str, nearest_is_what_was_meant_or_nothing)
{
	static const struct {
		const char *name;
		int other;
	} rows[] = { { "list", 1 }, { "retrieve", 2 }, { "create", 3 } };

	cr_assert_str_eq(str_nearest("retreive", rows, 3, sizeof(rows[0])), "retrieve");
	cr_assert_str_eq(str_nearest("LIST", rows, 3, sizeof(rows[0])), "list");
	cr_assert_str_eq(str_nearest("creat", rows, 3, sizeof(rows[0])), "create");
	cr_assert_null(str_nearest("destroy", rows, 3, sizeof(rows[0])));
}

Test(str, hash_is_fnv_1a)
{
	cr_assert_eq(str_hash(STR("")), UINT64_C(0xcbf29ce484222325));
	cr_assert_eq(str_hash(STR("a")), UINT64_C(0xaf63dc4c8601ec8c));
}
