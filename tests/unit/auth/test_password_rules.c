#include <criterion/criterion.h>

#include "auth/password_rules.h"

Test(password_rules, say_what_django_says)
{
	struct str said[PASSWORD_RULES];

	cr_expect_eq(password_rules_broken(STR("correct horse"), said), 0);
	cr_expect_eq(password_rules_broken(STR("1234567"), said), 3);
	cr_expect(str_eq_c(said[0],
			   "This password is too short. It must contain at least 8 characters."));
	cr_expect(str_eq_c(said[1], "This password is too common."));
	cr_expect(str_eq_c(said[2], "This password is entirely numeric."));
	/* Characters count, not bytes. */
	cr_expect_eq(password_rules_broken(STR("äöüäöüä"), said), 1);
	cr_expect_eq(password_rules_broken(STR("äöüäöüäö"), said), 0);
}

Test(password_rules, know_the_whole_list)
{
	extern const char common_passwords[];
	extern const size_t common_passwords_size;
	struct str rest = str_make(common_passwords, common_passwords_size), line;
	struct str said[PASSWORD_RULES];
	size_t count = 0;

	while (rest.len > 0 && str_cut(&rest, '\n', &line)) {
		size_t broken = password_rules_broken(line, said), i = 0;

		while (i < broken && !str_eq_c(said[i], "This password is too common."))
			i++;
		cr_expect_lt(i, broken, "%.*s", STR_ARG(line));
		count++;
	}
	cr_expect_eq(count, 19640);
}

Test(password_rules, compare_without_case_and_outer_space)
{
	static const char *const common[] = { "PassWord1", " password1 ", "PASSWORD1\t",
					      "QWERTY123" };
	static const char *const rare[] = { "password1 x", "passwordd1", "\xff\xff",
					    "zzzzzzzzzzzzzz~", "!!!!!!!!!!!0" };
	struct str said[PASSWORD_RULES];

	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		cr_expect_eq(password_rules_broken(str_c(common[i]), said), 1, "%s", common[i]);
		cr_expect(str_eq_c(said[0], "This password is too common."));
	}
	for (size_t i = 0; i < ARRAY_SIZE(rare); i++) {
		size_t broken = password_rules_broken(str_c(rare[i]), said);

		cr_expect(broken == 0 ||
				  !str_eq_c(said[broken - 1], "This password is too common."),
			  "%s", rare[i]);
	}
	/* Cyrillic capitals too: the list has a few such words. */
	cr_expect_eq(password_rules_broken(STR("ПАРОЛЬ"), said), 2);
}
