/*
 * password_encoding.h - Django's forms of a stored password (drf-wire §12), one row each.
 *
 * The text up to the first '$' names the row.  Read: pbkdf2_sha256, pbkdf2_sha1, argon2 (argon2id and
 * argon2i; libsodium has no argon2d), bcrypt_sha256, bcrypt, scrypt.  Written: argon2id with OWASP's
 * first choice of costs (19 MiB, two passes, one lane), or pbkdf2_sha256 with Django 5.2's million
 * rounds, which a Django without argon2-cffi reads.
 *
 * All burn a core for 20 ms to some hundreds and need up to 256 MiB: they run on the pool of
 * auth/password.h, never on a loop.  Costs that a stored text asks for are bounded; beyond them it
 * matches nothing.
 */
#ifndef AUTH_PASSWORD_ENCODING_H
#define AUTH_PASSWORD_ENCODING_H

#include "base/str.h"

/* What the column of `users` holds, and a NUL. */
#define PASSWORD_ENCODED (128 + 1)

struct password_encoding {
	struct str name;
	bool (*matches)(struct str password, struct str encoded);
	/* Made with at least the costs that we write. */
	bool (*is_strong)(struct str encoded);
	/* 0 or -ENOMEM; NULL: only read. */
	int (*write)(struct str password, char encoded[PASSWORD_ENCODED]);
};

/* The row of a stored text; NULL: unusable, absent or unknown. */
const struct password_encoding *password_encoding_of(struct str encoded);
/* By APIUM_PASSWORD_WRITE. */
const struct password_encoding *password_encoding_written(void);

#endif
