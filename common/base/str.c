#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + 32) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.at[i]) != lower(b.at[i]))
			return false;
	return true;
}

int str_cmp(struct str a, struct str b)
{
	size_t shared = MIN(a.len, b.len);
	int r = shared == 0 ? 0 : memcmp(a.at, b.at, shared);

	if (r != 0)
		return r;
	return a.len < b.len ? -1 : a.len > b.len;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq(str_make(s.at, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_eq(str_slice(s, s.len - suffix.len, s.len), suffix);
}

struct str str_slice(struct str s, size_t from, size_t to)
{
	if (s.at == NULL)
		return s;
	to = MIN(to, s.len);
	from = MIN(from, to);
	return (struct str){ s.at + from, to - from };
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
	while (s.len > 0 && is_space(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

ptrdiff_t str_find_char(struct str s, char c)
{
	const char *found = s.len == 0 ? NULL : memchr(s.at, c, s.len);

	return found == NULL ? -1 : found - s.at;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
	const char *found;

	if (needle.len == 0)
		return 0;
	if (s.len < needle.len)
		return -1;
	found = memmem(s.at, s.len, needle.at, needle.len);
	return found == NULL ? -1 : found - s.at;
}

bool str_cut(struct str *s, char c, struct str *ret_head)
{
	ptrdiff_t at;

	if (s->at == NULL)
		return false;
	at = str_find_char(*s, c);
	if (at < 0) {
		*ret_head = *s;
		*s = STR_NULL;
	} else {
		*ret_head = str_slice(*s, 0, (size_t) at);
		*s = str_slice(*s, (size_t) at + 1, s->len);
	}
	return true;
}

int str_to_u64(struct str s, uint64_t *ret)
{
	uint64_t n = 0;
	bool is_over = false;

	if (s.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return -EINVAL;
		is_over |= __builtin_mul_overflow(n, 10, &n) ||
			   __builtin_add_overflow(n, (uint64_t) (s.at[i] - '0'), &n);
	}
	if (is_over)
		return -ERANGE;
	*ret = n;
	return 0;
}

int str_to_i64(struct str s, int64_t *ret)
{
	bool is_negative = s.len > 0 && s.at[0] == '-';
	bool has_sign = is_negative || (s.len > 0 && s.at[0] == '+');
	uint64_t n;
	int r;

	r = str_to_u64(has_sign ? str_slice(s, 1, s.len) : s, &n);
	if (r < 0)
		return r;
	if (n > (uint64_t) INT64_MAX + is_negative)
		return -ERANGE;
	*ret = is_negative ? (int64_t) -n : (int64_t) n;
	return 0;
}

static size_t skip_digits(struct str s, size_t at)
{
	while (at < s.len && s.at[at] >= '0' && s.at[at] <= '9')
		at++;
	return at;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the exponent: no hex, no words. */
static bool is_decimal(struct str s)
{
	size_t at = s.len > 0 && (s.at[0] == '-' || s.at[0] == '+');
	size_t start = at, digits;

	at = skip_digits(s, at);
	digits = at - start;
	if (at < s.len && s.at[at] == '.') {
		start = at + 1;
		at = skip_digits(s, start);
		digits += at - start;
	}
	if (digits == 0)
		return false;
	if (at < s.len && lower(s.at[at]) == 'e') {
		at++;
		if (at < s.len && (s.at[at] == '-' || s.at[at] == '+'))
			at++;
		start = at;
		at = skip_digits(s, at);
		if (at == start)
			return false;
	}
	return at == s.len;
}

int str_to_double(struct str s, double *ret)
{
	char small[64], *text = small;
	double value;

	if (!is_decimal(s))
		return -EINVAL;
	/* strtod wants a NUL; every digit counts for the rounding, so nothing may be cut. */
	if (s.len >= sizeof(small)) {
		text = malloc(s.len + 1);
		must(text != NULL);
	}
	memcpy(text, s.at, s.len);
	text[s.len] = '\0';
	value = strtod(text, NULL);
	if (text != small)
		free(text);
	if (isinf(value))
		return -ERANGE;
	*ret = value;
	return 0;
}

uint64_t str_hash(struct str s)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (uint8_t) s.at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#define NEAREST_LONGEST 64

/* Edits (insert, delete, replace, swap neighbours) that turn one name into the other. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	uint8_t rows[3][NEAREST_LONGEST + 1];
	uint8_t *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = (uint8_t) j;
	for (size_t i = 1; i <= a_len; i++) {
		uint8_t *spare;

		now[0] = (uint8_t) i;
		for (size_t j = 1; j <= b_len; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);
			unsigned best = MIN(last[j] + 1u, now[j - 1] + 1u);

			best = MIN(best, last[j - 1] + (same ? 0u : 1u));
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]))
				best = MIN(best, before[j - 2] + 1u);
			now[j] = (uint8_t) best;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

const char *str_nearest(const char *name, const void *names, size_t count, size_t stride)
{
	size_t len = strlen(name), best_distance = SIZE_MAX;
	const char *best = NULL;

	if (len > NEAREST_LONGEST)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const char *row = *(const char *const *) (const void *) ((const char *) names +
									 i * stride);
		size_t row_len = row == NULL ? SIZE_MAX : strlen(row), distance;

		if (row == NULL || row_len > NEAREST_LONGEST)
			continue;
		distance = edit_distance(name, len, row, row_len);
		/* More than every third character wrong is another word. */
		if (distance < best_distance && distance * 3 <= MAX(len, row_len) + 2) {
			best_distance = distance;
			best = row;
		}
	}
	return best;
}
