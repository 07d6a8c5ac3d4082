/*
 * password.h - passwords as stored, in Django's encodings (auth/password_encoding.h), hashed and
 * verified for fibers.
 *
 * Hashing burns 20 ms of a core and more, so it runs on a thread pool of its own
 * (APIUM_PASSWORD_THREADS): logins neither block the event loop nor delay files and name look-ups.
 * An unknown user must cost the same as a wrong password: password_verify with an absent hash does
 * the work of the encoding that is written and says no.  While a database still holds older
 * encodings, with other costs, their users can be told from unknown ones by the time it takes, as in
 * Django; APIUM_PASSWORD_UPGRADE makes that end.
 */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "base/arena.h"
#include "loop/fiber.h"

/* Longer ones are refused before any work (-E_INVALID): hashing reads every byte. */
#define PASSWORD_MOST 4096

/* Once per process, before the loops and after the settings; `threads` of the pool. */
int password_setup(unsigned threads) _must_check_;
void password_shutdown(void);

/* Yields.  0; -E_INVALID (too long), -E_UNAVAILABLE (the line of the pool is full), -ECANCELED,
 * -ETIMEDOUT. */
int password_hash(struct arena *, struct str password, struct str *ret_encoded)
	may_yield _must_check_;
/* Yields.  1 right, 0 wrong (also: absent, unusable or unknown encoding), negative as above. */
int password_verify(struct arena *, struct str password, struct str encoded) may_yield _must_check_;
/* What was verified is to be rewritten: APIUM_PASSWORD_UPGRADE is on, and it is of another encoding
 * than is written, or weaker. */
bool password_is_outdated(struct str encoded);

/* For commands, which have no loop: blocks. */
int password_hash_blocking(struct arena *, struct str password, struct str *ret_encoded)
	_must_check_;

#endif
