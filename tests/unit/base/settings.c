#include "base/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/error.h"

/* What the machine that runs the tests has set is no input of theirs. */
static void forget_environment(void)
{
	clearenv();
}

TestSuite(settings, .init = forget_environment);

Test(settings, the_tables_are_sound)
{
	cr_assert_eq(settings_check(), 0, "%s", fail_reason(-E_BAD_SETTING));
}

Test(settings, defaults)
{
	cr_assert_eq(settings_load(), 0, "%s", fail_reason(-E_BAD_SETTING));
	cr_assert_str_eq(settings.env, "production");
	cr_assert_str_eq(settings.listen, "127.0.0.1:8000");
	cr_assert_eq(settings.threads, sysconf(_SC_NPROCESSORS_ONLN),
		     "0 stands for the processors");
	cr_assert_eq(settings.hosts, 1);
	cr_assert_eq(settings.grace, 30 * SEC);
	cr_assert_eq(settings.max_body, (int64_t) (12 * MIB));
	cr_assert(settings.db_prepare && !settings.diag);
	cr_assert(!settings_is_development());
}

Test(settings, the_environment_wins_in_every_type)
{
	setenv("APIUM_ENV", "test", 1);
	setenv("APIUM_GRACE", "0.25", 1);
	setenv("APIUM_MAX_BODY", "64 KiB", 1);
	setenv("APIUM_THREADS", "3", 1);
	setenv("APIUM_DIAG", "Yes", 1);
	setenv("DATABASE_URL", "postgresql://u:p@h/db", 1);
	cr_assert_eq(settings_load(), 0, "%s", fail_reason(-E_BAD_SETTING));
	cr_assert_eq(settings.grace, 250 * MSEC);
	cr_assert_eq(settings.max_body, 65536);
	cr_assert_eq(settings.threads, 3);
	cr_assert(settings.diag);
	cr_assert_str_eq(settings.database_url, "postgresql://u:p@h/db");
	cr_assert(settings_is_development());
	setenv("DATABASE_URL", "changed", 1);
	cr_assert_str_eq(settings.database_url, "postgresql://u:p@h/db");
}

Test(settings, what_is_wrong_is_named)
{
	static const struct {
		const char *name, *value, *sentence;
	} rows[] = {
		{ "APIUM_CONCURENCY", "1",
		  "APIUM_CONCURENCY is no setting; did you mean APIUM_CONCURRENCY?" },
		{ "APIUM_SECRETKEY", "x",
		  "APIUM_SECRETKEY is no setting; did you mean APIUM_SECRET_KEY?" },
		{ "APIUM_XYZZYQWERTYUIOP", "1", "APIUM_XYZZYQWERTYUIOP is no setting" },
		{ "APIUM_THREADS", "two", "APIUM_THREADS: \"two\" is not a whole number" },
		{ "APIUM_THREADS", "65", "APIUM_THREADS: \"65\" is not between 0 and 64" },
		{ "APIUM_THREADS", "-1", "APIUM_THREADS: \"-1\" is not between 0 and 64" },
		{ "APIUM_THREADS", "", "APIUM_THREADS: \"\" is not a whole number" },
		{ "APIUM_GRACE", "3600.5",
		  "APIUM_GRACE: \"3600.5\" is not between 0 and 3600 seconds" },
		{ "APIUM_GRACE", "1e400",
		  "APIUM_GRACE: \"1e400\" is not between 0 and 3600 seconds" },
		{ "APIUM_GRACE", "1m", "APIUM_GRACE: \"1m\" is not a number of seconds" },
		{ "APIUM_MAX_BODY", "12MB",
		  "APIUM_MAX_BODY: \"12MB\" is not a number of bytes (such as 4096, 64KiB, 12MiB)" },
		{ "APIUM_MAX_BODY", "9999999999GiB",
		  "APIUM_MAX_BODY: \"9999999999GiB\" is not between 1024 and 1073741824 bytes" },
		{ "APIUM_DIAG", "maybe", "APIUM_DIAG: \"maybe\" is neither on nor off" },
		{ "APIUM_LOG", "xml", "APIUM_LOG: \"xml\" is none of text|json" },
		{ "APIUM_LOG", "text|json", "APIUM_LOG: \"text|json\" is none of text|json" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		setenv(rows[i].name, rows[i].value, 1);
		cr_assert_eq(settings_load(), -E_BAD_SETTING, "%s", rows[i].sentence);
		cr_assert_str_eq(fail_reason(-E_BAD_SETTING), rows[i].sentence);
		unsetenv(rows[i].name);
	}
	setenv("APIUM_TEST_ANYTHING", "1", 1);
	cr_assert_eq(settings_load(), 0, "left to test harnesses");
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
	cr_assert_eq(setenv("APIUM_SETTINGS_FILE", path, 1), 0);
}

static void expect_reason(int r, const char *path, const char *sentence)
{
	char expected[256];

	(void) snprintf(expected, sizeof(expected), "%s%s", path, sentence);
	cr_assert_eq(r, -E_BAD_SETTING);
	cr_assert_str_eq(fail_reason(r), expected);
}

Test(settings, a_file_wins_over_the_environment_and_is_read_again)
{
	char path[] = "/tmp/apium-settings-XXXXXX";
	const char *level;

	close(mkstemp(path));
	setenv("APIUM_LOG_LEVEL", "error", 1);
	setenv("APIUM_GRACE", "7", 1);
	write_file(path, "# a comment\n\n APIUM_LOG_LEVEL = warn\nAPIUM_MAIL_FROM=\"a b\"\n");
	cr_assert_eq(settings_load(), 0);
	cr_assert_str_eq(settings.log_level, "warn");
	cr_assert_str_eq(settings.mail_from, "a b");
	cr_assert_eq(settings.grace, 7 * SEC);
	level = settings.log_level;

	write_file(path, "APIUM_LOG_LEVEL=debug\nAPIUM_GRACE=9\n");
	cr_assert_eq(settings_reload(), 0);
	cr_assert_str_eq(settings.log_level, "debug");
	cr_assert_str_eq(level, "warn", "what somebody still holds stays");
	cr_assert_eq(settings.grace, 7 * SEC, "not reloadable");
	cr_assert_str_eq(settings.mail_from, "a b", "not reloadable");

	/* One bad line, and nothing changes. */
	write_file(path, "APIUM_LOG_LEVEL=info\nAPIUM_GRACE=soon\n");
	expect_reason(settings_reload(), "", "APIUM_GRACE: \"soon\" is not a number of seconds");
	write_file(path, "APIUM_LOG_LEVEL=info\nAPIUM_GRACES=1\n");
	expect_reason(settings_reload(), path,
		      ":2: APIUM_GRACES is no setting; did you mean APIUM_GRACE?");
	write_file(path, "APIUM_LOG_LEVEL\n");
	expect_reason(settings_reload(), path, ":1: there is no \"=\"");
	cr_assert_str_eq(settings.log_level, "debug");
	unlink(path);
	cr_assert_eq(settings_reload(), -E_BAD_SETTING);
	cr_assert_eq(settings_load(), -E_BAD_SETTING);
}

Test(settings, contradictions_are_refused_with_both_names)
{
	static const struct {
		const char *name, *value, *other, *its, *sentence;
	} rows[] = {
		{ "APIUM_SOFT_TIME_LIMIT", "20", "APIUM_TIME_LIMIT", "10",
		  "APIUM_SOFT_TIME_LIMIT and APIUM_TIME_LIMIT contradict each other: the soft limit "
		  "would come after the hard one" },
		{ "APIUM_MAX_BODY", "300MiB", "APIUM_BODY_BUDGET", "256MiB",
		  "APIUM_MAX_BODY and APIUM_BODY_BUDGET contradict each other: one body of the "
		  "largest size would not fit into the budget" },
		{ "APIUM_METRICS_LISTEN", "127.0.0.1:9, 0.0.0.0:80", "APIUM_LISTEN", "0.0.0.0:80",
		  "APIUM_METRICS_LISTEN and APIUM_LISTEN contradict each other: metrics would be "
		  "answered on a public address" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		setenv(rows[i].name, rows[i].value, 1);
		setenv(rows[i].other, rows[i].its, 1);
		cr_assert_eq(settings_load(), -E_BAD_SETTING, "%s", rows[i].sentence);
		cr_assert_str_eq(fail_reason(-E_BAD_SETTING), rows[i].sentence);
		unsetenv(rows[i].name);
		unsetenv(rows[i].other);
	}
}

static int64_t extra;
static const struct setting extra_rows[] = {
	{ "NOTES_LIMIT", SETTING_COUNT, &extra, "5", 1, 10, 0, "How many notes." },
	{ "NOTES_KEY", SETTING_COUNT, &extra, "6", 1, 10, SETTING_SECRET,
	  "A number nobody may see." },
};

Test(settings, an_application_adds_rows)
{
	settings_register(extra_rows, 1);
	cr_assert_eq(settings_check(), 0);
	cr_assert_eq(settings_load(), 0);
	cr_assert_eq(extra, 5);
	setenv("NOTES_LIMIT", "11", 1);
	cr_assert_eq(settings_load(), -E_BAD_SETTING);
}

Test(settings, a_secret_is_never_told)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	settings_register(extra_rows, 2);
	setenv("NOTES_KEY", "hunter2", 1);
	cr_assert_eq(settings_load(), -E_BAD_SETTING);
	cr_assert_str_eq(fail_reason(-E_BAD_SETTING), "NOTES_KEY: its value (***) cannot be used");
	unsetenv("NOTES_KEY");
	setenv("APIUM_SECRET_KEY", "tell-nobody-tell-nobody-tell-nobody", 1);
	cr_assert_eq(settings_load(), 0);
	settings_print(&b);
	cr_assert_eq(str_find(buf_str(&b), STR("tell-nobody")), -1);
	cr_assert(str_find(buf_str(&b), STR("APIUM_SECRET_KEY=***\n")) > 0);
	cr_assert(str_find(buf_str(&b), STR("APIUM_GRACE=30\n")) > 0);
	cr_assert(str_find(buf_str(&b), STR("APIUM_MAX_BODY=12582912\n")) > 0);
}

/* A table cannot be taken back: one test each. */
static void expect_broken(const struct setting *row, const char *sentence)
{
	settings_register(row, 1);
	cr_assert_eq(settings_check(), -E_BAD_SETTING);
	cr_assert_str_eq(fail_reason(-E_BAD_SETTING), sentence);
}

Test(settings, a_row_that_stands_twice_is_found)
{
	static const struct setting row = { "APIUM_GRACE", SETTING_COUNT, &extra, "1", 0, 0, 0,
					    "Again." };

	expect_broken(&row, "APIUM_GRACE stands in the tables twice");
}

Test(settings, a_row_without_help_is_found)
{
	static const struct setting row = { "X", SETTING_COUNT, &extra, "1", 0, 0, 0, "" };

	expect_broken(&row, "a setting without a name or help: X");
}

Test(settings, a_default_out_of_its_bounds_is_found)
{
	static const struct setting row = { "X", SETTING_COUNT, &extra, "11", 1, 10, 0, "Help." };

	expect_broken(&row, "bad default: X: \"11\" is not between 1 and 10");
}

Test(settings, a_choice_without_words_is_found)
{
	static const struct setting row = { "X", SETTING_CHOICE, &extra, "a", 0, 0, 0, "Help." };

	expect_broken(&row, "X: its help does not say \"one of |…|\"");
}

Test(settings, bounds_the_wrong_way_round_are_found)
{
	static const struct setting row = { "X", SETTING_COUNT, &extra, "1", 5, 1, 0, "Help." };

	expect_broken(&row, "X: its bounds are the wrong way round");
}

Test(settings, production_needs_a_secret_of_its_own)
{
	cr_assert_eq(settings_load(), 0);
	cr_assert_eq(settings_check_secret(), -E_BAD_SETTING);
	setenv("APIUM_ENV", "development", 1);
	cr_assert_eq(settings_load(), 0);
	cr_assert_eq(settings_check_secret(), 0);
	setenv("APIUM_ENV", "production", 1);
	setenv("APIUM_SECRET_KEY", "short", 1);
	cr_assert_eq(settings_load(), 0);
	cr_assert_eq(settings_check_secret(), -E_BAD_SETTING);
	setenv("APIUM_SECRET_KEY", "0123456789abcdef0123456789abcdef", 1);
	cr_assert_eq(settings_load(), 0);
	cr_assert_eq(settings_check_secret(), 0);
}

Test(settings, items_of_a_list_are_trimmed)
{
	struct str rest = STR(" a, ,b ,,c"), item;
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	while (settings_next_item(&rest, &item)) {
		buf_add_str(&b, item);
		buf_add_byte(&b, '|');
	}
	cr_assert_str_eq(b.at, "a|b|c|");
}

Test(settings, the_command_line_is_stronger_than_file_and_environment)
{
	char path[] = "/tmp/apium-settings-XXXXXX";
	int fd = mkstemp(path);

	cr_assert(fd >= 0 && write(fd, "APIUM_NODE=file\n", 16) == 16);
	close(fd);
	setenv("APIUM_SETTINGS_FILE", path, 1);
	setenv("APIUM_CONCURRENCY", "7", 1);
	cr_assert_eq(settings_say("APIUM_NODE", "said@%h"), 0);
	cr_assert_eq(settings_say("APIUM_CONCURRENCY", "3"), 0);
	cr_assert_eq(settings_load(), 0, "%s", fail_reason(-E_BAD_SETTING));
	cr_assert_str_eq(settings.node, "said@%h");
	cr_assert_eq(settings.concurrency, 3);
	cr_assert_eq(settings_reload(), 0, "%s", fail_reason(-E_BAD_SETTING));
	cr_assert_str_eq(settings.node, "said@%h");
	cr_assert_eq(settings_say("APIUM_NODE", "two\nlines"), -E_BAD_SETTING);
	unlink(path);
}
