/*
 * jwks.h - public keys of an outside identity provider (RFC 7517), for the whole process.
 *
 * They come from APIUM_JWKS_URL: https://…, http://… (in development only, since whoever sits between
 * could sign as anybody) or the path of a file.  They are fetched on a thread of their own by
 * libcurl, never on an event loop, when the first token asks, anew after an hour, and at once for a
 * key id that is not there, but never within 30 seconds of the last try: a stranger who makes up key
 * ids causes no more than that.  While the provider is away the keys that are known serve on.
 *
 * Taken: RSA keys of at least 2048 bits, for RS256, and P-256 keys, for ES256.  Others are left out.
 * At most 64 keys and 256 KiB of text.
 */
#ifndef AUTH_JWKS_H
#define AUTH_JWKS_H

#include "base/arena.h"
#include "loop/fiber.h"

enum jwks_algorithm { JWKS_RS256, JWKS_ES256 };

/* Once, before threads; an empty url: none are used.  0 or -E_BAD_SETTING; a file is read and must
 * be right. */
int jwks_setup(const char *url) _must_check_;
void jwks_shutdown(void);
bool jwks_is_used(void);

/*
 * The key of that id for that algorithm, as PEM; an absent id means the only one.  -E_NOT_FOUND, or
 * -ECANCELED, -ETIMEDOUT.  Yields when keys are to be fetched.
 */
int jwks_find(struct arena *, struct str kid, enum jwks_algorithm, struct str *ret_pem)
	may_yield _must_check_;

#endif
