#include "http/http2-internal.h"

#include <errno.h>
#include <h2o/http1.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/world.h"

/* h2o's handler for "/", through which every request comes. */
struct handler {
	h2o_handler_t super;
	struct http_server *server;
};

/* Bodies up to here stay in memory; larger ones go to an unlinked file below $TMPDIR. */
#define SPILL_FROM (256 * KIB)

static pthread_mutex_t servers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list servers = LIST_INIT(servers);
static struct counters past; /* of servers that are gone */
static int64_t body_bytes;

int64_t budget_add(int64_t bytes)
{
	return __atomic_add_fetch(&body_bytes, bytes, __ATOMIC_RELAXED);
}

struct http_server *handler_server(h2o_handler_t *handler)
{
	return ((struct handler *) handler)->server;
}

static void add_counters(struct http_stats *to, const struct counters *from)
{
#define ADD(name) to->name += __atomic_load_n(&from->name, __ATOMIC_RELAXED)
	ADD(requests);
	for (size_t i = 0; i < ARRAY_SIZE(from->by_class); i++)
		ADD(by_class[i]);
	ADD(refused_busy);
	ADD(refused_budget);
	ADD(cut_slow);
	ADD(cut_resets);
	ADD(bad_framing);
	ADD(client_gone);
	ADD(in_flight);
	ADD(connections);
#undef ADD
}

void http_stats(struct http_stats *ret)
{
	struct http_stats sum = { .body_bytes = __atomic_load_n(&body_bytes, __ATOMIC_RELAXED) };

	pthread_mutex_lock(&servers_lock);
	add_counters(&sum, &past);
	list_for_each (node, &servers)
		add_counters(&sum, &list_entry(node, struct http_server, link)->counters);
	pthread_mutex_unlock(&servers_lock);
	*ret = sum;
}

/* Keeps what a server counted when it goes. */
static void fold_counters(const struct counters *c)
{
	past.requests += c->requests;
	for (size_t i = 0; i < ARRAY_SIZE(c->by_class); i++)
		past.by_class[i] += c->by_class[i];
	past.refused_busy += c->refused_busy;
	past.refused_budget += c->refused_budget;
	past.cut_slow += c->cut_slow;
	past.cut_resets += c->cut_resets;
	past.bad_framing += c->bad_framing;
	past.client_gone += c->client_gone;
}

struct connection *connection_of(h2o_conn_t *conn)
{
	struct connection *c;

	if (conn->callbacks->get_socket == NULL)
		return NULL;
	c = conn->callbacks->get_socket(conn)->on_close.data;
	OBJ_CHECK(c, CONNECTION_MAGIC);
	return c;
}

struct str connection_peer(struct connection *c)
{
	struct sockaddr_storage address;

	if (!str_is_null(c->peer))
		return c->peer;
	c->peer = STR("");
	if (h2o_socket_getpeername(c->sock, (struct sockaddr *) &address) == 0)
		return c->peer;
	if (address.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *) &address)->sin_addr, c->peer_text,
			  sizeof(c->peer_text));
	else if (address.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *) &address)->sin6_addr, c->peer_text,
			  sizeof(c->peer_text));
	c->peer = str_c(c->peer_text);
	return c->peer;
}

void connection_works(struct connection *c, struct exchange *x)
{
	c->is_fresh = false;
	if (c->http2 != NULL)
		return;
	must(c->exchange == NULL);
	c->exchange = x;
	/* The exchange counts its body itself. */
	if (c->arrived > 0)
		budget_add(-(int64_t) c->arrived);
	c->arrived = 0;
}

void connection_shut(struct connection *c)
{
	if (c->is_shut)
		return;
	c->is_shut = true;
	(void) shutdown(c->fd, SHUT_RDWR); /* fails only if it is over already */
}

static void on_connection_closed(void *arg)
{
	struct connection *c = arg;

	OBJ_CHECK(c, CONNECTION_MAGIC);
	if (c->exchange != NULL)
		c->exchange->connection = NULL;
	if (c->arrived > 0)
		budget_add(-(int64_t) c->arrived);
	gauge_add(&c->server->counters.connections, -1);
	list_remove(&c->link);
	c->magic = 0;
	free(c);
}

static void on_handshake(h2o_socket_t *sock, const char *err)
{
	struct connection *c = sock->data;
	h2o_iovec_t chosen;

	sock->data = NULL;
	c->is_shaking = false;
	if (err != NULL) {
		h2o_socket_close(sock);
		return;
	}
	chosen = h2o_socket_ssl_get_selected_protocol(sock);
	if (str_eq(str_make(chosen.base, chosen.len), STR("h2")))
		http2_accept(c);
	else
		h2o_http1_accept(&c->server->accept, sock, (struct timeval){ 0 });
}

/* Takes an accepted stream. */
static void open_connection(struct http_server *s, uv_tcp_t *tcp)
{
	struct connection *c = calloc(1, sizeof(*c));
	h2o_socket_t *sock;

	must(c != NULL);
	(void) uv_tcp_nodelay(tcp, 1); /* slower without, no worse */
	c->magic = CONNECTION_MAGIC;
	list_init(&c->link);
	list_append(&s->connections, &c->link);
	c->server = s;
	c->active = c->since = now_monotonic();
	c->is_fresh = true;
	must(uv_fileno((uv_handle_t *) tcp, &c->fd) == 0);
	gauge_add(&s->counters.connections, 1);
	sock = h2o_uv_socket_create((uv_stream_t *) tcp, (uv_close_cb) free);
	c->tcp = tcp;
	c->sock = sock;
	sock->on_close.cb = on_connection_closed;
	sock->on_close.data = c;
	if (s->accept.ssl_ctx == NULL) {
		h2o_accept(&s->accept, sock);
		return;
	}
	c->is_shaking = true;
	sock->data = c;
	h2o_socket_ssl_handshake(sock, s->accept.ssl_ctx, NULL, on_handshake);
}

static uv_tcp_t *new_tcp(struct http_server *s)
{
	uv_tcp_t *tcp = malloc(sizeof(*tcp));

	must(tcp != NULL);
	(void) uv_tcp_init(loop_uv(s->loop), tcp); /* links the handle in, cannot fail */
	return tcp;
}

static void on_incoming(uv_stream_t *stream, int status)
{
	struct listener *l = container_of(stream, struct listener, tcp);
	uv_tcp_t *tcp;
	int r;

	if (status < 0) {
		log_warn("accepting a connection: %s, ignoring", uv_strerror(status));
		return;
	}
	tcp = new_tcp(l->server);
	r = uv_accept(stream, (uv_stream_t *) tcp);
	if (r < 0) {
		log_warn("accepting a connection: %s, ignoring", uv_strerror(r));
		uv_close((uv_handle_t *) tcp, (uv_close_cb) free);
		return;
	}
	open_connection(l->server, tcp);
}

static void on_listener_closed(uv_handle_t *handle)
{
	free(container_of((uv_tcp_t *) handle, struct listener, tcp));
}

int http_server_listen(struct http_server *s, int fd)
{
	struct listener *l = calloc(1, sizeof(*l));
	int r;

	must(l != NULL && s->drain == DRAIN_NO);
	(void) uv_tcp_init(loop_uv(s->loop), &l->tcp); /* cannot fail */
	list_init(&l->link);
	l->server = s;
	l->fd = fd;
	r = uv_tcp_open(&l->tcp, fd);
	if (r < 0)
		close(fd); /* else it is the handle's */
	else
		r = uv_listen((uv_stream_t *) &l->tcp, SOMAXCONN, on_incoming);
	if (r < 0) {
		uv_close((uv_handle_t *) &l->tcp, on_listener_closed);
		return fail(r, "listening: %s", uv_strerror(r));
	}
	list_append(&s->listeners, &l->link);
	return 0;
}

/* Who has connected already must not be reset: what waits in the kernel is taken first. */
static void close_listener(struct listener *l)
{
	int fd;

	while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		uv_tcp_t *tcp = new_tcp(l->server);

		if (uv_tcp_open(tcp, fd) < 0) {
			close(fd);
			uv_close((uv_handle_t *) tcp, (uv_close_cb) free);
			continue;
		}
		open_connection(l->server, tcp);
	}
	list_remove(&l->link);
	uv_close((uv_handle_t *) &l->tcp, on_listener_closed);
}

void http_server_drain(struct http_server *s, usec_t grace, void (*on_drained)(void *arg),
		       void *arg)
{
	must(s->drain == DRAIN_NO);
	s->on_drained = on_drained;
	s->on_drained_arg = arg;
	list_for_each (node, &s->listeners)
		close_listener(list_entry(node, struct listener, link));
	/* What h2o_context_request_shutdown does to HTTP/1; for its own HTTP/2, which nobody uses, it
	 * would start a timer that h2o_context_dispose does not expect. */
	s->context.shutdown_requested = 1;
	door_drain(s, grace);
}

static void configure_h2o(struct http_server *s)
{
	h2o_hostconf_t *host;
	struct handler *handler;

	h2o_config_init(&s->config);
	s->config.server_name = h2o_iovec_init(NULL, 0);
	s->config.max_request_entity_size = s->options.max_body;
	s->config.http1.req_timeout = (uint64_t) (door_arrival_most(&s->options) / MSEC);
	s->config.http1.upgrade_to_http2 = 0;
	host = h2o_config_register_host(&s->config, h2o_iovec_init(H2O_STRLIT("localhost")), 65535);
	handler = (struct handler *) h2o_create_handler(h2o_config_register_path(host, "/", 0),
							sizeof(*handler));
	handler->super.on_req = exchange_on_req;
	handler->server = s;
	h2o_context_init(&s->context, loop_uv(s->loop), &s->config);
	s->accept.ctx = &s->context;
	s->accept.hosts = s->config.hosts;
}

/* Process-wide in h2o, and the same for every server. */
static void configure_spill(void)
{
	const char *folder = getenv("TMPDIR");

	h2o_socket_buffer_mmap_settings.threshold = SPILL_FROM;
	snprintf(h2o_socket_buffer_mmap_settings.fn_template,
		 sizeof(h2o_socket_buffer_mmap_settings.fn_template), "%s/apium.body.XXXXXX",
		 folder != NULL && folder[0] != '\0' ? folder : "/tmp");
}

int http_server_new(const struct http_options *o, struct http_server **ret)
{
	static pthread_once_t spill_once = PTHREAD_ONCE_INIT;
	struct http_server *s;
	SSL_CTX *tls = NULL;
	int r;

	must(o->thread != NULL && o->routes != NULL);
	must(o->max_body > 0 && o->body_budget > 0 && o->most_requests > 0);
	must(o->header_timeout > 0 && o->upload_timeout > 0 && o->idle_timeout > 0);
	if ((o->tls_certificate == NULL) != (o->tls_key == NULL))
		return fail(-E_BAD_SETTING, "TLS needs both a certificate and its key");
	if (o->tls_certificate != NULL) {
		r = tls_new(o->tls_certificate, o->tls_key, o->has_http2, &tls);
		if (r < 0)
			return r;
	}
	pthread_once(&spill_once, configure_spill);
	s = calloc(1, sizeof(*s));
	must(s != NULL);
	s->options = *o;
	s->loop = o->thread->loop;
	list_init(&s->listeners);
	list_init(&s->connections);
	list_init(&s->running);
	list_init(&s->spare);
	random_bytes(&s->id_high, sizeof(s->id_high));
	random_bytes(&s->id_low, sizeof(s->id_low));
	configure_h2o(s);
	s->accept.ssl_ctx = tls;
	list_init(&s->link);
	if (!o->is_internal) {
		pthread_mutex_lock(&servers_lock);
		list_append(&servers, &s->link);
		pthread_mutex_unlock(&servers_lock);
	}
	door_start(s);
	*ret = s;
	return 0;
}

int http_server_reload_tls(struct http_server *s)
{
	SSL_CTX *tls;
	int r;

	must(s->accept.ssl_ctx != NULL);
	r = tls_new(s->options.tls_certificate, s->options.tls_key, s->options.has_http2, &tls);
	if (r < 0)
		return r;
	SSL_CTX_free(s->accept.ssl_ctx); /* each connection holds its own reference */
	s->accept.ssl_ctx = tls;
	return 0;
}

static void on_last_closed(uv_handle_t *handle);

/* Close callbacks of one turn come in no order that is promised; those of the next come after
 * them. */
static void on_first_closed(uv_handle_t *handle)
{
	struct http_server *s = handle->data;

	(void) uv_idle_init(loop_uv(s->loop), &s->last);
	s->last.data = s;
	uv_close((uv_handle_t *) &s->last, on_last_closed);
}

static void on_last_closed(uv_handle_t *handle)
{
	struct http_server *s = handle->data;
	void (*on_freed)(void *) = s->on_freed;
	void *arg = s->on_freed_arg;

	exchange_free_spare(s);
	h2o_config_dispose(&s->config);
	SSL_CTX_free(s->accept.ssl_ctx);
	free(s);
	if (on_freed != NULL)
		on_freed(arg);
}

void http_server_free(struct http_server *s, void (*on_freed)(void *arg), void *arg)
{
	uv_loop_t scratch;

	must(s->drain == DRAIN_DONE);
	must(list_is_empty(&s->connections) && list_is_empty(&s->running) &&
	     list_is_empty(&s->listeners));
	s->on_freed = on_freed;
	s->on_freed_arg = arg;
	pthread_mutex_lock(&servers_lock);
	list_remove(&s->link);
	if (!s->options.is_internal)
		fold_counters(&s->counters);
	pthread_mutex_unlock(&servers_lock);
	/* h2o ends by running the loop it is given, to see its handles closed.  Ours may be
	 * running, and a loop must not be run from within itself; so it is given an empty one, and
	 * ours closes them. */
	must(uv_loop_init(&scratch) == 0);
	s->context.loop = &scratch;
	h2o_context_dispose(&s->context);
	must(uv_loop_close(&scratch) == 0);
	(void) uv_idle_init(loop_uv(s->loop), &s->last);
	s->last.data = s;
	uv_close((uv_handle_t *) &s->last, on_first_closed);
}

static int bind_one(const struct addrinfo *a, bool is_shared, int *ret_fd)
{
	int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
	    bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int port_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	must(getsockname(fd, (struct sockaddr *) &address, &len) == 0);
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *) &address)->sin6_port
						   : ((struct sockaddr_in *) &address)->sin_port);
}

static int bind_address(const char *address, bool is_shared, int *ret_port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	const char *colon = strrchr(address, ':');
	struct addrinfo *found;
	char host[256];
	int r, fd = -1;

	if (colon == NULL || (size_t) (colon - address) >= sizeof(host))
		return fail(-E_BAD_SETTING, "\"%s\" is no address:port", address);
	if (address[0] == '[' && colon[-1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int) (colon - address - 2), address + 1);
	else
		snprintf(host, sizeof(host), "%.*s", (int) (colon - address), address);
	r = getaddrinfo(host[0] == '\0' ? NULL : host, colon + 1, &hints, &found);
	if (r != 0)
		return fail(-E_BAD_SETTING, "\"%s\": %s", address, gai_strerror(r));
	r = bind_one(found, is_shared, &fd);
	freeaddrinfo(found);
	if (r < 0)
		return fail(r, "binding %s: %s", address, strerror(-r));
	if (ret_port != NULL)
		*ret_port = port_of(fd);
	return fd;
}

int http_bind(const char *address, int *ret_port)
{
	return bind_address(address, true, ret_port);
}

int http_bind_alone(const char *address)
{
	return bind_address(address, false, NULL);
}
