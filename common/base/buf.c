#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

/* Shared by every empty buf; nobody may write to it, not even a NUL (threads would race). */
char buf_empty[1];

void buf_init(struct buf *b)
{
	*b = (struct buf) BUF_INIT;
}

void buf_fini(struct buf *b)
{
	if (b->cap > 0)
		free(b->at);
	buf_init(b);
}

void buf_clear(struct buf *b)
{
	buf_truncate(b, 0);
}

void buf_grow(struct buf *b, size_t more)
{
	size_t need, cap;
	char *at;

	must(!__builtin_add_overflow(b->len, more, &need) && need < SIZE_MAX / 2);
	cap = MAX(b->cap * 2, (size_t) 64);
	while (cap <= need)
		cap *= 2;
	at = realloc(b->cap > 0 ? b->at : NULL, cap);
	must(at != NULL);
	at[b->len] = '\0';
	b->at = at;
	b->cap = cap;
}

void buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.at, s.len);
}

void buf_add_c(struct buf *b, const char *c)
{
	buf_add(b, c, strlen(c));
}

void buf_add_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char) ('0' + n % 10);
	while ((n /= 10) != 0);
	buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_add_i64(struct buf *b, int64_t n)
{
	if (n < 0)
		buf_add_byte(b, '-');
	buf_add_u64(b, n < 0 ? -(uint64_t) n : (uint64_t) n);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	buf_reserve(b, 1);
	len = vsnprintf(b->at + b->len, b->cap - b->len, format, args);
	must(len >= 0);
	if ((size_t) len >= b->cap - b->len) {
		buf_reserve(b, (size_t) len);
		len = vsnprintf(b->at + b->len, b->cap - b->len, format, again);
	}
	va_end(again);
	b->len += (size_t) len;
}

void buf_drop_front(struct buf *b, size_t n)
{
	must(n <= b->len);
	if (n == 0)
		return;
	memmove(b->at, b->at + n, b->len - n + 1);
	b->len -= n;
}

void buf_truncate(struct buf *b, size_t len)
{
	must(len <= b->len);
	b->len = len;
	if (b->cap > 0)
		b->at[len] = '\0';
}

char *buf_detach(struct buf *b, size_t *ret_len)
{
	char *at;

	buf_reserve(b, 0);
	at = b->at;
	if (ret_len != NULL)
		*ret_len = b->len;
	buf_init(b);
	return at;
}
