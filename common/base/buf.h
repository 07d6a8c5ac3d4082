/*
 * buf.h - bytes that grow.
 *
 * Invariants: `at` is never NULL after buf_init (an empty buf points at a static NUL), and at[len]
 * is always NUL.  Owns its memory.  Growth aborts when memory runs out (macros.h, error policy):
 * what a client can size is bounded before it reaches a buf.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct buf {
	char *at;
	size_t len;
	size_t cap; /* 0: nothing allocated */
};

extern char buf_empty[1];
/* clang-format off */
#define BUF_INIT { buf_empty, 0, 0 }
/* clang-format on */

void buf_init(struct buf *);
void buf_fini(struct buf *);  /* usable as a cleanup; leaves an empty buf */
void buf_clear(struct buf *); /* empty, keeps the memory */
/* What buf_reserve does when there is no room. */
void buf_grow(struct buf *, size_t more);
/* The next three are inline because a reply is made of hundreds of small pieces. */
static inline void buf_reserve(struct buf *b, size_t more)
{
	/* `cap` counts the NUL: at[len] is writable whenever cap > 0. */
	if (unlikely(b->cap - b->len <= more))
		buf_grow(b, more);
}
static inline void buf_add(struct buf *b, const void *at, size_t len)
{
	if (len == 0)
		return;
	buf_reserve(b, len);
	memcpy(b->at + b->len, at, len);
	b->len += len;
	b->at[b->len] = '\0';
}
static inline void buf_add_byte(struct buf *b, char c)
{
	buf_reserve(b, 1);
	b->at[b->len++] = c;
	b->at[b->len] = '\0';
}
void buf_add_str(struct buf *, struct str);
void buf_add_c(struct buf *, const char *);
void buf_add_i64(struct buf *, int64_t);
void buf_add_u64(struct buf *, uint64_t);
void buf_printf(struct buf *, const char *format, ...) _printf_(2, 3);
void buf_vprintf(struct buf *, const char *format, va_list) _printf_(2, 0);
void buf_drop_front(struct buf *, size_t n); /* memmove; n <= len */
void buf_truncate(struct buf *, size_t len);

/* Valid until the next change of the buf. */
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->at, b->len };
}

/* Moves the memory out; to be freed with free(); never NULL.  The buf is empty afterwards.  ret_len
 * may be NULL. */
char *buf_detach(struct buf *, size_t *ret_len);

#endif
