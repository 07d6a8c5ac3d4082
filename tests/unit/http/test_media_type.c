#include "http/media_type.h"

#include <criterion/criterion.h>

Test(media_type, reads_parts_and_precedence)
{
	/* clang-format off */
	static const struct {
		const char *text, *main, *sub;
		int precedence;
		bool is_json;
	} cases[] = {
		{ "application/json",              "application", "json",  2, true },
		{ " Application/JSON ; q=0.5",     "Application", "JSON",  2, true },
		{ "application/json; indent=4",    "application", "json",  3, true },
		{ "application/json; indent",      "application", "json",  2, true },
		{ "application/*",                 "application", "*",     1, true },
		{ "*/*;q=0.1",                     "*",           "*",     0, true },
		{ "*/json",                        "*",           "json",  0, true },
		{ "*",                             "*",           "",      0, false },
		{ "json",                          "json",        "",      2, false },
		{ "",                              "",            "",      2, false },
		{ "text/html",                     "text",        "html",  2, false },
		{ "application/vnd.api+json",      "application", "vnd.api+json", 2, false },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct media_type m = media_type_parse(str_c(cases[i].text));

		cr_assert(str_eq_c(m.main, cases[i].main), "%s", cases[i].text);
		cr_assert(str_eq_c(m.sub, cases[i].sub), "%s", cases[i].text);
		cr_assert_eq(media_type_precedence(&m), cases[i].precedence, "%s", cases[i].text);
		cr_assert_eq(media_type_matches(STR("application/json"), &m), cases[i].is_json,
			     "%s", cases[i].text);
	}
}

Test(media_type, reads_parameters_with_quotes_and_backslashes)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct str rest = STR("a=1; B = \"x;y\" ;c;d=\"say \\\"hi\\\" \\\\ C:\\n\"; a=2; e=\"open");
	struct str name, value;

	cr_assert(parameter_next(&a, &rest, &name, &value));
	cr_assert(str_eq_c(name, "a") && str_eq_c(value, "1"));
	cr_assert(parameter_next(&a, &rest, &name, &value));
	cr_assert(str_eq_c(name, "B") && str_eq_c(value, "x;y"));
	cr_assert(parameter_next(&a, &rest, &name, &value));
	cr_assert(str_eq_c(name, "d") && str_eq_c(value, "say \"hi\" \\ C:\\n"), "%.*s",
		  STR_ARG(value));
	cr_assert(parameter_next(&a, &rest, &name, &value));
	cr_assert(str_eq_c(name, "a") && str_eq_c(value, "2"));
	cr_assert(parameter_next(&a, &rest, &name, &value));
	cr_assert(str_eq_c(name, "e") && str_eq_c(value, "\"open"));
	cr_assert_not(parameter_next(&a, &rest, &name, &value));
}

Test(media_type, finds_the_last_parameter_of_a_name_in_any_case)
{
	_cleanup_(arena_fini) struct arena a = { 0 };

	cr_assert(str_eq_c(parameter_find(&a, STR("Boundary=a; boundary=\"b\""), STR("boundary")),
			   "b"));
	cr_assert(str_is_null(parameter_find(&a, STR("x=1"), STR("boundary"))));
	cr_assert(str_is_null(parameter_find(&a, STR_NULL, STR("boundary"))));
}
