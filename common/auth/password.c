#include "auth/password.h"

#include <sodium.h>

#include "loop/offload.h"

#define ARGON2_PASSES 2
#define ARGON2_BYTES  (19456 * KIB)

/* Django stores the PHC string behind its own name for the algorithm. */
static const struct str django_prefix = STR_INIT("argon2");

static struct offload_pool *pool;
/* What an unknown user's password is compared with, so that it costs a hash as well. */
static char decoy[crypto_pwhash_argon2id_STRBYTES];

/* Lies in an arena: a worker thread writes it. */
struct hashing {
	struct str password;
	char encoded[crypto_pwhash_argon2id_STRBYTES]; /* NUL-terminated PHC string */
	bool is_right;
};

static int hash_on_thread(void *arg)
{
	struct hashing *h = arg;

	if (crypto_pwhash_argon2id_str(h->encoded, h->password.at, h->password.len, ARGON2_PASSES,
				       ARGON2_BYTES) != 0)
		return -ENOMEM;
	return 0;
}

static int verify_on_thread(void *arg)
{
	struct hashing *h = arg;

	h->is_right = crypto_pwhash_argon2id_str_verify(h->encoded, h->password.at,
							h->password.len) == 0;
	return 0;
}

int password_setup(unsigned threads)
{
	if (sodium_init() < 0)
		return fail(-E_INTERNAL, "libsodium cannot be initialised");
	if (crypto_pwhash_argon2id_str(decoy, "", 0, ARGON2_PASSES, ARGON2_BYTES) != 0)
		return fail(-ENOMEM, "no memory for one password hash (19 MiB)");
	return offload_pool_new("password", threads, 0, &pool);
}

void password_shutdown(void)
{
	pool = offload_pool_free(pool);
}

static struct str add_prefix(struct arena *arena, const struct hashing *h)
{
	return arena_printf(arena, "%.*s%s", STR_ARG(django_prefix), h->encoded);
}

int password_hash(struct arena *arena, struct str password, struct str *ret_encoded)
{
	int r;

	if (password.len > PASSWORD_MOST)
		return fail(-E_INVALID, "password is longer than %d bytes", PASSWORD_MOST);
	struct hashing *h = arena_new(arena, struct hashing);
	h->password = arena_str(arena, password);
	r = offload(pool, hash_on_thread, h);
	if (r < 0)
		return r;
	*ret_encoded = add_prefix(arena, h);
	return 0;
}

int password_verify(struct arena *arena, struct str password, struct str encoded)
{
	bool is_known = str_starts(encoded, STR("argon2$argon2id$"));
	int r;

	if (password.len > PASSWORD_MOST)
		return fail(-E_INVALID, "password is longer than %d bytes", PASSWORD_MOST);
	struct hashing *h = arena_new(arena, struct hashing);
	h->password = arena_str(arena, password);
	struct str phc = is_known ? str_slice(encoded, django_prefix.len, encoded.len)
				  : str_c(decoy);
	if (phc.len >= sizeof(h->encoded))
		return 0;
	memcpy(h->encoded, phc.at, phc.len);
	r = offload(pool, verify_on_thread, h);
	if (r < 0)
		return r;
	return is_known && h->is_right;
}

int password_hash_blocking(struct arena *arena, struct str password, struct str *ret_encoded)
{
	int r;

	if (password.len > PASSWORD_MOST)
		return fail(-E_INVALID, "password is longer than %d bytes", PASSWORD_MOST);
	if (sodium_init() < 0)
		return fail(-E_INTERNAL, "libsodium cannot be initialised");
	struct hashing *h = arena_new(arena, struct hashing);
	h->password = password;
	r = hash_on_thread(h);
	if (r < 0)
		return r;
	*ret_encoded = add_prefix(arena, h);
	return 0;
}
