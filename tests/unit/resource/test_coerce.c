#include <criterion/criterion.h>

#include "resource/coerce.h"

/* Fields by a short name, and for each JSON text what comes out: a value, or "!" and the first
 * message.  The messages and values were read off Django REST Framework 3.16. */
static const char *const colours[] = { "red", "green", NULL };
/* clang-format off */
static const struct field text       = FIELD("f", TEXT, LENGTH(5));
static const struct field blank      = FIELD("f", TEXT, BLANK);
static const struct field email      = FIELD("f", EMAIL);
static const struct field integer    = FIELD("f", INTEGER, AT_LEAST("0", NULL));
static const struct field decimal    = FIELD("f", DECIMAL, DIGITS(5, 2), AT_LEAST("0", "Price cannot be negative"));
static const struct field boolean    = FIELD("f", BOOLEAN);
static const struct field moment     = FIELD("f", TIME, NULLABLE);
static const struct field choice     = FIELD("f", CHOICE, ONE_OF(colours));
static const struct field reference  = FIELD("f", REFERENCE);
static const struct field uuid       = FIELD("f", UUID);

static const struct {
	const struct field *field;
	const char *json, *result;
} cases[] = {
	{ &text,      "\"  ab \"",            "ab" },
	{ &text,      "\"\\u00a0ab\\u2003\"", "ab" },
	{ &text,      "12",                   "12" },
	{ &text,      "1e2",                  "100.0" },
	{ &text,      "true",                 "!Not a valid string." },
	{ &text,      "[]",                   "!Not a valid string." },
	{ &text,      "\"  \"",               "!This field may not be blank." },
	{ &text,      "\"abcdef\"",           "!Ensure this field has no more than 5 characters." },
	{ &text,      "\"äöüäö\"",            "äöüäö" },
	{ &text,      "\"a\\u0000\"",         "!Null characters are not allowed." },
	{ &text,      "\"\\ud800\"",          "!Surrogate characters are not allowed: U+D800." },
	{ &blank,     "\" \"",                "" },
	{ &email,     "\"Ann@EXAMPLE.com\"",  "Ann@example.com" },
	{ &email,     "\"ann@localhost\"",    "ann@localhost" },
	{ &email,     "\"ann@[127.0.0.1]\"",  "ann@[127.0.0.1]" },
	{ &email,     "\"a.b+c@x-y.co.uk\"",  "a.b+c@x-y.co.uk" },
	{ &email,     "\"ann\"",              "!Enter a valid email address." },
	{ &email,     "\"ann@x\"",            "!Enter a valid email address." },
	{ &email,     "\"a..b@x.org\"",       "!Enter a valid email address." },
	{ &email,     "\"ann@-x.org\"",       "!Enter a valid email address." },
	{ &email,     "{}",                   "!Enter a valid email address." },
	{ &integer,   "7",                    "7" },
	{ &integer,   "\" +7 \"",             "7" },
	{ &integer,   "1.0",                  "1" },
	{ &integer,   "5e0",                  "5" },
	{ &integer,   "\"-0\"",               "0" },
	{ &integer,   "\"1e3\"",              "!A valid integer is required." },
	{ &integer,   "0.5",                  "!A valid integer is required." },
	{ &integer,   "\"\"",                 "!A valid integer is required." },
	{ &integer,   "true",                 "!A valid integer is required." },
	{ &integer,   "-1",                   "!Ensure this value is greater than or equal to 0." },
	{ &integer,   "2147483648",           "!Ensure this value is less than or equal to 2147483647." },
	{ &decimal,   "\"12.30\"",            "1230e-2" },
	{ &decimal,   "12.3",                 "123e-1" },
	{ &decimal,   "\"2E+1\"",             "2e1" },
	{ &decimal,   "\".5\"",               "5e-1" },
	{ &decimal,   "\"5.\"",               "5e0" },
	{ &decimal,   "\"12.300\"",           "!Ensure that there are no more than 2 decimal places." },
	{ &decimal,   "\"1234.5\"",           "!Ensure that there are no more than 3 digits before the decimal point." },
	{ &decimal,   "\"123456\"",           "!Ensure that there are no more than 5 digits in total." },
	{ &decimal,   "\"NaN\"",              "!A valid number is required." },
	{ &decimal,   "\"\"",                 "!A valid number is required." },
	{ &decimal,   "-0.01",                "!Price cannot be negative" },
	{ &boolean,   "true",                 "true" },
	{ &boolean,   "\"Yes\"",              "true" },
	{ &boolean,   "0.0",                  "false" },
	{ &boolean,   "2",                    "!Must be a valid boolean." },
	{ &boolean,   "[]",                   "!Must be a valid boolean." },
	{ &moment,    "\"2024-01-31T12:00:00+02:00\"", "2024-01-31T10:00:00+00:00" },
	{ &moment,    "5",                    "!Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]." },
	{ &choice,    "\"red\"",              "red" },
	{ &choice,    "\"blue\"",             "!\"blue\" is not a valid choice." },
	{ &choice,    "true",                 "!\"True\" is not a valid choice." },
	{ &choice,    "{}",                   "!\"{}\" is not a valid choice." },
	{ &reference, "\"abc\"",              "!“abc” is not a valid UUID." },
	{ &reference, "[]",                   "!“[]” is not a valid UUID." },
	{ &reference, "true",                 "!Incorrect type. Expected pk value, received bool." },
	{ &reference, "5",                    "00000000-0000-0000-0000-000000000005" },
	{ &reference, "\"0190A0A000007000800000000000000A\"", "0190a0a0-0000-7000-8000-00000000000a" },
	{ &uuid,      "\"{0190a0a0-0000-7000-8000-00000000000a}\"", "0190a0a0-0000-7000-8000-00000000000a" },
	{ &uuid,      "\"x\"",                "!Must be a valid UUID." },
};
/* clang-format on */

Test(coerce, takes_and_refuses_what_drf_does)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct request rq = { .magic = REQUEST_MAGIC };
		struct json_error error;
		struct errors errors;
		struct json *parsed;
		struct str got = STR_NULL;

		arena_init(&rq.arena);
		errors_init(&errors, &rq);
		cr_assert_eq(json_parse(&rq.arena, str_c(cases[i].json), JSON_STRICT, 8, &parsed,
					&error),
			     0, "%s", cases[i].json);
		struct input in = { .json = parsed };
		bool is_right = coerce(&errors, cases[i].field, &in, &got);
		if (!is_right)
			got = arena_printf(&rq.arena, "!%.*s", STR_ARG(errors_first(&errors)));
		cr_expect(str_eq_c(got, cases[i].result), "%s gave %.*s, not %s", cases[i].json,
			  STR_ARG(got), cases[i].result);
		cr_expect_eq(is_right, !errors_any(&errors), "%s", cases[i].json);
		arena_fini(&rq.arena);
	}
}
