#include <criterion/criterion.h>

#include "base/json.h"
#include "queue/repr.h"

/* Expected texts are what Celery's saferepr and Python's repr print. */

Test(repr, is_celerys_saferepr)
{
	static const struct {
		const char *json, *list, *tuple;
	} cases[] = {
		{ "[]", "[]", "()" },
		{ "[1]", "[1]", "(1,)" },
		{ "[1.50, 1e3, -7, true, null]", "[1.5, 1000.0, -7, True, None]",
		  "(1.5, 1000.0, -7, True, None)" },
		{ "[NaN, -Infinity]", "[nan, -inf]", "(nan, -inf)" },
		{ "[\"it's \\\\ \\u0159\\n\"]", "['it\\'s \\ ř\n']", "('it\\'s \\ ř\n',)" },
		{ "[[[[1]]], {\"a\": {\"b\": {}}}]", "[[[[...]]], {'a': {'b': {...}}}]",
		  "([[[...]]], {'a': {'b': {...}}})" },
		{ "{", "...", "..." },
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_str_eq(arena_c(&a, message_repr(&a, str_c(cases[i].json))),
				 cases[i].list);
		cr_assert_str_eq(arena_c(&a, message_repr_args(&a, str_c(cases[i].json))),
				 cases[i].tuple);
	}
	arena_fini(&a);
}

Test(repr, is_cut_with_its_brackets_closed)
{
	_cleanup_(buf_fini) struct buf json = BUF_INIT;
	struct str shown;
	struct arena a;

	arena_init(&a);
	buf_add_c(&json, "[[");
	for (int i = 0; i < 400; i++)
		buf_printf(&json, "%s%d", i > 0 ? ", " : "", i);
	buf_add_c(&json, "], 5]");
	shown = message_repr_args(&a, buf_str(&json));
	cr_assert(str_ends(shown, STR(", ...])")), "%.*s", STR_ARG(shown));
	cr_assert_leq(shown.len, 1040);
	arena_fini(&a);
}

Test(repr, python_quotes_as_python_does)
{
	static const struct {
		const char *json, *shown;
	} cases[] = {
		{ "\"plain\"", "'plain'" },
		{ "\"it's\"", "\"it's\"" },
		{ "\"it's \\\"x\\\"\"", "'it\\'s \"x\"'" },
		{ "\"\\n\\t\\\\\\u0001 \\u0159\"", "'\\n\\t\\\\\\x01 ř'" },
		{ "{\"a\": [1, {\"b\": [[[]]]}]}", "{'a': [1, {'b': [[[]]]}]}" },
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;
		struct json_error e;
		struct json *tree;

		cr_assert_eq(json_parse(&a, str_c(cases[i].json), JSON_PYTHON, 20, &tree, &e), 0);
		repr_add(&out, &a, tree);
		cr_assert_str_eq(out.at, cases[i].shown);
	}
	arena_fini(&a);
}
