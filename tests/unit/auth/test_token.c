#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/token.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/world.h"

#define USER   "0190a0a0-0000-7000-8000-000000000001"
#define NOW    ((usec_t) 1700000000 * SEC)
#define SECRET "a secret of some length for the tests"

static struct arena arena;
static struct fake_world world;

static void setup(void)
{
	arena_init(&arena);
	fake_world_init(&world, 1, NOW);
	world_set(&world.world);
	token_setup(STR(SECRET));
}

static void teardown(void)
{
	world_set(NULL);
	token_thread_fini();
	arena_fini(&arena);
}

TestSuite(token, .init = setup, .fini = teardown);

/* A token made by hand, signed as told. */
static struct str forge(const char *header, const char *payload, const char *secret)
{
	struct buf text = BUF_INIT;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	base64url_encode(&text, str_c(header));
	buf_add_byte(&text, '.');
	base64url_encode(&text, str_c(payload));
	HMAC(EVP_sha256(), secret, (int) strlen(secret), (const unsigned char *) text.at, text.len,
	     mac, &len);
	buf_add_byte(&text, '.');
	if (secret[0] != '\0')
		base64url_encode(&text, str_make(mac, len));
	struct str made = arena_str(&arena, buf_str(&text));
	buf_fini(&text);
	return made;
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static void expect_refused(struct str text, const char *words)
{
	struct token_claims claims;
	int r = token_verify(&arena, text, TOKEN_ACCESS, &claims);

	cr_expect_eq(r, -E_BAD_TOKEN, "%.*s was taken", STR_ARG(text));
	cr_expect_str_eq(fail_reason(r), words);
}

Test(token, reads_what_it_made)
{
	struct token_claims claims;
	struct token_pair pair;

	cr_assert_eq(token_issue(&arena, STR(USER), &pair), 0);
	cr_assert_eq(token_verify(&arena, pair.access, TOKEN_ACCESS, &claims), 0);
	cr_expect(str_eq_c(claims.user_id, USER));
	cr_expect_eq(claims.expires, NOW / SEC + 3600);
	cr_expect_eq(claims.jti.len, 32);
	cr_assert_eq(token_verify(&arena, pair.refresh, TOKEN_REFRESH, &claims), 0);
	cr_expect_eq(claims.expires, NOW / SEC + 7 * 24 * 3600);
	cr_expect(str_eq(claims.jti, pair.refresh_jti));
}

Test(token, refuses_the_wrong_kind_and_the_wrong_time)
{
	struct token_pair pair;

	cr_assert_eq(token_issue(&arena, STR(USER), &pair), 0);
	struct token_claims claims;
	expect_refused(pair.refresh, "Token has wrong type");
	cr_assert_eq(token_verify(&arena, pair.access, TOKEN_ACCESS, &claims),
		     0);                  /* remembered from here on */
	fake_world_advance(&world, HOUR); /* exp <= now is expired */
	expect_refused(pair.access, "Token is expired");
}

Test(token, refuses_forgeries)
{
	static const char claims[] =
		"{\"token_type\":\"access\",\"exp\":1700003600,\"iat\":1700000000,\"jti\":\"x\","
		"\"user_id\":\"" USER "\"}";
	struct token_claims got;

	cr_expect_eq(token_verify(&arena, forge(HS256, claims, SECRET), TOKEN_ACCESS, &got), 0);
	expect_refused(forge(HS256, claims, "another secret"), "Token is invalid");
	expect_refused(forge("{\"alg\":\"none\",\"typ\":\"JWT\"}", claims, ""), "Token is invalid");
	expect_refused(forge("{\"alg\":\"HS512\",\"typ\":\"JWT\"}", claims, SECRET),
		       "Token is invalid");
	expect_refused(forge("{\"alg\":\"RS256\",\"typ\":\"JWT\"}", claims, SECRET),
		       "Token is invalid");
	expect_refused(STR("a.b.c"), "Token is invalid");
	expect_refused(STR(""), "Token is invalid");
	expect_refused(STR("a\0b"), "Token is invalid");
}

Test(token, asks_for_every_claim)
{
	static const struct {
		const char *payload, *words;
	} cases[] = {
		{ "{\"token_type\":\"access\",\"jti\":\"x\"}", "Token has no 'exp' claim" },
		{ "{\"token_type\":\"access\",\"exp\":1700003600}", "Token has no id" },
		{ "{\"exp\":1700003600,\"jti\":\"x\"}", "Token has no type" },
		{ "{\"token_type\":\"access\",\"exp\":\"soon\",\"jti\":\"x\"}",
		  "Token is invalid" },
		{ "{\"token_type\":\"access\",\"exp\":1700003600,\"jti\":5}", "Token is invalid" },
		{ "{\"token_type\":\"access\",\"exp\":1700003600,\"jti\":\"x\",\"nbf\":1700000001}",
		  "Token is invalid" },
		{ "{\"token_type\":\"access\",\"exp\":1700003600,\"jti\":\"x\",\"iat\":1700000001}",
		  "Token is invalid" },
		{ "{\"token_type\":\"access\",\"exp\":1700000000,\"jti\":\"x\"}",
		  "Token is expired" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_refused(forge(HS256, cases[i].payload, SECRET), cases[i].words);
}

Test(token, tells_an_absent_user_from_a_null_one)
{
	struct token_claims claims;
	struct str none = forge(
		HS256, "{\"token_type\":\"access\",\"exp\":1700003600,\"jti\":\"x\"}", SECRET);
	struct str null = forge(
		HS256,
		"{\"token_type\":\"access\",\"exp\":1700003600,\"jti\":\"x\",\"user_id\":null}",
		SECRET);

	cr_assert_eq(token_verify(&arena, none, TOKEN_ACCESS, &claims), 0);
	cr_expect(str_is_null(claims.user_id));
	cr_assert_eq(token_verify(&arena, null, TOKEN_ACCESS, &claims), 0);
	cr_expect(!str_is_null(claims.user_id) && claims.user_id.len == 0);
}

Test(token, of_any_kind_serves_whoever_only_verifies)
{
	struct token_claims claims;
	struct token_pair pair;

	cr_assert_eq(token_issue(&arena, STR(USER), &pair), 0);
	cr_expect_eq(token_verify(&arena, pair.access, TOKEN_ANY, &claims), 0);
	cr_expect_eq(token_verify(&arena, pair.refresh, TOKEN_ANY, &claims), 0);
	cr_expect_eq(token_verify(&arena,
				  forge(HS256, "{\"exp\":1700003600,\"jti\":\"x\"}", SECRET),
				  TOKEN_ANY, &claims),
		     0);
	/* What was seen as another kind is not remembered as an access token. */
	expect_refused(pair.refresh, "Token has wrong type");
}

Test(token, rotation_keeps_the_other_claims)
{
	struct token_claims old, renewed;
	struct token_pair pair;
	struct str text = forge(HS256,
				"{\"token_type\":\"refresh\",\"exp\":1700003600,\"iat\":1699990000,"
				"\"jti\":\"old\",\"user_id\":\"" USER
				"\",\"role\":\"admin\",\"n\":[1,{\"a\":null}]}",
				SECRET);

	cr_assert_eq(token_verify(&arena, text, TOKEN_REFRESH, &old), 0);
	cr_expect_str_eq(old.others.at, "{\"n\":[1,{\"a\":null}],\"role\":\"admin\"}");
	cr_assert_eq(token_rotate(&arena, &old, &pair), 0);
	cr_assert_eq(token_verify(&arena, pair.refresh, TOKEN_REFRESH, &renewed), 0);
	cr_expect(str_eq(renewed.others, old.others));
	cr_expect(str_eq_c(renewed.user_id, USER) && !str_eq_c(renewed.jti, "old"));
	cr_expect_eq(renewed.issued, NOW / SEC);
	cr_expect_eq(renewed.expires, (NOW + TOKEN_REFRESH_LIFETIME) / SEC);
	cr_assert_eq(token_verify(&arena, pair.access, TOKEN_ACCESS, &renewed), 0);
	cr_expect(str_eq_c(renewed.user_id, USER));
}

Test(token, of_a_pair_has_no_other_claims)
{
	struct token_claims claims;
	struct token_pair pair;

	cr_assert_eq(token_issue(&arena, STR(USER), &pair), 0);
	cr_assert_eq(token_verify(&arena, pair.refresh, TOKEN_REFRESH, &claims), 0);
	cr_expect(str_is_null(claims.others));
}

Test(token, whatever_is_cut_or_blown_up_is_refused)
{
	struct token_claims claims;
	struct token_pair pair;

	cr_assert_eq(token_issue(&arena, STR(USER), &pair), 0);
	for (size_t len = 0; len < pair.access.len; len++)
		cr_expect_eq(
			token_verify(&arena, str_slice(pair.access, 0, len), TOKEN_ACCESS, &claims),
			-E_BAD_TOKEN, "%zu bytes", len);
	for (size_t at = 0; at < pair.access.len; at++) {
		char *text = arena_c(&arena, pair.access);

		text[at] = text[at] == 'A' ? 'B' : 'A';
		if (at == pair.access.len - 1)
			continue; /* its last bits are no part of the signature */
		cr_expect_eq(token_verify(&arena, str_make(text, pair.access.len), TOKEN_ACCESS,
					  &claims),
			     -E_BAD_TOKEN, "changed at %zu", at);
	}
	char *huge = arena_alloc(&arena, MIB);
	memset(huge, 'a', MIB);
	expect_refused(str_make(huge, MIB), "Token is invalid");
	expect_refused(
		forge(HS256,
		      arena_printf(
			      &arena,
			      "{\"token_type\":\"access\",\"exp\":1700003600,\"jti\":\"%0300d\"}",
			      0)
			      .at,
		      SECRET),
		"Token is invalid"); /* no column holds that jti */
}
