/*
 * The sweep: once a second (more often while draining) a look at every connection, because
 * h2o 2.2.5 has one timer over head and body and no hook before a body is complete.  What arrives
 * too slowly, too long or in too large a sum is cut off by shutdown(2), without an answer; h2o then
 * sees the end of the stream.
 *
 *     idle ----------> head ----------> body ----------> work ----------> send ---> idle
 *  idle_timeout,   header_timeout,  upload_timeout,   the fiber's     upload_timeout + length
 *  a fresh one     HEAD_MOST        upload_rate,      deadline        at upload_rate
 *  header_timeout                   route's limit,
 *                                   body budget
 */
#include "http/http2-internal.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/world.h"

#define SWEEP_EVERY       SEC
#define DRAIN_EVERY       (50 * MSEC)
/* A client whose connection waited in the kernel when the drain began may still be about to
 * send. */
#define DRAIN_FRESH       SEC
/* What cancelled requests get to end and be answered. */
#define DRAIN_LAST        SEC
/* A body that is longer than its route takes is let in for so many sweeps, because if it is
 * complete by then its client can be told. */
#define OVER_LIMIT_SWEEPS 3

struct sweep {
	struct http_server *server;
	usec_t now;
	struct connection *largest; /* of the bodies under way */
	struct pollfd polled[64];
	struct connection *polled_connections[64];
	size_t poll_count;
};

usec_t door_arrival_most(const struct http_options *o)
{
	return o->idle_timeout + o->header_timeout + o->upload_timeout;
}

void connection_cut(struct connection *c, const char *why)
{
	if (c->is_shut)
		return;
	counter_add(&c->server->counters.cut_slow, 1);
	log_debug("a connection is cut off: %s", why);
	connection_shut(c);
}

/* What reached us of the request that h2o is reading; version is set when its head is complete. */
static enum phase phase_of(const struct connection *c, const h2o_req_t *req, size_t input)
{
	if (c->exchange != NULL)
		return c->exchange->sent_at != 0 ? PHASE_SEND : PHASE_WORK;
	if (req->version != 0)
		return PHASE_BODY;
	return input > 0 ? PHASE_HEAD : PHASE_IDLE;
}

/* A body counts against the budget from the sweep that first sees it. */
static void count_arrived(struct connection *c, size_t now)
{
	if (now != c->arrived)
		budget_add((int64_t) now - (int64_t) c->arrived);
	c->arrived = now;
}

static void enter(struct connection *c, enum phase phase, const h2o_req_t *req, usec_t now)
{
	const struct timeval *begin = &req->timestamps.request_begin_at;

	if (phase == c->phase && begin->tv_sec == c->begin.tv_sec &&
	    begin->tv_usec == c->begin.tv_usec)
		return;
	c->phase = phase;
	c->begin = *begin;
	c->since = now;
	c->over_limit = 0;
}

size_t route_limit(const struct http_server *s, const h2o_req_t *req)
{
	_cleanup_(arena_fini) struct arena a = { 0 };
	struct str rest = str_make(req->input.path.base, req->input.path.len), path;
	struct route_match match;
	const struct route *route = NULL;

	str_cut(&rest, '?', &path);
	if (!route_table_find(s->options.routes, percent_decode(&a, path, false), &match))
		return ROUTE_MAX_BODY;
	for (unsigned m = 0; m < HTTP_METHODS; m++)
		if (str_eq_c(str_make(req->input.method.base, req->input.method.len),
			     http_method_names[m]))
			route = view_route(match.view, (enum http_method) m);
	if (route == NULL)
		route = match.view->first;
	return route->max_body != 0 ? route->max_body : ROUTE_MAX_BODY;
}

static void judge_body(struct sweep *w, struct connection *c, const h2o_req_t *req, size_t input)
{
	const struct http_options *o = &w->server->options;
	usec_t took = w->now - c->since;

	count_arrived(c, input);
	if (w->largest == NULL || c->arrived > w->largest->arrived)
		w->largest = c;
	if (took > o->upload_timeout)
		connection_cut(c, "its body takes too long");
	else if (took > o->header_timeout && input < (size_t) (took / SEC) * o->upload_rate)
		connection_cut(c, "its body comes too slowly");
	else if (input > route_limit(w->server, req) + HEAD_MOST &&
		 ++c->over_limit >= OVER_LIMIT_SWEEPS)
		connection_cut(c, "its body is too long");
}

static void judge_send(struct sweep *w, struct connection *c)
{
	const struct http_options *o = &w->server->options;
	usec_t allowed = o->upload_timeout;

	if (o->upload_rate > 0)
		allowed += (usec_t) (reply_length(&c->exchange->reply) / o->upload_rate) * SEC;
	if (w->now - c->exchange->sent_at > allowed)
		connection_cut(c, "its client takes the answer too slowly");
}

/* Nothing arrived on it, and nothing lies in the kernel. */
static bool is_quiet(const struct connection *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void judge_idle(struct sweep *w, struct connection *c)
{
	const struct http_options *o = &w->server->options;
	usec_t most = c->is_fresh ? o->header_timeout : o->idle_timeout;

	if (w->server->drain != DRAIN_NO)
		most = c->is_fresh ? DRAIN_FRESH : 0;
	if (w->now - c->active >= most && is_quiet(c))
		connection_shut(c);
}

/*
 * h2o does not read while a request is being worked on, so it does not see the client leave.  A
 * reset can be seen (an orderly end cannot be told from a client that has only finished sending).
 */
static void poll_clients(struct sweep *w)
{
	int n = w->poll_count == 0 ? 0 : poll(w->polled, w->poll_count, 0);

	for (size_t i = 0; n > 0 && i < w->poll_count; i++) {
		struct exchange *x = w->polled_connections[i]->exchange;

		if ((w->polled[i].revents & (POLLERR | POLLHUP)) == 0 || x->is_reset)
			continue;
		x->is_reset = true;
		if (x->fiber != NULL)
			fiber_cancel(x->fiber);
	}
	w->poll_count = 0;
}

static void watch_client(struct sweep *w, struct connection *c)
{
	if (w->poll_count == ARRAY_SIZE(w->polled))
		poll_clients(w);
	w->polled[w->poll_count] = (struct pollfd){ .fd = c->fd };
	w->polled_connections[w->poll_count++] = c;
}

static int judge(h2o_req_t *req, void *arg)
{
	struct sweep *w = arg;
	struct connection *c = connection_of(req->conn);
	size_t input = req->conn->callbacks->get_socket(req->conn)->input->size;

	enter(c, phase_of(c, req, input), req, w->now);
	if (c->phase != PHASE_BODY)
		count_arrived(c, 0);
	switch (c->phase) {
	case PHASE_IDLE:
		judge_idle(w, c);
		break;
	case PHASE_HEAD:
		if (w->now - c->since > w->server->options.header_timeout || input > HEAD_MOST)
			connection_cut(c, "its head takes too long");
		break;
	case PHASE_BODY:
		judge_body(w, c, req, input);
		break;
	case PHASE_WORK:
		watch_client(w, c);
		break;
	case PHASE_SEND:
		judge_send(w, c);
		break;
	}
	return 0;
}

/*
 * A TLS client that resets its connection leaves libh2o 2.2.5 waiting for ever: it writes a last alert before
 * it closes, libuv refuses that write at once because the reset took the stream's being writable, and
 * h2o does not look at what uv_write returns.  Seen from here, outside of every callback, a stream in that
 * state has been closed by h2o already; closing it once more ends it without the alert.
 */
static void bury_reset(struct http_server *s)
{
	struct list *next;

	for (struct list *node = s->connections.next; node != &s->connections; node = next) {
		struct connection *c = list_entry(node, struct connection, link);

		next = node->next;
		if (uv_is_writable((uv_stream_t *) c->tcp) || uv_is_closing((uv_handle_t *) c->tcp))
			continue;
		if (c->http2 != NULL)
			http2_abandon(c); /* still waits for a write that libuv refused */
		else
			h2o_socket_close(c->sock); /* frees `c` */
	}
}

/* What h2o's list of HTTP/1.1 requests does not show. */
static void judge_others(struct http_server *s, usec_t now)
{
	list_for_each (node, &s->connections) {
		struct connection *c = list_entry(node, struct connection, link);

		if (c->http2 != NULL)
			http2_judge(c, now);
		else if (c->is_shaking && now - c->since > s->options.header_timeout)
			connection_cut(c, "its handshake takes too long");
	}
}

static void sweep(struct http_server *s)
{
	struct sweep w = { .server = s, .now = now_monotonic() };

	(void) s->config.http1.callbacks.foreach_request(&s->context, judge, &w);
	poll_clients(&w);
	if (s->accept.ssl_ctx != NULL) {
		judge_others(s, w.now);
		bury_reset(s);
	}
	if (w.largest != NULL && !w.largest->is_shut &&
	    budget_add(0) > (int64_t) s->options.body_budget) {
		counter_add(&s->counters.refused_budget, 1);
		connection_cut(w.largest, "all bodies together are too long");
	}
}

static void cancel_all(struct http_server *s)
{
	list_for_each (node, &s->running) {
		struct exchange *x = list_entry(node, struct exchange, link);

		if (x->fiber != NULL)
			fiber_cancel(x->fiber);
	}
}

static void shut_all(struct http_server *s)
{
	list_for_each (node, &s->connections)
		connection_shut(list_entry(node, struct connection, link));
}

static void on_sweep(struct timer *);

static void sweep_again(struct http_server *s)
{
	timer_start(s->loop, &s->sweep,
		    now_monotonic() + (s->drain == DRAIN_NO ? SWEEP_EVERY : DRAIN_EVERY), on_sweep);
}

static void drain_step(struct http_server *s)
{
	usec_t now = now_monotonic();

	if (list_is_empty(&s->connections) && list_is_empty(&s->running)) {
		s->drain = DRAIN_DONE;
		s->on_drained(s->on_drained_arg);
		return;
	}
	if (now >= s->drain_end && s->drain == DRAIN_WAITS) {
		s->drain = DRAIN_CANCELLED;
		cancel_all(s);
	}
	if (now >= s->drain_end + DRAIN_LAST)
		shut_all(s);
	sweep_again(s);
}

static void on_sweep(struct timer *t)
{
	struct http_server *s = container_of(t, struct http_server, sweep);

	sweep(s);
	if (s->drain == DRAIN_NO)
		sweep_again(s);
	else
		drain_step(s);
}

void door_start(struct http_server *s)
{
	sweep_again(s);
}

void door_drain(struct http_server *s, usec_t grace)
{
	s->drain = DRAIN_WAITS;
	s->drain_end = now_monotonic() + grace;
	/* Not at once: what was accepted just now has not been read yet. */
	sweep_again(s);
}
