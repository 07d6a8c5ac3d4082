/*
 * http_ask: a request through everything behind the socket, in process, for tests.  A connection of
 * our own stands where h2o's HTTP/1 would: it hands h2o a request and takes the answer into memory.
 */
#include "http/internal.h"

#include <stdlib.h>
#include <sys/socket.h>

struct loopback {
	h2o_conn_t super;
	h2o_ostream_t out;
	struct buf body;
	int replies;
	bool is_complete;
	h2o_req_t req;
};

static void on_send(h2o_ostream_t *out, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
		    h2o_send_state_t state)
{
	struct loopback *c = container_of(out, struct loopback, out);

	for (size_t i = 0; i < count; i++)
		buf_add(&c->body, bufs[i].base, bufs[i].len);
	if (h2o_send_state_is_in_progress(state)) {
		h2o_proceed_response(req);
	} else {
		c->is_complete = true;
		c->replies++;
	}
}

static socklen_t get_address(h2o_conn_t *conn, struct sockaddr *to)
{
	struct sockaddr_in *in = (struct sockaddr_in *) to;

	*in = (struct sockaddr_in){ .sin_family = AF_INET };
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(*in);
}

static h2o_iovec_t pool_copy(h2o_req_t *req, struct str s)
{
	return h2o_strdup(&req->pool, s.at == NULL ? "" : s.at, s.len);
}

/* As h2o's HTTP/1 does: Host and the framing are not among the headers. */
static void add_header(h2o_req_t *req, const struct header *h)
{
	h2o_iovec_t name = pool_copy(req, h->name), value = pool_copy(req, h->value);
	const h2o_token_t *token;

	h2o_strtolower(name.base, name.len);
	token = h2o_lookup_token(name.base, name.len);
	if (token == H2O_TOKEN_HOST)
		req->input.authority = value;
	else if (token == NULL)
		h2o_add_header_by_str(&req->pool, &req->headers, name.base, name.len, 0, NULL,
				      value.base, value.len);
	else if (!token->is_init_header_special)
		h2o_add_header(&req->pool, &req->headers, token, NULL, value.base, value.len);
}

static struct loopback *loopback_new(struct http_server *s, const struct http_ask *ask)
{
	static const h2o_conn_callbacks_t callbacks = {
		.get_sockname = get_address,
		.get_peername = get_address,
	};
	struct loopback *c = (struct loopback *) h2o_create_connection(
		sizeof(*c), &s->context, s->config.hosts, (struct timeval){ 0 }, &callbacks);

	memset((char *) c + sizeof(c->super), 0, offsetof(struct loopback, req) - sizeof(c->super));
	buf_init(&c->body);
	c->out.do_send = on_send;
	h2o_init_request(&c->req, &c->super, NULL);
	c->req._ostr_top = &c->out;
	c->req.version = 0x101;
	c->req.input.scheme = &H2O_URL_SCHEME_HTTP;
	c->req.input.method = pool_copy(&c->req, str_c(ask->method));
	c->req.input.path = pool_copy(&c->req, str_c(ask->path));
	c->req.input.authority = h2o_iovec_init(H2O_STRLIT("testserver"));
	for (size_t i = 0; i < ask->header_count; i++)
		add_header(&c->req, &ask->headers[i]);
	if (!str_is_null(ask->body))
		c->req.entity = pool_copy(&c->req, ask->body);
	return c;
}

static void take_answer(struct loopback *c, struct arena *a, struct http_answer *to)
{
	const h2o_headers_t *from = &c->req.res.headers;
	struct header *headers = arena_array(a, struct header, from->size + 1);

	for (size_t i = 0; i < from->size; i++) {
		const h2o_header_t *h = &from->entries[i];
		const char *name = h->orig_name != NULL ? h->orig_name : h->name->base;

		headers[i].name = arena_str(a, str_make(name, h->name->len));
		headers[i].value = arena_str(a, str_make(h->value.base, h->value.len));
	}
	to->status = c->req.res.status;
	to->headers = headers;
	to->header_count = from->size;
	to->body = arena_str(a, buf_str(&c->body));
	to->replies = c->replies;
}

static void loopback_free(struct loopback *c)
{
	h2o_dispose_request(&c->req);
	buf_fini(&c->body);
	free(c);
}

void http_ask(struct http_server *s, struct arena *a, const struct http_ask *ask,
	      struct http_answer *ret)
{
	struct http_watch watch = { .cancel_at = ask->cancel_at };
	struct loopback *c = loopback_new(s, ask);

	*ret = (struct http_answer){ 0 };
	s->watch = &watch;
	h2o_process_request(&c->req);
	s->watch = NULL; /* h2o may have answered by itself */
	if (ask->leaves && !c->is_complete) {
		loopback_free(c);
		c = NULL;
	}
	while (watch.fiber != NULL || (c != NULL && !c->is_complete))
		loop_turn(s->loop, 10 * MSEC);
	if (c != NULL) {
		take_answer(c, a, ret);
		loopback_free(c);
	}
	ret->result = watch.result;
	ret->parks = watch.parks;
}
