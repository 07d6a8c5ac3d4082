#include "db/conninfo.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "base/error.h"

static const char *param(const char *const *keywords, const char *const *values,
			 const char *keyword)
{
	const char *found = NULL;

	for (size_t i = 0; keywords[i] != NULL; i++)
		if (strcmp(keywords[i], keyword) == 0)
			found = values[i]; /* the last one wins, as in libpq */
	return found;
}

static struct db_conninfo parse(struct arena *arena, const char *url)
{
	struct db_conninfo c;

	cr_assert_eq(db_conninfo_parse(arena, url, "me", &c), 0, "%s: %s", url,
		     fail_reason(-E_BAD_SETTING));
	return c;
}

Test(db_conninfo, takes_hosts_apart)
{
	/* clang-format off */
	static const struct {
		const char *url;
		size_t count;
		struct { const char *name, *port; bool is_name; } hosts[3];
	} cases[] = {
		{ "postgresql:///db", 0, { { 0 } } },
		{ "postgresql://u:p@example.org/db", 1, { { "example.org", "", true } } },
		{ "postgresql://127.0.0.1:7000/db", 1, { { "127.0.0.1", "7000", false } } },
		{ "postgresql://[::1]:7000/db", 1, { { "::1", "7000", false } } },
		{ "postgresql:///db?host=/run/pg&port=7", 1, { { "/run/pg", "7", false } } },
		{ "host=a,/b,10.0.0.1 port=1,2,3", 3, { { "a", "1", true }, { "/b", "2", false }, { "10.0.0.1", "3", false } } },
		{ "host=a,b port=9", 2, { { "a", "9", true }, { "b", "9", true } } },
		{ "host=a hostaddr=1.2.3.4", 0, { { 0 } } },
	};
	/* clang-format on */
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	unsetenv("PGHOST");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct db_conninfo c = parse(&arena, cases[i].url);

		cr_assert_eq(c.host_count, cases[i].count, "%s: %zu", cases[i].url, c.host_count);
		for (size_t h = 0; h < c.host_count; h++) {
			cr_assert_str_eq(c.hosts[h].name, cases[i].hosts[h].name, "%s",
					 cases[i].url);
			cr_assert_str_eq(c.hosts[h].port, cases[i].hosts[h].port, "%s",
					 cases[i].url);
			cr_assert_eq(c.hosts[h].is_name, cases[i].hosts[h].is_name, "%s",
				     cases[i].url);
		}
	}
}

Test(db_conninfo, gives_libpq_addresses_and_our_defaults)
{
	struct sockaddr_in ends[2] = { { .sin_family = AF_INET }, { .sin_family = AF_INET } };
	struct addrinfo second = { .ai_addr = (struct sockaddr *) &ends[1],
				   .ai_addrlen = sizeof(ends[1]) };
	struct addrinfo first = {
		.ai_addr = (struct sockaddr *) &ends[0],
		.ai_addrlen = sizeof(ends[0]),
		.ai_next = &second,
	};
	const char *const *keywords, *const *values;
	_cleanup_(arena_fini) struct arena arena;
	struct db_addresses a;
	struct db_conninfo c;

	arena_init(&arena);
	inet_pton(AF_INET, "10.1.1.1", &ends[0].sin_addr);
	inet_pton(AF_INET, "10.1.1.2", &ends[1].sin_addr);
	c = parse(&arena,
		  "host=name,/sock port=5,6 dbname=d application_name=mine gssencmode=prefer "
		  "client_encoding=LATIN1");
	db_addresses_init(&a, &arena);
	db_addresses_add(&a, &c.hosts[0], &first);
	db_addresses_add(&a, &c.hosts[1], NULL);
	db_conninfo_params(&c, &a, 0, &keywords, &values);
	cr_assert_str_eq(param(keywords, values, "host"), "name,name,/sock");
	cr_assert_str_eq(param(keywords, values, "hostaddr"), "10.1.1.1,10.1.1.2,");
	cr_assert_str_eq(param(keywords, values, "port"), "5,5,6");
	cr_assert_str_eq(param(keywords, values, "dbname"), "d");
	cr_assert_str_eq(param(keywords, values, "application_name"), "mine");
	cr_assert_str_eq(param(keywords, values, "gssencmode"), "prefer");
	cr_assert_str_eq(param(keywords, values, "tcp_user_timeout"), "10000");
	cr_assert_str_eq(param(keywords, values, "client_encoding"), "UTF8");
	/* The next attempt begins with the next address. */
	db_conninfo_params(&c, &a, 1, &keywords, &values);
	cr_assert_str_eq(param(keywords, values, "hostaddr"), "10.1.1.2,,10.1.1.1");
	cr_assert_str_eq(param(keywords, values, "host"), "name,/sock,name");
	cr_assert_str_eq(param(keywords, values, "port"), "5,6,5");
	c = parse(&arena, "postgresql:///d");
	db_addresses_init(&a, &arena);
	db_conninfo_params(&c, &a, 3, &keywords, &values);
	cr_assert_null(param(keywords, values, "host"));
	cr_assert_str_eq(param(keywords, values, "application_name"), "me");
	cr_assert_str_eq(param(keywords, values, "gssencmode"), "disable");
}

Test(db_conninfo, refuses_with_a_sentence)
{
	static const char *const urls[] = { "postgresql://h?nosuch=1", "nosuch=1", "service=x",
					    "postgresql://h:x%zz/" };
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct db_conninfo c = { .host_count = 77 };

		cr_assert_eq(db_conninfo_parse(&arena, urls[i], NULL, &c), -E_BAD_SETTING, "%s",
			     urls[i]);
		cr_assert_eq(c.host_count, 77, "written on failure");
		cr_assert_not_null(strstr(fail_reason(-E_BAD_SETTING), "database url: "));
	}
}
