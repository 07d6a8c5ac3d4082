#include "queue/task.h"

#include <criterion/criterion.h>

#include "base/error.h"

struct sample {
	struct str text;
	int64_t whole;
	double real;
	bool flag;
	struct str json;
};

/* clang-format off */
#define ROW(member, kind, default) { .name = #member, .type = kind, .is_optional = (default) != NULL, .offset = offsetof(struct sample, member), .usual = (default), .help = "h" }
/* clang-format on */

static const struct task_argument rows[] = {
	ROW(text, TASK_TEXT, NULL),         ROW(whole, TASK_INT, "7"),
	ROW(real, TASK_REAL, "1.5"),        ROW(flag, TASK_FLAG, "true"),
	ROW(json, TASK_JSON, "{\"a\": 1}"),
};

static const struct task sample = {
	.name = "s.t",
	.help = "h",
	.arguments = rows,
	.argument_count = ARRAY_SIZE(rows),
	.arguments_size = sizeof(struct sample),
};

static int bind_to(struct arena *a, const struct task *t, const char *args, const char *kwargs,
		   void *to)
{
	struct json_error e;
	struct json *x, *y;

	cr_assert_eq(json_parse(a, str_c(args), JSON_PYTHON, 9, &x, &e), 0);
	cr_assert_eq(json_parse(a, str_c(kwargs), JSON_PYTHON, 9, &y, &e), 0);
	return task_bind(a, t, x, y, to);
}

Test(task, arguments_fill_the_struct)
{
	struct sample s;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(
		bind_to(&a, &sample, "[\"\\u0159\", 3]", "{\"flag\": false, \"json\": \"x\"}", &s),
		0);
	cr_assert(str_eq_c(s.text, "ř"));
	cr_assert_eq(s.whole, 3);
	cr_assert_eq(s.real, 1.5);
	cr_assert(!s.flag);
	cr_assert(str_eq_c(s.json, "\"x\""));
	cr_assert_eq(bind_to(&a, &sample, "[]", "{\"text\": \"\", \"real\": 2}", &s), 0);
	cr_assert_eq(s.whole, 7);
	cr_assert_eq(s.real, 2.0);
	cr_assert(s.flag && str_eq_c(s.json, "{\"a\": 1}"));
	arena_fini(&a);
}

Test(task, what_does_not_fit_is_said_as_python_says_it)
{
	static const struct {
		const char *args, *kwargs, *words;
	} cases[] = {
		{ "[]", "{}", "s.t() missing 1 required argument: 'text'" },
		{ "[1,2,3,4,5,6]", "{}", "s.t() takes 5 positional arguments but 6 were given" },
		{ "[\"a\"]", "{\"text\": \"b\"}", "s.t() got multiple values for argument 'text'" },
		{ "[\"a\"]", "{\"x\": 1}", "s.t() got an unexpected keyword argument 'x'" },
		{ "[5]", "{}", "s.t() argument 'text' must be text" },
		{ "[null]", "{}", "s.t() argument 'text' must be text" },
		{ "[\"a\", 1.5]", "{}", "s.t() argument 'whole' must be a whole number" },
		{ "[\"a\", true]", "{}", "s.t() argument 'whole' must be a whole number" },
		{ "[\"a\", 99999999999999999999]", "{}",
		  "s.t() argument 'whole' must be a whole number" },
		{ "[\"a\", 1, \"x\"]", "{}", "s.t() argument 'real' must be a number" },
		{ "[\"a\", 1, 2, 1]", "{}", "s.t() argument 'flag' must be true or false" },
	};
	struct sample s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena a;

		arena_init(&a);
		cr_assert_eq(bind_to(&a, &sample, cases[i].args, cases[i].kwargs, &s), -E_DROPPED);
		cr_assert_str_eq(fail_reason(-E_DROPPED), cases[i].words);
		arena_fini(&a);
	}
}

Test(task, several_missing_ones_are_listed)
{
	static const struct task_argument three[] = { ROW(text, TASK_TEXT, NULL),
						      ROW(whole, TASK_INT, NULL),
						      ROW(flag, TASK_FLAG, NULL) };
	struct task t = { .name = "t", .arguments = three, .argument_count = 3 };
	struct sample s;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(bind_to(&a, &t, "[]", "{}", &s), -E_DROPPED);
	cr_assert_str_eq(fail_reason(-E_DROPPED),
			 "t() missing 3 required arguments: 'text', 'whole', and 'flag'");
	t.argument_count = 2;
	cr_assert_eq(bind_to(&a, &t, "[]", "{}", &s), -E_DROPPED);
	cr_assert_str_eq(fail_reason(-E_DROPPED),
			 "t() missing 2 required arguments: 'text' and 'whole'");
	arena_fini(&a);
}

Test(task, a_task_may_take_whatever_comes)
{
	static const struct task_argument any[] = {
		{ .name = "kwargs", .type = TASK_ANY, .help = "h" }
	};
	struct task t = { .name = "e",
			  .help = "h",
			  .arguments = any,
			  .argument_count = 1,
			  .arguments_size = sizeof(struct str) };
	struct task deaf = { .name = "n", .help = "h", .ignores_arguments = true };
	struct arena a;
	struct str got;

	arena_init(&a);
	cr_assert_eq(bind_to(&a, &t, "[]", "{\"x\": [1]}", &got), 0);
	cr_assert(str_eq_c(got, "{\"x\": [1]}"));
	cr_assert_eq(bind_to(&a, &t, "[1]", "{}", &got), -E_DROPPED);
	cr_assert_eq(bind_to(&a, &deaf, "[1, 2]", "{\"a\": 1}", NULL), 0);
	arena_fini(&a);
}

Test(task, the_struct_becomes_kwargs_again)
{
	struct sample s = {
		.text = STR("ř"), .whole = -1, .real = 0.5, .flag = true, .json = STR("[1]")
	};
	struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_ESCAPE_ASCII, true);
	task_kwargs(&w, &sample, &s);
	cr_assert_str_eq(out.at,
			 "{\"text\": \"\\u0159\", \"whole\": -1, \"real\": 0.5, \"flag\": true, "
			 "\"json\": [1]}");
	buf_fini(&out);
}

Test(task, registered_ones_are_found_by_name_and_number)
{
	static const struct task one = { .name = "one", .help = "h" };
	static const struct task two = { .name = "two", .help = "h" };
	const struct task *const first[] = { &one }, *const second[] = { &two };

	cr_assert_null(task_find(STR("one")));
	cr_assert_eq(task_register(first, 1), 0);
	cr_assert_eq(task_register(second, 1), 0);
	cr_assert_eq(task_count(), 2);
	cr_assert_eq(task_find(STR("one")), &one);
	cr_assert_eq(task_find(STR("two")), &two);
	cr_assert_null(task_find(STR("three")));
	cr_assert_eq(task_number(&two), 1);
	cr_assert_eq(task_at(0), &one);
	cr_assert_eq(task_register(first, 1), -E_BAD_SETTING, "twice");
}

Test(task, wrong_rows_are_refused_with_a_sentence)
{
	static const struct task_argument late[] = { ROW(whole, TASK_INT, "1"),
						     ROW(text, TASK_TEXT, NULL) };
	static const struct task_argument twice[] = { ROW(text, TASK_TEXT, NULL),
						      ROW(text, TASK_TEXT, NULL) };
	static const struct task_argument bad[] = { ROW(whole, TASK_INT, "{") };
	static const struct task_argument any[] = {
		ROW(text, TASK_TEXT, NULL), { .name = "all", .type = TASK_ANY, .help = "h" }
	};
	static const struct {
		struct task task;
		const char *words;
	} cases[] = {
		{ { .name = "", .help = "h" }, "without a name" },
		{ { .name = "a" }, "no help" },
		{ { .name = "a", .help = "h", .retry = { 3, 5 * SEC, 1 * SEC } }, "first wait" },
		{ { .name = "a", .help = "h", .time_limit = 1, .soft_time_limit = 2 }, "soft" },
		{ { .name = "a", .help = "h", .arguments = late, .argument_count = 2 },
		  "no default" },
		{ { .name = "a", .help = "h", .arguments = twice, .argument_count = 2 },
		  "two arguments" },
		{ { .name = "a", .help = "h", .arguments = bad, .argument_count = 1 }, "no JSON" },
		{ { .name = "a", .help = "h", .arguments = any, .argument_count = 2 }, "the only" },
		{ { .name = "a",
		    .help = "h",
		    .arguments = any,
		    .argument_count = 1,
		    .ignores_arguments = true },
		  "ignores" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct task *const one[] = { &cases[i].task };

		cr_assert_eq(task_register(one, 1), -E_BAD_SETTING, "%zu", i);
		cr_assert_not_null(strstr(fail_reason(-E_BAD_SETTING), cases[i].words), "%s",
				   fail_reason(-E_BAD_SETTING));
	}
}
