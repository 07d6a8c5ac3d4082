#include "fuzz.h"

#include <openssl/hmac.h>

#include "auth/token.h"
#include "base/codec.h"

static const char secret[] = "fuzz-secret-key-0123456789-0123456789";

/* Claims as they are, properly signed: past the signature's check. */
static void fuzz_claims(struct arena *a, struct str claims)
{
	_cleanup_(buf_fini) struct buf token = BUF_INIT;
	uint8_t mac[32];
	unsigned len = sizeof(mac);
	struct token_claims found;

	base64url_encode(&token, STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
	buf_add_byte(&token, '.');
	base64url_encode(&token, claims);
	must(HMAC(EVP_sha256(), secret, sizeof(secret) - 1, (const uint8_t *) token.at, token.len,
		  mac, &len) != NULL);
	buf_add_byte(&token, '.');
	base64url_encode(&token, str_make(mac, len));
	must(token_verify(a, buf_str(&token), TOKEN_ACCESS, &found) <= 0);
}

/* An input that begins with "{" is signed claims, any other a token. */
void fuzz_token(struct str input)
{
	static bool is_set_up;
	_cleanup_(arena_fini) struct arena a;
	struct token_claims found;

	arena_init(&a);
	if (!is_set_up)
		token_setup(STR("fuzz-secret-key-0123456789-0123456789"));
	is_set_up = true;
	if (str_starts(input, STR("{")))
		fuzz_claims(&a, input);
	else
		must(token_verify(&a, input, TOKEN_ACCESS, &found) == -E_BAD_TOKEN);
}
