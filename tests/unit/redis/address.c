#include <criterion/criterion.h>

#include "base/error.h"
#include "redis/redis.h"

static void same(const char *what, const char *url, const char *got, const char *wanted)
{
	if (wanted == NULL)
		cr_assert_null(got, "%s of %s: %s", what, url, got);
	else
		cr_assert(got != NULL && strcmp(got, wanted) == 0, "%s of %s: %s, not %s", what,
			  url, got == NULL ? "none" : got, wanted);
}

Test(redis_address, reads_what_pythons_client_reads)
{
	/* clang-format off */
	static const struct {
		const char *url, *host, *path, *user, *password;
		int port, database;
		bool is_tls;
	} cases[] = {
		{ "redis://", "localhost", NULL, NULL, NULL, 6379, 0, false },
		{ "redis://example.org", "example.org", NULL, NULL, NULL, 6379, 0, false },
		{ "redis://127.0.0.1:7000/3", "127.0.0.1", NULL, NULL, NULL, 7000, 3, false },
		{ "redis://:secret@h/", "h", NULL, NULL, "secret", 6379, 0, false },
		{ "redis://me:s%40c%3A@h:1/15", "h", NULL, "me", "s@c:", 1, 15, false },
		{ "redis://me:a@b@h:1", "h", NULL, "me", "a@b", 1, 0, false },
		{ "redis://[::1]:7001/2", "::1", NULL, NULL, NULL, 7001, 2, false },
		{ "redis://[fe80::1]", "fe80::1", NULL, NULL, NULL, 6379, 0, false },
		{ "redis://h?db=4&password=x&username=u", "h", NULL, "u", "x", 6379, 4, false },
		{ "rediss://h:2", "h", NULL, NULL, NULL, 2, 0, true },
		{ "unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, NULL, 0, 0, false },
		{ "unix:///a%20b?db=2&user=me&password=p%26q", NULL, "/a b", "me", "p&q", 0, 2, false },
		{ "unix://:pw@/s", NULL, "/s", NULL, "pw", 0, 0, false },
	};
	/* clang-format on */
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redis_address a;

		cr_assert_eq(redis_address_parse(&arena, cases[i].url, &a), 0, "%s", cases[i].url);
		same("host", cases[i].url, a.host, cases[i].host);
		same("path", cases[i].url, a.path, cases[i].path);
		same("user", cases[i].url, a.user, cases[i].user);
		same("password", cases[i].url, a.password, cases[i].password);
		cr_assert_eq(a.port, cases[i].port, "port of %s: %d", cases[i].url, a.port);
		cr_assert_eq(a.database, cases[i].database, "database of %s: %d", cases[i].url,
			     a.database);
		cr_assert_eq(a.is_tls, cases[i].is_tls, "%s", cases[i].url);
	}
}

Test(redis_address, refuses_with_a_sentence_that_hides_the_password)
{
	static const char *const urls[] = {
		"",
		"localhost:6379",
		"http://u:hunter2@h",
		"redis://u:hunter2@h:0",
		"redis://u:hunter2@h:65536",
		"redis://u:hunter2@h:12x",
		"redis://u:hunter2@h/one",
		"redis://u:hunter2@h/-1",
		"redis://u:hunter2@[::1",
		"redis://u:hunter2@[::1]7",
		"redis://u:hunter2@h?dbb=1",
		"rediss://u:hunter2@h?ssl_cert_reqs=perhaps",
		"rediss://u:hunter2@h?ssl_check_hostname=1",
		"redis+sentinel://u:hunter2@h",
		"redis+sentinel://u:hunter2@h,i:99999/main",
		"redis+sentinel://u:hunter2@h/main/x",
		"redis+sentinel://u:hunter2@1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17/main",
		"unix://host/path",
		"unix://nopath",
		"unix:///xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxx",
	};
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct redis_address a = { .port = 77 };

		cr_assert_eq(redis_address_parse(&arena, urls[i], &a), -E_BAD_SETTING, "%s",
			     urls[i]);
		cr_assert_eq(a.port, 77, "written on failure: %s", urls[i]);
		cr_assert_null(strstr(fail_reason(-E_BAD_SETTING), "hunter2"), "%s",
			       fail_reason(-E_BAD_SETTING));
		cr_assert_not_null(strstr(fail_reason(-E_BAD_SETTING), "redis url: "), "%s",
				   urls[i]);
	}
}

Test(redis_address, names_sentinels_and_files)
{
	_cleanup_(arena_fini) struct arena arena;
	struct redis_address a;

	arena_init(&arena);
	cr_assert_eq(redis_address_parse(
			     &arena,
			     "rediss+sentinel://u:pw@one,two:5000,[::1]:5001/main/3?"
			     "sentinel_password=s&ssl_ca_certs=/ca%20file&ssl_certfile=/c&"
			     "ssl_keyfile=/k&ssl_server_name=redis.example&ssl_cert_reqs=CERT_NONE&"
			     "ssl_check_hostname=False",
			     &a),
		     0, "%s", fail_reason(-E_BAD_SETTING));
	cr_assert_null(a.host);
	cr_assert_str_eq(a.master, "main");
	cr_assert_eq(a.database, 3);
	cr_assert_eq(a.sentinel_count, 3);
	cr_assert_str_eq(a.sentinels[0].host, "one");
	cr_assert_eq(a.sentinels[0].port, 26379);
	cr_assert_str_eq(a.sentinels[1].host, "two");
	cr_assert_eq(a.sentinels[1].port, 5000);
	cr_assert_str_eq(a.sentinels[2].host, "::1");
	cr_assert_eq(a.sentinels[2].port, 5001);
	cr_assert_str_eq(a.user, "u");
	cr_assert_str_eq(a.password, "pw");
	cr_assert_str_eq(a.sentinel_password, "s");
	cr_assert(a.is_tls && a.tls.is_unchecked && a.tls.is_name_unchecked);
	cr_assert_str_eq(a.tls.authorities, "/ca file");
	cr_assert_str_eq(a.tls.certificate, "/c");
	cr_assert_str_eq(a.tls.key, "/k");
	cr_assert_str_eq(a.tls.server_name, "redis.example");
}
