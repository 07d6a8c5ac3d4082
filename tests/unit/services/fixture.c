#include "services/fixture.h"

#include <criterion/hooks.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "auth/identity_cache.h"
#include "auth/lockout.h"
#include "auth/password.h"
#include "auth/token.h"
#include "base/error.h"
#include "base/live.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "db/migrate.h"
#include "proto/tasks.h"
#include "queue/enqueue.h"
#include "redis/redis.h"
#include "resource/operation.h"
#include "servers.h"
#include "shop.h"
#include "storage/storage.h"

#define PATIENCE (20 * SEC)
#define MEDIA    "media"

struct fixture fx;

static struct route_table *routes;
static struct storage storage;
static char media[128];
static PGconn *beside;
static int64_t noted[LIVE_COUNT];
static unsigned closing; /* stores, and what stands before them */

static void say_nothing(void *arg, const char *line)
{
	(void) arg, (void) line;
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	const struct migrate_options options = {
		.url = servers_postgres(),
		.folder = MIGRATIONS,
		.say = say_nothing,
	};

	(void) tests;
	(void) servers_redis();
	if (migrate_up(&options, 0) < 0) {
		fprintf(stderr, "migrations: %s\n", fail_reason(-E_SQL));
		abort();
	}
}

struct str make_unique(const char *prefix)
{
	uint64_t number;

	random_bytes(&number, sizeof(number));
	return arena_printf(&fx.arena, "%s-%016lx", prefix, (unsigned long) number);
}

static struct str vsql(const char *format, va_list args)
{
	struct str text = arena_vprintf(&fx.arena, format, args), value = STR("");
	PGresult *result = PQexec(beside, text.at);
	ExecStatusType status = PQresultStatus(result);

	cr_assert(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s: %s", text.at,
		  PQresultErrorMessage(result));
	if (PQntuples(result) > 0)
		value = arena_str(&fx.arena, str_c(PQgetvalue(result, 0, 0)));
	PQclear(result);
	return value;
}

struct str sql(const char *format, ...)
{
	struct str value;
	va_list args;

	va_start(args, format);
	value = vsql(format, args);
	va_end(args);
	return value;
}

int64_t sql_count(const char *format, ...)
{
	struct str value;
	int64_t number;
	va_list args;

	va_start(args, format);
	value = vsql(format, args);
	va_end(args);
	cr_assert_eq(str_to_i64(value, &number), 0);
	return number;
}

struct str make_user(bool is_staff, struct str *ret_bearer)
{
	struct str name = make_unique("user");
	struct token_pair tokens;
	struct str id;

	id = sql(
		"INSERT INTO users (id, password, is_superuser, email, username, first_name, last_name, is_active, "
		"is_staff, email_verified, email_verification_token, date_joined, updated_at) VALUES "
		"(gen_random_uuid(), '!', false, '%s@example.com', '%s', '', '', true, %s, false, "
		"gen_random_uuid(), now(), now()) RETURNING id",
		name.at, name.at, is_staff ? "true" : "false");
	cr_assert_eq(token_issue(&fx.arena, id, &tokens), 0);
	*ret_bearer = arena_printf(&fx.arena, "Bearer %s", tokens.access.at);
	return id;
}

static size_t file_count;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) path, (void) st, (void) ftw;
	file_count += type == FTW_F;
	return 0;
}

size_t fixture_files(void)
{
	file_count = 0;
	nftw(media, count_one, 16, FTW_PHYS);
	return file_count;
}

static bool is_ready(void)
{
	struct db_stats stats;

	db_stats(fx.thread.db, &stats);
	return stats.lent == 0 && stats.ready_shared == 1 && stats.ready_exclusive == 2 &&
	       redis_is_ready(fx.thread.redis);
}

static bool is_calm(void)
{
	return is_ready() && live_get(LIVE_fibers) == 0 && live_get(LIVE_requests) == 0 &&
	       live_get(LIVE_redis_calls) == 0;
}

void fixture_note(void)
{
	usec_t end = now_monotonic() + PATIENCE;

	while (!is_calm()) {
		cr_assert_lt(now_monotonic(), end, "it does not come to rest");
		loop_turn(fx.thread.loop, 5 * MSEC);
	}
	for (unsigned i = 0; i < LIVE_COUNT; i++)
		noted[i] = live_get((enum live_counter) i);
}

/* The first counter that is not what it was; LIVE_COUNT: none. */
static unsigned find_left(void)
{
	unsigned i = 0;

	while (i < LIVE_COUNT && live_get((enum live_counter) i) == noted[i])
		i++;
	return i;
}

void fixture_until_whole(const char *what)
{
	usec_t end = now_monotonic() + PATIENCE;

	while (!is_ready() || find_left() != LIVE_COUNT) {
		unsigned left = find_left();

		cr_assert_lt(now_monotonic(), end, "%s: %s %ld, not %ld", what,
			     left == LIVE_COUNT ? "a store is not ready"
						: live_name((enum live_counter) left),
			     left == LIVE_COUNT ? 0 : (long) live_get((enum live_counter) left),
			     left == LIVE_COUNT ? 0 : (long) noted[left]);
		loop_turn(fx.thread.loop, 5 * MSEC);
	}
}

static void swallow(void *arg, enum log_level level, struct str line)
{
	(void) arg, (void) level, (void) line;
}

static void open_stores(void)
{
	const struct db_options db = { .url = servers_postgres(),
				       .shared = 1,
				       .exclusive = 2,
				       .is_prepared = true,
				       .application = "test",
				       .channel = IDENTITY_CHANNEL,
				       .on_listening = identity_cache_on_listening,
				       .on_notice = identity_cache_on_notice,
				       .arg = fx.thread.identities = identity_cache_new() };
	const struct redis_options redis = { .url = servers_redis(), .name = "test" };

	cr_assert_eq(db_open(fx.thread.loop, &db, &fx.thread.db), 0);
	cr_assert_eq(redis_open(fx.thread.loop, &redis, &fx.thread.redis), 0);
	const struct producer_options producer = { .loop = fx.thread.loop,
						   .db = fx.thread.db,
						   .redis = fx.thread.redis };
	cr_assert_eq(producer_new(&producer, &fx.thread.producer), 0);
	fx.thread.storage = &storage;
}

static const struct resource *const beside_the_shop[] = { &fixture_resource, &fixture_writer };

void fixture_start(void)
{
	struct http_options options = {
		.thread = &fx.thread,
		.authenticate = identity_authenticate,
		.describe = resource_describe,
		.caller_key = identity_key,
		.max_body = 4 * MIB,
		.body_budget = 64 * MIB,
		.most_requests = 100,
		.header_timeout = 10 * SEC,
		.upload_timeout = 60 * SEC,
		.idle_timeout = 60 * SEC,
	};

	signal(SIGPIPE, SIG_IGN);
	log_divert(swallow, NULL);
	arena_init(&fx.arena);
	snprintf(media, sizeof(media), "%s/" MEDIA, servers_folder());
	storage.root = media;
	beside = PQconnectdb(servers_postgres());
	cr_assert_eq(PQstatus(beside), CONNECTION_OK);
	PQsetNoticeProcessor(beside, say_nothing, NULL);
	settings.secret_key = "a secret of sufficient length for a test";
	settings.password_upgrade = true;
	lockout_setup(1000, HOUR);
	token_setup(str_c(settings.secret_key));
	cr_assert_eq(password_setup(1), 0);
	cr_assert_eq(tasks_register(), 0);
	routes = route_table_new();
	cr_assert_eq(shop_routes(routes, media, media), 0);
	cr_assert_eq(resource_routes(routes, beside_the_shop, ARRAY_SIZE(beside_the_shop)), 0, "%s",
		     fail_reason(-EINVAL));
	cr_assert_eq(route_table_seal(routes), 0);
	api_describe(routes, media);
	options.routes = routes;
	cr_assert_eq(loop_new(&fx.thread.loop), 0);
	open_stores();
	cr_assert_eq(http_server_new(&options, &fx.server), 0);
	fixture_note();
}

static void on_closed(void *arg)
{
	(void) arg;
	closing--;
}

static void until_closed(void)
{
	usec_t end = now_monotonic() + PATIENCE;

	while (closing > 0) {
		cr_assert_lt(now_monotonic(), end, "something does not close");
		loop_turn(fx.thread.loop, 5 * MSEC);
	}
}

void fixture_stop(void)
{
	closing = 1;
	http_server_drain(fx.server, 0, on_closed, NULL);
	until_closed();
	closing = 1;
	http_server_free(fx.server, on_closed, NULL);
	until_closed();
	closing = 1;
	producer_close(fx.thread.producer, on_closed, NULL);
	until_closed();
	closing = 2;
	db_close(fx.thread.db, on_closed, NULL);
	redis_close(fx.thread.redis, on_closed, NULL);
	until_closed();
	identity_cache_free(fx.thread.identities);
	token_thread_fini();
	loop_free(fx.thread.loop);
	password_shutdown();
	route_table_free(routes);
	PQfinish(beside);
	arena_fini(&fx.arena);
}
