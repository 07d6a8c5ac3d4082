#include <criterion/criterion.h>

#include "base/error.h"
#include "base/log.h"
#include "beat/periodic.h"
#include "help.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

static const struct task noop = { .name = "t.noop", .help = "h", .ignores_arguments = true };

Test(declare, contradictions_are_refused)
{
	static const struct {
		struct schedule schedules[2];
		const char *sentence;
	} cases[] = {
		{ { { .name = "a", .task = &noop, .crontab = "* * * *" },
		    { .name = "b", .task = &noop, .every = SEC } },
		  "schedule a: a crontab has five fields: minute, hour, day of the month, month, day of "
		  "the week" },
		{ { { .name = "a", .task = &noop, .every = SEC },
		    { .name = "a", .task = &noop, .every = SEC } },
		  "two schedules are called a" },
		{ { { .name = "a", .task = &noop, .every = SEC }, { .name = "b", .every = SEC } },
		  "a schedule without a name or without a task" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(schedules_check(cases[i].schedules, 2), -E_BAD_SETTING);
		cr_expect_str_eq(fail_reason(-E_BAD_SETTING), cases[i].sentence);
	}
}

static void count_warnings(void *arg, enum log_level level, struct str line)
{
	(void) line;
	*(int *) arg += level == LOG_WARN;
}

static int body(void *arg)
{
	struct schedule code[] = {
		{ .name = "a", .task = &noop, .crontab = "0 2 * * *", .zone = "Europe/Berlin" },
		{ .name = "b", .task = &noop, .every = 30 * SEC, .missed = MISSED_ALL },
	};
	struct db *db = help_db();
	struct arena arena;
	int warnings = 0;

	(void) arg;
	arena_init(&arena);
	cr_assert_eq(schedules_check(code, 2), 0);
	cr_assert_eq(periodic_declare(db, &arena, code, 2), 0);
	EQ(help_sql(
		   db, &arena,
		   "SELECT string_agg(name || '|' || coalesce(crontab, every::text) || '|' || zone || '|' || "
		   "missed || '|' || starting_deadline, ' ' ORDER BY name) FROM beat_schedule "
		   "WHERE is_declared"),
	   "a|0 2 * * *|Europe/Berlin|one|86400 b|30|UTC|all|86400");

	/* Said again: nothing has changed.  What the operator set stays. */
	help_sql(db, &arena,
		 "UPDATE beat_schedule SET next_at = '2030-01-01', is_paused = name = 'a', "
		 "updated_at = '2020-01-01' RETURNING 1");
	cr_assert_eq(periodic_declare(db, &arena, code, 2), 0);
	EQ(help_sql(
		   db, &arena,
		   "SELECT count(*) FROM beat_schedule WHERE next_at IS NOT NULL AND updated_at < '2021-01-01'"),
	   "2");
	code[0].crontab = "0 3 * * *";
	code[1].missed = MISSED_SKIP;
	cr_assert_eq(periodic_declare(db, &arena, code, 2), 0);
	EQ(help_sql(
		   db, &arena,
		   "SELECT string_agg(name || (next_at IS NULL) || is_paused || missed, ' ' ORDER BY name) "
		   "FROM beat_schedule WHERE updated_at > '2021-01-01'"),
	   "atruetrueone bfalsefalseskip");

	/* One is gone; another's name is taken by a row that somebody made. */
	help_sql(
		db, &arena,
		"INSERT INTO beat_schedule (name, task, every) VALUES ('c', 't.other', 5) RETURNING 1");
	code[1].name = "c";
	log_divert(count_warnings, &warnings);
	cr_assert_eq(periodic_declare(db, &arena, code, 2), 0);
	log_divert(NULL, NULL);
	cr_assert_eq(warnings, 1);
	EQ(help_sql(
		   db, &arena,
		   "SELECT string_agg(name || task || is_declared, ' ' ORDER BY name) FROM beat_schedule"),
	   "at.nooptrue ct.otherfalse");
	cr_assert_eq(periodic_declare(db, &arena, NULL, 0), 0);
	EQ(help_sql(db, &arena, "SELECT string_agg(name, ' ') FROM beat_schedule"), "c");
	arena_fini(&arena);
	help_db_close(db);
	return 0;
}

Test(declare, rows_follow_the_code)
{
	fibers_run(body, NULL);
}
