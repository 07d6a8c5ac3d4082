#include "redis/redis-internal.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/world.h"

/* Waits between attempts: random in [0, min(MOST, FIRST * 2^failures)). */
#define BACKOFF_FIRST   (20 * MSEC)
#define BACKOFF_MOST    (2 * SEC)
/* Ready for this long counts as healed; a server that takes connections and ends them does not. */
#define STEADY          (5 * SEC)
#define ATTEMPT_TIMEOUT (5 * SEC)
/* A peer that vanished without a word is noticed within about this time, also by a reader that
 * only waits. */
#define SILENCE_SECONDS 10
#define READ_SIZE       (64 * KIB)
#define BUFFER_KEPT     (1 * MIB)

/* clang-format off */
const struct sm_state redis_states[STATE_COUNT] = {
	[STATE_WAITING]    = { "waiting",    SM_TO(STATE_RESOLVING) | SM_TO(STATE_CONNECTING) | SM_TO(STATE_WAITING) | SM_TO(STATE_CLOSING) },
	[STATE_RESOLVING]  = { "resolving",  SM_TO(STATE_RESOLVING) | SM_TO(STATE_CONNECTING) | SM_TO(STATE_WAITING) | SM_TO(STATE_CLOSING) },
	[STATE_CONNECTING] = { "connecting", SM_TO(STATE_RESOLVING) | SM_TO(STATE_CONNECTING) | SM_TO(STATE_SECURING) | SM_TO(STATE_ASKING) | SM_TO(STATE_GREETING) | SM_TO(STATE_WAITING) | SM_TO(STATE_CLOSING) },
	[STATE_SECURING]   = { "securing",   SM_TO(STATE_RESOLVING) | SM_TO(STATE_CONNECTING) | SM_TO(STATE_ASKING) | SM_TO(STATE_GREETING) | SM_TO(STATE_WAITING) | SM_TO(STATE_CLOSING) },
	[STATE_ASKING]     = { "asking",     SM_TO(STATE_RESOLVING) | SM_TO(STATE_CONNECTING) | SM_TO(STATE_WAITING) | SM_TO(STATE_CLOSING) },
	[STATE_GREETING]   = { "greeting",   SM_TO(STATE_READY) | SM_TO(STATE_WAITING) | SM_TO(STATE_CLOSING) },
	[STATE_READY]      = { "ready",      SM_TO(STATE_WAITING) | SM_TO(STATE_CLOSING) },
	[STATE_CLOSING]    = { "closing",    0 },
};
/* clang-format on */

void redis_connection_invariant(const struct sm *sm)
{
	const struct redis *r = container_of(sm, struct redis, sm);
	bool has_answers = sm->state == STATE_SECURING || sm->state == STATE_ASKING ||
			   sm->state == STATE_GREETING || sm->state == STATE_READY;

	must(has_answers == (r->wire != NULL)); /* while connecting it is made after the move */
	must(has_answers || r->out.len == 0 || sm->state == STATE_CLOSING);
}

/* A look-up outlives its connection when that is closed meanwhile: libuv cannot take it back. */
struct lookup {
	uv_getaddrinfo_t req;
	struct redis *redis;
};

/* A socket and its watcher; freed by the watcher's close callback. */
struct wire {
	uv_poll_t poll;
	struct redis *redis;
	int fd;
	struct redis_session *session; /* of TLS; NULL: none */
	bool is_write_awaited;
};

static void attempt(struct redis *r);
static void wire_on_ready(uv_poll_t *poll, int status, int events);

static void closing_ended(struct redis *r)
{
	void (*on_closed)(void *) = r->on_closed;
	void *arg = r->on_closed_arg;

	must(r->closings > 0);
	if (--r->closings > 0 || r->sm.state != STATE_CLOSING)
		return;
	redis_reader_fini(&r->reader);
	buf_fini(&r->out);
	for (struct list *l; (l = list_pop(&r->spare)) != NULL;)
		free(list_entry(l, struct redis_pending, link));
	must(list_is_empty(&r->pending));
	free(r->in);
	r->tls = redis_tls_drop(r->tls);
	arena_fini(&r->arena);
	r->magic = 0;
	free(r);
	if (on_closed != NULL)
		on_closed(arg);
}

static void wire_on_closed(uv_handle_t *handle)
{
	struct wire *w = handle->data;
	struct redis *r = w->redis;

	free(w);
	closing_ended(r);
}

static void wire_drop(struct redis *r)
{
	struct wire *w = r->wire;

	if (w == NULL)
		return;
	r->wire = NULL;
	r->closings++;
	w->session = redis_session_free(w->session);
	uv_close((uv_handle_t *) &w->poll, wire_on_closed);
	close(w->fd); /* only after uv_close: libuv still takes it out of epoll */
}

static void addresses_drop(struct redis *r)
{
	uv_freeaddrinfo(r->addresses); /* NULL is fine */
	r->addresses = r->address_at = NULL;
}

static void wait_is_over(struct timer *t)
{
	struct redis *r = container_of(t, struct redis, timer);

	redis_sentinel_first_hop(r);
	attempt(r);
}

/* What was said on the last socket is over. */
static void forget_talk(struct redis *r)
{
	wire_drop(r);
	redis_reader_reset(&r->reader);
	buf_clear(&r->out);
	r->out_at = 0;
	r->refusal[0] = '\0';
	flush_cancel(&r->flush);
}

/* Leaves whatever there was and waits for the next attempt.  Tells everybody; `why` for the log. */
static void lose(struct redis *r, int error, const char *why)
{
	bool was_ready = r->sm.state == STATE_READY;
	usec_t now = loop_now(r->loop), most;

	forget_talk(r);
	addresses_drop(r);
	if (r->sm.state == STATE_ASKING)
		(void) redis_sentinel_next(r); /* not the same one first */
	if (was_ready && now - r->ready_since >= STEADY)
		r->failures = 0;
	most = MIN(BACKOFF_MOST, BACKOFF_FIRST << MIN(r->failures, 16u));
	r->failures++;
	sm_move(&r->sm, STATE_WAITING);
	timer_start(r->loop, &r->timer, now + (usec_t) random_below((uint64_t) most), wait_is_over);
	if (!r->is_loss_told)
		log_warn("redis %s: %s, reconnecting", r->label, why);
	r->is_loss_told = true;

	(void) fail(error, "redis %s: %s", r->label, why); /* the reason that callbacks find */
	redis_pending_fail(r, error);
	if (was_ready && r->sm.state != STATE_CLOSING && r->on_state != NULL)
		r->on_state(r->on_state_arg, 0);
}

static void lose_errno(struct redis *r, int error)
{
	lose(r, -E_UNAVAILABLE, uv_strerror(error));
}

void redis_connection_refuse(struct redis *r, struct str why)
{
	if (r->refusal[0] != '\0')
		return;
	snprintf(r->refusal, sizeof(r->refusal), "%.*s", STR_ARG(why));
	if (r->refusal[0] == '\0')
		snprintf(r->refusal, sizeof(r->refusal), "refused");
}

/* Greeting: AUTH, SELECT, CLIENT SETNAME and PING leave together; the answer to PING ends it. */

static struct str outcome_text(int error, const struct redis_reply *reply)
{
	return error < 0 ? str_c(fail_reason(error)) : reply->text;
}

static void on_needed(void *arg, int error, const struct redis_reply *reply)
{
	struct redis *r = arg;

	if (r->sm.state == STATE_GREETING && (error < 0 || reply->type == REDIS_ERROR))
		redis_connection_refuse(r, outcome_text(error, reply));
}

/* The name is for people who look at CLIENT LIST; an ACL may forbid setting it. */
static void on_named(void *arg, int error, const struct redis_reply *reply)
{
	struct redis *r = arg;

	if (error == 0 && reply->type == REDIS_ERROR)
		log_debug("redis %s: CLIENT SETNAME: %.*s", r->label, STR_ARG(reply->text));
}

/* PING is asked because it is refused by a server that still loads, or lost its master.  An ACL
 * may forbid it too, which says that all else is well. */
static void on_greeted(void *arg, int error, const struct redis_reply *reply)
{
	struct redis *r = arg;

	if (r->sm.state != STATE_GREETING)
		return; /* closed, or already given up */
	if (error < 0 || (reply->type == REDIS_ERROR && !str_starts(reply->text, STR("NOPERM"))))
		redis_connection_refuse(r, outcome_text(error, reply));
	if (r->refusal[0] != '\0')
		return;
	timer_stop(&r->timer);
	addresses_drop(r);
	sm_move(&r->sm, STATE_READY);
	r->ready_since = loop_now(r->loop);
	r->generation++;
	if (r->generation > 1) {
		r->stats.reconnects++;
		metric_add(METRIC_redis_reconnects, 1);
	}
	if (r->is_loss_told)
		log_info("redis %s: ready again", r->label);
	r->is_loss_told = false;
	if (r->on_state != NULL)
		r->on_state(r->on_state_arg, r->generation);
	redis_call_wake_waiters(r);
}

static void greet(struct redis *r)
{
	const struct redis_address *a = &r->address;
	char database[16];

	if (r->hop == HOP_SENTINEL) {
		sm_move(&r->sm, STATE_ASKING);
		redis_sentinel_ask(r);
		redis_connection_write(r);
		return;
	}
	sm_move(&r->sm, STATE_GREETING);
	if (a->password != NULL && a->user != NULL)
		redis_command_greet(r, REDIS_WORDS(STR("AUTH"), str_c(a->user), str_c(a->password)),
				    on_needed, r);
	else if (a->password != NULL)
		redis_command_greet(r, REDIS_WORDS(STR("AUTH"), str_c(a->password)), on_needed, r);
	if (a->database != 0) {
		snprintf(database, sizeof(database), "%d", a->database);
		redis_command_greet(r, REDIS_WORDS(STR("SELECT"), str_c(database)), on_needed, r);
	}
	if (r->name != NULL)
		redis_command_greet(r, REDIS_WORDS(STR("CLIENT"), STR("SETNAME"), str_c(r->name)),
				    on_named, r);
	redis_sentinel_check_role(r);
	redis_command_greet(r, REDIS_WORDS(STR("PING")), on_greeted, r);
	redis_connection_write(r);
}

/* The socket. */

static void wire_watch(struct wire *w, bool for_write)
{
	int events = UV_READABLE | (for_write ? UV_WRITABLE : 0);

	w->is_write_awaited = for_write;
	must(uv_poll_start(&w->poll, events, wire_on_ready) ==
	     0); /* fails only on a closing handle */
}

void redis_connection_write(struct redis *r)
{
	struct wire *w = r->wire;
	size_t left = r->out.len - r->out_at;
	ssize_t n;

	if (w == NULL || w->is_write_awaited || left == 0)
		return;
	r->stats.writes++;
	n = w->session != NULL ? redis_session_write(w->session, r->out.at + r->out_at, left)
			       : send(w->fd, r->out.at + r->out_at, left, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		/* The reader sees the end and handles it: here we may be deep inside a caller. */
		shutdown(w->fd, SHUT_RDWR);
		return;
	}
	r->out_at += n < 0 ? 0 : (size_t) n;
	if (r->out_at < r->out.len) {
		wire_watch(w, true);
		return;
	}
	r->out_at = 0;
	buf_clear(&r->out);
	if (r->out.cap > BUFFER_KEPT)
		buf_fini(&r->out);
}

/* The replies of one read.  0; or a negative error when the connection must be left. */
static int consume(struct redis *r, size_t len)
{
	const struct redis_reply *reply;
	int e;

	for (size_t at = 0; at < len; at += READER_PIECE) {
		e = redis_reader_feed(&r->reader, r->in + at, MIN(READER_PIECE, len - at));
		if (e < 0)
			return e;
		while ((e = redis_reader_next(&r->reader, &reply)) > 0) {
			e = redis_pending_deliver(r, reply);
			if (e < 0 || r->sm.state == STATE_CLOSING) /* closed by the callback */
				return e;
		}
		if (e < 0)
			return e;
	}
	return 0;
}

/* One read; libuv calls again while there is more.  Returns whether there may be more. */
static bool wire_read(struct redis *r)
{
	struct wire *w = r->wire;
	ssize_t n = w->session != NULL ? redis_session_read(w->session, r->in, READ_SIZE)
				       : read(w->fd, r->in, READ_SIZE);
	int e;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		lose(r, -E_UNAVAILABLE, n == 0 ? "closed by the server" : uv_strerror(-errno));
		return false;
	}
	r->stats.reads++;
	e = consume(r, (size_t) n);
	if (r->sm.state == STATE_CLOSING)
		return false;
	if (e < 0) {
		char why[256];

		snprintf(why, sizeof(why), "%s", fail_reason(e));
		lose(r, -E_UNAVAILABLE, why);
		return false;
	}
	if (r->on_chunk != NULL && r->sm.state == STATE_READY)
		r->on_chunk(r->on_chunk_arg);
	if (r->sm.state == STATE_CLOSING)
		return false;
	if (r->refusal[0] != '\0') {
		char why[sizeof(r->refusal)];

		memcpy(why, r->refusal, sizeof(why));
		lose(r, -E_UNAVAILABLE, why);
		return false;
	}
	if (r->sm.state == STATE_ASKING && r->master_host[0] != '\0') {
		/* Only now: the answer's callback ran on what is dropped here. */
		forget_talk(r);
		addresses_drop(r);
		redis_sentinel_second_hop(r);
		attempt(r);
		return false;
	}
	return true;
}

static int wire_error(const struct wire *w)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

/* This way to the hop's end fails: the next address, the next Sentinel, or none is left. */
static void attempt_failed(struct redis *r, const char *why)
{
	char kept[256];

	snprintf(kept, sizeof(kept), "%s", why); /* it may lie in what goes now */
	forget_talk(r);
	(void) fail(-E_UNAVAILABLE, "redis %s: %s", r->label, kept);
	redis_pending_fail(r, -E_UNAVAILABLE); /* a question that was not answered */
	if (r->address_at != NULL && r->address_at->ai_next != NULL) {
		r->address_at = r->address_at->ai_next;
		attempt(r);
		return;
	}
	addresses_drop(r);
	if (redis_sentinel_next(r))
		attempt(r);
	else
		lose(r, -E_UNAVAILABLE, kept);
}

static void secure(struct redis *r)
{
	bool for_write = false;
	int done = redis_session_handshake(r->wire->session, &for_write);

	if (done < 0) {
		attempt_failed(r, fail_reason(done));
		return;
	}
	wire_watch(r->wire, done == 0 && for_write);
	if (done > 0)
		greet(r);
}

static void connected(struct redis *r)
{
	if (r->tls == NULL) {
		wire_watch(r->wire, false);
		greet(r);
		return;
	}
	sm_move(&r->sm, STATE_SECURING);
	r->wire->session = redis_session_new(r->tls, &r->address.tls, r->wire->fd, r->host);
	secure(r);
}

static void wire_on_ready(uv_poll_t *poll, int status, int events)
{
	struct wire *w = poll->data;
	struct redis *r = w->redis;
	int error;

	OBJ_CHECK(r, REDIS_MAGIC);
	if (r->sm.state == STATE_CONNECTING) {
		error = wire_error(w);
		if (error == 0 && status == 0)
			connected(r);
		else
			attempt_failed(r, uv_strerror(error < 0 ? error : status));
		return;
	}
	if (r->sm.state == STATE_SECURING) {
		secure(r); /* an error of the socket is found there */
		return;
	}
	if (status < 0) {
		/* libuv stopped watching after an error on the socket.  What arrived before it
		 * still counts. */
		while (wire_read(r))
			;
		if (r->wire == w)
			lose_errno(r, status);
		return;
	}
	if (events & UV_WRITABLE) {
		wire_watch(w, false);
		redis_connection_write(r);
	}
	if (!(events & UV_READABLE))
		return;
	/* More: called again next turn, so that others get theirs; but for what only TLS knows of. */
	while (wire_read(r) && w->session != NULL && redis_session_has_more(w->session))
		;
}

static int socket_setup(int fd, int family)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, SILENCE_SECONDS / 2 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 2 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000 },
	};

	if (family == AF_UNIX)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			       sizeof(int)) < 0)
			return -errno;
	return 0;
}

/* A socket that connects, or a negative error. */
static int socket_connect(const struct redis *r)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	const struct sockaddr *to = (const struct sockaddr *) &local;
	socklen_t len = sizeof(local);
	int fd, e;

	if (r->address_at != NULL) {
		to = r->address_at->ai_addr;
		len = r->address_at->ai_addrlen;
	} else {
		/* The length was checked when the url was read. */
		memcpy(local.sun_path, r->address.path, strlen(r->address.path));
	}
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	e = socket_setup(fd, to->sa_family);
	if (e == 0 && connect(fd, to, len) < 0 && errno != EINPROGRESS)
		e = -errno;
	if (e < 0) {
		close(fd);
		return e;
	}
	return fd;
}

static void attempt_is_late(struct timer *t)
{
	struct redis *r = container_of(t, struct redis, timer);

	if (r->sm.state == STATE_GREETING)
		lose(r, -E_UNAVAILABLE, "no answer to the greeting");
	else
		attempt_failed(r, uv_strerror(UV_ETIMEDOUT));
}

/* Connects to address_at, or to the unix socket. */
static void connect_next(struct redis *r)
{
	struct wire *w;
	int fd, e;

	sm_move(&r->sm, STATE_CONNECTING);
	fd = socket_connect(r);
	if (fd < 0) {
		attempt_failed(r, uv_strerror(fd));
		return;
	}
	w = calloc(1, sizeof(*w));
	must(w != NULL);
	w->fd = fd;
	w->redis = r;
	e = uv_poll_init(loop_uv(r->loop), &w->poll, fd);
	if (e < 0) {
		free(w);
		close(fd);
		attempt_failed(r, uv_strerror(e));
		return;
	}
	w->poll.data = w;
	r->wire = w;
	must(uv_poll_start(&w->poll, UV_WRITABLE, wire_on_ready) == 0);
	timer_start(r->loop, &r->timer, loop_now(r->loop) + ATTEMPT_TIMEOUT, attempt_is_late);
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct lookup *lookup = container_of(req, struct lookup, req);
	struct redis *r = lookup->redis;

	OBJ_CHECK(r, REDIS_MAGIC);
	free(lookup);
	r->lookup = NULL;
	if (r->sm.state == STATE_CLOSING) {
		uv_freeaddrinfo(found);
		closing_ended(r);
		return;
	}
	r->closings--;
	if (status < 0) {
		attempt_failed(r, uv_strerror(status));
		return;
	}
	r->addresses = r->address_at = found;
	connect_next(r);
}

static void resolve(struct redis *r)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	char port[8];
	int e;

	must(lookup != NULL);
	timer_stop(&r->timer); /* of the hop before; a look-up ends by itself */
	sm_move(&r->sm, STATE_RESOLVING);
	snprintf(port, sizeof(port), "%d", r->port);
	lookup->redis = r;
	e = uv_getaddrinfo(loop_uv(r->loop), &lookup->req, on_lookup, r->host, port, &hints);
	if (e < 0) {
		free(lookup);
		attempt_failed(r, uv_strerror(e));
		return;
	}
	r->lookup = lookup;
	r->closings++;
}

static void attempt(struct redis *r)
{
	if (r->address.path != NULL || r->address_at != NULL)
		connect_next(r);
	else
		resolve(r);
}

void redis_connection_start(struct redis *r)
{
	r->in = malloc(READ_SIZE);
	must(r->in != NULL);
	/* Not from within redis_open: its caller does not have the pointer yet. */
	timer_start(r->loop, &r->timer, loop_now(r->loop), wait_is_over);
}

static void anchor_on_closed(uv_handle_t *handle)
{
	struct redis *r = handle->data;

	free(handle);
	closing_ended(r);
}

void redis_connection_close(struct redis *r)
{
	timer_stop(&r->timer);
	flush_cancel(&r->flush);
	wire_drop(r);
	sm_move(&r->sm, STATE_CLOSING);
	addresses_drop(r);
	if (r->lookup != NULL)
		uv_cancel((uv_req_t *) &r->lookup
				  ->req); /* too late for one that runs: it ends by itself */
	(void) fail(-ECANCELED, "redis %s: closed", r->label);
	redis_pending_fail(r, -ECANCELED);
	uv_close((uv_handle_t *) r->anchor, anchor_on_closed);
}
