/* The writing half of base/json.h. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"

/* The letter after the backslash; 0: none, \u00XX. */
static const char short_escapes[256] = {
	['"'] = '"',  ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r',
	['\t'] = 't', ['\b'] = 'b',  ['\f'] = 'f',
};

static void add_unicode_escape(struct buf *b, unsigned unit)
{
	static const char digits[] = "0123456789abcdef";
	char text[6] = { '\\',
			 'u',
			 digits[unit >> 12 & 15],
			 digits[unit >> 8 & 15],
			 digits[unit >> 4 & 15],
			 digits[unit & 15] };

	buf_add(b, text, sizeof(text));
}

static void add_character_escape(struct buf *b, uint32_t c)
{
	if (c < 0x100 && short_escapes[c] != 0) {
		char text[2] = { '\\', short_escapes[c] };

		buf_add(b, text, sizeof(text));
	} else if (c < 0x10000) {
		add_unicode_escape(b, c);
	} else {
		add_unicode_escape(b, 0xd800 + ((c - 0x10000) >> 10));
		add_unicode_escape(b, 0xdc00 + ((c - 0x10000) & 0x3ff));
	}
}

/*
 * What DRF leaves as it is.  Beyond Python: a surrogate, which UTF-8 cannot hold, is written as an
 * escape (json.dumps(ensure_ascii=False) returns it, and the encoder after it fails).
 */
static bool is_plain_in_drf(const uint8_t *at, size_t left)
{
	if (at[0] < 0x80)
		return at[0] >= 0x20 && at[0] != '"' && at[0] != '\\';
	if (at[0] == 0xe2 && left >= 3)
		return at[1] != 0x80 || (at[2] != 0xa8 && at[2] != 0xa9);
	return at[0] != 0xed || left < 3 || at[1] < 0xa0;
}

static bool is_plain_in_ascii(const uint8_t *at, size_t left)
{
	return at[0] >= 0x20 && at[0] < 0x7f && at[0] != '"' && at[0] != '\\';
}

/* Bytes that stand for themselves whatever follows; the others are looked at one by one. */
/* clang-format off */
static const bool is_certain[][256] = {
	[JSON_ESCAPE_DRF]   = { [' '] = true, ['!'] = true, ['#' ... '['] = true, [']' ... 0xe1] = true,
				[0xe3 ... 0xec] = true, [0xee ... 0xff] = true },
	[JSON_ESCAPE_ASCII] = { [' '] = true, ['!'] = true, ['#' ... '['] = true, [']' ... '~'] = true },
};
/* clang-format on */

static bool is_plain(enum json_escape escape, const uint8_t *at, size_t left)
{
	return escape == JSON_ESCAPE_DRF ? is_plain_in_drf(at, left) : is_plain_in_ascii(at, left);
}

void json_escape_add(struct buf *b, struct str text, enum json_escape escape)
{
	const bool *certain = is_certain[escape];
	const uint8_t *at = (const uint8_t *) text.at;
	size_t start = 0, i = 0;

	buf_reserve(b, text.len + 2);
	buf_add_byte(b, '"');
	for (;;) {
		struct str rest;

		while (i < text.len && certain[at[i]])
			i++;
		if (i == text.len)
			break;
		if (is_plain(escape, at + i, text.len - i)) {
			i++;
			continue;
		}
		buf_add(b, text.at + start, i - start);
		rest = str_slice(text, i, text.len);
		add_character_escape(b, utf8_next(&rest));
		start = i = text.len - rest.len;
	}
	if (i > start)
		buf_add(b, text.at + start, i - start);
	buf_add_byte(b, '"');
}

/* `digits` is "d.ddd" with `count` digits, one more in its last place; true if there was no carry
 * out. */
static bool digits_up(char *text)
{
	char *at = strchr(text, 'e');

	while (at-- > text) {
		if (*at == '.')
			continue;
		if (*at != '9') {
			++*at;
			return true;
		}
		*at = '0';
	}
	return false;
}

/*
 * The shortest "d.ddde±xx" that reads back as x > 0.  Fifteen digits are enough for every decimal
 * of fifteen or fewer (DBL_DIG), seventeen for every double; only subnormals have fewer digits to
 * lose.  The nearest decimal of sixteen is the right one, except above a power of two, below which
 * doubles lie twice as close: there its upper neighbour may read back where it does not.
 */
static void shortest(double x, char text[32])
{
	int exponent;
	bool is_power_of_two = frexp(x, &exponent) == 0.5;

	for (int digits = x < 2.2250738585072014e-308 ? 1 : 15; digits < 17; digits++) {
		snprintf(text, 32, "%.*e", digits - 1, x);
		if (strtod(text, NULL) == x)
			return;
		if (digits == 16 && is_power_of_two && digits_up(text) && strtod(text, NULL) == x)
			return;
	}
	snprintf(text, 32, "%.16e", x);
}

void json_double_add(struct buf *b, double x)
{
	char text[32], digits[20];
	size_t count = 0;
	int point;

	if (isnan(x)) {
		buf_add_c(b, "NaN");
		return;
	}
	if (signbit(x))
		buf_add_byte(b, '-');
	x = fabs(x);
	if (isinf(x)) {
		buf_add_c(b, "Infinity");
		return;
	}
	if (x < 1e15 && x == (double) (int64_t) x) {
		buf_add_i64(b, (int64_t) x);
		buf_add_c(b, ".0");
		return;
	}
	shortest(x, text);
	for (const char *at = text; *at != 'e'; at++)
		if (*at != '.')
			digits[count++] = *at;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	int64_t exponent = 0;
	const char *after = strchr(text, 'e') + 1;
	must(str_to_i64(str_c(*after == '+' ? after + 1 : after), &exponent) ==
	     0);                    /* printf's own */
	point = (int) exponent + 1; /* digits before the point */
	if (point > 16 || point < -3) {
		buf_add(b, digits, 1);
		if (count > 1)
			buf_add_byte(b, '.');
		buf_add(b, digits + 1, count - 1);
		buf_printf(b, "e%c%02d", point > 0 ? '+' : '-', abs(point - 1));
	} else if (point <= 0) {
		buf_add_c(b, "0.");
		buf_add(b, "000", (size_t) -point);
		buf_add(b, digits, count);
	} else if (count <= (size_t) point) {
		buf_add(b, digits, count);
		buf_add(b, "0000000000000000", (size_t) point - count);
		buf_add_c(b, ".0");
	} else {
		buf_add(b, digits, (size_t) point);
		buf_add_byte(b, '.');
		buf_add(b, digits + point, count - (size_t) point);
	}
}

void json_writer_init(struct json_writer *w, struct buf *out, enum json_escape escape,
		      bool is_spaced)
{
	*w = (struct json_writer){ .out = out, .escape = escape, .is_spaced = is_spaced };
}

static void before_value(struct json_writer *w)
{
	uint64_t *word, bit;

	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth == 0)
		return;
	word = &w->has_members[(w->depth - 1) / 64];
	bit = UINT64_C(1) << (w->depth - 1) % 64;
	if (*word & bit)
		buf_add(w->out, ", ", w->is_spaced ? 2 : 1);
	*word |= bit;
}

static void begin(struct json_writer *w, char bracket)
{
	before_value(w);
	buf_add_byte(w->out, bracket);
	must(w->depth < sizeof(w->has_members) * 8);
	w->has_members[w->depth / 64] &= ~(UINT64_C(1) << w->depth % 64);
	w->depth++;
}

static void end(struct json_writer *w, char bracket)
{
	must(w->depth > 0 && !w->after_key);
	w->depth--;
	buf_add_byte(w->out, bracket);
}

void json_begin_object(struct json_writer *w)
{
	begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
	end(w, '}');
}

void json_begin_array(struct json_writer *w)
{
	begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
	end(w, ']');
}

void json_put_key(struct json_writer *w, struct str key)
{
	must(w->depth > 0 && !w->after_key);
	before_value(w);
	json_escape_add(w->out, key, w->escape);
	buf_add(w->out, ": ", w->is_spaced ? 2 : 1);
	w->after_key = true;
}

void json_put_ready_key(struct json_writer *w, struct str key)
{
	must(w->depth > 0 && !w->after_key);
	before_value(w);
	buf_add_str(w->out, key);
	w->after_key = true;
}

void json_put_str(struct json_writer *w, struct str s)
{
	if (str_is_null(s)) {
		json_put_null(w);
		return;
	}
	before_value(w);
	json_escape_add(w->out, s, w->escape);
}

void json_put_plain(struct json_writer *w, struct str s)
{
	before_value(w);
	buf_reserve(w->out, s.len + 2);
	buf_add_byte(w->out, '"');
	buf_add_str(w->out, s);
	buf_add_byte(w->out, '"');
}

void json_put_c(struct json_writer *w, const char *c)
{
	json_put_str(w, str_c(c));
}

void json_put_i64(struct json_writer *w, int64_t n)
{
	before_value(w);
	buf_add_i64(w->out, n);
}

void json_put_double(struct json_writer *w, double x)
{
	before_value(w);
	json_double_add(w->out, x);
}

void json_put_bool(struct json_writer *w, bool is_true)
{
	json_put_raw(w, is_true ? STR("true") : STR("false"));
}

void json_put_null(struct json_writer *w)
{
	json_put_raw(w, STR("null"));
}

void json_put_raw(struct json_writer *w, struct str json)
{
	before_value(w);
	buf_add_str(w->out, json);
}

static void new_line(struct buf *out, unsigned spaces)
{
	buf_add_byte(out, '\n');
	buf_reserve(out, spaces);
	while (spaces-- > 0)
		buf_add_byte(out, ' ');
}

/* The end of the string that begins at `at`; past its closing quote. */
static size_t string_end(struct str s, size_t at)
{
	for (at++; at < s.len && s.at[at] != '"'; at++)
		if (s.at[at] == '\\')
			at++;
	return MIN(at + 1, s.len);
}

void json_indent(struct buf *out, struct str s, unsigned indent)
{
	unsigned depth = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		char next = i + 1 < s.len ? s.at[i + 1] : '\0';

		if (c == '"') {
			size_t end = string_end(s, i);

			buf_add_str(out, str_slice(s, i, end));
			i = end - 1;
		} else if ((c == '{' && next == '}') || (c == '[' && next == ']')) {
			buf_add(out, s.at + i++, 2);
		} else if (c == '{' || c == '[') {
			buf_add_byte(out, c);
			new_line(out, ++depth * indent);
		} else if (c == '}' || c == ']') {
			new_line(out, --depth * indent);
			buf_add_byte(out, c);
		} else if (c == ',') {
			buf_add_byte(out, c);
			new_line(out, depth * indent);
		} else {
			buf_add_byte(out, c);
			if (c == ':')
				buf_add_byte(out, ' ');
		}
	}
}
