/*
 * From h2o's request to a fiber, and back to its answer.  Runs on the loop's own stack; the fiber
 * sees only our copy.
 */
#include "http/internal.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/live.h"
#include "base/metric.h"
#include "base/uuid.h"
#include "base/world.h"
#include "http/multipart.h"
#include "http/policy.h"

#ifdef __SANITIZE_ADDRESS__
#define SPARE_MOST 0 /* a recycled exchange would hide a use after free */
#else
#define SPARE_MOST 64
#endif

static struct exchange *exchange_new(struct http_server *s, h2o_req_t *req)
{
	struct list *node = list_pop(&s->spare);
	struct exchange *x = node != NULL ? list_entry(node, struct exchange, link)
					  : malloc(sizeof(*x));

	struct arena arena = { 0 };

	must(x != NULL);
	if (node != NULL) {
		s->spare_count--;
		arena = x->rq.arena; /* empty, but for the chunk that it has kept */
	}
	/* The answer's headers behind it are written before they are read. */
	memset(x, 0, offsetof(struct exchange, reply) + offsetof(struct reply, headers));
	x->magic = EXCHANGE_MAGIC;
	list_init(&x->link);
	list_append(&s->running, &x->link);
	x->server = s;
	x->req = req;
	x->rq.magic = REQUEST_MAGIC;
	x->rq.arena = arena;
	x->rq.server = s;
	x->rq.thread = s->options.thread;
	x->rq.started = now_monotonic(); /* the loop's own now is from before it slept */
	x->rq._reply = &x->reply;
	live_add(LIVE_requests, 1);
	return x;
}

static void exchange_free(struct exchange *x)
{
	struct http_server *s = x->server;

	must(x->fiber == NULL && x->req == NULL);
	if (x->body_held > 0)
		budget_add(-(int64_t) x->body_held);
	file_sender_free(x->sender);
	list_remove(&x->link);
	x->magic = 0;
	x->rq.magic = 0;
	live_add(LIVE_requests, -1);
	if (s->spare_count + 1 <= SPARE_MOST) {
		arena_clear(&x->rq.arena);
		list_append(&s->spare, &x->link);
		s->spare_count++;
	} else {
		arena_fini(&x->rq.arena);
		free(x);
	}
}

void exchange_free_spare(struct http_server *s)
{
	struct list *node;

	while ((node = list_pop(&s->spare)) != NULL) {
		struct exchange *x = list_entry(node, struct exchange, link);

		arena_fini(&x->rq.arena);
		free(x);
	}
}

void exchange_hold(struct exchange *x)
{
	OBJ_CHECK(x, EXCHANGE_MAGIC);
	x->holders++;
}

void exchange_drop(struct exchange *x)
{
	OBJ_CHECK(x, EXCHANGE_MAGIC);
	must(x->holders > 0);
	if (--x->holders == 0)
		exchange_free(x);
}

/* h2o frees its request: everything was sent, or the connection is gone. */
static void on_disposed(void *chunk)
{
	struct exchange *x = *(struct exchange **) chunk;

	OBJ_CHECK(x, EXCHANGE_MAGIC);
	x->req = NULL;
	if (x->connection != NULL) {
		x->connection->exchange = NULL;
		x->connection->active = now_monotonic();
		x->connection = NULL;
	}
	if (x->fiber != NULL)
		fiber_cancel(x->fiber);
	exchange_drop(x);
}

static void hold_by_h2o(struct exchange *x)
{
	struct exchange **chunk = h2o_mem_alloc_shared(&x->req->pool, sizeof(*chunk), on_disposed);

	*chunk = x;
	exchange_hold(x);
}

static char *copy(char **at, const void *from, size_t len)
{
	char *to = *at;

	if (len > 0)
		memcpy(to, from, len);
	*at += len;
	return to;
}

static struct str copy_iovec(char **at, h2o_iovec_t v)
{
	return str_make(copy(at, v.base, v.len), v.len);
}

/* Method, target, host and headers in one piece of memory. */
static void copy_head(struct exchange *x, struct str *ret_target)
{
	struct request *rq = &x->rq;
	const h2o_req_t *req = x->req;
	size_t total = req->input.method.len + req->input.path.len + req->input.authority.len + 1;
	struct header *headers = arena_alloc(&rq->arena,
					     sizeof(*headers) * (req->headers.size + 1));
	char *at;

	for (size_t i = 0; i < req->headers.size; i++)
		total += req->headers.entries[i].name->len + req->headers.entries[i].value.len;
	at = arena_alloc(&rq->arena, total);
	rq->method_text = copy_iovec(&at, req->input.method);
	*ret_target = copy_iovec(&at, req->input.path);
	rq->host = copy_iovec(&at, req->input.authority);
	for (size_t i = 0; i < req->headers.size; i++) {
		headers[i].name = copy_iovec(&at, *req->headers.entries[i].name);
		headers[i].value = copy_iovec(&at, req->headers.entries[i].value);
	}
	rq->headers = headers;
	rq->header_count = req->headers.size;
}

static enum http_method method_of(struct str text)
{
	unsigned i = 0;

	while (i < HTTP_METHODS && !str_eq_c(text, http_method_names[i]))
		i++;
	return (enum http_method) i;
}

/* "http://host/path", which proxies send and servers must take (RFC 9112 §3.2.2): its host wins. */
static struct str cut_origin(struct request *rq, struct str target)
{
	static const struct str schemes[] = { STR_INIT("http://"), STR_INIT("https://") };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct str rest = target;
		ptrdiff_t slash;

		if (!str_starts(target, schemes[i]))
			continue;
		rest = str_slice(target, schemes[i].len, target.len);
		slash = str_find_char(rest, '/');
		rq->host = slash < 0 ? rest : str_slice(rest, 0, (size_t) slash);
		return slash < 0 ? STR("/") : str_slice(rest, (size_t) slash, rest.len);
	}
	return target;
}

static void read_target(struct request *rq, struct str target)
{
	struct str rest = cut_origin(rq, target), raw;

	str_cut(&rest, '?', &raw);
	rq->raw_query = rest;
	rq->path = utf8_repair(&rq->arena, percent_decode(&rq->arena, raw, false));
}

static void unmap(void *at)
{
	struct str *mapping = at;

	munmap((void *) mapping->at, mapping->len);
}

/*
 * A body that h2o has spilled to its unlinked file is mapped once more, so that it outlives the
 * connection without being copied.  h2o does not write to the file while the request is being
 * worked on.
 */
static int map_body(struct request *rq, const h2o_buffer_t *input, h2o_iovec_t entity)
{
	size_t offset = (size_t) (entity.base - (const char *) input);
	struct str *mapping = arena_new(&rq->arena, struct str);
	void *at = mmap(NULL, offset + entity.len, PROT_READ, MAP_SHARED, input->_fd, 0);

	if (at == MAP_FAILED)
		return fail(-errno, "mapping a body of %zu bytes: %s", entity.len, strerror(errno));
	*mapping = str_make(at, offset + entity.len);
	arena_defer(&rq->arena, unmap, mapping);
	rq->body_bytes = str_make((char *) at + offset, entity.len);
	return 0;
}

static int take_body(struct exchange *x, h2o_socket_t *sock)
{
	h2o_iovec_t entity = x->req->entity;
	struct request *rq = &x->rq;

	rq->body_bytes = STR("");
	if (entity.len == 0)
		return 0;
	if (sock != NULL && sock->input->_fd != -1)
		return map_body(rq, sock->input, entity);
	rq->body_bytes = arena_str(&rq->arena, str_make(entity.base, entity.len));
	return 0;
}

/* Letters, digits and a few signs: it goes into logs and back to the client. */
static bool id_is_sane(struct str id)
{
	if (id.len == 0 || id.len > UUID_TEXT)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

/*
 * The client's, or a new one: an UUID of version 8 (RFC 9562 §5.8) made of a number drawn at start
 * and a counter, because it must be unique, not secret, and costs no system call.
 */
static void give_id(struct exchange *x)
{
	struct http_server *s = x->server;
	struct str sent = request_header(&x->rq, STR("x-request-id"));
	struct uuid u;

	if (id_is_sane(sent)) {
		memcpy(x->rq.id, sent.at, sent.len);
		x->rq.id[sent.len] = '\0';
		return;
	}
	s->id_low++;
	memcpy(u.bytes, &s->id_high, 8);
	for (int i = 0; i < 8; i++)
		u.bytes[8 + i] = (uint8_t) (s->id_low >> (56 - 8 * i));
	u.bytes[6] = (uint8_t) ((u.bytes[6] & 0x0f) | 0x80);
	u.bytes[8] = (uint8_t) ((u.bytes[8] & 0x3f) | 0x80);
	uuid_format(&u, x->rq.id);
}

/* The client's trace, or a new one; this hop is a span of its own. */
static void give_trace(struct exchange *x)
{
	struct str sent = request_header(&x->rq, STR("traceparent"));
	struct trace parent;

	if (!str_is_null(sent) && trace_parse(sent, &parent) == 0)
		trace_child(&parent, &x->context.trace);
	else
		trace_new(&x->context.trace);
}

/* Context of every log line of this request: its id and "GET /api/v1/products/". */
static void name_it(struct exchange *x)
{
	struct log_context *c = &x->context;
	size_t method = MIN(x->rq.method_text.len, (size_t) 16);
	size_t path = MIN(x->rq.path.len, sizeof(c->name) - method - 2);

	c->what = "request";
	memcpy(c->id, x->rq.id, sizeof(x->rq.id));
	memcpy(c->name, x->rq.method_text.at, method);
	c->name[method] = ' ';
	memcpy(c->name + method + 1, x->rq.path.at, path);
	c->name[method + 1 + path] = '\0';
}
_Static_assert(sizeof(((struct log_context *) NULL)->id) >= sizeof(((struct request *) NULL)->id),
	       "a request id fits into a log context");

static bool is_host_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-';
}

/* Django's host_validation_re: a name or a bracketed IPv6 address, and perhaps a port. */
static bool host_is_valid(struct str host)
{
	size_t i = 0;

	if (host.len > 0 && host.at[0] == '[') {
		for (i = 1; i < host.len && host.at[i] != ']'; i++)
			if (host.at[i] != ':' && host.at[i] != '.' &&
			    str_find_char(STR("0123456789abcdefABCDEF"), host.at[i]) < 0)
				return false;
		if (i < 3 || i == host.len)
			return false;
		i++;
	} else {
		while (i < host.len && is_host_character(host.at[i]))
			i++;
		if (i == 0)
			return false;
	}
	if (i == host.len)
		return true;
	if (host.at[i] != ':' || i + 1 == host.len)
		return false;
	for (i++; i < host.len; i++)
		if (host.at[i] < '0' || host.at[i] > '9')
			return false;
	return true;
}

/* One line each, at info. */
static void log_access(const struct exchange *x)
{
	const struct request *rq = &x->rq;
	bool is_gone = x->req == NULL || x->is_reset;
	enum log_level level = x->server->options.is_internal ? LOG_DEBUG : LOG_INFO;

	if (!log_is_on(level))
		return;
	log_event(level, "request", LOG_STR("method", rq->method_text), LOG_STR("path", rq->path),
		  /* 499 is how others write down that nobody was there to take the answer */
		  LOG_INT("status", is_gone ? 499 : x->reply.status),
		  LOG_INT("bytes", (int64_t) (x->reply.kind == REPLY_FILE ? x->reply.length
									  : x->reply.body.len)),
		  LOG_INT("us", now_monotonic() - rq->started), LOG_STR("peer", rq->peer),
		  LOG_STR("request", str_c(rq->id)), LOG_STR("trace", str_c(x->context.trace.id)));
}

/* The view's series are made when they are first needed; two threads that make one get the same. */
static void count_request(const struct exchange *x)
{
	static const char *const classes[VIEW_CLASSES] = {
		"gone", "1xx", "2xx", "3xx", "4xx", "5xx"
	};
	static struct view_metrics nowhere; /* of paths that no row matches */
	const struct request *rq = &x->rq;
	bool is_gone = x->req == NULL || x->is_reset;
	size_t class = is_gone ? 0 : (size_t) x->reply.status / 100;
	struct view_metrics *m = rq->view == NULL ? &nowhere : rq->view->metrics;
	struct metric_series **count = &m->requests[rq->method][class];
	struct metric_series **duration = &m->durations[rq->method];
	struct metric_series *series[2] = { __atomic_load_n(count, __ATOMIC_ACQUIRE),
					    __atomic_load_n(duration, __ATOMIC_ACQUIRE) };

	if (series[0] == NULL || series[1] == NULL) {
		const struct route *rule = rq->route;
		const char *method = rq->method == HTTP_METHODS ? "other"
								: http_method_names[rq->method];
		const char *name;

		if (rule == NULL && rq->view != NULL)
			rule = rq->view->first;
		name = rule == NULL ? "none" : rule->name;
		series[0] = metric_series(METRIC_http_requests,
					  METRIC_VALUES(name, method, classes[class]));
		series[1] = metric_series(METRIC_http_duration, METRIC_VALUES(name, method));
		__atomic_store_n(count, series[0], __ATOMIC_RELEASE);
		__atomic_store_n(duration, series[1], __ATOMIC_RELEASE);
	}
	series_add(series[0], 1);
	series_observe(series[1], now_monotonic() - rq->started);
}

/* The answer stands: send it if anybody is there. */
static void finish(struct exchange *x)
{
	struct counters *counters = &x->server->counters;

	if (x->req == NULL || x->is_reset)
		counter_add(&counters->client_gone, 1);
	else
		counter_add(&counters->by_class[x->reply.status / 100], 1);
	if (x->req != NULL)
		exchange_send(x);
	if (!x->server->options.is_internal)
		count_request(x);
	log_access(x);
}

static int run(void *arg)
{
	struct exchange *x = arg;

	int r;

	OBJ_CHECK(x, EXCHANGE_MAGIC);
	r = dispatch(&x->rq);
	reply_finish(&x->rq);
	if (x->watch != NULL)
		x->watch->parks = fiber_park_count(x->fiber);
	return r;
}

static void on_fiber_end(void *arg, int result)
{
	struct exchange *x = arg;

	OBJ_CHECK(x, EXCHANGE_MAGIC);
	must(reply_is_set(&x->rq));
	if (x->watch != NULL) {
		x->watch->result = result;
		x->watch->fiber = NULL;
	}
	x->fiber = NULL;
	gauge_add(&x->server->counters.in_flight, -1);
	finish(x);
	exchange_drop(x);
}

static int refuse(struct exchange *x, uint64_t *counter, const char *why)
{
	counter_add(counter, 1);
	(void) fail(-E_UNAVAILABLE, "%s", why);
	reply_header(&x->rq, STR("Retry-After"), STR("1"));
	return reply_detail(&x->rq, 503, str_c(why));
}

static int start_fiber(struct exchange *x, const struct route *rule)
{
	struct http_server *s = x->server;
	usec_t allowed = rule->deadline != 0 ? rule->deadline : ROUTE_DEADLINE;

	x->fiber = fiber_start(s->loop, rule->name, x->rq.started + allowed, run, x);
	if (x->fiber == NULL)
		return refuse(x, &s->counters.refused_busy,
			      "Too many requests are being worked on.");
	exchange_hold(x);
	gauge_add(&s->counters.in_flight, 1);
	fiber_set_log_context(x->fiber, &x->context);
	fiber_detach(x->fiber, on_fiber_end, x);
	if (x->watch != NULL) {
		x->watch->fiber = x->fiber;
		fiber_cancel_at(x->fiber, x->watch->cancel_at);
	}
	return 0;
}

/* The path quoted again, the query kept. */
static void add_target(struct buf *b, const struct request *rq, bool with_slash)
{
	percent_encode(b, rq->path, STR("/:@&+$,!*'()"));
	if (with_slash)
		buf_add_byte(b, '/');
	if (!str_is_null(rq->raw_query)) {
		buf_add_byte(b, '?');
		percent_encode(b, rq->raw_query, STR("/#%[]=:;$&()+,!?*@'"));
	}
}

/* Django's CommonMiddleware: relative. */
static int redirect_to_slash(struct request *rq)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	add_target(&b, rq, true);
	return reply_redirect(rq, buf_str(&b));
}

/* Django's SecurityMiddleware: the same target, by https. */
static int redirect_to_https(struct request *rq)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	buf_add_c(&b, "https://");
	buf_add_str(&b, rq->host);
	add_target(&b, rq, false);
	return reply_redirect(rq, buf_str(&b));
}

static size_t count_fields(struct str query)
{
	size_t n = 1;

	for (size_t i = 0; i < query.len; i++)
		n += query.at[i] == '&';
	return n;
}

static int body_too_large(struct exchange *x, const struct route *rule)
{
	size_t most = rule->max_body != 0 ? rule->max_body : ROUTE_MAX_BODY;

	if (x->req->entity.len <= most)
		return 0;
	return reply_detail(&x->rq, 413, str_c(error_sentence(-E_TOO_LARGE)));
}

/* What can be answered without a fiber, in Django's order; with no answer set, the fiber was
 * started. */
static int route_it(struct exchange *x)
{
	struct http_server *s = x->server;
	struct request *rq = &x->rq;
	struct route_match match;
	const struct route *rule;

	if (rq->method == HTTP_OPTIONS &&
	    !str_is_null(request_header(rq, STR("access-control-request-method"))))
		return reply_preflight(rq);
	if (!host_is_valid(rq->host) || !http_policy_allows_host(s->options.policy, rq->host))
		return reply_page(rq, 400);
	if (http_policy_wants_https(s->options.policy, rq))
		return redirect_to_https(rq);
	if (!route_table_find(s->options.routes, rq->path, &match))
		return reply_page(rq, 404);
	if (match.wants_slash && (rq->method == HTTP_GET || rq->method == HTTP_HEAD))
		return redirect_to_slash(rq);
	if (rq->raw_query.len > FORM_FIELDS_MOST && count_fields(rq->raw_query) > FORM_FIELDS_MOST)
		return reply_page(rq, 400);
	rq->view = match.view;
	rq->route = view_route(match.view, rq->method);
	rq->mount = match.mount;
	rq->_format = match.format;
	memcpy(rq->parameters, match.parameters, sizeof(rq->parameters));
	rule = rq->route != NULL ? rq->route : match.view->first;
	(void) body_too_large(x, rule); /* an answer, if it is */
	if (reply_is_set(rq))
		return 0;
	if (s->counters.in_flight >= (int64_t) s->options.most_requests)
		return refuse(x, &s->counters.refused_busy,
			      "Too many requests are being worked on.");
	body_gate(rq);
	return start_fiber(x, rule);
}

/* Copies what h2o has; what is wrong with the request itself is answered with Django's page and an
 * end.  `sock` has the raw head and the body in its input: HTTP/1.1's; NULL: nghttp2 has checked the one,
 * and gathered the other. */
static int take(struct exchange *x, h2o_socket_t *sock)
{
	struct request *rq = &x->rq;
	const char *fault = NULL;
	struct str target;
	int r;

	copy_head(x, &target);
	rq->scheme = x->req->input.scheme == &H2O_URL_SCHEME_HTTPS ? STR("https") : STR("http");
	rq->method = method_of(rq->method_text);
	read_target(rq, target);
	http_policy_forwarded(x->server->options.policy, rq);
	rq->peer = x->connection == NULL ? STR("127.0.0.1")
					 : arena_str(&rq->arena, connection_peer(x->connection));
	give_id(x);
	give_trace(x);
	name_it(x);
	if (sock != NULL)
		fault = head_fault(str_make(sock->input->bytes, sock->input->size), &x->ends);
	if (fault == NULL && x->req->version >= 0x101 &&
	    x->req->input.authority.base == x->req->hostconf->authority.hostport.base)
		fault = "no Host"; /* h2o has put its own name there */
	if (fault != NULL) {
		counter_add(&x->server->counters.bad_framing, 1);
		x->reply.ends = true;
		return reply_page(rq, 400);
	}
	r = take_body(x, sock);
	if (r < 0)
		return refuse(x, &x->server->counters.refused_budget, "No room for this body.");
	if (rq->body_bytes.len == 0)
		return 0;
	x->body_held = rq->body_bytes.len;
	if (budget_add((int64_t) x->body_held) > (int64_t) x->server->options.body_budget)
		return refuse(x, &x->server->counters.refused_budget,
			      "Too many bodies are being worked on.");
	return 0;
}

int exchange_on_req(h2o_handler_t *self, h2o_req_t *req)
{
	struct http_server *s = handler_server(self);
	struct exchange *x = exchange_new(s, req);
	h2o_socket_t *sock = NULL;

	hold_by_h2o(x);
	exchange_hold(x);
	x->watch = s->watch;
	s->watch = NULL;
	x->connection = connection_of(req->conn);
	if (x->connection != NULL) {
		connection_works(x->connection, x);
		if (x->connection->http2 == NULL)
			sock = x->connection->sock;
	}
	counter_add(&s->counters.requests, 1);
	(void) take(x, sock); /* an answer is set where something is wrong */
	if (!reply_is_set(&x->rq))
		(void) route_it(x);
	if (reply_is_set(&x->rq))
		finish(x);
	exchange_drop(x);
	return 0;
}
