#include <criterion/criterion.h>

#include "base/error.h"
#include "resource/caller.h"

static bool meets(struct identity *who, const char *condition)
{
	struct request rq = { .magic = REQUEST_MAGIC, .caller = who };
	bool holds;

	cr_assert_eq(caller_check(condition), 0, "%s: %s", condition, fail_reason(-EINVAL));
	cr_assert_eq(caller_meets(&rq, (struct db_at){ NULL, NULL }, condition, &holds), 0);
	return holds;
}

/* Of somebody who is staff and no superuser. */
static const struct {
	const char *condition;
	bool holds;
} conditions[] = {
	{ "staff", true },
	{ "superuser", false },
	{ "not superuser", true },
	{ "not not staff", true },
	{ "signed_in and superuser", false },
	{ "superuser or staff", true },
	{ "staff or staff and superuser", true }, /* `and` binds before `or` */
	{ "(staff or staff) and superuser", false },
	{ "not superuser and staff", true }, /* `not` before `and` */
	{ "not (superuser or staff)", false },
	{ "  staff  and(staff)", true },
};

Test(caller, conditions_are_put_together)
{
	struct identity who = { .is_staff = true };

	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		cr_expect_eq(meets(&who, conditions[i].condition), conditions[i].holds, "%s",
			     conditions[i].condition);
	cr_expect_not(meets(NULL, "staff or superuser or signed_in"));
}

Test(caller, nobody_has_no_right)
{
	cr_expect_not(meets(NULL, "has_perm('blog.add_post') or in_group('editors')"));
	cr_expect(meets(NULL, "not in_group('guests')"));
}

Test(caller, what_cannot_be_read_is_refused)
{
	static const char *const wrong[] = {
		"",
		"and",
		"staff staff",
		"staff or",
		"(staff",
		"staff)",
		"has_perm",
		"has_perm()",
		"has_perm(x)",
		"has_perm('x",
		"in_group(\"x\")",
		"not",
		"stafff",
		"staff && staff",
		"not not not not not not not not not not not not not not not not not staff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_eq(caller_check(wrong[i]), -EINVAL, "%s", wrong[i]);
	cr_expect_eq(caller_check("staff or stuff"), -EINVAL);
	cr_expect_str_eq(fail_reason(-EINVAL),
			 "the condition \"staff or stuff\" cannot be read at \"stuff\"");
}
