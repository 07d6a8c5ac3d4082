#include "help.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/error.h"
#include "db/migrate.h"
#include "servers.h"

/* The URL of another database of the same server.  Its database is the last segment of a URL's path. */
static void url_of(const char *name, char *url, size_t size)
{
	const char *whole = servers_postgres(), *query = strchr(whole, '?');
	const char *slash;

	if (query == NULL)
		query = whole + strlen(whole);
	slash = memrchr(whole, '/', (size_t) (query - whole));
	cr_assert_not_null(slash, "APIUM_TEST_DATABASE_URL is a URL with a database");
	(void) snprintf(url, size, "%.*s%s%s", (int) (slash + 1 - whole), whole, name, query);
}

static void create_database(const char *name, const char *from)
{
	char command[700];

	(void) snprintf(command, sizeof(command),
			"psql '%s' -X -q -v ON_ERROR_STOP=1 -c 'CREATE DATABASE %s TEMPLATE %s'",
			servers_postgres(), name, from);
	cr_assert_eq(system(command), 0, "%s", command);
}

static void say_nothing(void *arg, const char *line)
{
	(void) arg;
	(void) line;
}

/* Migrated once, in the program's first process, which the tests' processes have the name from: their
 * databases are copies of it. */
#define TEMPLATE_VARIABLE "APIUM_TEST_QUEUE_TEMPLATE"

static void make_template(void)
{
	char name[64], url[512];
	struct migrate_options m = { .url = url, .folder = TEST_MIGRATIONS, .say = say_nothing };

	(void) snprintf(name, sizeof(name), "queue_template_%d", (int) getpid());
	create_database(name, "template1");
	url_of(name, url, sizeof(url));
	cr_assert_geq(migrate_up(&m, 0), 0, "%s", fail_reason(-E_SQL));
	cr_assert_eq(setenv(TEMPLATE_VARIABLE, name, 1), 0);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	(void) tests;
	(void) servers_redis();
	make_template();
}

static bool is_ready(void *arg)
{
	return redis_is_ready(arg);
}

struct redis *help_redis(void)
{
	struct redis_options o = { .url = servers_redis(), .name = "test" };
	struct redis *r;

	cr_assert_eq(redis_open(fiber_loop(fiber_current()), &o, &r), 0);
	fibers_until(is_ready, r, "redis is ready");
	return r;
}

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

void help_close(struct redis *r)
{
	struct waiter w;

	waiter_init(&w);
	redis_close(r, on_closed, &w);
	cr_assert_eq(fiber_park(&w, "close"), 0);
}

/* A database of its own for each process: suites run beside each other. */
static const char *database(void)
{
	static char url[512];
	char name[64];

	if (url[0] == '\0') {
		(void) snprintf(name, sizeof(name), "queue_%d", (int) getpid());
		create_database(name, getenv(TEMPLATE_VARIABLE));
		url_of(name, url, sizeof(url));
	}
	return url;
}

struct db *help_db(void)
{
	struct db_options o = { .url = database(),
				.shared = 1,
				.exclusive = 4,
				.is_prepared = true,
				.application = "test" };
	struct db *db;

	cr_assert_eq(db_open(fiber_loop(fiber_current()), &o, &db), 0);
	return db;
}

void help_db_close(struct db *db)
{
	struct waiter w;

	waiter_init(&w);
	db_close(db, on_closed, &w);
	cr_assert_eq(fiber_park(&w, "close"), 0);
}

static void add_reply(struct buf *out, const struct redis_reply *reply)
{
	switch (reply->type) {
	case REDIS_NIL:
		buf_add_c(out, "(nil)");
		break;
	case REDIS_INTEGER:
		buf_add_i64(out, reply->integer);
		break;
	case REDIS_TEXT:
	case REDIS_STATUS:
	case REDIS_ERROR:
		buf_add_str(out, reply->text);
		break;
	case REDIS_ARRAY:
		for (size_t i = 0; i < reply->count; i++) {
			if (i > 0)
				buf_add_byte(out, ' ');
			add_reply(out, &reply->elements[i]);
		}
		break;
	}
}

struct str help_do(struct redis *r, struct arena *arena, const char *command)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct str rest = str_c(command), words[64];
	struct redis_reply *reply;
	size_t count = 0;
	int e;

	while (count < ARRAY_SIZE(words) && str_cut(&rest, ' ', &words[count]))
		count++;
	e = redis_call(r, arena, words, count, &reply);
	cr_assert_eq(e, 0, "%s: %s", command, fail_reason(e));
	add_reply(&out, reply);
	return arena_str(arena, buf_str(&out));
}

struct str help_sql(struct db *db, struct arena *arena, const char *sql)
{
	struct db_statement s = { .sql = str_c(sql), .is_varying = true };
	struct db_rows rows;
	int e = db_query(db, arena, &s, DB_NO_VALUES, &rows);

	cr_assert_eq(e, 0, "%s: %s", sql, fail_reason(e));
	return rows.count == 0 ? STR_NULL : db_get(&rows, 0, 0);
}

struct str help_file(struct arena *arena, const char *path)
{
	FILE *file = fopen(path, "re");
	long size;
	char *at;

	cr_assert_not_null(file, "%s", path);
	cr_assert_eq(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	rewind(file);
	at = arena_alloc(arena, (size_t) size + 1);
	cr_assert_eq(fread(at, 1, (size_t) size, file), (size_t) size);
	fclose(file);
	return str_make(at, (size_t) size);
}

struct str help_envelope(struct arena *arena, const char *task, const char *id, const char *body)
{
	_cleanup_(buf_fini) struct buf base64 = BUF_INIT;

	base64_encode(&base64, str_c(body));
	return arena_printf(
		arena,
		"{\"body\": \"%s\", \"content-encoding\": \"utf-8\", \"content-type\": "
		"\"application/json\", \"headers\": {\"lang\": \"py\", \"task\": \"%s\", "
		"\"id\": \"%s\", \"retries\": 0}, \"properties\": {\"body_encoding\": "
		"\"base64\"}}",
		base64.at, task, id);
}
