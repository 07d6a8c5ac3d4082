#include <criterion/criterion.h>

#include "base/error.h"
#include "base/option.h"

static struct {
	bool flag;
	const char *text;
	int64_t count;
} said;

static const struct option rows[] = {
	{ "--force", OPTION_FLAG, &said.flag, NULL, "Do it.", "-f" },
	{ "--queues", OPTION_TEXT, &said.text, "NAMES", "Which.", "-Q" },
	{ "--count", OPTION_COUNT, &said.count, "N", "How many." },
};

#define PARSE(ret_words, ...)                                                                      \
	options_parse(rows, ARRAY_SIZE(rows), (int) ARRAY_SIZE(((char *[]){ __VA_ARGS__ })),       \
		      (char *[]){ __VA_ARGS__ }, (ret_words))

Test(option, stand_anywhere_in_every_form)
{
	int words;

	cr_assert_eq(PARSE(&words, "one", "-f", "--queues", "a,b", "two", "--count=7"), 0);
	cr_assert(words == 2 && said.flag && said.count == 7);
	cr_assert_str_eq(said.text, "a,b");
	cr_assert_eq(PARSE(&words, "-Q", "c"), 0);
	cr_assert_str_eq(said.text, "c");
	cr_assert_eq(PARSE(&words, "-Qd=e"), 0);
	cr_assert_str_eq(said.text, "d=e");
	cr_assert_eq(PARSE(&words, "--queues=--f"), 0);
	cr_assert_str_eq(said.text, "--f");
}

Test(option, what_stands_behind_two_dashes_are_words)
{
	char *argv[] = { "-", "--", "-f", "--nothing" };
	int words;

	cr_assert_eq(options_parse(rows, ARRAY_SIZE(rows), 4, argv, &words), 0);
	cr_assert_eq(words, 3);
	cr_assert_str_eq(argv[0], "-");
	cr_assert_str_eq(argv[2], "--nothing");
	cr_assert_not(said.flag);
}

Test(option, wrong_ones_are_named)
{
	static const struct {
		const char *word, *sentence;
	} cases[] = {
		{ "--queuse", "there is no --queuse; did you mean --queues?" },
		{ "-x", "there is no -x" },
		{ "-fx", "there is no -fx" },
		{ "--force=1", "--force takes no value" },
		{ "--queues", "--queues needs NAMES" },
		{ "-Q", "--queues needs NAMES" },
		{ "--count=x", "--count takes a whole number, not x" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[] = { (char *) cases[i].word };
		int words, r = options_parse(rows, ARRAY_SIZE(rows), 1, argv, &words);

		cr_assert_eq(r, -EINVAL, "%s", cases[i].word);
		cr_assert_str_eq(fail_reason(r), cases[i].sentence);
	}
}
