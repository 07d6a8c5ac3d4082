#include "base/yaml.h"

#include <criterion/criterion.h>

static struct str written(struct arena *arena, const char *json)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_error error;
	struct json *tree;

	cr_assert_eq(json_parse(arena, str_c(json), JSON_STRICT, 64, &tree, &error), 0);
	yaml_add(&out, arena, tree);
	return arena_str(arena, buf_str(&out));
}

Test(yaml, block_style)
{
	static const struct {
		const char *json, *yaml;
	} cases[] = {
		{ "{\"a\":1,\"b\":true,\"c\":null,\"d\":1.50}",
		  "a: 1\nb: true\nc: null\nd: 1.50\n" },
		{ "{\"a\":{\"b\":{\"c\":\"x\"}}}", "a:\n  b:\n    c: x\n" },
		{ "{\"a\":[1,\"two\"],\"b\":[]}", "a:\n- 1\n- two\nb: []\n" },
		{ "{\"a\":[{\"x\":1,\"z\":2},{}]}", "a:\n- x: 1\n  z: 2\n- {}\n" },
		{ "[[1],{\"a\":{}}]", "-\n  - 1\n- a: {}\n" },
		{ "{\"a\":[{\"b\":[1]}]}", "a:\n- b:\n  - 1\n" },
		{ "\"x\"", " x\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(arena_fini) struct arena arena;

		arena_init(&arena);
		struct str yaml = written(&arena, cases[i].json);
		cr_assert(str_eq_c(yaml, cases[i].yaml), "%s: %.*s", cases[i].json, STR_ARG(yaml));
	}
}

Test(yaml, quotes_what_it_must)
{
	static const struct {
		const char *json, *yaml;
	} cases[] = {
		{ "{\"200\":\"\"}", "\"200\": \"\"\n" },
		{ "{\"a\":\"yes\"}", "a: \"yes\"\n" },
		{ "{\"a\":\"3.0.3\"}", "a: \"3.0.3\"\n" },
		{ "{\"a\":\"b: c\"}", "a: \"b: c\"\n" },
		{ "{\"a\":\"b #c\"}", "a: \"b #c\"\n" },
		{ "{\"a\":\"b \"}", "a: \"b \"\n" },
		{ "{\"a\":\"b:\"}", "a: \"b:\"\n" },
		{ "{\"$ref\":\"#/x\"}", "\"$ref\": \"#/x\"\n" },
		{ "{\"a\":\"\\\\d\"}", "a: \"\\\\d\"\n" },
		{ "{\"/a/{id}/\":\"it is plain\"}", "/a/{id}/: it is plain\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(arena_fini) struct arena arena;

		arena_init(&arena);
		struct str yaml = written(&arena, cases[i].json);
		cr_assert(str_eq_c(yaml, cases[i].yaml), "%s: %.*s", cases[i].json, STR_ARG(yaml));
	}
}

Test(yaml, several_lines)
{
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	cr_assert(str_eq_c(written(&arena, "{\"a\":{\"b\":\"one\\n\\n- two\"}}"),
			   "a:\n  b: |-\n    one\n\n    - two\n"));
	/* A block would lose the end, or take the beginning for its indentation. */
	cr_assert(str_eq_c(written(&arena, "{\"a\":\"one\\n\"}"), "a: \"one\\n\"\n"));
	cr_assert(str_eq_c(written(&arena, "{\"a\":\" one\\ntwo\"}"), "a: \" one\\ntwo\"\n"));
}
