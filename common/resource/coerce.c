#include "resource/coerce.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/datetime.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/uuid.h"

#define NUMBER_TEXT_MOST    1000 /* characters: DRF's MAX_STRING_LENGTH */
#define DECIMAL_DIGITS_MOST 1200

struct coercion {
	struct errors *errors;
	const struct field *field;
	const struct input *in;
	struct arena *arena;
};

/* Adds the message; false, so that a reader can end with it. */
static bool blame(struct coercion *c, const char *words)
{
	errors_add(c->errors, c->field->name, "%s", words);
	return false;
}

/* The text of a string, of a number or of a form's value; false for what has none. */
static bool plain_text(struct coercion *c, struct str *ret)
{
	const struct json *json = c->in->json;

	if (json == NULL)
		*ret = c->in->text;
	else if (json->type == JSON_STRING)
		*ret = json_text(c->arena, json);
	else if (json->type == JSON_NUMBER)
		*ret = python_text(c->arena, json);
	else
		return false;
	return true;
}

/* --- text --- */

static bool has_surrogate(struct str text, unsigned *ret)
{
	for (size_t i = 0; i + 2 < text.len; i++) {
		const unsigned char *u = (const unsigned char *) text.at + i;

		if (u[0] == 0xed && u[1] >= 0xa0) {
			*ret = 0xd000u | (unsigned) (u[1] & 0x3f) << 6 | (u[2] & 0x3f);
			return true;
		}
	}
	return false;
}

/* The field's own rules. */
static bool check_rules(struct coercion *c, struct str text)
{
	struct str broken[FIELD_RULES];
	size_t count = c->field->rules(text, broken);

	must(count <= FIELD_RULES);
	for (size_t i = 0; i < count; i++)
		errors_add(c->errors, c->field->name, "%.*s", STR_ARG(broken[i]));
	return count == 0;
}

/* The checks every text passes, all of them, in DRF's order. */
static bool check_text(struct coercion *c, struct str text)
{
	const struct field *f = c->field;
	unsigned surrogate = 0;
	bool is_right = true;
	bool is_broken = has_surrogate(text, &surrogate);
	struct str valid = is_broken ? utf8_repair(c->arena, text) : text;

	if (f->has_pattern != NULL && !f->has_pattern(valid))
		is_right = blame(c, f->pattern_words);
	if (f->rules != NULL && !f->rules_come_last)
		is_right = check_rules(c, valid) && is_right;
	if (f->most_length > 0 && utf8_length(valid) > f->most_length) {
		errors_add(c->errors, f->name, "Ensure this field has no more than %u characters.",
			   f->most_length);
		is_right = false;
	}
	if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL)
		is_right = blame(c, "Null characters are not allowed.");
	if (is_broken) {
		errors_add(c->errors, f->name, "Surrogate characters are not allowed: U+%04X.",
			   surrogate);
		is_right = false;
	}
	if (is_right && f->rules_come_last)
		is_right = check_rules(c, valid);
	return is_right;
}

static bool coerce_text(struct coercion *c, struct str *ret)
{
	struct str text;

	if (c->in->upload != NULL || !plain_text(c, &text))
		return blame(c, "Not a valid string.");
	unsigned surrogate;
	bool is_broken = has_surrogate(text, &surrogate);
	struct str stripped = is_broken ? text : python_strip(text);
	if (stripped.len == 0) {
		*ret = STR("");
		return c->field->may_be_blank || blame(c, "This field may not be blank.");
	}
	*ret = c->field->keeps_spaces ? text : stripped;
	return check_text(c, *ret);
}

static bool coerce_email(struct coercion *c, struct str *ret)
{
	struct str text;
	unsigned surrogate;

	if (!plain_text(c, &text))
		return blame(c, "Enter a valid email address.");
	if (!has_surrogate(text, &surrogate))
		text = python_strip(text);
	if (text.len == 0) {
		*ret = STR("");
		return c->field->may_be_blank || blame(c, "This field may not be blank.");
	}
	bool is_right = check_text(c, text);
	if (!is_email_address(text))
		return blame(c, "Enter a valid email address.");
	/* The domain has no case; the local part keeps its own (RFC 5321 §2.4). */
	char *lower = arena_c(c->arena, text);
	for (size_t i = c->field->keeps_domain ? 0 : text.len; i > 0 && lower[i - 1] != '@'; i--) {
		if (lower[i - 1] >= 'A' && lower[i - 1] <= 'Z')
			lower[i - 1] = (char) (lower[i - 1] + ('a' - 'A'));
	}
	*ret = str_make(lower, text.len);
	return is_right;
}

/* What a text must look like after the checks that every text passes. */
static bool coerce_shaped(struct coercion *c, bool (*is_shaped)(struct str), const char *words,
			  struct str *ret)
{
	bool is_right = coerce_text(c, ret);

	if (ret->len == 0 || is_shaped(*ret))
		return is_right;
	return blame(c, words);
}

static bool is_slug(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char ch = text.at[i];

		if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z') &&
		    !(ch >= '0' && ch <= '9') && ch != '-' && ch != '_')
			return false;
	}
	return true;
}

static bool coerce_slug(struct coercion *c, struct str *ret)
{
	return coerce_shaped(
		c, is_slug,
		"Enter a valid \"slug\" consisting of letters, numbers, underscores or "
		"hyphens.",
		ret);
}

static bool coerce_url(struct coercion *c, struct str *ret)
{
	return coerce_shaped(c, is_url, "Enter a valid URL.", ret);
}

/* As Python's ipaddress writes it: PostgreSQL's inet takes more, and keeps the form. */
static bool coerce_ip(struct coercion *c, struct str *ret)
{
	static const char words[] = "Enter a valid IPv4 or IPv6 address.";
	char name[INET6_ADDRSTRLEN];
	struct in6_addr address;
	struct str text;

	if (c->in->json != NULL && c->in->json->type != JSON_STRING)
		return blame(c, words);
	if (!coerce_text(c, &text))
		return false;
	*ret = text;
	if (text.len == 0)
		return true;
	if (text.len >= sizeof(name) || memchr(text.at, '%', text.len) != NULL)
		return blame(c, words);
	int family = memchr(text.at, ':', text.len) != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(family, arena_c(c->arena, text), &address) != 1)
		return blame(c, words);
	must(inet_ntop(family, &address, name, sizeof(name)) != NULL);
	*ret = arena_str(c->arena, str_c(name));
	return true;
}

/* --- numbers --- */

static bool check_bounds(struct coercion *c, double number, const char *least, const char *most)
{
	const struct field *f = c->field;

	if (most != NULL && number > strtod(most, NULL)) {
		if (f->most_words != NULL)
			return blame(c, f->most_words);
		errors_add(c->errors, f->name, "Ensure this value is less than or equal to %s.",
			   most);
		return false;
	}
	if (least != NULL && number < strtod(least, NULL)) {
		if (f->least_words != NULL)
			return blame(c, f->least_words);
		errors_add(c->errors, f->name, "Ensure this value is greater than or equal to %s.",
			   least);
		return false;
	}
	return true;
}

/* ".0", ".", ".000 " at the end are dropped, as DRF does before int(). */
static struct str without_zero_fraction(struct str text)
{
	size_t end = text.len;

	while (end > 0 && text.at[end - 1] == '0')
		end--;
	if (end > 0 && text.at[end - 1] == '.')
		return str_slice(text, 0, end - 1);
	return text;
}

static bool whole_number(struct str text, struct str *ret_digits, bool *ret_is_negative)
{
	*ret_is_negative = text.len > 0 && text.at[0] == '-';
	if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+'))
		text = str_slice(text, 1, text.len);
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
	}
	if (text.len == 0)
		return false;
	while (text.len > 1 && text.at[0] == '0')
		text = str_slice(text, 1, text.len);
	*ret_digits = text;
	return true;
}

static bool coerce_integer(struct coercion *c, struct str *ret)
{
	/* The columns have 32 bits; a bound of the field's own is narrower. */
	const char *least = c->field->least != NULL ? c->field->least : "-2147483648";
	const char *most = c->field->most != NULL ? c->field->most : "2147483647";
	struct str text, digits;
	bool is_negative;

	if (!plain_text(c, &text))
		return blame(c, "A valid integer is required.");
	if (utf8_length(text) > NUMBER_TEXT_MOST)
		return blame(c, "String value too large.");
	text = without_zero_fraction(python_strip(text));
	if (!whole_number(text, &digits, &is_negative))
		return blame(c, "A valid integer is required.");
	*ret = arena_printf(c->arena, "%s%.*s", is_negative && !str_eq_c(digits, "0") ? "-" : "",
			    STR_ARG(digits));
	return check_bounds(c, strtod(ret->at, NULL), least, most);
}

/* A decimal number taken apart as Python's Decimal.as_tuple() does: digits without leading zeros,
 * and an exponent. */
struct decimal {
	bool is_negative;
	char digits[DECIMAL_DIGITS_MOST];
	size_t count;
	int64_t exponent;
};

static bool read_exponent(struct str text, int64_t *ret)
{
	int64_t number;
	bool is_negative = text.len > 0 && text.at[0] == '-';

	if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+'))
		text = str_slice(text, 1, text.len);
	if (str_to_i64(text, &number) < 0 || text.at[0] == '-' || number > 1000000)
		return false;
	*ret = is_negative ? -number : number;
	return true;
}

static bool read_decimal(struct str text, struct decimal *ret)
{
	struct decimal d = { 0 };
	bool has_point = false, has_digit = false;
	size_t i = 0;

	if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
		d.is_negative = text.at[0] == '-';
		i = 1;
	}
	for (; i < text.len && text.at[i] != 'e' && text.at[i] != 'E'; i++) {
		char ch = text.at[i];

		if (ch == '.' && !has_point) {
			has_point = true;
			continue;
		}
		if (ch < '0' || ch > '9' || d.count == sizeof(d.digits))
			return false;
		has_digit = true;
		d.exponent -= has_point;
		if (d.count > 0 || ch != '0')
			d.digits[d.count++] = ch;
	}
	if (i < text.len) {
		int64_t exponent;

		if (!read_exponent(str_slice(text, i + 1, text.len), &exponent))
			return false;
		d.exponent += exponent;
	}
	if (d.count == 0)
		d.digits[d.count++] = '0';
	*ret = d;
	return has_digit;
}

/* DRF's validate_precision. */
static bool check_precision(struct coercion *c, const struct decimal *d)
{
	const struct field *f = c->field;
	int64_t total, whole, places;
	int64_t count = (int64_t) d->count;

	if (d->exponent >= 0) {
		total = whole = count + d->exponent;
		places = 0;
	} else if (count > -d->exponent) {
		total = count;
		places = -d->exponent;
		whole = total - places;
	} else {
		total = places = -d->exponent;
		whole = 0;
	}
	if (total > f->digits)
		errors_add(c->errors, f->name,
			   "Ensure that there are no more than %u digits in total.", f->digits);
	else if (places > f->places)
		errors_add(c->errors, f->name,
			   "Ensure that there are no more than %u decimal places.", f->places);
	else if (whole > f->digits - f->places)
		errors_add(c->errors, f->name,
			   "Ensure that there are no more than %u digits before the decimal point.",
			   f->digits - f->places);
	else
		return true;
	return false;
}

static struct str decimal_as_text(struct arena *arena, const struct decimal *d)
{
	return arena_printf(arena, "%s%.*se%" PRId64, d->is_negative ? "-" : "", (int) d->count,
			    d->digits, d->exponent);
}

bool decimal_text(struct arena *arena, struct str text, struct str *ret)
{
	struct decimal d;

	if (text.len > NUMBER_TEXT_MOST || !read_decimal(text, &d))
		return false;
	*ret = decimal_as_text(arena, &d);
	return true;
}

static bool coerce_decimal(struct coercion *c, struct str *ret)
{
	struct decimal d;
	struct str text;

	if (!plain_text(c, &text))
		return blame(c, "A valid number is required.");
	text = python_strip(text);
	if (utf8_length(text) > NUMBER_TEXT_MOST)
		return blame(c, "String value too large.");
	if (!read_decimal(text, &d))
		return blame(c, "A valid number is required.");
	if (!check_precision(c, &d))
		return false;
	*ret = decimal_as_text(c->arena, &d);
	return check_bounds(c, strtod(ret->at, NULL), c->field->least, c->field->most);
}

/* --- the others --- */

static bool coerce_boolean(struct coercion *c, struct str *ret)
{
	static const char *const yes[] = { "t", "y", "yes", "true", "on", "1", "1.0" };
	static const char *const no[] = { "f", "n", "no", "false", "off", "0", "0.0" };
	const struct json *json = c->in->json;
	struct str text;

	if (json != NULL && (json->type == JSON_TRUE || json->type == JSON_FALSE)) {
		*ret = json->type == JSON_TRUE ? STR("true") : STR("false");
		return true;
	}
	if (plain_text(c, &text)) {
		for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
			bool is_yes = str_eq_nocase(text, str_c(yes[i]));

			if (is_yes || str_eq_nocase(text, str_c(no[i]))) {
				*ret = is_yes ? STR("true") : STR("false");
				return true;
			}
		}
	}
	return blame(c, "Must be a valid boolean.");
}

static bool coerce_time(struct coercion *c, struct str *ret)
{
	static const char words[] = "Datetime has wrong format. Use one of these formats instead: "
				    "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].";
	_cleanup_(buf_fini) struct buf iso = BUF_INIT;
	struct str text;
	usec_t at;

	if (!plain_text(c, &text) || (c->in->json != NULL && c->in->json->type != JSON_STRING))
		return blame(c, words);
	int r = datetime_parse(text, &at);
	if (r < 0)
		return blame(c, r == -ERANGE ? "Datetime value out of range." : words);
	datetime_add_python(&iso, at);
	*ret = arena_str(c->arena, buf_str(&iso));
	return true;
}

/* "2026-1-31" too, which fromisoformat does not take. */
static bool read_short_date(struct str text, struct civil *ret)
{
	struct str rest = text, year, month;
	struct civil day = { 0 };
	int64_t y, m, d;

	if (!str_cut(&rest, '-', &year) || !str_cut(&rest, '-', &month) || year.len != 4 ||
	    month.len > 2 || rest.len > 2 || str_to_i64(year, &y) < 0 ||
	    str_to_i64(month, &m) < 0 || str_to_i64(rest, &d) < 0 || m < 0 || d < 0)
		return false;
	day.year = (int) y;
	day.month = (int) m;
	day.day = (int) d;
	*ret = day;
	return civil_is_valid(&day);
}

static bool coerce_date(struct coercion *c, struct str *ret)
{
	/* No form of a date with a time is as short. */
	static const size_t most = sizeof("2026-W05-3") - 1;
	struct civil day;
	struct str text;
	usec_t at;

	if (!plain_text(c, &text) || (c->in->json != NULL && c->in->json->type != JSON_STRING) ||
	    text.len > most)
		return blame(
			c, "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.");
	if (datetime_parse(text, &at) == 0)
		civil_from_realtime(at, &day);
	else if (!read_short_date(text, &day))
		return blame(
			c, "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.");
	*ret = arena_printf(c->arena, "%04d-%02d-%02d", day.year, day.month, day.day);
	return true;
}

static bool coerce_clock(struct coercion *c, struct str *ret)
{
	struct str text;

	if (plain_text(c, &text) && (c->in->json == NULL || c->in->json->type == JSON_STRING) &&
	    clock_text(c->arena, text, ret))
		return true;
	return blame(
		c, "Time has wrong format. Use one of these formats instead: hh:mm[:ss[.uuuuuu]].");
}

static bool coerce_duration(struct coercion *c, struct str *ret)
{
	struct str text;
	usec_t length;

	int r = plain_text(c, &text) ? duration_parse(text, &length) : -EINVAL;
	if (r == -ERANGE)
		return blame(c, "The number of days must be between -999999999 and 999999999.");
	if (r < 0)
		return blame(c, "Duration has wrong format. Use one of these formats instead: "
				"[DD] [HH:[MM:]]ss[.uuuuuu].");
	*ret = arena_printf(c->arena, "%" PRId64 " microseconds", length);
	return true;
}

static bool coerce_choice(struct coercion *c, struct str *ret)
{
	struct str text = c->in->json != NULL ? python_text(c->arena, c->in->json) : c->in->text;

	for (const char *const *choice = c->field->choices; *choice != NULL; choice++) {
		if (str_eq_c(text, *choice)) {
			*ret = str_c(*choice);
			return true;
		}
	}
	errors_quote(c->errors, c->field->name, "\"", text, "\" is not a valid choice.");
	return false;
}

/* A whole number names the UUID whose 128 bits it is; false if it is none or too large. */
static bool uuid_from_number(struct str text, struct uuid *ret)
{
	struct uuid id = { 0 };

	for (size_t i = 0; i < text.len; i++) {
		unsigned carry = (unsigned) (text.at[i] - '0');

		if (carry > 9)
			return false;
		for (size_t at = sizeof(id.bytes); at-- > 0;) {
			carry += id.bytes[at] * 10u;
			id.bytes[at] = (uint8_t) carry;
			carry >>= 8;
		}
		if (carry != 0)
			return false;
	}
	*ret = id;
	return text.len > 0;
}

static bool read_uuid(struct coercion *c, struct str *ret)
{
	const struct json *json = c->in->json;
	char text[UUID_TEXT + 1];
	struct str given;
	struct uuid id;

	bool is_bool = json != NULL && (json->type == JSON_TRUE || json->type == JSON_FALSE);

	if (is_bool) /* a number to Python */
		given = json->type == JSON_TRUE ? STR("1") : STR("0");
	else if (!plain_text(c, &given))
		return false;
	if (is_bool || (json != NULL && json->type == JSON_NUMBER)) {
		if ((!is_bool && !json->is_integer) || !uuid_from_number(given, &id))
			return false;
	} else if (uuid_parse(given, &id) < 0) {
		return false;
	}
	uuid_format(&id, text);
	*ret = arena_str(c->arena, str_c(text));
	return true;
}

static bool coerce_uuid(struct coercion *c, struct str *ret)
{
	return read_uuid(c, ret) || blame(c, "Must be a valid UUID.");
}

static bool coerce_reference(struct coercion *c, struct str *ret)
{
	const struct json *json = c->in->json;

	if (json != NULL && (json->type == JSON_TRUE || json->type == JSON_FALSE))
		return blame(c, "Incorrect type. Expected pk value, received bool.");
	if (read_uuid(c, ret))
		return true;
	struct str shown = json != NULL ? python_text(c->arena, json) : c->in->text;
	errors_quote(c->errors, c->field->name, "“", shown, "” is not a valid UUID.");
	return false;
}

/* The first wrong key is the only one that is blamed, as in DRF. */
static bool add_key(struct coercion *c, const struct input *one, struct buf *array)
{
	struct coercion inner = *c;
	struct str key;

	inner.in = one;
	if (!coerce_reference(&inner, &key))
		return false;
	buf_printf(array, "%s%.*s", array->len > 1 ? "," : "", STR_ARG(key));
	return true;
}

static bool coerce_keys(struct coercion *c, struct str *ret)
{
	_cleanup_(buf_fini) struct buf array = BUF_INIT;
	const struct json *json = c->in->json;
	bool is_right = true;

	if (json != NULL && json->type != JSON_ARRAY && json->type != JSON_OBJECT) {
		errors_add(c->errors, c->field->name,
			   "Expected a list of items but got type \"%s\".", python_type_name(json));
		return false;
	}
	buf_add_byte(&array, '{');
	for (const struct json *one = json == NULL ? NULL : json->first; one != NULL && is_right;
	     one = one->next) {
		/* Python iterates over an object's keys. */
		const struct input in = { .json = json->type == JSON_ARRAY ? one : NULL,
					  .text = json->type == JSON_ARRAY
							  ? STR_NULL
							  : json_key(c->arena, one) };
		is_right = add_key(c, &in, &array);
	}
	for (size_t i = 0; i < c->in->item_count && is_right; i++)
		is_right = add_key(c, &(struct input){ .text = c->in->items[i].text }, &array);
	buf_add_byte(&array, '}');
	/* Also what stood before a wrong one: whether those rows exist is said first (links.c). */
	*ret = arena_str(c->arena, buf_str(&array));
	return is_right;
}

/* --- arrays --- */

/* An item as PostgreSQL reads it within an array: always in quotes, so that no sign counts. */
static void add_item(struct buf *array, struct str item)
{
	buf_add_c(array, array->len > 1 ? "," : "");
	if (str_is_null(item)) {
		buf_add_c(array, "NULL");
		return;
	}
	buf_add_byte(array, '"');
	for (size_t i = 0; i < item.len; i++) {
		if (item.at[i] == '"' || item.at[i] == '\\')
			buf_add_byte(array, '\\');
		buf_add_byte(array, item.at[i]);
	}
	buf_add_byte(array, '"');
}

/* Item `number` by its own rules; what it breaks is blamed under its number. */
static bool coerce_item(struct coercion *c, const struct input *in, size_t number, struct str *ret)
{
	struct field element = *c->field->element;

	element.name = arena_printf(c->arena, "%zu", number).at;
	if (in->json != NULL && in->json->type == JSON_NULL) {
		*ret = STR_NULL;
		if (element.is_nullable)
			return true;
		errors_add(errors_within(c->errors, c->field->name), element.name,
			   "This field may not be null.");
		return false;
	}
	return coerce(errors_within(c->errors, c->field->name), &element, in, ret);
}

/* No field of one value takes a row, as none takes an object. */
static struct input input_of_item(const struct form_item *item)
{
	static const struct json object = { .type = JSON_OBJECT, .text = STR_INIT("{}") };

	return (struct input){ .json = item->row != NULL ? &object : NULL,
			       .upload = item->upload,
			       .text = item->text };
}

static bool coerce_array(struct coercion *c, struct str *ret)
{
	_cleanup_(buf_fini) struct buf array = BUF_INIT;
	const struct json *json = c->in->json;
	size_t number = 0;
	bool is_right = true;
	struct str item;

	if (json != NULL && json->type != JSON_ARRAY) {
		errors_add(c->errors, c->field->name,
			   "Expected a list of items but got type \"%s\".", python_type_name(json));
		return false;
	}
	buf_add_byte(&array, '{');
	for (const struct json *one = json == NULL ? NULL : json->first; one != NULL;
	     one = one->next) {
		if (coerce_item(c, &(struct input){ .json = one }, number++, &item))
			add_item(&array, item);
		else
			is_right = false;
	}
	for (size_t i = 0; i < c->in->item_count; i++) {
		struct input in = input_of_item(&c->in->items[i]);

		if (coerce_item(c, &in, number++, &item))
			add_item(&array, item);
		else
			is_right = false;
	}
	if (number == 0 && !c->field->may_be_empty)
		return blame(c, "This list may not be empty.");
	buf_add_byte(&array, '}');
	*ret = arena_str(c->arena, buf_str(&array));
	return is_right;
}

static bool coerce_json(struct coercion *c, struct str *ret)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct json_writer w;
	struct json_error error;
	struct json *parsed;

	if (c->in->json == NULL) {
		if (json_parse(c->arena, c->in->text, JSON_STRICT, 32, &parsed, &error) < 0)
			return blame(c, "Value must be valid JSON.");
		*ret = c->in->text;
		return true;
	}
	json_writer_init(&w, &text, JSON_ESCAPE_DRF, false);
	json_put_tree(&w, c->in->json);
	*ret = arena_str(c->arena, buf_str(&text));
	return true;
}

static bool coerce_upload(struct coercion *c, struct str *ret)
{
	const struct field *f = c->field;

	if (c->in->upload == NULL)
		return blame(
			c,
			"The submitted data was not a file. Check the encoding type on the form.");
	size_t length = utf8_length(c->in->upload->filename);
	if (f->most_length > 0 && length > f->most_length) {
		errors_add(c->errors, f->name,
			   "Ensure this filename has at most %u characters (it has %zu).",
			   f->most_length, length);
		return false;
	}
	if (c->in->upload->bytes.len == 0)
		return blame(c, "The submitted file is empty.");
	int r = f->file_rule == NULL ? 0 : f->file_rule(c->in->upload);
	if (r < 0)
		return blame(c, fail_reason(r));
	*ret = STR("");
	return true;
}

static bool (*const readers[FIELD_TYPES])(struct coercion *, struct str *) = {
	[FIELD_TEXT] = coerce_text,       [FIELD_EMAIL] = coerce_email,
	[FIELD_INTEGER] = coerce_integer, [FIELD_DECIMAL] = coerce_decimal,
	[FIELD_BOOLEAN] = coerce_boolean, [FIELD_TIME] = coerce_time,
	[FIELD_CHOICE] = coerce_choice,   [FIELD_REFERENCE] = coerce_reference,
	[FIELD_UUID] = coerce_uuid,       [FIELD_JSON] = coerce_json,
	[FIELD_UPLOAD] = coerce_upload,   [FIELD_KEYS] = coerce_keys,
	[FIELD_DATE] = coerce_date,       [FIELD_DURATION] = coerce_duration,
	[FIELD_ARRAY] = coerce_array,     [FIELD_SLUG] = coerce_slug,
	[FIELD_URL] = coerce_url,         [FIELD_IP] = coerce_ip,
	[FIELD_CLOCK] = coerce_clock,
};

bool coerce(struct errors *errors, const struct field *field, const struct input *in,
	    struct str *ret_text)
{
	struct coercion c = {
		.errors = errors, .field = field, .in = in, .arena = &errors->rq->arena
	};

	must(readers[field->type] !=
	     NULL); /* field_table_check: keys and lists are never written */
	return readers[field->type](&c, ret_text);
}
