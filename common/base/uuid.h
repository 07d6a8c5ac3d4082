/*
 * uuid.h - RFC 9562 identifiers, as 16 bytes and as their 36 characters.
 *
 * uuid_v7 gives keys of rows: 48 bits of milliseconds, then 12 bits that count up within one
 * millisecond and thread, then 62 random bits; sorted by time of making.  uuid_v4 gives what must
 * not be guessed or sorted (tokens, task ids).  Reading takes what Python's UUID() takes: upper or
 * lower case, with or without hyphens, braces or "urn:uuid:"; any version.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "base/arena.h"

#define UUID_TEXT 36

struct uuid {
	uint8_t bytes[16];
};

struct uuid uuid_v4(void);
struct uuid uuid_v7(void);
/* Writes 36 characters and a NUL. */
void uuid_format(const struct uuid *, char text[UUID_TEXT + 1]);
/* 0 or -EINVAL. */
int uuid_parse(struct str text, struct uuid *ret) _must_check_;
/* The 36 characters of whatever uuid_parse reads: PostgreSQL reads fewer forms.  0 or -EINVAL. */
int uuid_normalise(struct arena *, struct str text, struct str *ret) _must_check_;

#endif
