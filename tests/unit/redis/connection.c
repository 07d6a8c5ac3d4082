#include <criterion/criterion.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/world.h"
#include "client.h"
#include "redis/redis-internal.h"
#include "servers.h"

Test(redis_connection, its_table_of_states_is_sound)
{
	cr_assert(sm_table_is_sound(redis_states, STATE_COUNT, STATE_WAITING));
}

Test(redis_connection, refuses_what_it_cannot_reach_in_any_way)
{
	struct redis_options options = { .url = "rediss://localhost?ssl_ca_certs=/nonexistent" };
	struct loop *loop;
	struct redis *r;

	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(redis_open(loop, &options, &r), -E_BAD_SETTING);
	cr_assert_not_null(strstr(fail_reason(-E_BAD_SETTING), "/nonexistent"));
	loop_free(loop);
}

static int open_and_close(void *arg)
{
	struct redis_options options = { .url = arg };
	struct redis *r;

	/* At once, in the middle of a look-up, and while it waits to try again. */
	for (int turns = 0; turns < 5; turns++) {
		cr_assert_eq(redis_open(fiber_loop(fiber_current()), &options, &r), 0);
		for (int i = 0; i < turns; i++)
			cr_assert_eq(turns > 3 ? fiber_sleep(2 * MSEC) : fiber_yield(), 0);
		client_close(r);
	}
	return 0;
}

Test(redis_connection, can_be_closed_in_every_state)
{
	static char nowhere[] = "redis://localhost:1", name[] = "redis://no..such..host",
		    sentinels[] = "redis+sentinel://localhost:1,no..such..host/main";
	char secure[128], asks[128];
	int port;

	/* A plain Redis answers neither a handshake nor a question for Sentinels. */
	cr_assert_eq(sscanf(servers_redis_tcp(), "redis://127.0.0.1:%d", &port), 1);
	snprintf(secure, sizeof(secure), "rediss://127.0.0.1:%d", port);
	snprintf(asks, sizeof(asks), "redis+sentinel://127.0.0.1:%d,localhost:%d/main", port, port);
	fibers_run(open_and_close, (void *) servers_redis());
	fibers_run(open_and_close, (void *) servers_redis_tcp());
	fibers_run(open_and_close, nowhere);
	fibers_run(open_and_close, name);
	fibers_run(open_and_close, sentinels);
	fibers_run(open_and_close, secure);
	fibers_run(open_and_close, asks);
}

static int over_tcp(void *arg)
{
	char url[128];
	int port;
	struct redis *r;

	/* By name: one of localhost's addresses may be another than the one that listens. */
	cr_assert_eq(sscanf(servers_redis_tcp(), "redis://127.0.0.1:%d", &port), 1);
	snprintf(url, sizeof(url), "redis://localhost:%d", port);
	r = client_open(url, NULL);
	client_close(r);
	return 0;
}

Test(redis_connection, finds_a_server_by_name)
{
	fibers_run(over_tcp, NULL);
}

static int greets(void *arg)
{
	struct redis_options options = { .name = "apium-test" };
	struct redis_reply *reply;
	struct arena a;
	char url[256];
	struct redis *r;

	arena_init(&a);
	(void) direct(servers_redis(), "ACL SETUSER tester on >se:cr@t ~* &* +@all");
	snprintf(url, sizeof(url), "%s?user=tester&password=se%%3Acr%%40t&db=3", servers_redis());
	r = client_open(url, &options);
	reply = call_ok(r, &a, REDIS_WORDS(STR("CLIENT"), STR("INFO")));
	cr_assert_geq(str_find(reply->text, STR(" name=apium-test ")), 0, "%.*s",
		      STR_ARG(reply->text));
	cr_assert_geq(str_find(reply->text, STR(" db=3 ")), 0, "%.*s", STR_ARG(reply->text));
	cr_assert_geq(str_find(reply->text, STR(" user=tester ")), 0, "%.*s", STR_ARG(reply->text));
	client_close(r);
	/* A user who may not even PING or name the connection. */
	(void) direct(servers_redis(), "ACL SETUSER narrow on >x ~* +get");
	snprintf(url, sizeof(url), "%s?user=narrow&password=x", servers_redis());
	r = client_open(url, &options);
	reply = call_ok(r, &a, REDIS_WORDS(STR("GET"), STR("greets:none")));
	cr_assert_eq(reply->type, REDIS_NIL);
	client_close(r);
	/* The default user's password. */
	(void) direct(servers_redis(), "CONFIG SET requirepass hush");
	snprintf(url, sizeof(url), "redis://:hush@%s", servers_redis_tcp() + strlen("redis://"));
	r = client_open(url, NULL);
	client_close(r);
	arena_fini(&a);
	return 0;
}

Test(redis_connection, greets_with_user_password_database_and_name)
{
	servers_private_redis();
	fibers_run(greets, NULL);
}

/* Keeps the warnings that contain a text. */
static char warning[512];

static void keep_warning(void *arg, enum log_level level, struct str line)
{
	if (level <= LOG_WARN && warning[0] == '\0')
		snprintf(warning, sizeof(warning), "%.*s", STR_ARG(line));
}

static int refused(void *arg)
{
	struct redis_options options = { .url = arg };
	struct redis *r;

	log_divert(keep_warning, NULL);
	cr_assert_eq(redis_open(fiber_loop(fiber_current()), &options, &r), 0);
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("PING"))), -E_UNAVAILABLE);
	client_close(r);
	log_divert(NULL, NULL);
	return 0;
}

Test(redis_connection, a_wrong_password_is_said_once_and_not_shown)
{
	char url[256];

	snprintf(url, sizeof(url), "%s?user=default&password=hunter2", servers_redis());
	servers_private_redis();
	(void) direct(servers_redis(), "CONFIG SET requirepass hush");
	snprintf(url, sizeof(url), "%s?user=default&password=hunter2", servers_redis());
	fibers_run(refused, url);
	cr_assert_not_null(strstr(warning, "WRONGPASS"), "%s", warning);
	cr_assert_null(strstr(warning, "hunter2"), "%s", warning);
	warning[0] = '\0';
	fibers_run(refused, (void *) servers_redis());
	cr_assert_not_null(strstr(warning, "NOAUTH"), "%s", warning);
}

/* What on_state told, in order. */
struct states {
	uint64_t told[16];
	unsigned count;
};

static void on_state(void *arg, uint64_t generation)
{
	struct states *s = arg;

	cr_assert_lt(s->count, ARRAY_SIZE(s->told));
	s->told[s->count++] = generation;
}

static void count_error(void *arg, int error, const struct redis_reply *reply)
{
	unsigned *errors = arg;

	*errors += error == -E_UNAVAILABLE;
}

static int restart(void *arg)
{
	struct states states = { 0 };
	struct redis_options options = { .on_state = on_state, .arg = &states };
	struct redis *r = client_open(servers_redis(), &options);
	struct redis_stats stats;
	unsigned errors = 0;
	struct arena a;
	usec_t start;

	arena_init(&a);
	(void) call_ok(r, &a, REDIS_WORDS(STR("SET"), STR("kept"), STR("1")));
	cr_assert_eq(redis_generation(r), 1);
	/* What blocks when the server goes is lost, and told so. */
	cr_assert_eq(redis_send(r, REDIS_WORDS(STR("BLPOP"), STR("restart:none"), STR("0")),
				count_error, &errors),
		     0);
	cr_assert_eq(redis_send(r, REDIS_WORDS(STR("PING")), count_error, &errors), 0);
	redis_flush(r);
	servers_redis_stop();
	client_until_lost(r);
	cr_assert_eq(errors, 2);
	cr_assert_eq(redis_generation(r), 0);
	start = now_monotonic();
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("PING"))), -E_UNAVAILABLE);
	cr_assert_lt(now_monotonic() - start, 2 * SEC);
	cr_assert_eq(redis_send(r, REDIS_WORDS(STR("PING")), count_error, &errors), -E_UNAVAILABLE);
	cr_assert_eq(errors, 2, "not called when it returns an error");
	servers_redis_start();
	client_until_ready(r);
	cr_assert(str_eq_c(call_ok(r, &a, REDIS_WORDS(STR("GET"), STR("kept")))->text, "1"));
	redis_stats(r, &stats);
	cr_assert_eq(stats.reconnects, 1);
	cr_assert(states.count == 3 && states.told[0] == 1 && states.told[1] == 0 &&
		  states.told[2] == 2);
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis_connection, comes_back_after_a_restart)
{
	servers_private_redis();
	fibers_run(restart, NULL);
}

static int call_during_restart(void *arg)
{
	struct redis *r = arg;
	struct redis_reply *reply;
	struct arena a;
	int e;

	arena_init(&a);
	e = redis_call(r, &a, REDIS_WORDS(STR("PING")), &reply);
	arena_fini(&a);
	return e;
}

static int waits_through(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct fiber *f;
	int result;

	servers_redis_stop();
	client_until_lost(r);
	f = fiber_start(fiber_loop(fiber_current()), "caller", fiber_deadline(),
			call_during_restart, r);
	cr_assert_eq(fiber_yield(), 0);
	servers_redis_start();
	fiber_join(f, &result);
	cr_assert_eq(result, 0, "a call that waits is served when the server is back: %s",
		     error_name(result));
	client_close(r);
	return 0;
}

Test(redis_connection, a_waiting_call_is_served_when_the_server_is_back)
{
	servers_private_redis();
	redis_patience = 20 * SEC; /* a start under the sanitizers on a busy machine */
	fibers_run(waits_through, NULL);
}

static int roles(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct arena a;

	arena_init(&a);
	(void) direct(servers_redis(), "REPLICAOF 127.0.0.1 1");
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("SET"), STR("x"), STR("1"))), -E_UNAVAILABLE);
	cr_assert_not_null(strstr(fail_reason(-E_UNAVAILABLE), "READONLY"), "%s",
			   fail_reason(-E_UNAVAILABLE));
	cr_assert(!redis_is_ready(r), "it leads to the wrong server");
	/* A replica that may not answer without its master refuses the greeting too. */
	(void) direct(servers_redis(), "CONFIG SET replica-serve-stale-data no");
	client_until_lost(r);
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("PING"))), -E_UNAVAILABLE);
	(void) direct(servers_redis(), "REPLICAOF NO ONE");
	client_until_ready(r);
	(void) call_ok(r, &a, REDIS_WORDS(STR("SET"), STR("x"), STR("1")));
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis_connection, a_replica_is_left_and_asked_again)
{
	servers_private_redis();
	fibers_run(roles, NULL);
}

static int full(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct arena a;

	arena_init(&a);
	(void) direct(servers_redis(), "CONFIG SET maxmemory 1");
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("SET"), STR("x"), STR("1"))), -E_UNAVAILABLE);
	cr_assert_not_null(strstr(fail_reason(-E_UNAVAILABLE), "OOM"), "%s",
			   fail_reason(-E_UNAVAILABLE));
	cr_assert(redis_is_ready(r), "reads and deletes still work");
	(void) call_ok(r, &a, REDIS_WORDS(STR("DEL"), STR("x")));
	(void) direct(servers_redis(), "CONFIG SET maxmemory 0");
	(void) call_ok(r, &a, REDIS_WORDS(STR("SET"), STR("x"), STR("1")));
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis_connection, a_full_server_is_a_passing_error_of_the_command)
{
	servers_private_redis();
	fibers_run(full, NULL);
}

/*
 * A server that says what a test wants, for states that a real one leaves too quickly: each
 * connection gets the next of the answers, whatever it asked.
 */
#define PARROT_CLIENTS 8

struct parrot {
	uv_pipe_t listener;
	/* One each: a closed one is libuv's until the end of the turn, and the next may come before. */
	uv_pipe_t clients[PARROT_CLIENTS];
	const char *const *answers;
	unsigned connections;
	char path[64], url[80];
	char inbox[4096];
	struct waiter closed;
};

static void parrot_buffer(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct parrot *p = handle->data;

	*ret = uv_buf_init(p->inbox, sizeof(p->inbox));
}

static void parrot_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct parrot *p = stream->data;
	const char *answer = p->answers[p->connections - 1];
	uv_buf_t out = uv_buf_init((char *) answer, (unsigned) strlen(answer));

	if (n < 0)
		uv_close((uv_handle_t *) stream, NULL);
	else
		(void) uv_try_write(stream, &out, 1);
}

static void parrot_accept(uv_stream_t *listener, int status)
{
	struct parrot *p = listener->data;
	uv_pipe_t *client = &p->clients[p->connections];

	cr_assert_eq(status, 0);
	cr_assert_not_null(p->answers[p->connections], "one connection too many");
	cr_assert_lt(p->connections, PARROT_CLIENTS);
	p->connections++;
	cr_assert_eq(uv_pipe_init(listener->loop, client, 0), 0);
	client->data = p;
	cr_assert_eq(uv_accept(listener, (uv_stream_t *) client), 0);
	cr_assert_eq(uv_read_start((uv_stream_t *) client, parrot_buffer, parrot_read), 0);
}

static void parrot_closed(uv_handle_t *handle)
{
	struct parrot *p = handle->data;

	fiber_wake(&p->closed, 0);
}

static void parrot_start(struct parrot *p, const char *const *answers)
{
	uv_loop_t *uv = loop_uv(fiber_loop(fiber_current()));

	p->answers = answers;
	snprintf(p->path, sizeof(p->path), "/tmp/apium-parrot-%d", (int) getpid());
	snprintf(p->url, sizeof(p->url), "unix://%s", p->path);
	unlink(p->path);
	cr_assert_eq(uv_pipe_init(uv, &p->listener, 0), 0);
	p->listener.data = p;
	cr_assert_eq(uv_pipe_bind(&p->listener, p->path), 0);
	cr_assert_eq(uv_listen((uv_stream_t *) &p->listener, 8, parrot_accept), 0);
}

static void parrot_stop(struct parrot *p)
{
	waiter_init(&p->closed);
	uv_close((uv_handle_t *) &p->listener, parrot_closed);
	cr_assert_eq(fiber_park(&p->closed, "parrot"), 0);
	unlink(p->path);
}

static int loading(void *arg)
{
	static const char *const answers[] = {
		"-LOADING Redis is loading the dataset in memory\r\n",
		"-LOADING Redis is loading the dataset in memory\r\n",
		"garbage\r\n",
		"+PONG\r\n",
		NULL,
	};
	static struct parrot parrot;
	struct redis *r;

	parrot_start(&parrot, answers);
	r = client_open(parrot.url, NULL);
	cr_assert_eq(parrot.connections, 4, "%u", parrot.connections);
	cr_assert_eq(redis_generation(r), 1);
	client_close(r);
	parrot_stop(&parrot);
	return 0;
}

Test(redis_connection, a_loading_or_senseless_server_is_asked_again)
{
	fibers_run(loading, NULL);
}

static int unasked(void *arg)
{
	static const char *const answers[] = { "+PONG\r\n+MORE\r\n", "+PONG\r\n", NULL };
	static struct parrot parrot;
	struct states states = { 0 };
	struct redis_options options = { .on_state = on_state, .arg = &states };
	struct redis *r;

	parrot_start(&parrot, answers);
	r = client_open(parrot.url, &options);
	cr_assert_eq(parrot.connections, 2, "a reply that nobody asked for ends the connection");
	cr_assert(states.count == 3 && states.told[0] == 1 && states.told[1] == 0 &&
		  states.told[2] == 2);
	client_close(r);
	parrot_stop(&parrot);
	return 0;
}

Test(redis_connection, a_server_that_answers_unasked_is_not_trusted)
{
	fibers_run(unasked, NULL);
}
