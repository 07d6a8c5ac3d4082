#include <criterion/criterion.h>

#include "base/error.h"
#include "resource/field.h"

static const char *const no_choices[] = { NULL };
static const struct field single = FIELD("one", TEXT);
static const struct field row_itself = FIELD("one", KEYS);

Test(field, a_contradiction_is_refused_with_a_sentence)
{
	static const struct {
		struct field field;
		const char *sentence;
	} cases[] = {
		{ FIELD("", TEXT), "x: field  has no name" },
		{ FIELD("a", DECIMAL, REQUIRED),
		  "x: field a is a DECIMAL without DIGITS(most, places)" },
		{ FIELD("a", CHOICE, REQUIRED, ONE_OF(no_choices)),
		  "x: field a is a CHOICE without ONE_OF" },
		{ FIELD("a", REFERENCE, NULLABLE), "x: field a REFERS to nothing" },
		{ FIELD("a", TEXT, REQUIRED, READ_ONLY),
		  "x: field a is required and cannot be written" },
		{ FIELD("a", TEXT, COLUMN("b"), COMPUTED("1")),
		  "x: field a is COMPUTED and a COLUMN at once" },
		{ FIELD("a", INTEGER, BLANK), "x: field a is BLANK but no text" },
		{ FIELD("a", ARRAY, NULLABLE),
		  "x: field a is an ARRAY that is not OF single values, or has OF and is none" },
		{ FIELD("a", ARRAY, NULLABLE, OF(&row_itself)),
		  "x: field a is an ARRAY that is not OF single values, or has OF and is none" },
		{ FIELD("a", TEXT, OF(&single)),
		  "x: field a is an ARRAY that is not OF single values, or has OF and is none" },
		{ FIELD("a", TIME),
		  "x: field a may be left out but has no USUALLY, is not NULLABLE and not set BY_HOOK" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = field_table_check("x", &cases[i].field, 1);

		cr_expect_eq(r, -EINVAL, "%s", cases[i].sentence);
		cr_expect_str_eq(fail_reason(r), cases[i].sentence);
	}
}

Test(field, the_same_name_twice_is_refused)
{
	static const struct field fields[] = { FIELD("a", TEXT), FIELD("a", TEXT) };

	cr_expect_eq(field_table_check("x", fields, 2), -EINVAL);
	cr_expect_eq(field_table_check("x", fields, 1), 0);
}
