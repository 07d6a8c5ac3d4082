#include "auth/reset_token.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/world.h"

#define SALT      "django.contrib.auth.tokens.PasswordResetTokenGenerator"
/* 2001-01-01T00:00:00Z, from which Django counts. */
#define EPOCH     INT64_C(978307200)
/* 36^12 seconds are longer than anybody waits. */
#define TIME_MOST 12
#define DIGITS    "0123456789abcdefghijklmnopqrstuvwxyz"

static struct str base36(struct arena *arena, int64_t number)
{
	char text[16];
	size_t at = sizeof(text);

	do {
		text[--at] = DIGITS[number % 36];
		number /= 36;
	} while (number > 0);
	return arena_str(arena, str_make(text + at, sizeof(text) - at));
}

static int base36_parse(struct str text, int64_t *ret)
{
	int64_t number = 0;

	if (text.len == 0 || text.len > TIME_MOST)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		const char *digit = text.at[i] == '\0' ? NULL : strchr(DIGITS, text.at[i]);

		if (digit == NULL)
			return -EINVAL;
		number = number * 36 + (digit - DIGITS);
	}
	*ret = number;
	return 0;
}

/* Django's salted_hmac: the key is a digest of salt and secret. */
static void sign(struct arena *arena, struct str secret, struct str value,
		 unsigned char mac[SHA256_DIGEST_LENGTH])
{
	struct str salted = arena_printf(arena, SALT "%.*s", STR_ARG(secret));
	unsigned char key[SHA256_DIGEST_LENGTH];
	unsigned len = SHA256_DIGEST_LENGTH;

	SHA256((const unsigned char *) salted.at, salted.len, key);
	must(HMAC(EVP_sha256(), key, sizeof(key), (const unsigned char *) value.at, value.len, mac,
		  &len) != NULL);
	OPENSSL_cleanse(key, sizeof(key));
}

static struct str make_at(struct arena *arena, struct str secret, const struct reset_subject *s,
			  int64_t time)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(buf_fini) struct buf hex = BUF_INIT;
	unsigned char mac[SHA256_DIGEST_LENGTH];

	sign(arena, secret,
	     arena_printf(arena, "%.*s%.*s%.*s%ld%.*s", STR_ARG(s->id), STR_ARG(s->password),
			  STR_ARG(s->last_login), (long) time, STR_ARG(s->email)),
	     mac);
	hex_encode(&hex, str_make(mac, sizeof(mac)));
	buf_add_str(&text, base36(arena, time));
	buf_add_byte(&text, '-');
	for (size_t i = 0; i < hex.len; i += 2)
		buf_add_byte(&text, hex.at[i]);
	return arena_str(arena, buf_str(&text));
}

static int64_t now(void)
{
	return now_realtime() / SEC - EPOCH;
}

struct str reset_token_make(struct arena *arena, struct str secret, const struct reset_subject *s)
{
	return make_at(arena, secret, s, now());
}

bool reset_token_check(struct arena *arena, struct str secret, const struct reset_subject *s,
		       struct str token)
{
	struct str rest = token, head;
	int64_t time;

	if (!str_cut(&rest, '-', &head) || base36_parse(head, &time) < 0)
		return false;
	struct str right = make_at(arena, secret, s, time);
	if (token.len != right.len || CRYPTO_memcmp(token.at, right.at, right.len) != 0)
		return false;
	return now() - time <= RESET_TOKEN_LIFETIME / SEC;
}
