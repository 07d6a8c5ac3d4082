#include "http/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/world.h"

struct fixture fx;

struct http_options fx_options = {
	.authenticate = fx_authenticate,
	.max_body = 4 * MIB,
	.body_budget = 64 * MIB,
	.most_requests = 100,
	.header_timeout = 10 * SEC,
	.upload_timeout = 60 * SEC,
	.idle_timeout = 60 * SEC,
	.upload_rate = 0,
};

static struct buf logged = BUF_INIT;
static bool has_media;

static void on_log(void *arg, enum log_level level, struct str line)
{
	buf_add_str(&logged, line);
	buf_add_byte(&logged, '\n');
}

struct str fx_logged(void)
{
	return buf_str(&logged);
}

int fx_authenticate(struct request *rq)
{
	struct str sent = request_header(rq, STR("authorization"));
	int r = fiber_sleep(0);

	if (r < 0)
		return r;
	if (str_eq(sent, STR("bad")))
		return fail(-E_BAD_TOKEN, "Given token not valid for any token type");
	if (str_eq(sent, STR("good")))
		rq->caller = (struct identity *) rq; /* only its being there is looked at */
	return 0;
}

int permit_somebody(struct request *rq)
{
	return rq->caller != NULL ? 0 : -E_FORBIDDEN;
}

void fixture_with_media(void)
{
	strcpy(fx.folder, "/tmp/apium-http-XXXXXX");
	cr_assert(mkdtemp(fx.folder) != NULL);
	has_media = true;
}

void fixture_start(const struct route *rows, size_t count)
{
	signal(SIGPIPE, SIG_IGN);
	log_divert(on_log, NULL);
	cr_assert_eq(loop_new(&fx.loop), 0);
	fx.thread.loop = fx.loop;
	fx.table = route_table_new();
	route_table_add(fx.table, rows, count);
	if (has_media)
		route_table_add_media(fx.table, "/media/", fx.folder);
	cr_assert_eq(route_table_seal(fx.table), 0);
	fx_options.thread = &fx.thread;
	fx_options.routes = fx.table;
	cr_assert_eq(http_server_new(&fx_options, &fx.server), 0);
	arena_init(&fx.arena);
}

static void on_done(void *arg)
{
	fx.is_done = true;
}

static bool is_done(void *arg)
{
	return fx.is_done;
}

/* Criterion does not count what fails behind a test, so this and fixture_stop abort. */
void assert_none_live(void)
{
	for (unsigned i = 0; i < LIVE_COUNT; i++) {
		if (live_get((enum live_counter) i) != 0)
			fprintf(stderr, "%s live on\n", live_name((enum live_counter) i));
		must(live_get((enum live_counter) i) == 0);
	}
}

void fixture_stop(void)
{
	struct http_stats stats;

	http_server_drain(fx.server, 0, on_done, NULL);
	must(fx_until(is_done, NULL));
	fx.is_done = false;
	http_server_free(fx.server, on_done, NULL);
	must(fx_until(is_done, NULL));
	route_table_free(fx.table);
	loop_free(fx.loop);
	arena_fini(&fx.arena);
	assert_none_live();
	http_stats(&stats);
	must(stats.in_flight == 0);
	must(stats.connections == 0);
	must(stats.body_bytes == 0);
	if (has_media) {
		char command[128];

		snprintf(command, sizeof(command), "rm -r %s", fx.folder);
		must(system(command) == 0);
	}
}

void fixture_listen(void)
{
	int fd = http_bind("127.0.0.1:0", &fx.port);

	cr_assert_geq(fd, 0);
	cr_assert_eq(http_server_listen(fx.server, fd), 0);
}

struct http_answer ask_with(struct http_ask a, const char *lines)
{
	struct http_answer answer;
	struct header headers[32];
	struct str rest = str_c(lines), line;
	size_t count = 0;

	while (str_cut(&rest, '\n', &line)) {
		struct header *h = &headers[count++];

		str_cut(&line, ':', &h->name);
		h->value = str_is_null(line) ? STR("") : str_trim(line);
	}
	a.headers = headers;
	a.header_count = count;
	http_ask(fx.server, &fx.arena, &a, &answer);
	return answer;
}

struct http_answer ask(const char *method, const char *path, const char *headers, const char *body)
{
	return ask_with((struct http_ask){ .method = method, .path = path, .body = str_c(body) },
			headers);
}

struct str answer_header(const struct http_answer *a, const char *name)
{
	struct str found = STR_NULL;

	for (size_t i = 0; i < a->header_count; i++) {
		if (!str_eq_nocase(a->headers[i].name, str_c(name)))
			continue;
		cr_assert(str_is_null(found), "%s stands there twice", name);
		found = a->headers[i].value;
	}
	return found;
}

bool fx_until(bool (*is_true)(void *), void *arg)
{
	usec_t end = now_monotonic() + 10 * SEC;

	while (!is_true(arg)) {
		if (now_monotonic() > end)
			return false;
		loop_turn(fx.loop, 2 * MSEC);
	}
	return true;
}

int client_open(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t) fx.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *) &to, sizeof(to)), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

void client_send(int fd, const void *at, size_t len)
{
	usec_t end = now_monotonic() + 10 * SEC;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return; /* cut off: the test sees it when it reads */
		cr_assert(now_monotonic() < end, "the server does not take what is sent");
		if (n > 0) {
			at = (const char *) at + n;
			len -= (size_t) n;
		}
		loop_turn(fx.loop, MSEC);
	}
}

void client_say(int fd, const char *text)
{
	client_send(fd, text, strlen(text));
}

/* Appends what is there.  False at the end of the stream. */
static bool receive(int fd, struct buf *b)
{
	ssize_t n;

	buf_reserve(b, 64 * KIB);
	n = recv(fd, b->at + b->len, 64 * KIB, 0);
	if (n > 0) {
		b->len += (size_t) n;
		b->at[b->len] = '\0';
	}
	return n > 0 || (n < 0 && errno == EAGAIN);
}

struct str client_read_all(int fd)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	usec_t end = now_monotonic() + 10 * SEC;

	while (receive(fd, &b)) {
		cr_assert(now_monotonic() < end,
			  "the server does not end the connection; it said %s", b.at);
		loop_turn(fx.loop, MSEC);
	}
	return arena_str(&fx.arena, buf_str(&b));
}

/* How long the answer at the beginning of the text is; 0: not known yet. */
static size_t answer_length(struct str s, bool is_head)
{
	ptrdiff_t end = str_find(s, STR("\r\n\r\n"));
	struct str head, number;
	ptrdiff_t at;
	uint64_t length = 0;

	if (end < 0)
		return 0;
	head = str_slice(s, 0, (size_t) end + 2);
	at = str_find(head, STR("Content-Length: "));
	if (at >= 0 && !is_head) {
		number = str_slice(head, (size_t) at + 16, head.len);
		str_cut(&number, '\r', &head);
		cr_assert_eq(str_to_u64(head, &length), 0);
	}
	return (size_t) end + 4 + length;
}

struct str client_read_answer(int fd, bool is_head)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	usec_t end = now_monotonic() + 10 * SEC;
	size_t need;

	for (;;) {
		char bytes[4096];
		ssize_t n;

		need = answer_length(buf_str(&b), is_head);
		if (need != 0 && b.len == need)
			return arena_str(&fx.arena, buf_str(&b));
		/* The head byte by byte: what follows may belong to the next answer. */
		n = recv(fd, bytes, need == 0 ? 1 : MIN(need - b.len, sizeof(bytes)), 0);
		if (n > 0) {
			buf_add(&b, bytes, (size_t) n);
			continue;
		}
		cr_assert(n < 0 && errno == EAGAIN, "the connection ended after \"%s\"", b.at);
		cr_assert(now_monotonic() < end, "no whole answer, only \"%s\"", b.at);
		loop_turn(fx.loop, MSEC);
	}
}
