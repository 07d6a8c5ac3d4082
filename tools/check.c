/*
 * check.c - apium check: is everything there that gateway and worker need?  One line each, with what
 * to do about it.
 *
 * Each check is a row.  Those that ask PostgreSQL or Redis run on a fiber of one session, in order,
 * each with its own few seconds.
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/settings.h"
#include "base/world.h"
#include "command.h"
#include "db/migrate.h"
#include "session.h"

#define EACH_MOST      (5 * SEC)
#define POSTGRES_LEAST 130000
/* LMOVE and BLMOVE came with 6.2. */
#define REDIS_LEAST    602
#define CLOCK_MOST     (1 * SEC)

enum verdict { CHECK_OK, CHECK_WARN, CHECK_FAIL };

struct check {
	struct session *s;  /* NULL before the session */
	const char *folder; /* of migrations */
	char text[512];
};

static enum verdict say(struct check *c, enum verdict verdict, const char *format, ...)
	_printf_(3, 4);

static enum verdict say(struct check *c, enum verdict verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	return verdict;
}

/* Without a server. */

static enum verdict check_settings(struct check *c)
{
	int r = settings_check_secret();

	if (r < 0)
		return say(c, CHECK_FAIL, "%s", fail_reason(r));
	return say(c, settings_is_development() ? CHECK_WARN : CHECK_OK,
		   settings_is_development() ? "APIUM_ENV=%s: not for real users" : "APIUM_ENV=%s",
		   settings.env);
}

static enum verdict check_files(struct check *c)
{
	int64_t needed = settings.threads *
				 (settings.requests + settings.db_shared + settings.db_exclusive) +
			 64;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return say(c, CHECK_WARN, "the limit is not known");
	if (limit.rlim_cur != RLIM_INFINITY && (int64_t) limit.rlim_cur < needed)
		return say(c, CHECK_WARN,
			   "%lld may be open, a full gateway needs %" PRId64
			   ": raise LimitNOFILE= or ulimit -n",
			   (long long) limit.rlim_cur, needed);
	return say(c, CHECK_OK, "%lld may be open", (long long) limit.rlim_cur);
}

static int try_folder(const char *folder)
{
	char path[2048];
	int fd;

	if (snprintf(path, sizeof(path), "%s/.apium-check-XXXXXX", folder) >= (int) sizeof(path))
		return -ENAMETOOLONG;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return unlink(path) < 0 ? -errno : 0;
}

static enum verdict check_folder(struct check *c, const char *folder)
{
	int r = try_folder(folder);

	if (r < 0)
		return say(c, CHECK_FAIL,
			   "%s cannot be written: %s; make it, or give it to this user", folder,
			   error_sentence(r));
	return say(c, CHECK_OK, "%s can be written", folder);
}

static enum verdict check_media(struct check *c)
{
	return check_folder(c, settings.media_root);
}

static enum verdict check_private(struct check *c)
{
	return check_folder(c, settings.private_root);
}

/* No mail is sent: that somebody listens is all that is asked. */
static enum verdict check_mail(struct check *c)
{
	struct str url = str_c(settings.mail_url);
	char error[CURL_ERROR_SIZE] = "";
	CURLcode code;
	CURL *curl;
	int r;

	if (str_starts(url, STR("file://"))) {
		r = try_folder(settings.mail_url + 7);
		return r < 0 ? say(c, CHECK_FAIL, "%s cannot be written: %s", settings.mail_url + 7,
				   error_sentence(r))
			     : say(c, CHECK_OK, "mails go into %s", settings.mail_url + 7);
	}
	curl = curl_easy_init();
	must(curl != NULL);
	(void) curl_easy_setopt(curl, CURLOPT_URL, settings.mail_url);
	(void) curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	(void) curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) (EACH_MOST / MSEC));
	(void) curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void) curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	code = curl_easy_perform(curl);
	curl_easy_cleanup(curl);
	if (code != CURLE_OK)
		return say(c, CHECK_FAIL, "no mail server answers: %s; see APIUM_MAIL_URL",
			   error[0] != '\0' ? error : curl_easy_strerror(code));
	return say(c, CHECK_OK, "the mail server answers");
}

static void say_nothing(void *arg, const char *line)
{
	(void) arg;
	(void) line;
}

static enum verdict check_migrations(struct check *c)
{
	const struct migrate_options options = {
		.url = settings.database_direct_url[0] != '\0' ? settings.database_direct_url
							       : settings.database_url,
		.folder = c->folder,
		.say = say_nothing,
	};
	int r = migrate_status(&options);

	if (r < 0)
		return say(c, CHECK_FAIL, "%s", fail_reason(r));
	if (r > 0)
		return say(c, CHECK_FAIL, "%d not applied: run `apium migrate up`", r);
	return say(c, CHECK_OK, "all applied");
}

/* PostgreSQL. */

static int ask_postgres(struct check *c, const char *sql, int64_t *numbers, int count,
			struct str *ret_text)
{
	const struct db_statement statement = { .sql = str_c(sql), .is_varying = true };
	struct db_rows rows;
	int r = db_query(c->s->db, &c->s->arena, &statement, DB_NO_VALUES, &rows);

	if (r < 0)
		return r;
	for (int i = 0; i < count; i++)
		numbers[i] = db_get_i64(&rows, 0, i);
	if (ret_text != NULL)
		*ret_text = db_get(&rows, 0, count);
	return 0;
}

static enum verdict check_postgres(struct check *c)
{
	int64_t version = 0;
	struct str text = STR("");
	int r = ask_postgres(c,
			     "SELECT current_setting('server_version_num')::int, "
			     "current_setting('server_version')",
			     &version, 1, &text);

	if (r < 0)
		return say(c, CHECK_FAIL, "it does not answer: %s; see DATABASE_URL",
			   fail_reason(r));
	if (version < POSTGRES_LEAST)
		return say(c, CHECK_FAIL, "version %.*s is too old: 13 or newer is needed",
			   STR_ARG(text));
	return say(c, CHECK_OK, "version %.*s", STR_ARG(text));
}

static enum verdict check_connections(struct check *c)
{
	int64_t gateway = settings.threads * (settings.db_shared + settings.db_exclusive);
	int64_t worker = settings.hosts * (settings.db_shared + settings.db_exclusive) +
			 settings.processes * 2 + 3;
	int64_t most = 0;
	int r = ask_postgres(c, "SELECT current_setting('max_connections')::int", &most, 1, NULL);

	if (r < 0)
		return say(c, CHECK_FAIL, "%s", fail_reason(r));
	if (gateway + worker > most)
		return say(c, CHECK_WARN,
			   "a gateway (%" PRId64 ") and a worker (%" PRId64
			   ") open more than max_connections=%" PRId64
			   ": raise it, or lower APIUM_DB_EXCLUSIVE",
			   gateway, worker, most);
	return say(c, CHECK_OK,
		   "a gateway opens up to %" PRId64 ", a worker up to %" PRId64 " of %" PRId64,
		   gateway, worker, most);
}

/* Redis. */

static struct str info_line(struct str info, const char *name)
{
	struct str line;

	while (str_cut(&info, '\n', &line)) {
		struct str value = str_trim(line), key;

		if (str_cut(&value, ':', &key) && str_eq_c(key, name))
			return value;
	}
	return STR("");
}

static int ask_info(struct check *c, struct str section, struct str *ret)
{
	struct redis_reply *reply;
	int r = redis_call(c->s->redis, &c->s->arena, REDIS_WORDS(STR("INFO"), section), &reply);

	if (r == 0)
		*ret = reply->text;
	return r;
}

static enum verdict check_redis(struct check *c)
{
	struct str info, version, rest, part;
	int64_t major = 0, minor = 0;
	int r = ask_info(c, STR("server"), &info);

	if (r < 0)
		return say(c, CHECK_FAIL, "it does not answer: %s; see REDIS_URL", fail_reason(r));
	version = rest = info_line(info, "redis_version");
	if (!str_cut(&rest, '.', &part) || str_to_i64(part, &major) < 0 ||
	    !str_cut(&rest, '.', &part) || str_to_i64(part, &minor) < 0)
		return say(c, CHECK_FAIL, "it tells no version");
	if (major * 100 + minor < REDIS_LEAST)
		return say(c, CHECK_FAIL, "version %.*s is too old: 6.2 or newer is needed",
			   STR_ARG(version));
	r = ask_info(c, STR("replication"), &info);
	if (r == 0 && str_eq_c(info_line(info, "role"), "slave"))
		return say(c, CHECK_FAIL, "REDIS_URL is a replica: name the master");
	return say(c, CHECK_OK, "version %.*s", STR_ARG(version));
}

static enum verdict check_memory(struct check *c)
{
	struct str info, policy;
	int r = ask_info(c, STR("memory"), &info);

	if (r < 0)
		return say(c, CHECK_FAIL, "%s", fail_reason(r));
	policy = info_line(info, "maxmemory_policy");
	if (!str_eq_c(policy, "noeviction"))
		return say(c, CHECK_FAIL,
			   "maxmemory-policy is %.*s, which throws jobs away: set it to noeviction",
			   STR_ARG(policy));
	return say(c, CHECK_OK, "maxmemory-policy noeviction");
}

static enum verdict check_persistence(struct check *c)
{
	struct str info;
	int r = ask_info(c, STR("persistence"), &info);

	if (r < 0)
		return say(c, CHECK_FAIL, "%s", fail_reason(r));
	if (!str_eq_c(info_line(info, "aof_enabled"), "1"))
		return say(c, CHECK_WARN,
			   "appendonly is off: a restart loses jobs that did not come through the "
			   "outbox; set appendonly yes");
	return say(c, CHECK_OK, "appendonly is on");
}

static enum verdict check_clock(struct check *c)
{
	struct redis_reply *reply;
	int64_t postgres = 0, seconds = 0, micros = 0;
	usec_t before = now_realtime(), after, of_postgres, of_redis;
	int r = ask_postgres(c, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
			     &postgres, 1, NULL);

	if (r == 0)
		r = redis_call(c->s->redis, &c->s->arena, REDIS_WORDS(STR("TIME")), &reply);
	if (r < 0)
		return say(c, CHECK_FAIL, "%s", fail_reason(r));
	after = now_realtime();
	if (reply->count != 2 || str_to_i64(reply->elements[0].text, &seconds) < 0 ||
	    str_to_i64(reply->elements[1].text, &micros) < 0)
		return say(c, CHECK_FAIL, "Redis tells no time");
	/* What lies within the time of asking is no difference. */
	of_postgres = postgres < before ? postgres - before : MAX(postgres - after, (usec_t) 0);
	of_redis = seconds * SEC + micros;
	of_redis = of_redis < before ? of_redis - before : MAX(of_redis - after, (usec_t) 0);
	if (llabs(of_postgres) > CLOCK_MOST || llabs(of_redis) > CLOCK_MOST)
		return say(c, CHECK_FAIL,
			   "PostgreSQL's clock is off by %.1f s, Redis's by %.1f s: eta and expiry "
			   "go by them; run NTP on all",
			   (double) of_postgres / SEC, (double) of_redis / SEC);
	return say(c, CHECK_OK, "PostgreSQL and Redis tell the same time as this machine");
}

/* All. */

/* What must have answered; without it the row is skipped. */
enum check_needs { NEEDS_NOTHING, NEEDS_POSTGRES, NEEDS_REDIS, NEEDS_BOTH };

struct row {
	const char *name;
	enum verdict (*run)(struct check *);
	enum check_needs needs;
};

/* clang-format off */
static const struct row local_rows[] = {
	{ "settings",    check_settings,    NEEDS_NOTHING },
	{ "open files",  check_files,       NEEDS_NOTHING },
	{ "media",       check_media,       NEEDS_NOTHING },
	{ "private",     check_private,     NEEDS_NOTHING },
	{ "mail",        check_mail,        NEEDS_NOTHING },
	{ "migrations",  check_migrations,  NEEDS_NOTHING },
};
static const struct row server_rows[] = {
	{ "postgresql",  check_postgres,    NEEDS_NOTHING },
	{ "connections", check_connections, NEEDS_POSTGRES },
	{ "redis",       check_redis,       NEEDS_NOTHING },
	{ "eviction",    check_memory,      NEEDS_REDIS },
	{ "persistence", check_persistence, NEEDS_REDIS },
	{ "clocks",      check_clock,       NEEDS_BOTH },
};
/* clang-format on */

struct all {
	struct check check;
	unsigned failed;
	bool has_postgres, has_redis;
};

static enum verdict print(struct all *all, const struct row *row)
{
	static const char *const words[] = {
		[CHECK_OK] = "ok", [CHECK_WARN] = "warn", [CHECK_FAIL] = "FAIL"
	};
	enum verdict verdict = row->run(&all->check);

	printf("%-5s %-12s %s\n", words[verdict], row->name, all->check.text);
	(void) fflush(stdout);
	all->failed += verdict == CHECK_FAIL;
	fail_clear();
	return verdict;
}

static int check_servers(struct session *s, void *arg)
{
	struct all *all = arg;

	all->check.s = s;
	for (size_t i = 0; i < ARRAY_SIZE(server_rows); i++) {
		const struct row *row = &server_rows[i];
		FIBER_DEADLINE(EACH_MOST);
		bool is_alive;

		if (((row->needs & NEEDS_POSTGRES) != 0 && !all->has_postgres) ||
		    ((row->needs & NEEDS_REDIS) != 0 && !all->has_redis))
			continue;
		is_alive = print(all, row) != CHECK_FAIL;
		if (row->run == check_postgres)
			all->has_postgres = is_alive;
		if (row->run == check_redis)
			all->has_redis = is_alive;
	}
	return 0;
}

int command_check(int argc, char **argv)
{
	struct all all = { .check.folder = "migrations" };
	const struct option options[] = {
		{ "--folder", OPTION_TEXT, &all.check.folder, "FOLDER",
		  "Where the SQL files of migrations lie." },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words > 0)
		return fail(-EINVAL, "check takes no words, not %s", argv[0]);
	for (size_t i = 0; i < ARRAY_SIZE(local_rows); i++)
		(void) print(&all, &local_rows[i]);
	r = session_run(check_servers, &all, ARRAY_SIZE(server_rows) * EACH_MOST);
	if (r < 0)
		return r;
	if (all.failed > 0)
		printf("%u failed\n", all.failed);
	return all.failed > 0;
}
