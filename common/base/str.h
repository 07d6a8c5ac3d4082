/*
 * str.h - a borrowed piece of text or bytes: where it starts and how long it is.
 *
 * Passed by value (two registers).  Never owns; whoever stores one says how long it stays valid.
 * `at` may be NULL, which means "absent" (SQL NULL, a header that was not sent); an empty text has
 * a non-NULL `at`.  Not NUL-terminated unless a function says so.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <string.h>

#include "base/macros.h"

struct str {
	const char *at;
	size_t len;
};

/* A literal; also a constant initialiser. */
#define STR(literal) ((struct str){ "" literal "", sizeof(literal) - 1 })
/* clang-format off */
#define STR_INIT(literal) { "" literal "", sizeof(literal) - 1 }
/* clang-format on */
#define STR_NULL     ((struct str){ NULL, 0 })
/* For "%.*s". */
#define STR_ARG(s)   (int) (s).len, (s).at == NULL ? "" : (s).at

static inline struct str str_make(const void *at, size_t len)
{
	return (struct str){ at, len };
}

/* Borrows a C string; NULL becomes the absent str. */
static inline struct str str_c(const char *c)
{
	return (struct str){ c, c == NULL ? 0 : strlen(c) };
}

static inline bool str_is_null(struct str s)
{
	return s.at == NULL;
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_eq_c(struct str a, const char *c)
{
	return str_eq(a, str_c(c));
}

bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* bytewise, like memcmp, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_slice(struct str s, size_t from, size_t to); /* clamps; [from, to) */
struct str str_trim(struct str s);                          /* ASCII white space on both ends */
ptrdiff_t str_find_char(struct str s, char c);              /* -1 if absent */
ptrdiff_t str_find(struct str s, struct str needle);

/*
 * Cuts at the first `c`: *ret_head is what stood before it and *s what follows.  Without `c` the
 * head is the whole and *s becomes absent.  Returns false when *s is absent already, so that
 * `while (str_cut(&rest, ',', &item))` visits every item, empty ones too.
 */
bool str_cut(struct str *s, char c, struct str *ret_head);

/* Whole-text conversions.  0, or -EINVAL (not a number), -ERANGE.  No sign for u64, no spaces. */
int str_to_i64(struct str s, int64_t *ret) _must_check_;
int str_to_u64(struct str s, uint64_t *ret) _must_check_;
int str_to_double(struct str s, double *ret) _must_check_;

/* FNV-1a; for tables in memory, never for anything an attacker may choose without a bound. */
uint64_t str_hash(struct str s);

/*
 * The row of `names` (each `stride` bytes apart, a `const char *` at offset 0) nearest to `name` by
 * edit distance, or NULL if none is near enough to be what was meant.  For "did you mean".
 */
const char *str_nearest(const char *name, const void *names, size_t count, size_t stride);

#endif
