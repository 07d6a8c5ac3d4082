/*
 * password.h - passwords as stored, in Django's encodings.
 *
 * Written: "argon2$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>", which a Django with argon2-cffi
 * verifies.  The costs are OWASP's first choice for argon2id (19 MiB, two passes, one lane).
 *
 * Hashing burns some 20 ms of a core, so it runs on a thread pool of its own
 * (APIUM_PASSWORD_THREADS): logins neither block the event loop nor delay files and name look-ups.
 * An unknown user must cost the same as a wrong password: password_verify with an absent hash does
 * the work and says no.
 */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "base/arena.h"
#include "loop/fiber.h"

/* Longer ones are refused before any work (-E_INVALID): hashing reads every byte. */
#define PASSWORD_MOST 4096

/* Once per process, before the loops; `threads` of the pool. */
int password_setup(unsigned threads) _must_check_;
void password_shutdown(void);

/* Yields.  0; -E_INVALID (too long), -E_UNAVAILABLE (the line of the pool is full), -ECANCELED,
 * -ETIMEDOUT. */
int password_hash(struct arena *, struct str password, struct str *ret_encoded)
	may_yield _must_check_;
/* Yields.  1 right, 0 wrong (also: absent, unusable or unknown encoding), negative as above. */
int password_verify(struct arena *, struct str password, struct str encoded) may_yield _must_check_;

/* For commands, which have no loop: blocks. */
int password_hash_blocking(struct arena *, struct str password, struct str *ret_encoded)
	_must_check_;

#endif
