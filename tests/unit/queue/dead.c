#include "queue/dead.h"

#include <criterion/criterion.h>

#include "base/json.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

static struct json *record(struct arena *a, const struct dead_letter *l)
{
	struct buf b = BUF_INIT;
	struct json_error e;
	struct json *tree;

	dead_letter_record(&b, l);
	cr_assert_eq(json_parse(a, arena_str(a, buf_str(&b)), JSON_STRICT, 8, &tree, &e), 0, "%s",
		     e.sentence);
	buf_fini(&b);
	return tree;
}

Test(dead, record_has_all_that_is_known)
{
	struct dead_letter l = { .reason = STR("why"),
				 .queue = STR("default"),
				 .list = STR("default\x06\x16"
					     "3"),
				 .task = STR("t"),
				 .id = STR("i"),
				 .worker = STR("w"),
				 .attempts = 4 };
	struct uuid uuid;
	struct json *tree;
	struct arena a;
	int64_t n;

	arena_init(&a);
	dead_letter_name(&l);
	cr_assert_eq(uuid_parse(str_c(l.name), &uuid), 0);
	tree = record(&a, &l);
	EQ(json_text(&a, json_get(tree, STR("letter"))), l.name);
	EQ(json_text(&a, json_get(tree, STR("reason"))), "why");
	EQ(json_text(&a, json_get(tree, STR("list"))), "default\x06\x16"
						       "3");
	EQ(json_text(&a, json_get(tree, STR("id"))), "i");
	cr_assert_eq(json_to_i64(json_get(tree, STR("attempts")), &n), 0);
	cr_assert_eq(n, 4);
	cr_assert(str_ends(json_get(tree, STR("at"))->text, STR("+00:00")));
	arena_fini(&a);
}

Test(dead, what_is_no_text_does_not_break_the_record)
{
	struct dead_letter l = { .reason = STR("bad \xff\xfe bytes"), .task = STR("\xc3(") };
	struct json *tree;
	struct arena a;

	arena_init(&a);
	tree = record(&a, &l);
	EQ(json_text(&a, json_get(tree, STR("reason"))), "bad \xef\xbf\xbd\xef\xbf\xbd bytes");
	cr_assert_eq(json_get(tree, STR("id"))->type, JSON_NULL);
	arena_fini(&a);
}
