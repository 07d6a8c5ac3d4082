#include "http/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/world.h"

static bool is_let_go; /* what `held` waits for */
static int seen;       /* handlers entered */

static int hello(struct request *rq)
{
	return reply_json(rq, 200, STR("{\"hello\":\"world\"}"));
}

static int held(struct request *rq)
{
	seen++;
	while (!is_let_go) {
		int r = fiber_sleep(MSEC);

		if (r < 0)
			return r;
	}
	return reply_json(rq, 200, STR("{\"held\":true}"));
}

/* Length, first and last byte, and a sum that tells bytes in a wrong place. */
static int digest(struct request *rq)
{
	struct str b = rq->body_bytes;
	uint32_t sum = 0;
	int r = fiber_sleep(MSEC);

	if (r < 0)
		return r;
	for (size_t i = 0; i < b.len; i++)
		sum = sum * 31 + (uint8_t) b.at[i];
	return reply_text(rq, 200, "text/plain", arena_printf(&rq->arena, "%zu %08x", b.len, sum));
}

/* More than any socket takes at once. */
static int big(struct request *rq)
{
	size_t len = 20 * MIB;
	char *bytes = arena_alloc(&rq->arena, len);

	memset(bytes, 'x', len);
	return reply_text(rq, 200, "text/plain", str_make(bytes, len));
}

static int peer(struct request *rq)
{
	return reply_text(rq, 200, "text/plain", rq->peer);
}

/* clang-format off */
#define ROW(m, p, h, ...) { .method = HTTP_##m, .pattern = (p), .handle = (h), .permit = permit_anyone, .name = (p), ##__VA_ARGS__ }
/* clang-format on */

static const struct route rows[] = {
	ROW(GET, "hello/", hello),
	ROW(GET, "held/", held),
	ROW(POST, "digest/", digest, .max_body = 3 * MIB),
	ROW(POST, "small/", digest, .max_body = 1000),
	ROW(GET, "peer/", peer),
	ROW(GET, "big/", big),
};

static void start(void)
{
	is_let_go = false;
	seen = 0;
	fixture_start(rows, ARRAY_SIZE(rows));
	fixture_listen();
}

static void stop(void)
{
	is_let_go = true;
	fixture_stop();
}

TestSuite(socket, .init = start, .fini = stop);

#define GET(path) "GET /api/v1/" path " HTTP/1.1\r\nHost: a\r\n\r\n"

static int status_of(struct str answer)
{
	int64_t status;

	cr_assert(str_starts(answer, STR("HTTP/1.1 ")), "no answer: \"%.*s\"", STR_ARG(answer));
	cr_assert_eq(str_to_i64(str_slice(answer, 9, 12), &status), 0);
	return (int) status;
}

static struct str body_of(struct str answer)
{
	ptrdiff_t end = str_find(answer, STR("\r\n\r\n"));

	cr_assert_geq(end, 0);
	return str_slice(answer, (size_t) end + 4, answer.len);
}

Test(socket, answers_and_keeps_the_connection)
{
	int fd = client_open();
	struct str a;

	for (int i = 0; i < 3; i++) {
		client_say(fd, GET("hello/"));
		a = client_read_answer(fd, false);
		cr_assert_eq(status_of(a), 200);
		assert_contains(a, "HTTP/1.1 200 OK\r\nDate: ");
		assert_contains(a, "Connection: keep-alive\r\nContent-Length: 17\r\n");
		assert_contains(
			a, "\r\nContent-Type: application/json\r\nAllow: GET, HEAD, OPTIONS\r\n");
		assert_contains(a, "\r\nX-Frame-Options: DENY\r\n");
		cr_assert_lt(str_find(a, STR("\r\nServer:")), 0);
		assert_str(body_of(a), "{\"hello\":\"world\"}");
	}
	client_say(fd, GET("peer/"));
	assert_str(body_of(client_read_answer(fd, false)), "127.0.0.1");
	close(fd);
}

Test(socket, answers_pipelined_requests_in_their_order)
{
	int fd = client_open();

	client_say(fd, GET("hello/") GET("nowhere/") "POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\n"
						     "Content-Length: 3\r\n\r\nabc" GET("peer/"));
	cr_assert_eq(status_of(client_read_answer(fd, false)), 200);
	cr_assert_eq(status_of(client_read_answer(fd, false)), 404);
	assert_str(body_of(client_read_answer(fd, false)), "3 00017862");
	assert_str(body_of(client_read_answer(fd, false)), "127.0.0.1");
	close(fd);
}

Test(socket, head_sends_the_length_and_nothing_more)
{
	int fd = client_open();
	struct str a;

	client_say(fd, "HEAD /api/v1/hello/ HTTP/1.1\r\nHost: a\r\n\r\n" GET("peer/"));
	a = client_read_answer(fd, true);
	assert_contains(a, "Content-Length: 17\r\n");
	assert_str(body_of(client_read_answer(fd, false)), "127.0.0.1");
	close(fd);
}

Test(socket, http_1_0_and_connection_close_end_the_connection)
{
	int fd = client_open();

	client_say(fd, "GET /api/v1/hello/ HTTP/1.0\r\n\r\n");
	assert_contains(client_read_all(fd), "Connection: close\r\n");
	close(fd);
	fd = client_open();
	client_say(fd, "GET /api/v1/hello/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	assert_str(body_of(client_read_all(fd)), "{\"hello\":\"world\"}");
	close(fd);
}

/* clang-format off */
static const char *const smuggled[] = {
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 40\r\n\r\nabc" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" GET("peer/"),
	"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc" GET("peer/"),
	"GET /api/v1/hello/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" GET("peer/"),
	"GET /api/v1/hello/ HTTP/1.1\r\nHost: a\r\nX: 1\r\n  2\r\n\r\n" GET("peer/"),
	"GET /api/v1/hello/ HTTP/1.1\r\n\r\n" GET("peer/"),
};
/* clang-format on */

Test(socket, refuses_what_two_servers_may_read_in_two_ways)
{
	for (size_t i = 0; i < ARRAY_SIZE(smuggled); i++) {
		int fd = client_open();
		struct str a;

		client_say(fd, smuggled[i]);
		a = client_read_all(fd); /* and the connection ends */
		cr_assert_eq(status_of(a), 400, "%s: %.*s", smuggled[i], STR_ARG(a));
		assert_contains(a, "Connection: close\r\n");
		cr_assert_lt(str_find(a, STR("127.0.0.1")), 0, "the second request was answered");
		close(fd);
	}
}

static struct str post(int fd, const char *path, const char *bytes, size_t len)
{
	char head[256];

	snprintf(head, sizeof(head),
		 "POST /api/v1/%s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", path, len);
	client_say(fd, head);
	client_send(fd, bytes, len);
	return client_read_answer(fd, false);
}

static char *pattern(size_t len, char *ret_digest)
{
	char *bytes = malloc(len);
	uint32_t sum = 0;

	cr_assert_not_null(bytes);
	for (size_t i = 0; i < len; i++) {
		bytes[i] = (char) (i * 31 + i / 509);
		sum = sum * 31 + (uint8_t) bytes[i];
	}
	sprintf(ret_digest, "%zu %08x", len, sum);
	return bytes;
}

Test(socket, bodies_arrive_whole_in_memory_and_spilled)
{
	static const size_t lengths[] = { 0,          1,          8000,        100 * 1000,
					  255 * 1024, 257 * 1024, 1000 * 1000, 3 * 1024 * 1024 };
	int fd = client_open();

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		char wanted[64];
		char *bytes = pattern(lengths[i], wanted);
		struct str a = post(fd, "digest/", bytes, lengths[i]);

		cr_assert_eq(status_of(a), 200);
		assert_str(body_of(a), wanted);
		free(bytes);
	}
	close(fd);
}

/* And what follows on the connection is not taken for a request (http/head.c). */
Test(socket, chunked_bodies_arrive_whole)
{
	int fd = client_open();
	struct str all;

	client_say(fd,
		   "POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		   "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n" GET("peer/"));
	all = client_read_all(fd);
	assert_str(body_of(all), "3 00017862");
	cr_assert_lt(str_find(all, STR("127.0.0.1")), 0);
	close(fd);
}

Test(socket, a_client_that_waits_for_100_gets_it)
{
	int fd = client_open();

	client_say(fd, "POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
		       "Expect: 100-continue\r\n\r\n");
	assert_str(client_read_answer(fd, false), "HTTP/1.1 100 Continue\r\n\r\n");
	client_say(fd, "abc");
	assert_str(body_of(client_read_answer(fd, false)), "3 00017862");
	close(fd);
}

Test(socket, a_body_over_its_routes_limit_is_413)
{
	int fd = client_open();
	char wanted[64];
	char *bytes = pattern(1001, wanted);
	struct str a = post(fd, "small/", bytes, 1001);

	cr_assert_eq(status_of(a), 413);
	assert_str(body_of(a), "{\"detail\":\"Request body too large.\"}");
	a = post(fd, "small/", bytes, 1000); /* the connection is as good as before */
	cr_assert_eq(status_of(a), 200);
	close(fd);
	free(bytes);
}

Test(socket, a_body_over_every_limit_is_413_at_once)
{
	int fd = client_open();

	client_say(fd,
		   "POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
	cr_assert_eq(status_of(client_read_all(fd)), 413);
	close(fd);
}

static void short_times(void)
{
	fx_options.header_timeout = SEC;
	fx_options.upload_timeout = 3 * SEC;
	fx_options.idle_timeout = 2 * SEC;
	fx_options.upload_rate = 100;
	start();
}

TestSuite(slow, .init = short_times, .fini = stop, .timeout = 60);

/* Sends a byte now and then until the server has enough.  How long that took. */
static usec_t drip(const char *head, const char *byte)
{
	int fd = client_open();
	usec_t before = now_monotonic(), next = before;
	char in;
	ssize_t n;

	client_say(fd, head);
	for (;;) {
		n = recv(fd, &in, 1, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		cr_assert_neq(n, 1, "it was answered");
		cr_assert_lt(now_monotonic() - before, 20 * SEC, "it is let go on for ever");
		if (now_monotonic() >= next) {
			(void) !send(fd, byte, strlen(byte), MSG_NOSIGNAL);
			next += 200 * MSEC;
		}
		loop_turn(fx.loop, 10 * MSEC);
	}
	close(fd);
	return now_monotonic() - before;
}

static uint64_t cuts(void)
{
	struct http_stats stats;

	http_stats(&stats);
	return stats.cut_slow;
}

Test(slow, heads_are_cut_off)
{
	usec_t took = drip("GET /api/v1/hello/ HTTP/1.1\r\nHost: a\r\n", "x: 1\r\n");

	cr_assert_geq(took, SEC);
	cr_assert_leq(took, 5 * SEC);
	cr_assert_eq(cuts(), 1);
}

Test(slow, bodies_that_take_too_long_are_cut_off)
{
	static char piece[201];
	usec_t took;

	memset(piece, 'x', sizeof(piece) - 1);
	took = drip("POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
		    piece);
	cr_assert_geq(took, 3 * SEC);
	cr_assert_leq(took, 7 * SEC);
	cr_assert_eq(cuts(), 1); /* h2o's own timer, which is not counted, did not have to */
}

static struct str hold_until_closed(int fd, usec_t *ret_took)
{
	usec_t before = now_monotonic();
	struct str all = client_read_all(fd);

	*ret_took = now_monotonic() - before;
	return all;
}

Test(slow, idle_connections_are_closed)
{
	int fresh = client_open(), used = client_open();
	usec_t took;

	client_say(used, GET("hello/"));
	cr_assert_eq(status_of(client_read_answer(used, false)), 200);
	cr_assert_eq(hold_until_closed(fresh, &took).len, 0);
	cr_assert_leq(took, 4 * SEC);
	cr_assert_eq(hold_until_closed(used, &took).len, 0);
	cr_assert_leq(took, 6 * SEC);
	cr_assert_eq(cuts(), 0); /* nobody's fault */
	close(fresh);
	close(used);
}

static bool is_cut(void *arg)
{
	return cuts() == 1;
}

/* As above, but with all the time of the world for a body. */
static void long_uploads(void)
{
	fx_options.header_timeout = SEC;
	fx_options.upload_rate = 100;
	start();
}

TestSuite(upload, .init = long_uploads, .fini = stop, .timeout = 60);

Test(upload, bodies_below_the_least_rate_are_cut_off)
{
	usec_t took = drip(
		"POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "x");

	cr_assert_geq(took, SEC);
	cr_assert_leq(took, 6 * SEC);
	cr_assert_eq(cuts(), 1);
}

Test(upload, bodies_that_grow_over_their_routes_limit_are_cut_off)
{
	static char piece[40001];
	usec_t took;

	memset(piece, 'x', sizeof(piece) - 1);
	took = drip("POST /api/v1/small/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n",
		    piece);
	cr_assert_leq(took, 10 * SEC);
	cr_assert_eq(cuts(), 1);
}

static void high_rate(void)
{
	fx_options.upload_timeout = SEC;
	fx_options.upload_rate = 10 * MIB;
	start();
}

TestSuite(taker, .init = high_rate, .fini = stop);

Test(taker, that_is_too_slow_is_cut_off)
{
	int fd = client_open();

	client_say(fd, GET("big/"));
	cr_assert(fx_until(is_cut, NULL), "it may keep its answer for ever");
	close(fd);
}

/* The one who is not slow is served in the meantime. */
Test(slow, an_honest_request_is_not_touched)
{
	int fd = client_open();
	char wanted[64];
	char *bytes = pattern(200 * 1000, wanted);

	cr_assert_eq(status_of(post(fd, "digest/", bytes, 200 * 1000)), 200);
	cr_assert_eq(cuts(), 0);
	free(bytes);
	close(fd);
}

static void small_budget(void)
{
	fx_options.body_budget = 300 * KIB;
	fx_options.most_requests = 2;
	start();
}

TestSuite(budget, .init = small_budget, .fini = stop);

static bool is_seen(void *arg)
{
	return seen >= *(int *) arg;
}

static void wait_for_handlers(int n)
{
	cr_assert(fx_until(is_seen, &n), "only %d handlers were entered", seen);
}

Test(budget, beyond_so_many_requests_the_rest_is_told_to_come_back)
{
	int one = client_open(), two = client_open(), three = client_open();
	struct str a;

	client_say(one, GET("held/"));
	client_say(two, GET("held/"));
	wait_for_handlers(2);
	client_say(three, GET("hello/"));
	a = client_read_answer(three, false);
	cr_assert_eq(status_of(a), 503);
	assert_contains(a, "\r\nRetry-After: 1\r\n");
	is_let_go = true;
	cr_assert_eq(status_of(client_read_answer(one, false)), 200);
	cr_assert_eq(status_of(client_read_answer(two, false)), 200);
	client_say(three, GET("hello/"));
	cr_assert_eq(status_of(client_read_answer(three, false)), 200);
	close(one);
	close(two);
	close(three);
}

Test(budget, bodies_that_are_too_many_together_are_refused_or_cut)
{
	int fd = client_open(), big = client_open();
	char wanted[64];
	char *bytes = pattern(400 * KIB, wanted);
	struct http_stats stats;

	/* complete: refused */
	cr_assert_eq(status_of(post(fd, "digest/", bytes, 400 * KIB)), 503);
	/* under way: the largest is cut by the sweep */
	client_say(big,
		   "POST /api/v1/digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
	client_send(big, bytes, 400 * KIB);
	cr_assert_eq(client_read_all(big).len, 0);
	http_stats(&stats);
	cr_assert_eq(stats.refused_budget, 2);
	free(bytes);
	close(fd);
	close(big);
}

/* A client that resets its connection while its request is being worked on. */
static void reset(int fd)
{
	const struct linger at_once = { .l_onoff = 1 };

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fd);
}

static bool is_nobody_served(void *arg)
{
	return live_get(LIVE_fibers) == 0 && live_get(LIVE_requests) == 0;
}

Test(socket, a_reset_cancels_the_handler)
{
	int fd = client_open();
	struct http_stats stats;

	client_say(fd, GET("held/"));
	wait_for_handlers(1);
	reset(fd);
	cr_assert(fx_until(is_nobody_served, NULL), "its handler runs on");
	http_stats(&stats);
	cr_assert_eq(stats.client_gone, 1);
	assert_contains(fx_logged(), "status=499");
}

static void with_media(void)
{
	fixture_with_media();
	start();
}

TestSuite(file, .init = with_media, .fini = stop);

Test(file, is_sent_whole_and_in_ranges_on_one_connection)
{
	char path[256], wanted[64], *bytes = pattern(900 * 1000, wanted);
	int fd = client_open(), file;
	struct str a;

	snprintf(path, sizeof(path), "%s/a.png", fx.folder);
	file = open(path, O_WRONLY | O_CREAT, 0644);
	cr_assert_geq(file, 0);
	cr_assert_eq(write(file, bytes, 900 * 1000), 900 * 1000);
	close(file);

	client_say(fd, "GET /media/a.png HTTP/1.1\r\nHost: a\r\n\r\n");
	a = client_read_answer(fd, false);
	assert_contains(a, "Content-Length: 900000\r\n");
	cr_assert(str_eq(body_of(a), str_make(bytes, 900 * 1000)));
	client_say(fd,
		   "GET /media/a.png HTTP/1.1\r\nHost: a\r\nRange: bytes=100000-199999\r\n\r\n");
	a = client_read_answer(fd, false);
	cr_assert_eq(status_of(a), 206);
	assert_contains(a, "\r\nContent-Range: bytes 100000-199999/900000\r\n");
	cr_assert(str_eq(body_of(a), str_make(bytes + 100000, 100000)));
	client_say(fd, "HEAD /media/a.png HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_contains(client_read_answer(fd, true), "Content-Length: 900000\r\n");
	client_say(fd, "GET /media/a.png HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n");
	cr_assert_eq(status_of(client_read_answer(fd, false)), 304);
	client_say(fd, GET("peer/"));
	assert_str(body_of(client_read_answer(fd, false)), "127.0.0.1");
	free(bytes);
	close(fd);
}

static bool is_nothing_open(void *arg)
{
	struct http_stats stats;

	http_stats(&stats);
	return stats.connections == 0;
}

Test(file, may_lose_its_client_in_the_middle)
{
	char path[256];
	int fd = client_open(), file;

	snprintf(path, sizeof(path), "%s/a.png", fx.folder);
	file = open(path, O_WRONLY | O_CREAT, 0644);
	cr_assert_eq(ftruncate(file, 50 * MIB), 0);
	close(file);
	client_say(fd, "GET /media/a.png HTTP/1.1\r\nHost: a\r\n\r\n");
	loop_turn(fx.loop, 10 * MSEC);
	reset(fd);
	cr_assert(fx_until(is_nothing_open, NULL));
}

static void on_done(void *arg)
{
	*(bool *) arg = true;
}

static bool is_true(void *arg)
{
	return *(bool *) arg;
}

/* Drained by the test itself; what fixture_stop does behind it. */
static void free_drained(void)
{
	bool is_freed = false;

	http_server_free(fx.server, on_done, &is_freed);
	cr_assert(fx_until(is_true, &is_freed));
	route_table_free(fx.table);
	loop_free(fx.loop);
	arena_fini(&fx.arena);
	assert_none_live();
}

Test(drain, finishes_what_runs_and_closes_what_is_idle, .init = start)
{
	int working = client_open(), idle = client_open(), waiting;
	bool is_drained = false;
	struct str a;

	client_say(idle, GET("hello/"));
	cr_assert_eq(status_of(client_read_answer(idle, false)), 200);
	client_say(working, GET("held/"));
	wait_for_handlers(1);
	/* connected, not accepted yet: it must be served all the same */
	waiting = client_open();
	(void) !send(waiting, GET("hello/"), strlen(GET("hello/")), 0);
	http_server_drain(fx.server, MINUTE, on_done, &is_drained);
	a = client_read_all(waiting);
	cr_assert_eq(status_of(a), 200);
	assert_contains(a, "Connection: close\r\n");
	cr_assert_eq(client_read_all(idle).len, 0);
	cr_assert_not(is_drained);
	is_let_go = true;
	a = client_read_all(working);
	cr_assert_eq(status_of(a), 200);
	assert_contains(a, "Connection: close\r\n");
	cr_assert(fx_until(is_true, &is_drained));
	close(working);
	close(idle);
	close(waiting);
	free_drained();
}

Test(drain, takes_no_new_connections, .init = start)
{
	bool is_drained = false;
	int fd = client_open();

	client_say(fd, GET("held/"));
	wait_for_handlers(1);
	http_server_drain(fx.server, MINUTE, on_done, &is_drained);
	loop_turn(fx.loop, MSEC);
	{
		struct sockaddr_in to = {
			.sin_family = AF_INET,
			.sin_port = htons((uint16_t) fx.port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};
		int late = socket(AF_INET, SOCK_STREAM, 0);

		cr_assert_eq(connect(late, (struct sockaddr *) &to, sizeof(to)), -1);
		cr_assert_eq(errno, ECONNREFUSED);
		close(late);
	}
	is_let_go = true;
	cr_assert(fx_until(is_true, &is_drained));
	close(fd);
	free_drained();
}

Test(drain, cancels_what_outlasts_the_grace, .init = start)
{
	bool is_drained = false;
	int fd = client_open();

	client_say(fd, GET("held/"));
	wait_for_handlers(1);
	http_server_drain(fx.server, 100 * MSEC, on_done, &is_drained);
	cr_assert_eq(status_of(client_read_all(fd)), 503);
	cr_assert(fx_until(is_true, &is_drained));
	close(fd);
	free_drained();
}
