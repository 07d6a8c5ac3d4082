#include <criterion/criterion.h>

#include "resource/selection.h"
#include "resource/sql.h"

static void expect_text(const struct sql *s, const char *text)
{
	cr_expect_str_eq(s->text.at, text, "%s", s->text.at);
}

Test(sql, gives_the_row_its_alias_and_nothing_else)
{
	static const struct {
		const char *snippet, *text;
	} cases[] = {
		{ "t.name", "x.name" },
		{ "lower(t.name) = t.name", "lower(x.name) = x.name" },
		{ "(SELECT c.name FROM c WHERE c.id = t.c_id)",
		  "(SELECT c.name FROM c WHERE c.id = x.c_id)" },
		{ "at.name || t2.name || it.t.b", "at.name || t2.name || it.t.b" },
		{ "'t.name' || \"t.name\" || 'it''s t.x'",
		  "'t.name' || \"t.name\" || 'it''s t.x'" },
		{ "t.a::text", "x.a::text" },
		{ "t", "t" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(sql_fini) struct sql s = SQL_INIT;

		sql_add_over(&s, cases[i].snippet, "x");
		expect_text(&s, cases[i].text);
		cr_expect_eq(s.count, 0);
	}
}

Test(sql, numbers_names_and_values_as_they_come)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	sql_add_over(&s, "t.owner = :caller OR :staff OR t.editor = :caller::uuid", "t");
	sql_add(&s, " AND t.name = ");
	sql_add_value(&s, STR("lamp"));
	sql_add(&s, " AND t.id = ");
	sql_add_name(&s, SQL_KEY);
	sql_add(&s, " AND t.price > ");
	sql_add_value(&s, STR("lamp"));
	expect_text(&s,
		    "t.owner = $1 OR $2 OR t.editor = $1::uuid AND t.name = $3 AND t.id = $4 AND "
		    "t.price > $5");
	cr_assert_eq(s.count, 5);
	static const enum sql_name names[] = { SQL_CALLER, SQL_STAFF, SQL_VALUE, SQL_KEY,
					       SQL_VALUE };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect_eq(s.slots[i].name, names[i], "%zu", i);
	cr_expect(str_eq(s.slots[4].value, STR("lamp")));
}

Test(sql, a_finished_statement_outlives_its_making)
{
	_cleanup_(arena_fini) struct arena arena;
	struct sql s = SQL_INIT;

	arena_init(&arena);
	sql_printf(&s, "SELECT %d FROM x WHERE a = ", 1);
	sql_add_value(&s, STR("one"));
	struct sql_statement kept = sql_finish(&s, &arena, DB_SHARED, true);
	struct sql_statement once = sql_finish(&s, &arena, DB_EXCLUSIVE, false);
	sql_fini(&s);
	cr_expect(str_eq(kept.statement.sql, STR("SELECT 1 FROM x WHERE a = $1")));
	cr_expect(kept.statement.lane == DB_SHARED && !kept.statement.is_varying);
	cr_expect(once.statement.lane == DB_EXCLUSIVE && once.statement.is_varying);
	cr_assert_eq(kept.count, 1);
	cr_expect(str_eq(kept.slots[0].value, STR("one")));
}

Test(sql, an_unknown_name_is_found)
{
	cr_expect(str_is_null(
		sql_unknown_name("t.a = :caller AND t.b = ':nobody' AND t.c::text = 'x'")));
	cr_expect(str_eq(sql_unknown_name("t.a = :callers"), STR(":callers")));
}

Test(sql, words_become_parameters)
{
	_cleanup_(sql_fini) struct sql s = SQL_INIT;

	s.row_of = "post";
	sql_add_over(&s, "t.a OR has_perm('blog.change_post') AND NOT in_group('guests')", "x");
	expect_text(&s, "x.a OR $1::boolean AND NOT $2::boolean");
	cr_assert_eq(s.count, 2);
	cr_expect(s.slots[0].name == SQL_PERMISSION &&
		  str_eq(s.slots[0].value, STR("blog.change_post")));
	cr_expect(s.slots[1].name == SQL_MEMBER && str_eq(s.slots[1].value, STR("guests")));
	sql_fini(&s);
	s.row_of = "post";
	sql_add_over(&s, "granted('change')", "x");
	expect_text(
		&s,
		"($1::boolean OR EXISTS (SELECT FROM auth_grant a WHERE a.resource = 'post' AND "
		"a.object_id = x.id::text AND a.permission = 'change' AND (a.user_id = $2::uuid OR "
		"a.group_id IN (SELECT m.group_id FROM users_groups m WHERE m.user_id = "
		"$2::uuid))))");
	cr_expect(sql_has_rights("granted('x')") && sql_has_grants("t.a OR granted('x')"));
	cr_expect(sql_has_rights("has_perm('x')") && !sql_has_grants("has_perm('x')"));
	cr_expect(!sql_has_rights("t.granted") && !sql_has_rights("'granted(''x'')'") &&
		  !sql_has_rights(NULL));
}

Test(sql, signs_of_like_mean_themselves)
{
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	cr_expect(str_eq(sql_like_text(&arena, STR("50%_a\\b")), STR("50\\%\\_a\\\\b")));
}

static void expect_terms(const char *text, const char *const *terms)
{
	_cleanup_(arena_fini) struct arena arena;
	struct str found[8];
	size_t count, expected = 0;

	arena_init(&arena);
	count = search_terms(&arena, str_c(text), found, ARRAY_SIZE(found));
	while (terms[expected] != NULL)
		expected++;
	cr_expect_eq(count, expected, "<%s>: %zu terms", text, count);
	for (size_t i = 0; i < MIN(count, expected); i++)
		cr_expect(str_eq_c(found[i], terms[i]), "<%s>: %.*s", text, STR_ARG(found[i]));
}

/* What DRF's search_smart_split answers to the same (drf-wire §9). */
Test(search, splits_as_drf_does)
{
	expect_terms("", (const char *const[]){ NULL });
	expect_terms("  hello   world ", (const char *const[]){ "hello", "world", NULL });
	expect_terms("hello, world", (const char *const[]){ "hello", "world", NULL });
	expect_terms("\"hello, world\"", (const char *const[]){ "hello, world", NULL });
	expect_terms("'hello world' x", (const char *const[]){ "hello world", "x", NULL });
	expect_terms("\"hello, world\",found",
		     (const char *const[]){ "\"hello", "world\"", "found", NULL });
	expect_terms(",\"a b\",", (const char *const[]){ "a b", NULL });
	expect_terms("\"it\\\"s\"", (const char *const[]){ "it\"s", NULL });
	expect_terms("a,,b,", (const char *const[]){ "a", "b", NULL });
	expect_terms("\" a", (const char *const[]){ "a", NULL });
	expect_terms("\"open", (const char *const[]){ "\"open", NULL });
}

Test(search, takes_no_more_terms_than_asked_for)
{
	_cleanup_(arena_fini) struct arena arena;
	struct str found[2];

	arena_init(&arena);
	cr_expect_eq(search_terms(&arena, STR("a b c,d e"), found, ARRAY_SIZE(found)), 2);
}
