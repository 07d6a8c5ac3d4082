#include <criterion/criterion.h>

#include "resource/validate.h"

static const char *const colours[] = { "red", "green", NULL };
/* clang-format off */
static const struct field fields[] = {
	FIELD("id",     KEY),
	FIELD("name",   TEXT,    REQUIRED, LENGTH(5)),
	FIELD("price",  DECIMAL, REQUIRED, DIGITS(5, 2)),
	FIELD("once",   TEXT,    REQUIRED_ONCE, FIXED),
	FIELD("note",   TEXT,    NULLABLE, LENGTH(9)),
	FIELD("colour", CHOICE,  ONE_OF(colours), USUALLY("red")),
	FIELD("is_on",  BOOLEAN, USUALLY("true")),
	FIELD("slug",   TEXT,    READ_ONLY),
};

/* What is written down of a body: "field=value" in the order of the table ("~": null), then "field!" of each
 * that is blamed and the message that was first. */
static const struct {
	enum validate_mode mode;
	bool is_form;
	const char *body, *result;
} cases[] = {
	{ VALIDATE_CREATE,  false, "{\"name\":\" a \",\"price\":1,\"once\":\"x\"}", "name=a price=1e0 once=x" },
	{ VALIDATE_CREATE,  false, "{\"id\":\"7\",\"slug\":\"s\",\"other\":1,\"name\":\"a\",\"price\":1,\"once\":\"x\"}",
	                           "name=a price=1e0 once=x" },
	{ VALIDATE_CREATE,  false, "{}", "name! price! once! This field is required." },
	{ VALIDATE_CREATE,  false, "{\"once\":null,\"price\":\"x\",\"name\":\"abcdef\"}",
	                           "name! price! once! Ensure this field has no more than 5 characters." },
	{ VALIDATE_CREATE,  false, "{\"name\":\"a\",\"name\":\"b\",\"price\":1,\"once\":\"x\"}", "name=b price=1e0 once=x" },
	{ VALIDATE_REPLACE, false, "{\"name\":\"a\",\"price\":1,\"once\":\"x\"}", "name=a price=1e0" },
	{ VALIDATE_REPLACE, false, "{\"price\":1}", "price=1e0 name! This field is required." },
	{ VALIDATE_CHANGE,  false, "{}", "" },
	{ VALIDATE_CHANGE,  false, "{\"note\":null,\"is_on\":false,\"colour\":\"green\"}", "note=~ colour=green is_on=false" },
	{ VALIDATE_CHANGE,  false, "{\"name\":null}", "name! This field may not be null." },
	{ VALIDATE_CHANGE,  false, "{\"colour\":\"blue\"}", "colour! \"blue\" is not a valid choice." },
	{ VALIDATE_CHANGE,  false, "[1]", "non_field_errors! Invalid data. Expected a dictionary, but got list." },
	{ VALIDATE_CHANGE,  false, "null", "non_field_errors! No data provided" },
	{ VALIDATE_CREATE,  true,  "name=a&price=1&once=x", "name=a price=1e0 once=x is_on=false" },
	{ VALIDATE_CREATE,  true,  "name=a&name=b&price=1&once=x&is_on=on&note=", "name=b price=1e0 once=x note=~ is_on=true" },
	{ VALIDATE_CREATE,  true,  "name=&price=1&once=x", "price=1e0 once=x is_on=false name! This field may not be blank." },
	{ VALIDATE_CHANGE,  true,  "name=a+b", "name=a b" },
};
/* clang-format on */

static void add(struct buf *out, const char *format, ...) _printf_(2, 3);
static void add(struct buf *out, const char *format, ...)
{
	va_list args;

	if (out->len > 0)
		buf_add_byte(out, ' ');
	va_start(args, format);
	buf_vprintf(out, format, args);
	va_end(args);
}

static void write_values(struct buf *out, const struct values *v)
{
	for (size_t i = 0; v->fields != NULL && i < v->count; i++) {
		if (v->is_given[i] && str_is_null(v->text[i]))
			add(out, "%s=~", v->fields[i].name);
		else if (v->is_given[i])
			add(out, "%s=%.*s", v->fields[i].name, STR_ARG(v->text[i]));
	}
}

/* Which fields are blamed, and the first message of all. */
static void write_errors(struct buf *out, const struct errors *errors)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (errors_has(errors, fields[i].name))
			add(out, "%s!", fields[i].name);
	}
	if (errors_has(errors, "non_field_errors"))
		add(out, "non_field_errors!");
	if (errors_any(errors))
		add(out, "%.*s", STR_ARG(errors_first(errors)));
}

Test(validate, reads_bodies_as_drf_does)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_fini) struct buf got = BUF_INIT;
		const struct header header = {
			STR("content-type"),
			cases[i].is_form ? STR("application/x-www-form-urlencoded")
					 : STR("application/json"),
		};
		struct request rq = { .magic = REQUEST_MAGIC,
				      .headers = &header,
				      .header_count = 1,
				      .body_bytes = str_c(cases[i].body) };
		struct errors errors;
		struct values values = { 0 };

		arena_init(&rq.arena);
		errors_init(&errors, &rq);
		cr_assert_eq(validate_body(&rq, fields, ARRAY_SIZE(fields), cases[i].mode, body_any,
					   &errors, &values),
			     0);
		write_values(&got, &values);
		write_errors(&got, &errors);
		cr_expect_str_eq(got.at, cases[i].result, "%s: \"%s\", not \"%s\"", cases[i].body,
				 got.at, cases[i].result);
		arena_fini(&rq.arena);
	}
}
