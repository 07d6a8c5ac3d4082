#include "base/codec.h"

#include <errno.h>

static const char alphabet_plain[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* What a character stands for, plus one; zero is no character of ours. */
/* clang-format off */
#define LETTERS_AND_DIGITS                                                                         \
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, \
	24, 25, 26,                                                                                \
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46,    \
	47, 48, 49, 50, 51, 52,                                                                    \
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62
static const uint8_t values_plain[256] = { LETTERS_AND_DIGITS, ['+'] = 63, ['/'] = 64 };
static const uint8_t values_url[256] = { LETTERS_AND_DIGITS, ['-'] = 63, ['_'] = 64 };
static const uint8_t values_hex[256] = {
	['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
	['A'] = 11, 12, 13, 14, 15, 16,
	['a'] = 11, 12, 13, 14, 15, 16,
};
/* clang-format on */

static void encode(struct buf *b, struct str bytes, const char *alphabet, bool is_padded)
{
	const uint8_t *in = (const uint8_t *) bytes.at;
	size_t left = bytes.len;
	char *out;

	buf_reserve(b, bytes.len / 3 * 4 + 4);
	out = b->at + b->len;
	for (; left >= 3; left -= 3, in += 3) {
		uint32_t w = (uint32_t) in[0] << 16 | (uint32_t) in[1] << 8 | in[2];

		*out++ = alphabet[w >> 18];
		*out++ = alphabet[w >> 12 & 63];
		*out++ = alphabet[w >> 6 & 63];
		*out++ = alphabet[w & 63];
	}
	if (left > 0) {
		uint32_t w = (uint32_t) in[0] << 16 | (left == 2 ? (uint32_t) in[1] << 8 : 0);

		*out++ = alphabet[w >> 18];
		*out++ = alphabet[w >> 12 & 63];
		if (left == 2)
			*out++ = alphabet[w >> 6 & 63];
		else if (is_padded)
			*out++ = '=';
		if (is_padded)
			*out++ = '=';
	}
	*out = '\0';
	b->len = (size_t) (out - b->at);
}

/* `text` without its padding. */
static int decode(struct str text, const uint8_t values[256], void *to, size_t *ret_len)
{
	const uint8_t *in = (const uint8_t *) text.at;
	size_t left = text.len;
	uint8_t *out = to;
	uint32_t w, tail = 0;

	for (; left >= 4; left -= 4, in += 4) {
		uint8_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];

		if (unlikely(a == 0 || b == 0 || c == 0 || d == 0))
			return -EINVAL;
		w = (uint32_t) (a - 1) << 18 | (uint32_t) (b - 1) << 12 | (uint32_t) (c - 1) << 6 |
		    (uint32_t) (d - 1);
		*out++ = (uint8_t) (w >> 16);
		*out++ = (uint8_t) (w >> 8);
		*out++ = (uint8_t) w;
	}
	if (left == 1)
		return -EINVAL;
	for (size_t i = 0; i < left; i++) {
		if (values[in[i]] == 0)
			return -EINVAL;
		tail = tail << 6 | (uint32_t) (values[in[i]] - 1);
	}
	if (left == 2) {
		if ((tail & 15) != 0)
			return -EINVAL;
		*out++ = (uint8_t) (tail >> 4);
	} else if (left == 3) {
		if ((tail & 3) != 0)
			return -EINVAL;
		*out++ = (uint8_t) (tail >> 10);
		*out++ = (uint8_t) (tail >> 2);
	}
	*ret_len = (size_t) (out - (uint8_t *) to);
	return 0;
}

static struct str without_padding(struct str text)
{
	for (int i = 0; i < 2 && str_ends(text, STR("=")); i++)
		text.len--;
	return text;
}

void base64_encode(struct buf *b, struct str bytes)
{
	encode(b, bytes, alphabet_plain, true);
}

void base64url_encode(struct buf *b, struct str bytes)
{
	encode(b, bytes, alphabet_url, false);
}

int base64_decode(struct str text, void *to, size_t *ret_len)
{
	if (text.len % 4 != 0)
		return -EINVAL;
	return decode(without_padding(text), values_plain, to, ret_len);
}

int base64url_decode(struct str text, void *to, size_t *ret_len)
{
	if (str_ends(text, STR("=")) && text.len % 4 != 0)
		return -EINVAL;
	return decode(without_padding(text), values_url, to, ret_len);
}

void hex_encode(struct buf *b, struct str bytes)
{
	buf_reserve(b, bytes.len * 2);
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t byte = (uint8_t) bytes.at[i];
		char pair[2] = { "0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15] };

		buf_add(b, pair, sizeof(pair));
	}
}

/* Two hexadecimal digits, or -1. */
static int hex_pair(const char *at)
{
	uint8_t high = values_hex[(uint8_t) at[0]], low = values_hex[(uint8_t) at[1]];

	return high == 0 || low == 0 ? -1 : (high - 1) << 4 | (low - 1);
}

int hex_decode(struct str text, void *to, size_t *ret_len)
{
	uint8_t *out = to;

	if (text.len % 2 != 0)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i += 2) {
		int byte = hex_pair(text.at + i);

		if (byte < 0)
			return -EINVAL;
		*out++ = (uint8_t) byte;
	}
	*ret_len = text.len / 2;
	return 0;
}

struct str percent_decode(struct arena *a, struct str text, bool plus_is_space)
{
	char *to, *out;

	if (str_find_char(text, '%') < 0 && (!plus_is_space || str_find_char(text, '+') < 0))
		return text;
	to = out = arena_alloc(a, text.len + 1);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		int byte = c == '%' && text.len - i > 2 ? hex_pair(text.at + i + 1) : -1;

		if (byte >= 0) {
			*out++ = (char) byte;
			i += 2;
		} else {
			*out++ = c == '+' && plus_is_space ? ' ' : c;
		}
	}
	*out = '\0';
	return str_make(to, (size_t) (out - to));
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-' || c == '~';
}

void percent_encode(struct buf *b, struct str text, struct str also_safe)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		uint8_t byte = (uint8_t) c;

		if (is_unreserved(c) || str_find_char(also_safe, c) >= 0) {
			buf_add_byte(b, c);
		} else {
			char triple[3] = { '%', "0123456789ABCDEF"[byte >> 4],
					   "0123456789ABCDEF"[byte & 15] };

			buf_add(b, triple, sizeof(triple));
		}
	}
}

enum utf8_fault { UTF8_FINE, UTF8_BAD_START, UTF8_BAD_CONTINUATION, UTF8_CUT_OFF };

/*
 * One sequence: *ret_len is its length, or of a broken one the longest part that could have begun a
 * valid one (at least 1): what one U+FFFD replaces in Python and in browsers alike.
 */
static enum utf8_fault sequence(const uint8_t *at, size_t left, bool surrogates_pass,
				size_t *ret_len)
{
	uint8_t lead = at[0], least = 0x80, most = 0xbf;
	size_t len;

	*ret_len = 1;
	if (lead < 0x80)
		return UTF8_FINE;
	if (lead < 0xc2 || lead > 0xf4)
		return UTF8_BAD_START;
	len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	/* The second byte's bounds refuse what is overlong, a surrogate or beyond U+10FFFF. */
	if (lead == 0xe0)
		least = 0xa0;
	else if (lead == 0xed && !surrogates_pass)
		most = 0x9f;
	else if (lead == 0xf0)
		least = 0x90;
	else if (lead == 0xf4)
		most = 0x8f;
	for (size_t i = 1; i < len; i++, least = 0x80, most = 0xbf) {
		if (i == left)
			return UTF8_CUT_OFF;
		if (at[i] < least || at[i] > most)
			return UTF8_BAD_CONTINUATION;
		*ret_len = i + 1;
	}
	return UTF8_FINE;
}

ptrdiff_t utf8_find_invalid_why(struct str s, size_t *ret_len, const char **ret_why)
{
	static const char *const words[] = {
		[UTF8_BAD_START] = "invalid start byte",
		[UTF8_BAD_CONTINUATION] = "invalid continuation byte",
		[UTF8_CUT_OFF] = "unexpected end of data",
	};
	size_t i = 0, len;

	while (i < s.len) {
		enum utf8_fault fault;
		uint64_t eight;

		if (s.len - i >= sizeof(eight)) {
			memcpy(&eight, s.at + i, sizeof(eight));
			if ((eight & UINT64_C(0x8080808080808080)) == 0) {
				i += sizeof(eight);
				continue;
			}
		}
		fault = sequence((const uint8_t *) s.at + i, s.len - i, false, &len);
		if (fault != UTF8_FINE) {
			*ret_len = len;
			*ret_why = words[fault];
			return (ptrdiff_t) i;
		}
		i += len;
	}
	return -1;
}

ptrdiff_t utf8_find_invalid(struct str s)
{
	const char *why;
	size_t len;

	return utf8_find_invalid_why(s, &len, &why);
}

size_t utf8_length(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((uint8_t) s.at[i] & 0xc0) != 0x80;
	return n;
}

struct str utf8_repair(struct arena *a, struct str s)
{
	ptrdiff_t bad = utf8_find_invalid(s);
	char *to, *out;

	if (bad < 0)
		return s;
	/* One broken byte becomes the three of U+FFFD at worst. */
	to = out = arena_alloc(a, s.len * 3 + 1);
	for (size_t i = 0, len; i < s.len; i += len) {
		bool is_fine = sequence((const uint8_t *) s.at + i, s.len - i, false, &len) ==
			       UTF8_FINE;

		out = mempcpy(out, is_fine ? s.at + i : "\xef\xbf\xbd", is_fine ? len : 3);
	}
	*out = '\0';
	return str_make(to, (size_t) (out - to));
}

void utf8_add(struct buf *b, uint32_t c)
{
	char bytes[4];
	size_t len;

	must(c <= 0x10ffff);
	if (c < 0x80) {
		bytes[0] = (char) c;
		len = 1;
	} else if (c < 0x800) {
		bytes[0] = (char) (0xc0 | c >> 6);
		len = 2;
	} else if (c < 0x10000) {
		bytes[0] = (char) (0xe0 | c >> 12);
		len = 3;
	} else {
		bytes[0] = (char) (0xf0 | c >> 18);
		len = 4;
	}
	for (size_t i = 1; i < len; i++)
		bytes[i] = (char) (0x80 | (c >> (6 * (len - 1 - i)) & 0x3f));
	buf_add(b, bytes, len);
}

uint32_t utf8_next(struct str *s)
{
	const uint8_t *at = (const uint8_t *) s->at;
	uint32_t c;
	size_t len;

	must(s->len > 0);
	if (sequence(at, s->len, true, &len) != UTF8_FINE) {
		*s = str_slice(*s, 1, s->len);
		return 0xfffd;
	}
	c = len == 1 ? at[0] : at[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (at[i] & 0x3f);
	*s = str_slice(*s, len, s->len);
	return c;
}
