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

static const struct field slug       = FIELD("f", SLUG, LENGTH(8));
static const struct field url        = FIELD("f", URL);
static const struct field ip         = FIELD("f", IP);
static const struct field hour       = FIELD("f", CLOCK);
static const struct field uuids      = FIELD("f", ARRAY, OF(&uuid));
static const struct field words      = FIELD("f", ARRAY, OF(&text), MAY_BE_EMPTY);
static const struct field gaps       = FIELD("f", ARRAY, OF(&moment));

#define NO_CLOCK "!Time has wrong format. Use one of these formats instead: hh:mm[:ss[.uuuuuu]]."
#define NO_SLUG  "!Enter a valid \"slug\" consisting of letters, numbers, underscores or hyphens."
#define NO_IP    "!Enter a valid IPv4 or IPv6 address."

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
	{ &uuid,      "true",                 "00000000-0000-0000-0000-000000000001" },
	{ &uuid,      "\"{0190a0a0-0000-7000-8000-00000000000a}\"", "0190a0a0-0000-7000-8000-00000000000a" },
	{ &uuid,      "\"x\"",                "!Must be a valid UUID." },
	{ &slug,      "\" a-B_9 \"",          "a-B_9" },
	{ &slug,      "\"a b\"",              NO_SLUG },
	{ &slug,      "\"ä\"",                NO_SLUG },
	{ &slug,      "\"\"",                 "!This field may not be blank." },
	{ &slug,      "\"too-long-\"",        "!Ensure this field has no more than 8 characters." },
	{ &url,       "\"http://example.com\"",                  "http://example.com" },
	{ &url,       "\"HTTPS://u:p@ex-ample.co.uk.:8080/a?b#c\"", "HTTPS://u:p@ex-ample.co.uk.:8080/a?b#c" },
	{ &url,       "\"ftp://localhost/\"",                    "ftp://localhost/" },
	{ &url,       "\"http://[::1]:80\"",                     "http://[::1]:80" },
	{ &url,       "\"http://127.0.0.1?x\"",                  "http://127.0.0.1?x" },
	{ &url,       "\"http://xn--bcher-kva.example\"",        "http://xn--bcher-kva.example" },
	{ &url,       "\"http://bücher.example\"",               "http://bücher.example" },
	{ &url,       "\"example.com\"",          "!Enter a valid URL." },
	{ &url,       "\"gopher://example.com\"", "!Enter a valid URL." },
	{ &url,       "\"http://\"",              "!Enter a valid URL." },
	{ &url,       "\"http://example\"",       "!Enter a valid URL." },
	{ &url,       "\"http://-a.example\"",    "!Enter a valid URL." },
	{ &url,       "\"http://1.2.3.256\"",     "!Enter a valid URL." },
	{ &url,       "\"http://a.example:123456\"", "!Enter a valid URL." },
	{ &url,       "\"http://a.example:\"",    "!Enter a valid URL." },
	{ &url,       "\"http://a.example/x y\"", "!Enter a valid URL." },
	{ &url,       "\"http://a@b@c.example\"", "!Enter a valid URL." },
	{ &url,       "\"http://[::1\"",          "!Enter a valid URL." },
	{ &url,       "5",                        "!Enter a valid URL." },
	{ &ip,        "\"192.0.2.1\"",            "192.0.2.1" },
	{ &ip,        "\"2001:DB8:0::1\"",        "2001:db8::1" },
	{ &ip,        "\"192.0.2.256\"",          NO_IP },
	{ &ip,        "\"192.0.2.1/24\"",         NO_IP },
	{ &ip,        "\"fe80::1%eth0\"",         NO_IP },
	{ &ip,        "\"x\"",                    NO_IP },
	{ &hour,      "\"12:30\"",              "12:30:00.000000" },
	{ &hour,      "\"1:2:3.5\"",            "01:02:03.500000" },
	{ &hour,      "\"23:59:59.123456\"",    "23:59:59.123456" },
	{ &hour,      "\"24:00\"",              NO_CLOCK },
	{ &hour,      "\"12:30Z\"",             NO_CLOCK },
	{ &hour,      "\"12\"",                 NO_CLOCK },
	{ &hour,      "\"12:30:\"",             NO_CLOCK },
	{ &hour,      "5",                      NO_CLOCK },
	{ &uuids,     "[5]",                    "{\"00000000-0000-0000-0000-000000000005\"}" },
	{ &uuids,     "[]",                     "!This list may not be empty." },
	{ &uuids,     "{}",                     "!Expected a list of items but got type \"dict\"." },
	{ &uuids,     "\"x\"",                  "!Expected a list of items but got type \"str\"." },
	{ &uuids,     "[5, \"x\"]",             "!Must be a valid UUID." },
	{ &uuids,     "[null]",                 "!This field may not be null." },
	{ &words,     "[]",                     "{}" },
	{ &words,     "[\"a\\\"\\\\\", \"b,c\", \"NULL\"]", "{\"a\\\"\\\\\",\"b,c\",\"NULL\"}" },
	{ &gaps,      "[null]",                 "{NULL}" },
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

Test(coerce, items_are_blamed_by_their_numbers)
{
	struct request rq = { .magic = REQUEST_MAGIC };
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_error error;
	struct json_writer w;
	struct errors errors;
	struct json *parsed;
	struct str got;

	arena_init(&rq.arena);
	errors_init(&errors, &rq);
	cr_assert_eq(
		json_parse(&rq.arena, STR("[\"x\", 7, null]"), JSON_STRICT, 8, &parsed, &error), 0);
	cr_expect_not(coerce(&errors, &uuids, &(struct input){ .json = parsed }, &got));
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	errors_put(&errors, &w);
	cr_expect(str_eq_c(buf_str(&body), "{\"f\":{\"0\":[\"Must be a valid UUID.\"],"
					   "\"2\":[\"This field may not be null.\"]}}"),
		  "%s", body.at);
	arena_fini(&rq.arena);
}

/* An element that broke nothing leaves no empty level behind. */
Test(coerce, a_right_array_leaves_no_errors)
{
	struct request rq = { .magic = REQUEST_MAGIC };
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_error error;
	struct json_writer w;
	struct errors errors;
	struct json *parsed;
	struct str got;

	arena_init(&rq.arena);
	errors_init(&errors, &rq);
	cr_assert_eq(json_parse(&rq.arena, STR("[1, 2]"), JSON_STRICT, 8, &parsed, &error), 0);
	cr_expect(coerce(&errors, &uuids, &(struct input){ .json = parsed }, &got));
	cr_expect_not(errors_any(&errors));
	cr_expect_not(errors_has(&errors, "f"));
	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	errors_put(&errors, &w);
	cr_expect(str_eq_c(buf_str(&body), "{}"));
	arena_fini(&rq.arena);
}
