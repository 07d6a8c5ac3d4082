#include "auth/password_encoding.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/settings.h"
#include "base/world.h"

/* What is written. */
#define ARGON2_PASSES 2
#define ARGON2_KIB    19456
#define PBKDF2_ROUNDS 1000000
#define SALT_LENGTH   22 /* of 62 characters: 131 bits, as Django's get_random_string */

/* What a stored text may ask for. */
#define ARGON2_KIB_MOST    (256 * 1024)
#define ARGON2_PASSES_MOST 64
#define PBKDF2_ROUNDS_MOST 10000000
#define BCRYPT_ROUNDS_MOST 16
#define SCRYPT_BYTES_MOST  (256 * MIB)
#define SCRYPT_LANES_MOST  64
#define HASH_MOST          64

/* The parts between the dollars; false if there are not exactly `count`. */
static bool split(struct str encoded, struct str *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!str_cut(&encoded, '$', &parts[i]))
			return false;
	}
	return str_is_null(encoded);
}

static bool read_number(struct str text, uint64_t least, uint64_t most, uint64_t *ret)
{
	uint64_t number;

	if (str_to_u64(text, &number) < 0 || number < least || number > most)
		return false;
	*ret = number;
	return true;
}

/* The stored bytes of a hash of `size`. */
static bool read_hash(struct str text, size_t size, unsigned char hash[HASH_MOST + 8])
{
	size_t len;

	return text.len <= (HASH_MOST + 2) / 3 * 4 && base64_decode(text, hash, &len) == 0 &&
	       len == size;
}

/* --- pbkdf2_sha256$<rounds>$<salt>$<base64> --- */

static bool pbkdf2_matches(const EVP_MD *digest, struct str password, struct str encoded)
{
	unsigned char stored[HASH_MOST + 8], made[HASH_MOST];
	size_t size = (size_t) EVP_MD_size(digest);
	struct str parts[4];
	uint64_t rounds;

	if (!split(encoded, parts, 4) || !read_number(parts[1], 1, PBKDF2_ROUNDS_MOST, &rounds) ||
	    !read_hash(parts[3], size, stored))
		return false;
	return PKCS5_PBKDF2_HMAC(password.at, (int) password.len,
				 (const unsigned char *) parts[2].at, (int) parts[2].len,
				 (int) rounds, digest, (int) size, made) == 1 &&
	       CRYPTO_memcmp(made, stored, size) == 0;
}

static bool pbkdf2_sha256_matches(struct str password, struct str encoded)
{
	return pbkdf2_matches(EVP_sha256(), password, encoded);
}

static bool pbkdf2_sha1_matches(struct str password, struct str encoded)
{
	return pbkdf2_matches(EVP_sha1(), password, encoded);
}

static bool pbkdf2_is_strong(struct str encoded)
{
	struct str parts[4];
	uint64_t rounds;

	return split(encoded, parts, 4) &&
	       read_number(parts[1], PBKDF2_ROUNDS, UINT64_MAX, &rounds) &&
	       parts[2].len >= SALT_LENGTH;
}

static int pbkdf2_write(struct str password, char encoded[PASSWORD_ENCODED])
{
	static const char alphabet[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	_cleanup_(buf_fini) struct buf base64 = BUF_INIT;
	unsigned char hash[32];
	char salt[SALT_LENGTH + 1] = { 0 };

	for (size_t i = 0; i < SALT_LENGTH; i++)
		salt[i] = alphabet[random_below(sizeof(alphabet) - 1)];
	if (PKCS5_PBKDF2_HMAC(password.at, (int) password.len, (const unsigned char *) salt,
			      SALT_LENGTH, PBKDF2_ROUNDS, EVP_sha256(), sizeof(hash), hash) != 1)
		return -ENOMEM;
	base64_encode(&base64, str_make(hash, sizeof(hash)));
	snprintf(encoded, PASSWORD_ENCODED, "pbkdf2_sha256$%d$%s$%s", PBKDF2_ROUNDS, salt,
		 base64.at);
	return 0;
}

/* --- argon2$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash> --- */

struct argon2 {
	bool is_id;
	uint64_t kib, passes;
	struct str phc; /* from the second dollar on: what libsodium reads */
};

static bool argon2_read(struct str encoded, struct argon2 *ret)
{
	struct str parts[6], costs, m, t;

	if (!split(encoded, parts, 6))
		return false;
	costs = parts[3];
	if (!str_cut(&costs, ',', &m) || !str_cut(&costs, ',', &t) || !str_starts(m, STR("m=")) ||
	    !str_starts(t, STR("t=")))
		return false;
	ret->is_id = str_eq_c(parts[1], "argon2id");
	ret->phc = str_slice(encoded, parts[0].len, encoded.len);
	return (ret->is_id || str_eq_c(parts[1], "argon2i")) &&
	       read_number(str_slice(m, 2, m.len), 8, ARGON2_KIB_MOST, &ret->kib) &&
	       read_number(str_slice(t, 2, t.len), 1, ARGON2_PASSES_MOST, &ret->passes);
}

static bool argon2_matches(struct str password, struct str encoded)
{
	char phc[crypto_pwhash_argon2id_STRBYTES] = { 0 };
	struct argon2 a;

	if (!argon2_read(encoded, &a) || a.phc.len >= sizeof(phc))
		return false;
	memcpy(phc, a.phc.at, a.phc.len);
	return (a.is_id ? crypto_pwhash_argon2id_str_verify(phc, password.at, password.len)
			: crypto_pwhash_argon2i_str_verify(phc, password.at, password.len)) == 0;
}

static bool argon2_is_strong(struct str encoded)
{
	struct argon2 a;

	return argon2_read(encoded, &a) && a.is_id && a.kib >= ARGON2_KIB &&
	       a.passes >= ARGON2_PASSES;
}

static int argon2_write(struct str password, char encoded[PASSWORD_ENCODED])
{
	char phc[crypto_pwhash_argon2id_STRBYTES];

	if (crypto_pwhash_argon2id_str(phc, password.at, password.len, ARGON2_PASSES,
				       ARGON2_KIB * KIB) != 0)
		return -ENOMEM;
	/* Django stores the PHC string behind its own name for the algorithm. */
	int len = snprintf(encoded, PASSWORD_ENCODED, "argon2%s", phc);
	must(len > 0 && len < PASSWORD_ENCODED); /* some 100 */
	return 0;
}

/* --- bcrypt$$2b$12$<salt and hash>, and bcrypt_sha256 --- */

static bool bcrypt_matches_text(const char *password, struct str setting)
{
	struct str parts[4];
	uint64_t rounds;

	/* "$2b$12$<53 characters>" */
	if (!split(setting, parts, 4) || parts[0].len != 0 || parts[3].len != 53 ||
	    !read_number(parts[2], 4, BCRYPT_ROUNDS_MOST, &rounds))
		return false;
	char stored[CRYPT_OUTPUT_SIZE] = { 0 };
	if (setting.len >= sizeof(stored))
		return false;
	memcpy(stored, setting.at, setting.len);
	struct crypt_data *data = calloc(1, sizeof(*data)); /* 32 KiB */
	must(data != NULL);
	/* Not crypt_r: AddressSanitizer has one of its own, which keeps libcrypt from being linked. */
	const char *made = crypt_rn(password, stored, data, sizeof(*data));
	bool is_right = made != NULL && strlen(made) == setting.len &&
			CRYPTO_memcmp(made, stored, setting.len) == 0;
	OPENSSL_cleanse(data, sizeof(*data));
	free(data);
	return is_right;
}

/* Only the first 72 bytes count: bcrypt's own bound, which bcrypt_sha256 avoids. */
static bool bcrypt_matches(struct str password, struct str encoded)
{
	char text[72 + 1] = { 0 };

	if (memchr(password.at, '\0', password.len) != NULL)
		return false;
	memcpy(text, password.at, MIN(password.len, sizeof(text) - 1));
	return bcrypt_matches_text(text, str_slice(encoded, STR("bcrypt$").len, encoded.len));
}

static bool bcrypt_sha256_matches(struct str password, struct str encoded)
{
	_cleanup_(buf_fini) struct buf hex = BUF_INIT;
	unsigned char digest[32];

	if (EVP_Digest(password.at, password.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	hex_encode(&hex, str_make(digest, sizeof(digest)));
	return bcrypt_matches_text(hex.at,
				   str_slice(encoded, STR("bcrypt_sha256$").len, encoded.len));
}

/* --- scrypt$<N>$<salt>$<r>$<p>$<base64> --- */

static bool scrypt_matches(struct str password, struct str encoded)
{
	unsigned char stored[HASH_MOST + 8], made[HASH_MOST];
	uint64_t n, r, p;
	struct str parts[6];

	if (!split(encoded, parts, 6) || !read_number(parts[1], 2, UINT32_MAX, &n) ||
	    !read_number(parts[3], 1, 1024, &r) ||
	    !read_number(parts[4], 1, SCRYPT_LANES_MOST, &p) ||
	    !read_hash(parts[5], HASH_MOST, stored))
		return false;
	return EVP_PBE_scrypt(password.at, password.len, (const unsigned char *) parts[2].at,
			      parts[2].len, n, r, p, SCRYPT_BYTES_MOST, made, HASH_MOST) == 1 &&
	       CRYPTO_memcmp(made, stored, HASH_MOST) == 0;
}

/* --- the rows --- */

/* Of what is never written nothing is as strong as what is. */
static bool is_never_strong(struct str encoded)
{
	(void) encoded;
	return false;
}

/* clang-format off */
static const struct password_encoding encodings[] = {
	{ STR_INIT("argon2"),        argon2_matches,        argon2_is_strong, argon2_write },
	{ STR_INIT("pbkdf2_sha256"), pbkdf2_sha256_matches, pbkdf2_is_strong, pbkdf2_write },
	{ STR_INIT("pbkdf2_sha1"),   pbkdf2_sha1_matches,   is_never_strong,  NULL },
	{ STR_INIT("bcrypt_sha256"), bcrypt_sha256_matches, is_never_strong,  NULL },
	{ STR_INIT("bcrypt"),        bcrypt_matches,        is_never_strong,  NULL },
	{ STR_INIT("scrypt"),        scrypt_matches,        is_never_strong,  NULL },
};
/* clang-format on */

static const struct password_encoding *find(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		if (str_eq(encodings[i].name, name))
			return &encodings[i];
	}
	return NULL;
}

const struct password_encoding *password_encoding_of(struct str encoded)
{
	struct str name;

	return str_cut(&encoded, '$', &name) && !str_is_null(encoded) ? find(name) : NULL;
}

const struct password_encoding *password_encoding_written(void)
{
	bool is_pbkdf2 = settings.password_write != NULL &&
			 strcmp(settings.password_write, "pbkdf2_sha256") == 0;

	return find(is_pbkdf2 ? STR("pbkdf2_sha256") : STR("argon2"));
}
