#include "db/migrate.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "servers.h"

/* A folder of migrations and a database of its own for each test. */
struct place {
	char folder[64];
	char url[256];
	PGconn *admin, *pg;
	struct buf said;
	struct migrate_options options;
};

static void keep(void *arg, const char *line)
{
	struct place *p = arg;

	buf_add_c(&p->said, line);
	buf_add_byte(&p->said, '\n');
}

static void ignore(void *arg, const char *notice)
{
	(void) arg, (void) notice;
}

static void sql(PGconn *pg, const char *text)
{
	PGresult *result = PQexec(pg, text);
	ExecStatusType status = PQresultStatus(result);

	cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", text,
		  PQerrorMessage(pg));
	PQclear(result);
}

static int number(PGconn *pg, const char *text)
{
	PGresult *result = PQexec(pg, text);
	int n;

	cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s: %s", text, PQerrorMessage(pg));
	n = (int) strtol(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return n;
}

static void place_init(struct place *p, const char *name)
{
	char text[128];

	*p = (struct place){ .said = BUF_INIT };
	snprintf(p->folder, sizeof(p->folder), "%s/migrate-XXXXXX", servers_folder());
	cr_assert_not_null(mkdtemp(p->folder));
	p->admin = PQconnectdb(servers_postgres());
	PQsetNoticeProcessor(p->admin, ignore, NULL);
	snprintf(text, sizeof(text), "DROP DATABASE IF EXISTS %s", name);
	sql(p->admin, text);
	snprintf(text, sizeof(text), "CREATE DATABASE %s", name);
	sql(p->admin, text);
	snprintf(p->url, sizeof(p->url), "%s&dbname=%s", servers_postgres(), name);
	p->pg = PQconnectdb(p->url);
	PQsetNoticeProcessor(p->pg, ignore, NULL);
	cr_assert_eq(PQstatus(p->pg), CONNECTION_OK, "%s", PQerrorMessage(p->pg));
	p->options = (struct migrate_options){
		.url = p->url, .folder = p->folder, .say = keep, .arg = p
	};
}

static void place_fini(struct place *p)
{
	PQfinish(p->pg);
	PQfinish(p->admin);
	buf_fini(&p->said);
}

static void file(const struct place *p, const char *name, const char *content)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", p->folder, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(content, f);
	fclose(f);
}

static bool has_table(struct place *p, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "SELECT count(*) FROM pg_class WHERE relname = '%s'", name);
	return number(p->pg, text) == 1;
}

static void expect_said(struct place *p, const char *wanted)
{
	cr_assert_str_eq(p->said.at, wanted);
	buf_clear(&p->said);
}

Test(db_migrate, goes_up_and_down_in_order)
{
	struct place p;

	place_init(&p, "up_and_down");
	file(&p, "202601010002_second.up.sql",
	     "ALTER TABLE first ADD COLUMN b int; CREATE TABLE second (a int);");
	file(&p, "202601010002_second.down.sql",
	     "DROP TABLE second; ALTER TABLE first DROP COLUMN b");
	file(&p, "202601010001_first.up.sql", "CREATE TABLE first (a int)");
	file(&p, "202601010001_first.down.sql", "DROP TABLE first");
	file(&p, "202601010003_third.up.sql", "-- a comment\nINSERT INTO first VALUES (1, 2);");
	file(&p, "README.md", "not a migration");
	cr_assert_eq(migrate_status(&p.options), 3);
	expect_said(&p, "202601010001 first: not applied\n202601010002 second: not applied\n"
			"202601010003 third: not applied\n");
	cr_assert(!has_table(&p, "apium_migrations"), "status changes nothing");
	cr_assert_eq(migrate_up(&p.options, 1), 1);
	expect_said(&p, "202601010001 first: applied\n");
	cr_assert_eq(migrate_status(&p.options), 2);
	cr_assert_not_null(strstr(p.said.at, "202601010001 first: applied 20"), "%s", p.said.at);
	buf_clear(&p.said);
	cr_assert_eq(migrate_up(&p.options, 0), 2);
	expect_said(&p, "202601010002 second: applied\n202601010003 third: applied\n");
	cr_assert_eq(migrate_up(&p.options, 0), 0);
	cr_assert_eq(number(p.pg, "SELECT b FROM first"), 2);
	cr_assert_eq(migrate_down(&p.options, 1), -E_BAD_SETTING, "the third has no way down");
	cr_assert_not_null(
		strstr(fail_reason(-E_BAD_SETTING), "202601010003_third has no .down.sql"));
	sql(p.pg, "DELETE FROM apium_migrations WHERE version = '202601010003'");
	buf_clear(&p.said);
	cr_assert_eq(migrate_down(&p.options, 5), 2);
	expect_said(&p, "202601010002 second: undone\n202601010001 first: undone\n");
	cr_assert(!has_table(&p, "first") && !has_table(&p, "second"));
	cr_assert_eq(migrate_down(&p.options, 1), 0);
	place_fini(&p);
}

Test(db_migrate, a_file_that_fails_leaves_nothing)
{
	struct place p;

	place_init(&p, "fails");
	file(&p, "202601010001_good.up.sql", "CREATE TABLE good (a int);");
	file(&p, "202601010002_bad.up.sql",
	     "CREATE TABLE half (a int);\n\nINSERT INTO hälf VALUES (1);\n");
	file(&p, "202601010003_later.up.sql", "CREATE TABLE later (a int);");
	cr_assert_eq(migrate_up(&p.options, 0), -E_SQL);
	cr_assert_not_null(strstr(fail_reason(-E_SQL), "202601010002_bad.up.sql:3: "), "%s",
			   fail_reason(-E_SQL));
	cr_assert_not_null(strstr(fail_reason(-E_SQL), "hälf"), "%s", fail_reason(-E_SQL));
	expect_said(&p, "202601010001 good: applied\n");
	cr_assert(has_table(&p, "good") && !has_table(&p, "half") && !has_table(&p, "later"));
	cr_assert_eq(number(p.pg, "SELECT count(*) FROM apium_migrations"), 1);
	cr_assert_eq(migrate_status(&p.options), 2);
	/* Repaired, it goes on from there. */
	file(&p, "202601010002_bad.up.sql", "CREATE TABLE half (a int);");
	cr_assert_eq(migrate_up(&p.options, 0), 2);
	place_fini(&p);
}

Test(db_migrate, a_file_that_commits_by_itself_is_told_off)
{
	struct place p;

	place_init(&p, "commits");
	file(&p, "202601010001_own.up.sql", "CREATE TABLE own (a int); COMMIT;");
	cr_assert_eq(migrate_up(&p.options, 0), -E_SQL);
	cr_assert_not_null(strstr(fail_reason(-E_SQL), "ends the transaction by itself"));
	place_fini(&p);
}

Test(db_migrate, without_a_transaction_runs_statement_by_statement)
{
	static const char concurrently[] =
		"-- no-transaction\n"
		"DROP INDEX CONCURRENTLY IF EXISTS big_a;\n"
		"CREATE INDEX CONCURRENTLY big_a ON big (a); -- ; not an end\n";
	struct place p;

	place_init(&p, "no_transaction");
	file(&p, "202601010001_big.up.sql", "CREATE TABLE big (a int);");
	file(&p, "202601010002_index.up.sql", concurrently);
	file(&p, "202601010002_index.down.sql", "-- no-transaction\nDROP INDEX CONCURRENTLY big_a");
	cr_assert_eq(migrate_up(&p.options, 0), 2, "%s", fail_reason(-E_SQL));
	cr_assert(has_table(&p, "big_a"));
	cr_assert_eq(migrate_down(&p.options, 1), 1, "%s", fail_reason(-E_SQL));
	cr_assert(!has_table(&p, "big_a"));
	/* One that fails half-way is on record, and run again. */
	file(&p, "202601010003_half.up.sql",
	     "-- no-transaction\nCREATE TABLE IF NOT EXISTS half (a int);\nINSERT INTO missing VALUES (1);");
	cr_assert_eq(migrate_up(&p.options, 0), -E_SQL);
	cr_assert_not_null(strstr(fail_reason(-E_SQL), "202601010003_half.up.sql:3: "), "%s",
			   fail_reason(-E_SQL));
	cr_assert(has_table(&p, "half"));
	buf_clear(&p.said);
	cr_assert_eq(migrate_status(&p.options), 1);
	cr_assert_not_null(strstr(p.said.at, "202601010003 half: started, did not end"), "%s",
			   p.said.at);
	sql(p.pg, "CREATE TABLE missing (a int)");
	buf_clear(&p.said);
	cr_assert_eq(migrate_up(&p.options, 0), 1);
	expect_said(&p, "202601010003 half: was started before and did not end, again\n"
			"202601010003 half: applied\n");
	cr_assert_eq(number(p.pg, "SELECT count(*) FROM missing"), 1);
	place_fini(&p);
}

/* Runs migrate_up in a process of its own; its exit status is what it applied, or 100. */
static pid_t up_elsewhere(const struct place *p)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct migrate_options options = p->options;
		int r;

		options.say = NULL;
		r = migrate_up(&options, 0);
		_exit(r < 0 ? 100 : r);
	}
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(db_migrate, two_at_once_do_the_work_once)
{
	struct place p;
	pid_t pids[4];
	int applied = 0;

	place_init(&p, "at_once");
	file(&p, "202601010001_slow.up.sql", "CREATE TABLE slow (a int); SELECT pg_sleep(0.3);");
	/* Waits for every session that holds a snapshot: the others must not wait in a
	 * statement. */
	file(&p, "202601010002_index.up.sql",
	     "-- no-transaction\nCREATE INDEX CONCURRENTLY slow_a ON slow (a);");
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = up_elsewhere(&p);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int status = status_of(pids[i]);

		cr_assert(status == 0 || status == 2, "%d", status);
		applied += status;
	}
	cr_assert_eq(applied, 2);
	cr_assert_eq(
		number(p.pg, "SELECT count(*) FROM apium_migrations WHERE finished_at IS NOT NULL"),
		2);
	place_fini(&p);
}

static void *release_later(void *arg)
{
	struct place *p = arg;
	PGconn *watcher = PQconnectdb(p->url);

	/* Until the migration has asked for the lock twice, and was sent away at least once. */
	for (int seen = 0, was_waiting = 0; seen < 2;) {
		int is_waiting = number(
			watcher,
			"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
			"AND query LIKE 'ALTER TABLE busy%'");

		seen += is_waiting && !was_waiting;
		was_waiting = is_waiting;
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	sql(p->pg, "COMMIT");
	PQfinish(watcher);
	return NULL;
}

Test(db_migrate, asks_again_for_a_lock_that_is_not_to_be_had)
{
	struct place p;
	pthread_t thread;

	place_init(&p, "locked");
	file(&p, "202601010001_alter.up.sql", "ALTER TABLE busy ADD COLUMN b int;");
	p.options.lock_timeout = 100 * MSEC;
	sql(p.pg, "CREATE TABLE busy (a int)");
	sql(p.pg, "BEGIN; LOCK TABLE busy IN ACCESS SHARE MODE");
	/* Never to be had: it gives up, and leaves nothing. */
	p.options.lock_tries = 2;
	cr_assert_eq(migrate_up(&p.options, 0), -E_UNAVAILABLE);
	expect_said(&p, "202601010001 alter: waits for a lock\n");
	p.options.lock_tries = 100;
	cr_assert_eq(pthread_create(&thread, NULL, release_later, &p), 0);
	cr_assert_eq(migrate_up(&p.options, 0), 1);
	pthread_join(thread, NULL);
	cr_assert_not_null(strstr(p.said.at, "waits for a lock"));
	place_fini(&p);
}

Test(db_migrate, says_what_is_wrong_with_the_folder)
{
	static const struct {
		const char *files[2];
		const char *reason;
	} cases[] = {
		{ { "2026_short.up.sql" }, "2026_short.up.sql: a migration is called" },
		{ { "202601010001_x.sql" }, "202601010001_x.sql: a migration is called" },
		{ { "202601010001_.up.sql" }, "202601010001_.up.sql: a migration is called" },
		{ { "202601010001_a.up.sql", "202601010001_b.up.sql" },
		  "have the same number 202601010001" },
		{ { "202601010001_a.down.sql" }, "202601010001_a.down.sql has no .up.sql" },
	};
	struct place p;

	place_init(&p, "folder");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[256];

		for (int f = 0; f < 2 && cases[i].files[f] != NULL; f++)
			file(&p, cases[i].files[f], "");
		cr_assert_eq(migrate_up(&p.options, 0), -E_BAD_SETTING, "%s", cases[i].files[0]);
		cr_assert_not_null(strstr(fail_reason(-E_BAD_SETTING), cases[i].reason), "%s",
				   fail_reason(-E_BAD_SETTING));
		for (int f = 0; f < 2 && cases[i].files[f] != NULL; f++) {
			snprintf(path, sizeof(path), "%s/%s", p.folder, cases[i].files[f]);
			unlink(path);
		}
	}
	p.options.folder = "/nonexistent";
	cr_assert_eq(migrate_up(&p.options, 0), -E_BAD_SETTING);
	p.options.folder = p.folder;
	p.options.url = "postgresql:///x?host=/nonexistent";
	cr_assert_eq(migrate_up(&p.options, 0), -E_UNAVAILABLE);
	cr_assert_eq(migrate_status(&p.options), -E_UNAVAILABLE);
	place_fini(&p);
}

Test(db_migrate, tells_of_applied_ones_whose_file_is_gone)
{
	struct place p;
	char path[256];

	place_init(&p, "gone");
	file(&p, "202601010001_gone.up.sql", "CREATE TABLE gone (a int)");
	cr_assert_eq(migrate_up(&p.options, 0), 1);
	snprintf(path, sizeof(path), "%s/202601010001_gone.up.sql", p.folder);
	cr_assert_eq(unlink(path), 0);
	buf_clear(&p.said);
	cr_assert_eq(migrate_status(&p.options), 0);
	cr_assert_not_null(strstr(p.said.at, "its file is missing"), "%s", p.said.at);
	cr_assert_eq(migrate_up(&p.options, 0), 0);
	cr_assert_eq(migrate_down(&p.options, 1), -E_BAD_SETTING);
	place_fini(&p);
}
