/*
 * The answer as h2o sends it: status, headers, body or file.  Date, Connection and Content-Length
 * are h2o's.  Runs on the loop's own stack.
 */
#include "http/internal.h"

#include <stdlib.h>

#include "base/world.h"
#include "http/policy.h"

/* A header name as HTTP/1.1 clients like to see it and, for HTTP/2, in lower case.  Not const,
 * because h2o points at it without saying so; it never writes. */
struct name {
	h2o_iovec_t lower;
	const char *shown;
};
/* clang-format off */
#define NAME(lower, shown) { { (char *) (lower), sizeof(lower) - 1 }, (shown) }
/* clang-format on */

static struct name name_type = NAME("content-type", "Content-Type");
static struct name name_allow = NAME("allow", "Allow");
static struct name name_vary = NAME("vary", "Vary");
static struct name name_id = NAME("x-request-id", "X-Request-ID");
static struct name name_hsts = NAME("strict-transport-security", "Strict-Transport-Security");
static struct name name_authenticate = NAME("www-authenticate", "WWW-Authenticate");

#define IN(dress) (1u << (dress))
#define VIEW      IN(DRESS_VIEW)
#define PAGE      IN(DRESS_PAGE)
#define MOVE      IN(DRESS_REDIRECT)
#define BULK      IN(DRESS_FILE)

/*
 * The standing headers, and in which answers.  To add one: write the row, and raise STANDING_MOST
 * if the build says so.
 */
/* clang-format off */
static struct {
	struct name name;
	struct str value;
	unsigned in;
} standing[] = {
	/* name                                                                value                                        in */
	{ NAME("x-frame-options",            "X-Frame-Options"),            STR_INIT("DENY"),                        VIEW | PAGE },
	{ NAME("x-content-type-options",     "X-Content-Type-Options"),     STR_INIT("nosniff"),                     VIEW | PAGE | MOVE | BULK },
	{ NAME("referrer-policy",            "Referrer-Policy"),            STR_INIT("same-origin"),                 VIEW | PAGE | MOVE | BULK },
	{ NAME("cross-origin-opener-policy", "Cross-Origin-Opener-Policy"), STR_INIT("same-origin"),                 VIEW | PAGE | MOVE | BULK },
	{ NAME("content-security-policy",    "Content-Security-Policy"),    STR_INIT("default-src 'none'; sandbox"), BULK },
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },                  { 201, "Created" },               { 202, "Accepted" },
	{ 204, "No Content" },          { 206, "Partial Content" },       { 301, "Moved Permanently" },
	{ 302, "Found" },               { 303, "See Other" },             { 304, "Not Modified" },
	{ 307, "Temporary Redirect" },  { 308, "Permanent Redirect" },    { 400, "Bad Request" },
	{ 401, "Unauthorized" },        { 403, "Forbidden" },             { 404, "Not Found" },
	{ 405, "Method Not Allowed" },  { 406, "Not Acceptable" },        { 409, "Conflict" },
	{ 410, "Gone" },                { 412, "Precondition Failed" },   { 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" }, { 416, "Range Not Satisfiable" }, { 422, "Unprocessable Content" },
	{ 423, "Locked" },              { 428, "Precondition Required" }, { 429, "Too Many Requests" },
	{ 500, "Internal Server Error" }, { 502, "Bad Gateway" },         { 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
};
/* clang-format on */
#define STANDING_MOST 5
_Static_assert(ARRAY_SIZE(standing) == STANDING_MOST, "the room for headers counts on it");
/* And type, allow, vary, id, authenticate, transport security. */
#define HEADERS_MOST (STANDING_MOST + 6 + HTTP_POLICY_HEADERS + REPLY_HEADERS)

static const char *reason_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Other";
}

static void put(h2o_req_t *req, struct name *name, struct str value)
{
	h2o_headers_t *headers = &req->res.headers;

	headers->entries[headers->size++] = (h2o_header_t){
		.name = &name->lower,
		.orig_name = name->shown,
		.value = h2o_iovec_init(value.at, value.len),
	};
}

/* A handler's own header; both spellings lie in the arena. */
static void put_own(struct exchange *x, const struct header *h)
{
	struct name *name = arena_new(&x->rq.arena, struct name);
	char *lower = arena_c(&x->rq.arena, h->name);

	h2o_strtolower(lower, h->name.len);
	name->lower = h2o_iovec_init(lower, h->name.len);
	name->shown = h->name.at;
	put(x->req, name, h->value);
}

static const struct header *own(const struct reply *reply, const struct name *name)
{
	struct str lower = str_make(name->lower.base, name->lower.len);

	for (size_t i = 0; i < reply->header_count; i++)
		if (str_eq_nocase(reply->headers[i].name, lower))
			return &reply->headers[i];
	return NULL;
}

/* Every answer may differ by the asking page's origin (CORS); what else it differs by stands
 * before. */
static struct str vary(struct exchange *x, const struct header *h)
{
	if (h == NULL)
		return STR("origin");
	return arena_printf(&x->rq.arena, "%.*s, origin", STR_ARG(h->value));
}

/* What the server stands for, in every answer. */
static void put_policy(struct exchange *x)
{
	const struct http_policy *policy = x->server->options.policy;
	struct header cors[HTTP_POLICY_HEADERS];
	size_t count = http_policy_cors(policy, &x->rq, cors);
	struct str hsts = http_policy_hsts(policy, &x->rq);

	for (size_t i = 0; i < count; i++)
		put_own(x, &cors[i]);
	if (!str_is_null(hsts) && x->reply.dress != DRESS_PREFLIGHT)
		put(x->req, &name_hsts, hsts);
}

static void put_headers(struct exchange *x)
{
	const struct reply *reply = &x->reply;
	const struct header *own_vary = own(reply, &name_vary);
	h2o_req_t *req = x->req;

	h2o_vector_reserve(&req->pool, &req->res.headers, HEADERS_MOST);
	if (!str_is_null(reply->type))
		put(req, &name_type, reply->type);
	if (reply->dress == DRESS_VIEW && own(reply, &name_allow) == NULL)
		put(req, &name_allow, x->rq.view->allow);
	put(req, &name_vary, vary(x, own_vary));
	for (size_t i = 0; i < ARRAY_SIZE(standing); i++)
		if ((standing[i].in & IN(reply->dress)) != 0 &&
		    own(reply, &standing[i].name) == NULL)
			put(req, &standing[i].name, standing[i].value);
	if (reply->status == 401 && own(reply, &name_authenticate) == NULL)
		put(req, &name_authenticate, STR("Bearer realm=\"api\""));
	put_policy(x);
	put(req, &name_id, str_make(x->rq.id, strlen(x->rq.id)));
	for (size_t i = 0; i < reply->header_count; i++)
		if (&reply->headers[i] != own_vary)
			put_own(x, &reply->headers[i]);
}

/*
 * A file leaves in pieces: read on libuv's threads, handed to h2o, and when h2o has written it
 * (proceed) the next.  The sender belongs to the exchange, because h2o may still be writing the
 * last piece when no more is asked of us; a read under way holds the exchange.
 */
#define PIECE (64 * KIB)

struct file_sender {
	h2o_generator_t generator;
	struct exchange *exchange;
	uv_fs_t read;
	uint64_t at, left;
	char bytes[PIECE];
};

static void on_piece(uv_fs_t *read)
{
	struct file_sender *sender = container_of(read, struct file_sender, read);
	struct exchange *x = sender->exchange;
	ssize_t n = read->result;
	h2o_iovec_t piece = h2o_iovec_init(sender->bytes, n > 0 ? (size_t) n : 0);

	OBJ_CHECK(x, EXCHANGE_MAGIC);
	uv_fs_req_cleanup(read);
	if (x->req != NULL && n <= 0) {
		/* The file is shorter than it was, or unreadable; the length was promised, so the
		 * end of the connection must say it. */
		log_warn("reading a file to send: %s",
			 n == 0 ? "it ends too early" : uv_strerror((int) n));
		h2o_send(x->req, NULL, 0, H2O_SEND_STATE_ERROR);
	} else if (x->req != NULL) {
		sender->at += (uint64_t) n;
		sender->left -= (uint64_t) n;
		h2o_send(x->req, &piece, 1,
			 sender->left > 0 ? H2O_SEND_STATE_IN_PROGRESS : H2O_SEND_STATE_FINAL);
	}
	exchange_drop(x);
}

static void read_piece(struct file_sender *sender)
{
	struct exchange *x = sender->exchange;
	uv_buf_t to = uv_buf_init(sender->bytes, (unsigned) MIN(sender->left, (uint64_t) PIECE));
	int r;

	exchange_hold(x);
	r = uv_fs_read(loop_uv(x->server->loop), &sender->read, x->reply.fd, &to, 1,
		       (int64_t) sender->at, on_piece);
	must(r == 0); /* fails only without a callback or memory */
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
	read_piece(container_of(generator, struct file_sender, generator));
}

static void send_file(struct exchange *x)
{
	struct file_sender *sender = malloc(sizeof(*sender));

	must(sender != NULL);
	memset(sender, 0, offsetof(struct file_sender, bytes));
	sender->generator.proceed = on_proceed;
	sender->exchange = x;
	sender->at = x->reply.offset;
	sender->left = x->reply.length;
	x->sender = sender;
	h2o_start_response(x->req, &sender->generator);
	read_piece(sender);
}

void file_sender_free(struct file_sender *sender)
{
	free(sender);
}

static void send_body(struct exchange *x, bool is_head)
{
	static h2o_generator_t generator;
	h2o_iovec_t body = h2o_iovec_init(x->reply.body.at, x->reply.body.len);

	h2o_start_response(x->req, &generator);
	h2o_send(x->req, &body, is_head || body.len == 0 ? 0 : 1, H2O_SEND_STATE_FINAL);
}

/* These have no body by definition, and no length either. */
static bool is_bodiless(int status)
{
	return status == 204 || status == 304;
}

void exchange_send(struct exchange *x)
{
	struct http_server *s = x->server;
	struct reply *reply = &x->reply;
	h2o_req_t *req = x->req;
	bool is_head = x->rq.method == HTTP_HEAD;

	if (s->options.decorate != NULL)
		s->options.decorate(&x->rq);
	req->res.status = reply->status;
	req->res.reason = reason_of(reply->status);
	req->res.content_length = is_bodiless(reply->status) ? SIZE_MAX : reply_length(reply);
	if (reply->ends || x->ends || s->drain != DRAIN_NO || x->is_reset)
		req->http1_is_persistent = 0;
	x->sent_at = now_monotonic();
	put_headers(x);
	if (reply->kind == REPLY_FILE && !is_head && reply->length > 0)
		send_file(x);
	else
		send_body(x, is_head);
}
