#include <criterion/criterion.h>

#include "auth/password_rules.h"

Test(password_rules, say_what_django_says)
{
	struct str said[PASSWORD_RULES];

	cr_expect_eq(password_rules_broken(STR("correct horse"), said), 0);
	cr_expect_eq(password_rules_broken(STR("1234567"), said), 2);
	cr_expect(str_eq_c(said[0],
			   "This password is too short. It must contain at least 8 characters."));
	cr_expect(str_eq_c(said[1], "This password is entirely numeric."));
	/* Characters count, not bytes. */
	cr_expect_eq(password_rules_broken(STR("äöüäöüä"), said), 1);
	cr_expect_eq(password_rules_broken(STR("äöüäöüäö"), said), 0);
}
