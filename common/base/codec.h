/*
 * codec.h - base64 (RFC 4648 §4 and §5), hexadecimal, percent-encoding, UTF-8 validity.
 *
 * The base64 here is fast, not constant-time: for message bodies.  Secrets are compared and encoded
 * by libsodium in auth/.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/arena.h"
#include "base/buf.h"

void base64_encode(struct buf *, struct str bytes);    /* padded, +/ */
void base64url_encode(struct buf *, struct str bytes); /* no padding, -_ */
/*
 * Into memory of at least len / 4 * 3 + 3 bytes.  0 or -EINVAL; *ret_len bytes were written.  No
 * white space, and the unused bits of the last character are zero, so that one value has one text.
 * Padding is required by the first and optional for the second.
 */
int base64_decode(struct str text, void *to, size_t *ret_len) _must_check_;
int base64url_decode(struct str text, void *to, size_t *ret_len) _must_check_;

void hex_encode(struct buf *, struct str bytes); /* lower case */
int hex_decode(struct str text, void *to, size_t *ret_len) _must_check_;

/* %XX and, for forms, '+'.  Broken escapes stay as they are, as Python's unquote does. */
struct str percent_decode(struct arena *, struct str text, bool plus_is_space);
void percent_encode(struct buf *, struct str text,
		    struct str also_safe); /* letters digits _.-~ are safe */

/* Place of the first byte that is no valid UTF-8 (no surrogates, nothing overlong), or -1. */
ptrdiff_t utf8_find_invalid(struct str);
/* The same, with how many bytes are broken there and CPython's words for it ("invalid start byte",
 * …). */
ptrdiff_t utf8_find_invalid_why(struct str, size_t *ret_len, const char **ret_why);
/* Code points; the text must be valid. */
size_t utf8_length(struct str);
/* Replaces what is invalid by U+FFFD; borrows the input if nothing was. */
struct str utf8_repair(struct arena *, struct str);
/* Appends one code point, surrogates too (as Python's surrogatepass does); at most 0x10ffff. */
void utf8_add(struct buf *, uint32_t code_point);
/* Reads one code point at *s, which is not empty, and moves past it.  Surrogates pass; of what is
 * invalid otherwise one byte is taken and U+FFFD returned. */
uint32_t utf8_next(struct str *s);

#endif
