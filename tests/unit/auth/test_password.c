#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>

#include "auth/password.h"
#include "auth/password_encoding.h"
#include "auth/vectors.h"
#include "base/error.h"
#include "base/settings.h"

static bool matches(const char *password, const char *stored)
{
	const struct password_encoding *e = password_encoding_of(str_c(stored));

	return e != NULL && e->matches(str_c(password), str_c(stored));
}

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	settings.password_write = "argon2id";
	settings.password_upgrade = true;
}

TestSuite(password, .init = setup);

Test(password, verifies_what_django_stored)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored_vectors); i++) {
		const char *stored = stored_vectors[i].stored;

		cr_expect(matches(VECTOR_PASSWORD, stored), "%s", stored_vectors[i].name);
		cr_expect(!matches(VECTOR_PASSWORD "x", stored), "%s", stored_vectors[i].name);
		cr_expect(!matches("", stored), "%s", stored_vectors[i].name);
	}
}

Test(password, one_changed_character_of_a_hash_is_another_hash)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored_vectors); i++) {
		char text[PASSWORD_ENCODED];

		snprintf(text, sizeof(text), "%s", stored_vectors[i].stored);
		char *c = text + strlen(text) - 6;
		*c = *c == 'a' ? 'b' : 'a';
		cr_expect(!matches(VECTOR_PASSWORD, text), "%s", stored_vectors[i].name);
	}
}

Test(password, knows_which_are_outdated)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored_vectors); i++) {
		struct str stored = str_c(stored_vectors[i].stored);
		bool is_argon2 = str_starts(stored, STR("argon2$"));
		bool is_pbkdf2 = str_starts(stored, STR("pbkdf2_sha256$"));

		settings.password_write = "argon2id";
		cr_expect_eq(password_is_outdated(stored),
			     !(is_argon2 && stored_vectors[i].is_strong), "%s",
			     stored_vectors[i].name);
		settings.password_write = "pbkdf2_sha256";
		cr_expect_eq(password_is_outdated(stored),
			     !(is_pbkdf2 && stored_vectors[i].is_strong), "%s",
			     stored_vectors[i].name);
		settings.password_upgrade = false;
		cr_expect(!password_is_outdated(stored));
		settings.password_upgrade = true;
	}
}

Test(password, what_is_broken_or_too_costly_matches_nothing)
{
	static const char *const texts[] = {
		"",
		"!",
		"!unusable",
		"plain",
		"md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
		"argon2",
		"argon2$",
		"argon2$$$$$",
		"argon2$argon2d$v=19$m=1024,t=3,p=1$c2FsdHNhbHQ$AAAA",
		"argon2$argon2id$v=19$m=4194304,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA",
		"argon2$argon2id$v=19$m=1024,t=100000,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA",
		"pbkdf2_sha256$",
		"pbkdf2_sha256$0$salt$AAAA",
		"pbkdf2_sha256$2000000000$salt$d8NgZ4SE2WuxQ9nYIVhfsobnCfYNRABGTHirJFaaalQ=",
		"pbkdf2_sha256$-1$salt$d8NgZ4SE2WuxQ9nYIVhfsobnCfYNRABGTHirJFaaalQ=",
		"pbkdf2_sha256$1000$salt$not base64",
		"pbkdf2_sha256$1000$salt$",
		"pbkdf2_sha256$1000$salt$AAAA$more",
		"bcrypt$",
		"bcrypt$$2b$31$daZSf5avg0s4Y2bJhtcE7.feq.7vN79fb5uXyo7EEJDMvmEQXVFxe",
		"bcrypt$$2b$05$short",
		"bcrypt$*0",
		"scrypt$1073741824$salt$8$5$AAAA",
		"scrypt$3$salt$8$1$AAAA",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect(!matches("password", texts[i]), "%s", texts[i]);
}

Test(password, writes_what_the_setting_says_and_verifies_it)
{
	static const struct {
		const char *setting, *prefix;
	} rows[] = {
		{ "argon2id", "argon2$argon2id$v=19$m=19456,t=2,p=1$" },
		{ "pbkdf2_sha256", "pbkdf2_sha256$1000000$" },
	};
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct str made, again;

		settings.password_write = rows[i].setting;
		cr_assert_eq(password_hash_blocking(&arena, STR("Quiet-Harbour-77"), &made), 0);
		cr_assert_eq(password_hash_blocking(&arena, STR("Quiet-Harbour-77"), &again), 0);
		cr_expect(str_starts(made, str_c(rows[i].prefix)), "%s", made.at);
		cr_expect(!str_eq(made, again), "the salt is the same");
		cr_expect_leq(made.len, 128);
		cr_expect(matches("Quiet-Harbour-77", made.at));
		cr_expect(!password_is_outdated(made));
	}
}

Test(password, a_too_long_one_is_refused_before_any_work)
{
	_cleanup_(arena_fini) struct arena arena;
	struct str encoded;

	arena_init(&arena);
	char *text = arena_alloc(&arena, PASSWORD_MOST + 1);
	memset(text, 'x', PASSWORD_MOST + 1);
	cr_expect_eq(password_hash_blocking(&arena, str_make(text, PASSWORD_MOST + 1), &encoded),
		     -E_INVALID);
}
