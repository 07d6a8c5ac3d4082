#include <criterion/criterion.h>

#include "base/error.h"
#include "resource/selection.h"

static const struct scope scopes[] = {
	{ "own", "t.author_id = :caller" },
	{ "published", "t.published" },
};
static const struct filter right[] = { FILTER("mine", BOOLEAN, HOLDS, "own") };
static const struct filter wrong[] = { FILTER("mine", BOOLEAN, HOLDS, "owned") };
static const struct filter number[] = { FILTER("mine", INTEGER, HOLDS, "own") };
static const struct scope odd[] = { { "own", "t.author_id = :nobody" } };

Test(scope, is_found_by_its_name)
{
	const struct selections s = { FILTERS(right), SCOPES(scopes) };

	cr_expect_eq(selections_check("posts", &s), 0);
	cr_expect_str_eq(scope_sql(&s, "published"), "t.published");
}

Test(scope, a_filter_of_none_is_refused_with_a_sentence)
{
	static const struct {
		struct selections selections;
		const char *sentence;
	} cases[] = {
		{ { FILTERS(wrong), SCOPES(scopes) },
		  "posts: filter mine names a scope that does not exist" },
		{ { FILTERS(number), SCOPES(scopes) },
		  "posts: filter mine asks a yes or no of what is none" },
		{ { SCOPES(odd) }, "posts: scope own has SQL with a name that does not exist" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_expect_eq(selections_check("posts", &cases[i].selections), -EINVAL, "%s",
			     cases[i].sentence);
		cr_expect_str_eq(fail_reason(-EINVAL), cases[i].sentence);
	}
}
