#include "auth/jwks.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "loop/offload.h"

#define FRESH         HOUR
#define FETCH_AGAIN   (30 * SEC)
#define FETCH_TIMEOUT 5L /* seconds */
#define BYTES_MOST    (256 * KIB)
#define KEYS_MOST     64
#define RSA_BITS      2048
#define P256_BYTES    32
#define NUMBER_MOST   1024 /* bytes of a key's number: RSA of 8192 bits */

struct jwk {
	enum jwks_algorithm algorithm;
	struct str kid, pem; /* absent id: the provider gives none */
};

struct key_set {
	struct arena arena;
	struct jwk keys[KEYS_MOST];
	size_t count;
};

static const char *source; /* NULL: none are used */
static struct offload_pool *pool;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under the lock. */
static struct key_set *current;
static usec_t fetched, tried; /* monotonic; 0: never */

static void key_set_free(struct key_set *set)
{
	if (set == NULL)
		return;
	arena_fini(&set->arena);
	free(set);
}

static void key_set_freep(struct key_set **set)
{
	key_set_free(*set);
}

/* --- one key --- */

static void bn_freep(BIGNUM **n)
{
	BN_free(*n);
}

static void params_builder_freep(OSSL_PARAM_BLD **b)
{
	OSSL_PARAM_BLD_free(*b);
}

static void params_freep(OSSL_PARAM **p)
{
	OSSL_PARAM_free(*p);
}

static void key_context_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void key_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static struct str text_of(const json_t *jwk, const char *name)
{
	const json_t *value = json_object_get(jwk, name);

	return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value))
				     : STR_NULL;
}

/* A number of the key; false if it is none, or larger than `most` bytes. */
static bool number_of(const json_t *jwk, const char *name, unsigned char *to, size_t most,
		      size_t *ret_len)
{
	struct str text = text_of(jwk, name);

	return text.len > 0 && text.len <= (most + 2) / 3 * 4 &&
	       base64url_decode(text, to, ret_len) == 0 && *ret_len <= most;
}

/* NULL when OpenSSL does not take it. */
static EVP_PKEY *build_key(const char *type, OSSL_PARAM_BLD *builder)
{
	_cleanup_(params_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	_cleanup_(key_context_freep)
		EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

static EVP_PKEY *read_rsa(const json_t *jwk)
{
	_cleanup_(params_builder_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	_cleanup_(bn_freep) BIGNUM *n = NULL;
	_cleanup_(bn_freep) BIGNUM *e = NULL;
	unsigned char bytes[NUMBER_MOST + 8];
	size_t len;

	if (!number_of(jwk, "n", bytes, NUMBER_MOST, &len))
		return NULL;
	n = BN_bin2bn(bytes, (int) len, NULL);
	if (!number_of(jwk, "e", bytes, NUMBER_MOST, &len))
		return NULL;
	e = BN_bin2bn(bytes, (int) len, NULL);
	if (builder == NULL || n == NULL || e == NULL || BN_num_bits(n) < RSA_BITS ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		return NULL;
	return build_key("RSA", builder);
}

/* OpenSSL checks that the point lies on the curve. */
static EVP_PKEY *read_p256(const json_t *jwk)
{
	_cleanup_(params_builder_freep) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	unsigned char point[1 + 2 * P256_BYTES + 8] = { POINT_CONVERSION_UNCOMPRESSED };
	size_t x, y;

	if (!str_eq_c(text_of(jwk, "crv"), "P-256") ||
	    !number_of(jwk, "x", point + 1, P256_BYTES, &x) || x != P256_BYTES ||
	    !number_of(jwk, "y", point + 1 + P256_BYTES, P256_BYTES, &y) || y != P256_BYTES)
		return NULL;
	if (builder == NULL ||
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
		    1 ||
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
					     1 + 2 * P256_BYTES) != 1)
		return NULL;
	return build_key("EC", builder);
}

/* clang-format off */
static const struct {
	const char *type, *name;
	EVP_PKEY *(*read)(const json_t *);
} algorithms[] = {
	[JWKS_RS256] = { "RSA", "RS256", read_rsa },
	[JWKS_ES256] = { "EC",  "ES256", read_p256 },
};
/* clang-format on */

static bool write_pem(struct arena *arena, EVP_PKEY *key, struct str *ret)
{
	_cleanup_(bio_freep) BIO *out = BIO_new(BIO_s_mem());
	char *text;

	if (out == NULL || PEM_write_bio_PUBKEY(out, key) != 1)
		return false;
	long len = BIO_get_mem_data(out, &text);
	*ret = arena_str(arena, str_make(text, (size_t) len));
	return true;
}

/* A key that is not for us (another curve, encryption, another algorithm) is left out. */
static void add_key(struct key_set *set, const json_t *jwk)
{
	struct str use = text_of(jwk, "use"), alg = text_of(jwk, "alg"), kid = text_of(jwk, "kid");

	if (!str_is_null(use) && !str_eq_c(use, "sig"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(algorithms) && set->count < KEYS_MOST; i++) {
		if (!str_eq_c(text_of(jwk, "kty"), algorithms[i].type) ||
		    (!str_is_null(alg) && !str_eq_c(alg, algorithms[i].name)))
			continue;
		_cleanup_(key_freep) EVP_PKEY *key = algorithms[i].read(jwk);
		struct jwk *k = &set->keys[set->count];

		if (key == NULL || !write_pem(&set->arena, key, &k->pem))
			continue;
		k->algorithm = (enum jwks_algorithm) i;
		k->kid = arena_str(&set->arena, kid);
		set->count++;
	}
}

/* --- the set --- */

static int read_set(struct str text, struct key_set **ret)
{
	_cleanup_(json_decrefp) json_t *json = json_loadb(text.at, text.len, 0, NULL);
	const json_t *keys = json_object_get(json, "keys"), *jwk;
	_cleanup_(key_set_freep) struct key_set *set = calloc(1, sizeof(*set));
	size_t i;

	must(set != NULL);
	arena_init(&set->arena);
	if (!json_is_array(keys))
		return fail(-E_INVALID, "%s holds no JWKS: an object with an array \"keys\"",
			    source);
	json_array_foreach(keys, i, jwk) add_key(set, jwk);
	if (set->count == 0)
		return fail(-E_INVALID, "%s holds no key that RS256 or ES256 could use", source);
	*ret = set;
	set = NULL;
	return 0;
}

static size_t take_bytes(char *at, size_t size, size_t count, void *arg)
{
	struct buf *text = arg;

	if (text->len + size * count > BYTES_MOST)
		return 0; /* ends the transfer */
	buf_add(text, at, size * count);
	return size * count;
}

static int fetch(struct buf *text)
{
	CURL *curl = curl_easy_init();
	long status = 0;

	must(curl != NULL);
	curl_easy_setopt(curl, CURLOPT_URL, source);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, FETCH_TIMEOUT);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code != CURLE_OK)
		return fail(-E_UNAVAILABLE, "%s: %s", source, curl_easy_strerror(code));
	if (status != 200)
		return fail(-E_UNAVAILABLE, "%s answers %ld", source, status);
	return 0;
}

static int read_file(struct buf *text)
{
	char piece[2048];
	FILE *file = fopen(source, "re");
	size_t n;

	if (file == NULL)
		return fail(-errno, "%s cannot be opened: %s", source, error_sentence(-errno));
	while (text->len <= BYTES_MOST && (n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(text, piece, n);
	fclose(file);
	return text->len <= BYTES_MOST ? 0 : fail(-E_INVALID, "%s is too long", source);
}

static bool is_url(const char *text)
{
	return strstr(text, "://") != NULL;
}

static int load(void)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct key_set *set = NULL, *old;
	int r;

	r = is_url(source) ? fetch(&text) : read_file(&text);
	if (r == 0)
		r = read_set(buf_str(&text), &set);
	if (r < 0)
		return r;
	pthread_mutex_lock(&lock);
	old = current;
	current = set;
	fetched = now_monotonic();
	pthread_mutex_unlock(&lock);
	key_set_free(old);
	return 0;
}

/* One thread does this, so that who waits behind somebody else's try finds it made. */
static int load_on_thread(void *arg)
{
	(void) arg;
	pthread_mutex_lock(&lock);
	bool is_due = tried == 0 || now_monotonic() - tried >= FETCH_AGAIN;
	if (is_due)
		tried = now_monotonic();
	pthread_mutex_unlock(&lock);
	if (!is_due)
		return 0;
	int r = load();
	/* Whoever asked sees a token that cannot be checked; the reason is the operator's. */
	if (r < 0)
		log_warn("keys of the identity provider: %s", fail_reason(r));
	return 0;
}

/* --- asking --- */

/* Under the lock. */
static const struct jwk *find(struct str kid, enum jwks_algorithm algorithm)
{
	const struct jwk *found = NULL;

	for (size_t i = 0; current != NULL && i < current->count; i++) {
		const struct jwk *k = &current->keys[i];

		if (k->algorithm != algorithm)
			continue;
		if (!str_is_null(kid)) {
			if (!str_is_null(k->kid) && str_eq(k->kid, kid))
				return k;
		} else if (found != NULL) {
			return NULL; /* which one is not said */
		} else {
			found = k;
		}
	}
	return found;
}

/* 1 with the key, 0 without; *ret_is_due: the keys are old, or this one is missed, and a try may be
 * made. */
static int look(struct arena *arena, struct str kid, enum jwks_algorithm algorithm,
		struct str *ret_pem, bool *ret_is_due)
{
	usec_t now = now_monotonic();

	pthread_mutex_lock(&lock);
	const struct jwk *k = find(kid, algorithm);
	bool is_old = fetched == 0 || now - fetched >= FRESH;
	*ret_is_due = (k == NULL || is_old) && (tried == 0 || now - tried >= FETCH_AGAIN);
	if (k != NULL)
		*ret_pem = arena_str(arena, k->pem);
	pthread_mutex_unlock(&lock);
	return k != NULL;
}

int jwks_find(struct arena *arena, struct str kid, enum jwks_algorithm algorithm,
	      struct str *ret_pem)
{
	bool is_due;
	int r;

	r = look(arena, kid, algorithm, ret_pem, &is_due);
	if (is_due) {
		int waited = offload(pool, load_on_thread, NULL);

		if (waited == -ECANCELED || waited == -ETIMEDOUT)
			return waited;
		r = look(arena, kid, algorithm, ret_pem, &is_due);
	}
	return r > 0 ? 0 : -E_NOT_FOUND;
}

int jwks_setup(const char *url)
{
	int r;

	source = NULL;
	if (url[0] == '\0')
		return 0;
	if (is_url(url) && strncmp(url, "https://", 8) != 0 &&
	    !(strncmp(url, "http://", 7) == 0 && settings_is_development()))
		return fail(-E_BAD_SETTING,
			    "APIUM_JWKS_URL=%s: keys come by https:// or from a file", url);
	if (settings.jwt_issuer[0] == '\0')
		return fail(-E_BAD_SETTING,
			    "APIUM_JWKS_URL is set but not APIUM_JWT_ISSUER, whose keys they are");
	source = url;
	if (is_url(url)) {
		must(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
	} else {
		r = load();
		if (r < 0)
			return fail(-E_BAD_SETTING, "APIUM_JWKS_URL: %s", fail_reason(r));
	}
	return offload_pool_new("jwks", 1, 256, &pool);
}

void jwks_shutdown(void)
{
	if (pool != NULL)
		pool = offload_pool_free(pool);
	key_set_free(current);
	current = NULL;
	fetched = tried = 0;
	source = NULL;
}

bool jwks_is_used(void)
{
	return source != NULL;
}
