#include "http/http2-internal.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/world.h"

#define STREAM_WINDOW     (256 * KIB)
#define CONNECTION_WINDOW (1 * MIB)
/* Who is told 413 may send so long yet what nobody keeps: curl 7.88 loses an answer that is followed by
 * RST_STREAM while it sends. */
#define OVER_PATIENCE     (3 * SEC)

/* One request and its answer. */
struct stream {
	h2o_ostream_t out; /* where h2o's answer comes out */
	struct http2 *http2;
	struct list link;
	int32_t id;
	usec_t begun, answered; /* answered 0: not yet */
	size_t head, most;      /* bytes of the head so far; of a body that its route takes */
	struct buf body;        /* gathered; counted against the budget */
	bool has_head;          /* all of it */
	bool is_complete;       /* the client has ended its side */
	bool works;             /* handed over */
	bool is_over;           /* too long: answered before its end, the rest is dropped */

	/* What h2o has given us to send: its own memory until it is told to go on. */
	const h2o_iovec_t *pieces;
	h2o_iovec_t kept[4];
	size_t piece_count, piece, offset;
	bool is_last, wants_more;

	h2o_req_t req; /* last: h2o's pool */
};

struct http2 {
	h2o_conn_t super;
	struct connection *connection;
	nghttp2_session *session;
	struct list streams;
	size_t stream_count;
	int64_t resets; /* before an answer, less the answers */
	bool is_writing, is_closing, has_gone_away;
	struct flush flush; /* once a turn: the answers of a turn leave together */
	struct buf out;     /* being written */
};

/* --- streams --- */

static struct stream *stream_new(struct http2 *h, int32_t id)
{
	struct stream *s = calloc(1, sizeof(*s));

	must(s != NULL);
	s->http2 = h;
	s->id = id;
	s->begun = now_monotonic();
	list_init(&s->link);
	list_append(&h->streams, &s->link);
	h->stream_count++;
	buf_init(&s->body);
	h2o_init_request(&s->req, &h->super, NULL);
	s->req._ostr_top = &s->out;
	s->req.version = 0x200;
	return s;
}

static void drop_body(struct stream *s)
{
	if (s->body.len > 0)
		budget_add(-(int64_t) s->body.len);
	buf_fini(&s->body);
	buf_init(&s->body);
}

static void stream_free(struct stream *s)
{
	drop_body(s);
	list_remove(&s->link);
	s->http2->stream_count--;
	s->http2->connection->active = now_monotonic();
	h2o_dispose_request(&s->req); /* lets go of the exchange, which cancels its fiber */
	free(s);
}

static struct stream *stream_of(struct http2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

/* Never at once: who gives an answer must find their stream again when they have given it. */
static void write_soon(struct http2 *h)
{
	flush_later(h->connection->server->loop, &h->flush);
}

static void refuse(struct stream *s, uint32_t code)
{
	must(nghttp2_submit_rst_stream(s->http2->session, NGHTTP2_FLAG_NONE, s->id, code) == 0);
}

/* --- the answer --- */

static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
			   uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct stream *s = source->ptr;
	size_t done = 0;

	(void) session, (void) id, (void) arg;
	while (done < size && s->piece < s->piece_count) {
		const h2o_iovec_t *from = &s->pieces[s->piece];
		size_t n = MIN(size - done, from->len - s->offset);

		memcpy(to + done, from->base + s->offset, n);
		done += n;
		s->offset += n;
		if (s->offset == from->len) {
			s->piece++;
			s->offset = 0;
		}
	}
	if (s->piece == s->piece_count) {
		if (s->is_last)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
		else
			s->wants_more = true;
	}
	return done == 0 && !s->is_last ? NGHTTP2_ERR_DEFERRED : (ssize_t) done;
}

static nghttp2_nv pair(const char *name, size_t name_len, const char *value, size_t value_len)
{
	return (nghttp2_nv){ .name = (uint8_t *) name,
			     .namelen = name_len,
			     .value = (uint8_t *) value,
			     .valuelen = value_len };
}

/* What HTTP/1.1 says in its first line, and the two headers that h2o writes by itself there. */
#define OWN_HEADERS 3

static void submit_head(struct stream *s, bool has_body)
{
	const h2o_headers_t *headers = &s->req.res.headers;
	nghttp2_nv *all = h2o_mem_alloc_pool(&s->req.pool,
					     sizeof(*all) * (headers->size + OWN_HEADERS));
	nghttp2_data_provider body = { .source.ptr = s, .read_callback = read_answer };
	char status[4], length[24];
	h2o_timestamp_t now;
	size_t n = 0;

	h2o_get_timestamp(s->http2->super.ctx, &s->req.pool, &now);
	(void) snprintf(status, sizeof(status), "%03d", s->req.res.status);
	all[n++] = pair(H2O_STRLIT(":status"), status, 3);
	all[n++] = pair(H2O_STRLIT("date"), now.str->rfc1123, H2O_TIMESTR_RFC1123_LEN);
	if (s->req.res.content_length != SIZE_MAX) {
		(void) snprintf(length, sizeof(length), "%zu", s->req.res.content_length);
		all[n++] = pair(H2O_STRLIT("content-length"), length, strlen(length));
	}
	for (size_t i = 0; i < headers->size; i++) {
		const h2o_header_t *h = &headers->entries[i];

		all[n++] = pair(h->name->base, h->name->len, h->value.base, h->value.len);
	}
	must(nghttp2_submit_response(s->http2->session, s->id, all, n, has_body ? &body : NULL) ==
	     0);
}

/* h2o's end of the chain: the head at the first call, a part of the body at each. */
static void on_send(h2o_ostream_t *out, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
		    h2o_send_state_t state)
{
	struct stream *s = container_of(out, struct stream, out);
	bool is_first = s->answered == 0;

	(void) req;
	must(count <= ARRAY_SIZE(s->kept));
	memcpy(s->kept, bufs, count * sizeof(*bufs));
	s->pieces = s->kept;
	s->piece_count = count;
	s->piece = s->offset = 0;
	s->is_last = !h2o_send_state_is_in_progress(state);
	s->wants_more = false;
	if (state == H2O_SEND_STATE_ERROR) {
		refuse(s, NGHTTP2_INTERNAL_ERROR); /* the length that was promised will not come */
	} else if (is_first) {
		s->http2->resets = MAX(s->http2->resets - 1, 0);
		submit_head(s, count > 0 || !s->is_last);
	} else {
		/* Complains of a stream that has not yet found that there is no more: it will ask. */
		(void) nghttp2_session_resume_data(s->http2->session, s->id);
	}
	s->answered = now_monotonic();
	write_soon(s->http2);
}

/* --- the request --- */

/* Everything of it is here, or more than its route takes. */
static void work(struct stream *s)
{
	s->works = true;
	s->out.do_send = on_send;
	s->req.entity = h2o_iovec_init(s->body.at, s->body.len);
	h2o_process_request(&s->req); /* copies the body, and counts the copy */
	s->req.entity = h2o_iovec_init(NULL, 0);
	drop_body(s);
}

static h2o_iovec_t pool_copy(struct stream *s, struct str text)
{
	return h2o_strdup(&s->req.pool, text.at, text.len);
}

/* Host and the framing are not among the headers, as in HTTP/1.1. */
static void add_header(struct stream *s, struct str name, struct str value)
{
	const h2o_token_t *token = h2o_lookup_token(name.at, name.len);

	if (token == H2O_TOKEN_HOST) {
		if (s->req.input.authority.base == NULL)
			s->req.input.authority = pool_copy(s, value);
	} else if (token == NULL) {
		h2o_iovec_t kept = pool_copy(s, name), text = pool_copy(s, value);

		h2o_add_header_by_str(&s->req.pool, &s->req.headers, kept.base, kept.len, 0, NULL,
				      text.base, text.len);
	} else if (!token->is_init_header_special) {
		h2o_iovec_t text = pool_copy(s, value);

		h2o_add_header(&s->req.pool, &s->req.headers, token, NULL, text.base, text.len);
	}
}

static const struct {
	struct str name;
	size_t member; /* of h2o_req_t's input */
} pseudo[] = {
	{ STR_INIT(":method"), offsetof(h2o_req_t, input.method) },
	{ STR_INIT(":path"), offsetof(h2o_req_t, input.path) },
	{ STR_INIT(":authority"), offsetof(h2o_req_t, input.authority) },
};

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http2 *h = arg;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
						    stream_new(h, frame->hd.stream_id));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *arg)
{
	struct str key = str_make((const char *) name, name_len),
		   text = str_make((const char *) value, value_len);
	struct stream *s = stream_of(arg, frame->hd.stream_id);

	(void) session, (void) flags;
	if (s == NULL || s->works)
		return 0;
	s->head += name_len + value_len + 32; /* RFC 9113 §6.5.2 */
	if (s->head > HEAD_MOST)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* refuses the stream */
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* trailers: nobody reads them */
	for (size_t i = 0; i < ARRAY_SIZE(pseudo); i++)
		if (str_eq(key, pseudo[i].name)) {
			*(h2o_iovec_t *) ((char *) &s->req + pseudo[i].member) = pool_copy(s, text);
			return 0;
		}
	/* The one that is left is :scheme: over TLS nothing else is believed. */
	if (name[0] != ':')
		add_header(s, key, text);
	return 0;
}

static bool expects_continue(const struct stream *s)
{
	ssize_t at = h2o_find_header(&s->req.headers, H2O_TOKEN_EXPECT, -1);

	return at >= 0 && str_eq_nocase(str_make(s->req.headers.entries[at].value.base,
						 s->req.headers.entries[at].value.len),
					STR("100-continue"));
}

static void head_is_here(struct stream *s)
{
	static const char hundred[] = "100";
	nghttp2_nv head = pair(H2O_STRLIT(":status"), hundred, 3);

	s->has_head = true;
	s->req.input.scheme = &H2O_URL_SCHEME_HTTPS;
	if (s->req.input.path.base == NULL) { /* CONNECT */
		refuse(s, NGHTTP2_REFUSED_STREAM);
		return;
	}
	s->most = route_limit(s->http2->connection->server, &s->req);
	if (!s->is_complete && expects_continue(s))
		must(nghttp2_submit_headers(s->http2->session, NGHTTP2_FLAG_NONE, s->id, NULL,
					    &head, 1, NULL) >= 0);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct stream *s = stream_of(arg, frame->hd.stream_id);

	(void) session;
	if (s == NULL || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		s->is_complete = true;
	if (!s->has_head)
		head_is_here(s);
	if (s->is_complete && !s->works && s->req.input.path.base != NULL)
		work(s);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t len, void *arg)
{
	struct stream *s = stream_of(arg, id);
	struct http_server *server;
	int64_t sum;

	(void) session, (void) flags;
	if (s == NULL || s->works)
		return 0;
	server = s->http2->connection->server;
	sum = budget_add((int64_t) len);
	buf_add(&s->body, data, len);
	if (sum > (int64_t) server->options.body_budget) {
		counter_add(&server->counters.refused_budget, 1);
		drop_body(s);
		refuse(s, NGHTTP2_ENHANCE_YOUR_CALM);
	} else if (s->body.len > s->most) {
		s->is_over = true;
		work(s);
	}
	return 0;
}

/* Behind the last one that is let pass nothing more is read, also of what has arrived already. */
static void count_reset(struct http2 *h)
{
	if (++h->resets != HTTP2_RESETS + 1)
		return;
	h->has_gone_away = true;
	counter_add(&h->connection->server->counters.cut_resets, 1);
	must(nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM) == 0);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct http2 *h = arg;
	struct stream *s = stream_of(h, id);

	if (s == NULL)
		return 0;
	if (code != NGHTTP2_NO_ERROR && s->answered == 0)
		count_reset(h);
	(void) nghttp2_session_set_stream_user_data(session, id, NULL);
	stream_free(s);
	return 0;
}

/* --- the connection --- */

static void close_now(struct http2 *h)
{
	struct connection *c = h->connection;
	struct list *node;

	flush_cancel(&h->flush);
	while ((node = list_first(&h->streams)) != NULL)
		stream_free(list_entry(node, struct stream, link));
	nghttp2_session_del(h->session);
	buf_fini(&h->out);
	c->http2 = NULL;
	free(h);
	h2o_socket_close(c->sock); /* frees the connection */
}

/* What is being written must be let go by the socket first. */
static void close_soon(struct http2 *h)
{
	if (h->is_writing) {
		h->is_closing = true;
		connection_shut(h->connection);
	} else {
		close_now(h);
	}
}

/* h2o reads on when what it gave has been taken.  A stream that h2o goes on with may give more at once. */
static void go_on(struct http2 *h)
{
	list_for_each (node, &h->streams) {
		struct stream *s = list_entry(node, struct stream, link);

		if (!s->wants_more)
			continue;
		s->wants_more = false;
		h2o_proceed_response(&s->req);
	}
}

static void on_written(h2o_socket_t *sock, const char *err)
{
	struct http2 *h = sock->data;

	h->is_writing = false;
	h->out.len = 0;
	if (err != NULL || h->is_closing) {
		close_now(h);
		return;
	}
	go_on(h);
	write_soon(h);
}

/* Frames of ours up to HTTP2_WRITE; the rest when the socket has taken these. */
static void on_flush(struct flush *f)
{
	struct http2 *h = container_of(f, struct http2, flush);
	const uint8_t *frames;
	h2o_iovec_t all;
	ssize_t n = 0;

	if (h->is_writing || h->is_closing)
		return;
	while (h->out.len < HTTP2_WRITE && (n = nghttp2_session_mem_send(h->session, &frames)) > 0)
		buf_add(&h->out, frames, (size_t) n);
	if (h->out.len > 0) {
		h->is_writing = true;
		all = h2o_iovec_init(h->out.at, h->out.len);
		h2o_socket_write(h->connection->sock, &all, 1, on_written);
	} else if (n < 0 || (!nghttp2_session_want_read(h->session) &&
			     !nghttp2_session_want_write(h->session))) {
		close_now(h);
	}
}

static void on_read(h2o_socket_t *sock, const char *err)
{
	struct http2 *h = sock->data;
	ssize_t n;

	if (err != NULL) {
		close_soon(h);
		return;
	}
	if (h->is_closing)
		return;
	n = nghttp2_session_mem_recv(h->session, (const uint8_t *) sock->input->bytes,
				     sock->input->size);
	h2o_buffer_consume(&sock->input, sock->input->size);
	if (n < 0) { /* no HTTP/2 at all, or a flood; other faults nghttp2 answers by itself */
		close_soon(h);
		return;
	}
	write_soon(h);
}

static socklen_t get_sockname(h2o_conn_t *conn, struct sockaddr *to)
{
	return h2o_socket_getsockname(container_of(conn, struct http2, super)->connection->sock,
				      to);
}

static socklen_t get_peername(h2o_conn_t *conn, struct sockaddr *to)
{
	return h2o_socket_getpeername(container_of(conn, struct http2, super)->connection->sock,
				      to);
}

static h2o_socket_t *get_socket(h2o_conn_t *conn)
{
	return container_of(conn, struct http2, super)->connection->sock;
}

static void session_open(struct http2 *h)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MOST },
	};
	nghttp2_session_callbacks *calls;

	must(nghttp2_session_callbacks_new(&calls) == 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
	must(nghttp2_session_server_new(&h->session, calls, h) == 0);
	nghttp2_session_callbacks_del(calls);
	must(nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
				     ARRAY_SIZE(settings)) == 0);
	must(nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
						   CONNECTION_WINDOW) == 0);
}

void http2_accept(struct connection *c)
{
	static const h2o_conn_callbacks_t callbacks = {
		.get_sockname = get_sockname,
		.get_peername = get_peername,
		.get_socket = get_socket,
	};
	struct http_server *server = c->server;
	struct http2 *h = (struct http2 *) h2o_create_connection(sizeof(*h), &server->context,
								 server->config.hosts,
								 (struct timeval){ 0 }, &callbacks);

	memset((char *) h + sizeof(h->super), 0, sizeof(*h) - sizeof(h->super));
	h->connection = c;
	list_init(&h->streams);
	buf_init(&h->out);
	flush_init(&h->flush, on_flush);
	c->http2 = h;
	c->sock->data = h;
	session_open(h);
	h2o_socket_read_start(c->sock, on_read);
	if (c->sock->input->size > 0)
		on_read(c->sock, NULL); /* came with the handshake's last bytes */
	else
		write_soon(h);
}

void http2_abandon(struct connection *c)
{
	close_now(c->http2);
}

/* --- the sweep --- */

/* Why it is to be cut off; NULL: it keeps its times. */
static const char *fault_of(const struct stream *s, usec_t now)
{
	const struct http_options *o = &s->http2->connection->server->options;
	usec_t took = now - s->begun, allowed = o->upload_timeout;

	if (s->works && s->answered == 0)
		return NULL; /* the fiber has its deadline */
	if (s->works) {
		if (o->upload_rate > 0 && s->req.res.content_length != SIZE_MAX)
			allowed += (usec_t) (s->req.res.content_length / o->upload_rate) * SEC;
		return now - s->answered > allowed ? "its client takes an answer too slowly" : NULL;
	}
	if (!s->has_head)
		return took > o->header_timeout ? "a head takes too long" : NULL;
	if (took > o->upload_timeout)
		return "a body takes too long";
	if (took > o->header_timeout && s->body.len < (size_t) (took / SEC) * o->upload_rate)
		return "a body comes too slowly";
	return NULL;
}

/* No more streams are taken; it ends when those that are there have. */
static void go_away(struct http2 *h)
{
	if (h->has_gone_away)
		return;
	h->has_gone_away = true;
	must(nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
				   nghttp2_session_get_last_proc_stream_id(h->session),
				   NGHTTP2_NO_ERROR, NULL, 0) == 0);
	write_soon(h);
}

void http2_judge(struct connection *c, usec_t now)
{
	const struct http_options *o = &c->server->options;
	struct http2 *h = c->http2;
	usec_t most = c->is_fresh ? o->header_timeout : o->idle_timeout;

	list_for_each (node, &h->streams) {
		struct stream *s = list_entry(node, struct stream, link);
		const char *fault = fault_of(s, now);

		if (fault != NULL) {
			connection_cut(c, fault);
			return;
		}
		if (s->is_over && !s->is_complete && s->answered != 0 &&
		    now - s->answered > OVER_PATIENCE) {
			refuse(s, NGHTTP2_NO_ERROR); /* RFC 9113 §8.1 */
			write_soon(h);
		}
	}
	if (h->stream_count == 0 && now - c->active >= most) {
		connection_shut(c);
	} else if (c->server->drain != DRAIN_NO) {
		if (h->has_gone_away && h->stream_count == 0)
			connection_shut(c);
		else
			go_away(h);
	}
}
