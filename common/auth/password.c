#include "auth/password.h"

#include <sodium.h>

#include "auth/password_encoding.h"
#include "base/settings.h"
#include "loop/offload.h"

static struct offload_pool *pool;
/* What an unknown user's password is compared with, so that it costs a hash as well. */
static char decoy[PASSWORD_ENCODED];

/* Lies in an arena: a worker thread writes it. */
struct hashing {
	struct str password, stored;
	const struct password_encoding *encoding;
	char encoded[PASSWORD_ENCODED];
	bool is_right;
};

static int hash_on_thread(void *arg)
{
	struct hashing *h = arg;

	return h->encoding->write(h->password, h->encoded);
}

static int verify_on_thread(void *arg)
{
	struct hashing *h = arg;

	h->is_right = h->encoding->matches(h->password, h->stored);
	return 0;
}

int password_setup(unsigned threads)
{
	if (sodium_init() < 0)
		return fail(-E_INTERNAL, "libsodium cannot be initialised");
	if (password_encoding_written()->write(STR(""), decoy) < 0)
		return fail(-ENOMEM, "no memory for one password hash (19 MiB)");
	return offload_pool_new("password", threads, 0, &pool);
}

void password_shutdown(void)
{
	pool = offload_pool_free(pool);
}

static int hashing_new(struct arena *arena, struct str password, struct hashing **ret)
{
	if (password.len > PASSWORD_MOST)
		return fail(-E_INVALID, "password is longer than %d bytes", PASSWORD_MOST);
	*ret = arena_new(arena, struct hashing);
	(*ret)->password = arena_str(arena, password);
	(*ret)->encoding = password_encoding_written();
	return 0;
}

int password_hash(struct arena *arena, struct str password, struct str *ret_encoded)
{
	struct hashing *h = NULL;
	int r;

	r = hashing_new(arena, password, &h);
	if (r == 0)
		r = offload(pool, hash_on_thread, h);
	if (r == 0)
		*ret_encoded = str_c(h->encoded);
	return r;
}

int password_verify(struct arena *arena, struct str password, struct str encoded)
{
	const struct password_encoding *known = password_encoding_of(encoded);
	struct hashing *h = NULL;
	int r;

	r = hashing_new(arena, password, &h);
	if (r < 0)
		return r;
	h->stored = known != NULL ? arena_str(arena, encoded) : str_c(decoy);
	if (known != NULL)
		h->encoding = known;
	r = offload(pool, verify_on_thread, h);
	if (r < 0)
		return r;
	return known != NULL && h->is_right;
}

bool password_is_outdated(struct str encoded)
{
	const struct password_encoding *e = password_encoding_of(encoded);

	return settings.password_upgrade &&
	       (e != password_encoding_written() || !e->is_strong(encoded));
}

int password_hash_blocking(struct arena *arena, struct str password, struct str *ret_encoded)
{
	struct hashing *h = NULL;
	int r;

	if (sodium_init() < 0)
		return fail(-E_INTERNAL, "libsodium cannot be initialised");
	r = hashing_new(arena, password, &h);
	if (r == 0)
		r = hash_on_thread(h);
	if (r == 0)
		*ret_encoded = str_c(h->encoded);
	return r;
}
