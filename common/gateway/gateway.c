#include "gateway/gateway.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/identity.h"
#include "auth/identity_cache.h"
#include "auth/jwks.h"
#include "auth/lockout.h"
#include "auth/password.h"
#include "auth/token.h"
#include "base/crash.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "coord/cache.h"
#include "coord/idempotency.h"
#include "coord/replica.h"
#include "db/conninfo.h"
#include "db/db.h"
#include "gateway/ask.h"
#include "http/exporter.h"
#include "http/policy.h"
#include "http/server.h"
#include "http/throttles.h"
#include "queue/enqueue.h"
#include "redis/redis.h"
#include "resource/cached.h"
#include "resource/operation.h"
#include "storage/storage.h"

#define LISTEN_MOST  8
#define THREADS_MOST 64

/*
 * Nothing is shared by the threads but counters and what does not change.  The first thread only
 * waits for signals.
 */

/* One event loop of the gateway. */
struct door {
	struct gateway_thread thread;
	struct http_server *server;
	struct exporter *exporter; /* of the first one, if any */
	uv_thread_t id;
	int fds[LISTEN_MOST];
	size_t fd_count;
	struct post drain, reload;
	unsigned closing; /* stores and exporter that are not closed yet */
};

static const struct gateway_program *program;
static struct door doors[THREADS_MOST];
static size_t door_count;
static struct route_table *routes;
static struct http_policy *policy;
static struct storage storage;         /* the media folder, the same for all */
static struct storage private_storage; /* likewise, of what no URL serves */
static uv_sem_t door_is_open;

/* --- the end of a thread: server, then producer, then replica, then stores --- */

static void on_store_closed(void *arg)
{
	struct door *d = arg;

	d->closing--;
}

static void on_replica_closed(void *arg)
{
	struct door *d = arg;

	db_close(d->thread.db, on_store_closed, d);
	redis_close(d->thread.redis, on_store_closed, d);
	exporter_close(d->exporter, on_store_closed, d);
	if (d->thread.cache != NULL)
		cache_close(d->thread.cache, on_store_closed, d);
}

static void on_producer_closed(void *arg)
{
	struct door *d = arg;

	if (d->thread.replica != NULL)
		replica_close(d->thread.replica, on_replica_closed, d);
	else
		on_replica_closed(d);
}

static void on_server_freed(void *arg)
{
	struct door *d = arg;

	producer_close(d->thread.producer, on_producer_closed, d);
}

static void on_drained(void *arg)
{
	struct door *d = arg;

	http_server_free(d->server, on_server_freed, d);
}

static void reload_certificate(struct post *post)
{
	struct door *d = container_of(post, struct door, reload);
	int r = http_server_reload_tls(d->server);

	if (r < 0)
		log_warn("the certificate stays as it was: %s", fail_reason(r));
}

static void start_drain(struct post *post)
{
	struct door *d = container_of(post, struct door, drain);

	http_server_drain(d->server, settings.grace, on_drained, d);
}

/* --- the start --- */

/* The channel tells of identities, of rights, and of writes to tables whose answers are kept ("table products"). */
static void on_notice(void *arg, struct str payload)
{
	struct str table = STR("users"), rest = payload, word;
	struct door *d = arg;

	if (str_cut(&rest, ' ', &word) && str_eq(word, STR("table")))
		table = rest;
	else
		identity_cache_on_notice(d->thread.identities, payload);
	if (d->thread.cache != NULL && !str_eq(payload, STR("rights")))
		cached_on_write(d->thread.cache, table);
}

static void on_listening(void *arg, bool is_listening)
{
	struct door *d = arg;

	identity_cache_on_listening(d->thread.identities, is_listening);
	if (d->thread.cache != NULL)
		cached_on_listening(d->thread.cache);
}

static int open_cache(struct door *d)
{
	const struct cache_options options = { .redis_url = settings.redis_url,
					       .prefix = settings.cache_prefix,
					       .most_bytes = (size_t) settings.cache_l1 };

	return cache_open(d->thread.loop, &options, &d->thread.cache);
}

static int open_replica(struct door *d)
{
	const struct replica_options options = {
		.primary = d->thread.db,
		.redis = d->thread.redis,
		.lag_most = settings.replica_lag,
		.standby = { .url = settings.database_replica_url,
			     .shared = (unsigned) settings.db_shared,
			     .exclusive = (unsigned) settings.db_exclusive,
			     .is_prepared = settings.db_prepare,
			     .application = program->name },
	};

	return replica_open(d->thread.loop, &options, &d->thread.replica);
}

static int open_stores(struct door *d)
{
	struct db_options db = { .url = settings.database_url,
				 .shared = (unsigned) settings.db_shared,
				 .exclusive = (unsigned) settings.db_exclusive,
				 .is_prepared = settings.db_prepare,
				 .application = program->name,
				 .channel = IDENTITY_CHANNEL,
				 .on_listening = on_listening,
				 .on_notice = on_notice };
	const struct redis_options redis = { .url = settings.redis_url, .name = program->name };
	int r;

	d->thread.identities = identity_cache_new();
	db.arg = d;
	r = db_open(d->thread.loop, &db, &d->thread.db);
	if (r < 0)
		return r;
	r = redis_open(d->thread.loop, &redis, &d->thread.redis);
	if (r < 0)
		return r;
	const struct producer_options producer = { .loop = d->thread.loop,
						   .db = d->thread.db,
						   .redis = d->thread.redis,
						   .has_relay = d == &doors[0] };
	r = producer_new(&producer, &d->thread.producer);
	if (r < 0)
		return r;
	if (settings.database_replica_url[0] != '\0') {
		r = open_replica(d);
		if (r < 0)
			return r;
	}
	d->thread.storage = &storage;
	d->thread.private_storage = &private_storage;
	return settings.cache ? open_cache(d) : 0;
}

static const char *tls_file(const char *setting)
{
	return setting[0] != '\0' ? setting : NULL;
}

static int open_server(struct door *d)
{
	const struct http_options options = {
		.thread = &d->thread,
		.routes = routes,
		.authenticate = identity_authenticate,
		.describe = resource_describe,
		.has_error_envelope = settings.error_envelope,
		.caller_key = identity_key,
		.throttle = throttles_check,
		.compress = settings.compress,
		.server_timing = strcmp(settings.env, "development") == 0,
		.statements_most = (unsigned) settings.statements_most,
		.policy = policy,
		.tls_certificate = tls_file(settings.tls_cert),
		.tls_key = tls_file(settings.tls_key),
		.has_http2 = settings.http2,
		.max_body = (size_t) settings.max_body,
		.body_budget = (size_t) settings.body_budget,
		.most_requests = (size_t) settings.requests,
		.header_timeout = settings.header_timeout,
		.upload_timeout = settings.upload_timeout,
		.idle_timeout = settings.idle_timeout,
		.upload_rate = (size_t) settings.upload_rate,
	};
	int r;

	r = http_server_new(&options, &d->server);
	for (size_t i = 0; r == 0 && i < d->fd_count; i++)
		r = http_server_listen(d->server, d->fds[i]);
	return r;
}

/* Every loop connects before somebody asks: what it begins to hear of ends what all have kept.  The first one says
 * how many connections this process may open, beside what the server allows: for whoever scales it. */
static int connect_first(void *arg)
{
	static const struct db_statement max_connections = {
		.sql = STR_INIT("SHOW max_connections"), .lane = DB_SHARED, /* which listens */
	};
	struct door *d = arg;
	_cleanup_(arena_fini) struct arena arena;
	unsigned each = (unsigned) (settings.db_shared + settings.db_exclusive);
	struct db_rows rows;

	arena_init(&arena);
	int r = db_query(d->thread.db, &arena, &max_connections, DB_NO_VALUES, &rows);
	if (d == &doors[0])
		log_info("up to %zu database connections (%zu loops of %u); the server allows %.*s",
			 door_count * each, door_count, each,
			 STR_ARG(r < 0 ? STR("an unknown number: it does not answer")
				       : db_get(&rows, 0, 0)));
	return 0;
}

static void run_door(void *arg)
{
	struct door *d = arg;
	int r;

	r = loop_new(&d->thread.loop);
	if (r == 0)
		r = open_stores(d);
	if (r == 0)
		r = open_server(d);
	if (r == 0 && d == &doors[0])
		r = exporter_open(d->thread.loop, settings.metrics_listen, program->name,
				  &d->exporter);
	if (r == 0)
		r = fiber_report_on_signal(d->thread.loop);
	if (r < 0) {
		log_error("the gateway cannot start: %s", fail_reason(r));
		_exit(1); /* nothing is served yet, and the other threads would wait for this one
			     for ever */
	}
	struct fiber *f = fiber_start(d->thread.loop, "connections",
				      loop_now(d->thread.loop) + 10 * SEC, connect_first, d);
	must(f != NULL);
	fiber_detach(f, NULL, NULL);
	d->closing = d->thread.cache != NULL ? 4 : 3;
	uv_sem_post(&door_is_open);
	r = loop_run(d->thread.loop);
	must(r == 0 && d->closing == 0);
	token_thread_fini();
	d->thread.identities = identity_cache_free(d->thread.identities);
	d->thread.loop = loop_free(d->thread.loop);
}

/* Every thread binds every address, so that the kernel spreads connections over them. */
static int bind_addresses(void)
{
	struct str rest = str_c(settings.listen), address;
	int port;

	while (settings_next_item(&rest, &address)) {
		char text[256];

		snprintf(text, sizeof(text), "%.*s", STR_ARG(address));
		for (size_t i = 0; i < door_count; i++) {
			struct door *d = &doors[i];

			if (d->fd_count == LISTEN_MOST)
				return fail(-E_BAD_SETTING,
					    "APIUM_LISTEN names more than %d addresses",
					    LISTEN_MOST);
			int fd = http_bind(text, &port);
			if (fd < 0)
				return fail_in(fd, "APIUM_LISTEN=%s", text);
			d->fds[d->fd_count++] = fd;
		}
		log_info("listening on %s", text);
	}
	return doors[0].fd_count > 0 ? 0 : fail(-E_BAD_SETTING, "APIUM_LISTEN is empty");
}

/* The loops would find out one by one, each with the same complaint, when some of them listen
 * already. */
static int check_urls(void)
{
	_cleanup_(arena_fini) struct arena arena;
	struct redis_address address;
	struct db_conninfo info;
	int r;

	arena_init(&arena);
	r = db_conninfo_parse(&arena, settings.database_url, program->name, &info);
	if (r < 0)
		return fail_in(r, "DATABASE_URL");
	if (settings.database_replica_url[0] != '\0')
		r = db_conninfo_parse(&arena, settings.database_replica_url, program->name, &info);
	if (r < 0)
		return fail_in(r, "DATABASE_REPLICA_URL");
	r = redis_address_parse(&arena, settings.redis_url, &address);
	return r < 0 ? fail_in(r, "REDIS_URL") : 0;
}

/* Django's default of DEBUG; in production nobody can guess. */
static const char *allowed_hosts(void)
{
	if (settings.allowed_hosts[0] != '\0')
		return settings.allowed_hosts;
	return strcmp(settings.env, "test") == 0 ? "*" : ".localhost,127.0.0.1,[::1]";
}

static int check_door(void)
{
	const struct http_policy_options options = {
		.allowed_hosts = allowed_hosts(),
		.cors_origins = settings.cors_origins,
		.cors_credentials = settings.cors_credentials,
		.cors_max_age = settings.cors_max_age,
		.proxy_scheme = settings.proxy_scheme,
		.proxy_host = settings.proxy_host,
		.hsts = settings.hsts,
		.hsts_subdomains = settings.hsts_subdomains,
		.hsts_preload = settings.hsts_preload,
		.ssl_redirect = settings.ssl_redirect,
	};

	if (settings.allowed_hosts[0] == '\0' && !settings_is_development())
		return fail(-E_BAD_SETTING,
			    "APIUM_ALLOWED_HOSTS must be set when APIUM_ENV=production: the hosts "
			    "that clients may ask for, such as api.example.com");
	if ((tls_file(settings.tls_cert) == NULL) != (tls_file(settings.tls_key) == NULL))
		return fail(-E_BAD_SETTING,
			    "APIUM_TLS_CERT and APIUM_TLS_KEY must be set together, or neither");
	return http_policy_new(&options, &policy);
}

static int prepare(void)
{
	int r;

	r = settings_load();
	if (r < 0)
		return r;
	log_setup(log_level_from_name(settings.log_level), strcmp(settings.log_format, "json") == 0,
		  program->name);
	r = settings_check_secret();
	if (r == 0)
		r = check_door();
	if (r == 0)
		r = check_urls();
	if (r == 0)
		r = throttles_setup();
	if (r == 0)
		r = password_setup((unsigned) settings.password_threads);
	if (r == 0)
		r = jwks_setup(settings.jwks_url);
	if (r == 0)
		r = task_register(program->tasks, program->task_count);
	if (r < 0)
		return r;
	token_setup(str_c(settings.secret_key));
	idempotency_setup(str_c(settings.secret_key));
	lockout_setup((unsigned) settings.login_failures, settings.login_cooloff);
	storage.root = settings.media_root;
	private_storage.root = settings.private_root;
	routes = route_table_new();
	r = resource_routes(routes, program->resources, program->resource_count);
	route_table_add(routes, program->routes, program->route_count);
	if (r == 0 && program->prepare != NULL)
		r = program->prepare(routes);
	if (r == 0)
		r = route_table_seal(routes);
	if (r < 0)
		return r;
	if (program->sealed != NULL)
		program->sealed(routes);
	door_count = (size_t) settings.threads;
	return bind_addresses();
}

/* Blocks until SIGTERM or SIGINT; a second one while draining ends the process at once. */
static void wait_for_signal(const sigset_t *set)
{
	int number;

	for (;;) {
		must(sigwait(set, &number) == 0);
		if (number != SIGHUP)
			break;
		settings_on_hangup();
		redis_reload_tls();
		for (size_t i = 0; settings.tls_cert[0] != '\0' && i < door_count; i++)
			loop_post(doors[i].thread.loop, &doors[i].reload);
	}
	log_info("%s: draining, %d s at most", strsignal(number), (int) (settings.grace / SEC));
	for (size_t i = 0; i < door_count; i++)
		loop_post(doors[i].thread.loop, &doors[i].drain);
}

static void *end_at_second_signal(void *set)
{
	int number;

	while (sigwait(set, &number) == 0)
		if (number != SIGHUP) /* nothing is worth being reloaded now */
			_exit(128 + number);
	return NULL;
}

static int usage(const char *word)
{
	fprintf(stderr,
		"%s: takes no argument but health and --version; its settings are environment "
		"variables (`apium settings`), not %s\n",
		program->name, word);
	return 2;
}

static int print_version(void)
{
	printf("%s %s\n", program->name, program->version);
	return fflush(stdout) != 0;
}

static int serve(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	must(uv_sem_init(&door_is_open, 0) == 0);
	for (size_t i = 0; i < door_count; i++) {
		doors[i].drain.run = start_drain;
		doors[i].reload.run = reload_certificate;
		must(uv_thread_create(&doors[i].id, run_door, &doors[i]) == 0);
	}
	for (size_t i = 0; i < door_count; i++)
		uv_sem_wait(&door_is_open);
	wait_for_signal(&set);
	pthread_t second;
	must(pthread_create(&second, NULL, end_at_second_signal, &set) == 0);
	for (size_t i = 0; i < door_count; i++)
		uv_thread_join(&doors[i].id);
	password_shutdown();
	jwks_shutdown();
	routes = route_table_free(routes);
	policy = http_policy_free(policy);
	log_info("drained");
	return 0;
}

int gateway_main(int argc, char **argv, const struct gateway_program *p)
{
	bool is_question = argc > 1 && strcmp(argv[1], "health") == 0;
	int r;

	program = p;
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return print_version();
	if (argc > 1 && !is_question)
		return usage(argv[1]);
	crash_setup(program->name);
	log_setup(LOG_INFO, false, program->name);
	signal(SIGPIPE, SIG_IGN);
	r = is_question ? settings_load() : prepare();
	if (r < 0) {
		log_error("%s", fail_reason(r));
		return 1;
	}
	return is_question ? gateway_ask_health() : serve();
}
