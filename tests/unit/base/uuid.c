#include "base/uuid.h"

#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/world.h"

Test(uuid, version_4_says_so)
{
	char text[UUID_TEXT + 1], other[UUID_TEXT + 1];
	struct uuid u = uuid_v4(), v = uuid_v4();

	uuid_format(&u, text);
	uuid_format(&v, other);
	cr_assert_eq(strlen(text), UUID_TEXT);
	cr_assert_eq(text[14], '4');
	cr_assert(strchr("89ab", text[19]) != NULL);
	cr_assert_str_neq(text, other);
}

Test(uuid, version_7_holds_the_time_and_sorts_within_a_millisecond)
{
	struct fake_world f;
	struct uuid last = { 0 }, u;
	uint64_t ms;
	char text[UUID_TEXT + 1];

	fake_world_init(&f, 1, 1700000000123 * MSEC);
	world_set(&f.world);
	/* More than one millisecond has numbers for: the count borrows from the next. */
	for (int i = 0; i < 10000; i++) {
		u = uuid_v7();
		cr_assert(memcmp(last.bytes, u.bytes, 16) < 0);
		last = u;
		if (i == 0) {
			ms = 0;
			for (int k = 0; k < 6; k++)
				ms = ms << 8 | u.bytes[k];
			cr_assert_eq(ms, 1700000000123);
		}
	}
	uuid_format(&u, text);
	cr_assert_eq(text[14], '7');
	cr_assert(strchr("89ab", text[19]) != NULL);
	/* A clock that goes back does not break the order. */
	f.realtime -= HOUR;
	u = uuid_v7();
	cr_assert(memcmp(last.bytes, u.bytes, 16) < 0);
	world_set(NULL);
}

Test(uuid, reads_what_python_reads)
{
	static const struct {
		const char *text;
		int r;
	} rows[] = {
		{ "01234567-89ab-cdef-0123-456789abcdef", 0 },
		{ "01234567-89AB-CDEF-0123-456789ABCDEF", 0 },
		{ "0123456789abcdef0123456789abcdef", 0 },
		{ "{01234567-89ab-cdef-0123-456789abcdef}", 0 },
		{ "urn:uuid:01234567-89ab-cdef-0123-456789abcdef", 0 },
		{ "", -EINVAL },
		{ "01234567-89ab-cdef-0123-456789abcde", -EINVAL },
		{ "01234567-89ab-cdef-0123-456789abcdef0", -EINVAL },
		{ "01234567-89ab-cdef-0123-456789abcdeg", -EINVAL },
		{ "0123456789abcdef{0123456789abcdef", -EINVAL },
		{ " 01234567-89ab-cdef-0123-456789abcdef", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct uuid u = { 0 };
		char text[UUID_TEXT + 1];

		cr_assert_eq(uuid_parse(str_c(rows[i].text), &u), rows[i].r, "%s", rows[i].text);
		uuid_format(&u, text);
		cr_assert_str_eq(text, rows[i].r == 0 ? "01234567-89ab-cdef-0123-456789abcdef"
						      : "00000000-0000-0000-0000-000000000000");
	}
}

Test(uuid, is_normalised_from_every_form_that_is_read)
{
	static const char *const forms[] = { "0190a0a0-0000-7000-8000-00000000000a",
					     "0190A0A0-0000-7000-8000-00000000000A",
					     "0190a0a000007000800000000000000a",
					     "{0190a0a0-0000-7000-8000-00000000000a}",
					     "urn:uuid:0190a0a0-0000-7000-8000-00000000000a" };
	_cleanup_(arena_fini) struct arena arena;
	struct str text;

	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		cr_assert_eq(uuid_normalise(&arena, str_c(forms[i]), &text), 0, "%s", forms[i]);
		cr_expect_str_eq(text.at, forms[0]);
	}
	cr_expect_lt(uuid_normalise(&arena, STR("x"), &text), 0);
}
