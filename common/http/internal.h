/*
 * internal.h - what the files of http/ share: the answer, and the exchange around a request.
 *
 * An exchange is one request on its way: our copy of it, its fiber, its answer.  Two hold it: h2o's
 * request (through a shared chunk of its pool, whose disposal says that the connection is gone or
 * has sent everything) and the fiber.  Whoever lets go last frees it.
 *
 *    on_req --> copied --+--> answered at once (404 page, 301, 400, 413, 503) --------> sent -->
 * disposed
 *                        `--> fiber runs --> fiber ended --+--> sent --> disposed by h2o
 *                                |                         `--> h2o's request is gone: answer
 * dropped
 *                                `-- h2o disposes first: cancelled, then as above
 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <arpa/inet.h>
#include <h2o.h>

#include "base/list.h"
#include "base/log.h"
#include "http/server.h"

/* Which standing headers an answer has; the table is in send.c. */
enum reply_dress {
	DRESS_VIEW,      /* DRF's: with Allow */
	DRESS_PAGE,      /* Django's own pages and plain views */
	DRESS_REDIRECT,  /* the missing slash */
	DRESS_PREFLIGHT, /* CORS: nothing of the rest */
	DRESS_FILE,      /* strangers' bytes */
	DRESS_COUNT,
};

enum reply_kind { REPLY_NONE, REPLY_BODY, REPLY_EMPTY, REPLY_FILE };

#define REPLY_HEADERS 16

struct reply {
	enum reply_kind kind;
	enum reply_dress dress;
	int status;
	bool is_json;    /* may be indented */
	bool ends;       /* the connection is closed behind it */
	struct str type; /* absent: no Content-Type */
	struct str body;
	int fd; /* REPLY_FILE: closed by the arena */
	uint64_t offset, length;
	size_t header_count;
	struct header headers[REPLY_HEADERS];
};

/* Forgets what was answered, headers too. */
void reply_reset(struct request *);
/* Bytes of the body. */
uint64_t reply_length(const struct reply *);
int reply_redirect(struct request *, struct str location) _must_check_;
int reply_preflight(struct request *) _must_check_;
/* {"detail": text} */
int reply_detail(struct request *, int status, struct str text) _must_check_;
/* Bytes of a file as they are; the descriptor is the arena's from now on. */
int reply_file_part(struct request *, int status, int fd, uint64_t offset, uint64_t length,
		    const char *content_type) _must_check_;

#define EXCHANGE_MAGIC   UINT32_C(0x45584348)
#define CONNECTION_MAGIC UINT32_C(0x434f4e4e)

struct exchange {
	uint32_t magic;
	unsigned holders;
	struct list link; /* server's running or spare ones */
	struct http_server *server;
	struct connection *connection; /* NULL: in process, or closed */
	h2o_req_t *req;                /* NULL: gone */
	struct fiber *fiber;           /* NULL: none, or ended */
	struct file_sender *sender;    /* of a REPLY_FILE; freed with the exchange */
	size_t body_held;              /* counted against the budget */
	usec_t sent_at;                /* 0: not answered yet */
	bool ends;                     /* its connection serves no other request */
	bool is_reset;                 /* the client has reset the connection */
	struct log_context context;
	struct http_watch *watch; /* http_ask looks on; NULL otherwise */
	struct request rq;
	struct reply reply;
};

/* What http_ask wants to know of the next exchange, and to do to it. */
struct http_watch {
	unsigned cancel_at;
	struct fiber *fiber; /* NULL: none was started, or it has ended */
	int result;
	unsigned parks;
};

/*
 * What we know of a TCP connection beside what h2o knows; hung to h2o's socket, freed with it.  The
 * sweep judges it by phase; a phase begins when the sweep first sees it, so limits are kept to the
 * second.
 */
enum phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY, PHASE_WORK, PHASE_SEND };

struct connection {
	uint32_t magic;
	struct list link;
	struct http_server *server;
	int fd;        /* h2o's; for shutdown(2) only */
	uv_tcp_t *tcp; /* h2o's too, and the socket that it made of it */
	h2o_socket_t *sock;
	struct http2 *http2;       /* NULL: it speaks HTTP/1.1 */
	struct exchange *exchange; /* of HTTP/1.1, which has one at a time */
	bool is_shaking;           /* hands, for TLS */
	usec_t active;             /* accepted, or last answered */
	bool is_fresh;             /* has not sent a request yet */
	bool is_shut;
	enum phase phase;
	usec_t since;
	struct timeval begin; /* of the request that the phase is about */
	size_t arrived;       /* body bytes counted against the budget */
	unsigned over_limit;  /* sweeps in a row that found the body too long for its route */
	struct str peer;      /* absent until somebody asks */
	char peer_text[INET6_ADDRSTRLEN];
};

struct listener {
	struct list link;
	struct http_server *server;
	uv_tcp_t tcp;
	int fd;
};

/* Written by the server's own thread, read by any. */
struct counters {
	uint64_t requests, by_class[6];
	uint64_t refused_busy, refused_budget, cut_slow, cut_resets, bad_framing, client_gone;
	int64_t in_flight, connections;
};

enum drain { DRAIN_NO, DRAIN_WAITS, DRAIN_CANCELLED, DRAIN_DONE };

struct http_server {
	struct http_options options;
	struct loop *loop;
	h2o_globalconf_t config;
	h2o_context_t context;
	h2o_accept_ctx_t accept;
	struct list listeners, connections;
	struct list running; /* exchanges */
	struct list spare;
	size_t spare_count;
	struct list link; /* of all servers, for http_stats */
	struct counters counters;
	struct timer sweep;
	uint64_t id_high, id_low; /* of request ids */
	struct http_watch *watch; /* for the next request */
	enum drain drain;
	usec_t drain_end;
	void (*on_drained)(void *);
	void *on_drained_arg;
	void (*on_freed)(void *);
	void *on_freed_arg;
	uv_idle_t last; /* the handle that tells when all others are closed */
};

static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void gauge_add(int64_t *gauge, int64_t n)
{
	__atomic_store_n(gauge, *gauge + n, __ATOMIC_RELAXED);
}

/* h2o's handler: takes the request over. */
int exchange_on_req(h2o_handler_t *, h2o_req_t *);
struct http_server *handler_server(h2o_handler_t *);
void exchange_hold(struct exchange *);
void exchange_drop(struct exchange *);
/* Of a server that ends: those that were kept to be used again. */
void exchange_free_spare(struct http_server *);
/* From the negotiation on: the body of the fiber.  Its result; an answer is set. */
int dispatch(struct request *) may_yield _must_check_;
/* The last step on the fiber: indents, compresses, says what the answer has cost. */
void reply_finish(struct request *) may_yield;
/* Hands the answer to h2o; the exchange lives until h2o has sent it. */
void exchange_send(struct exchange *);
/* Frees what the sending of a file needed; NULL is fine. */
void file_sender_free(struct file_sender *);

/* The body's gate, before the fiber: records what it finds in rq->_body_error. */
void body_gate(struct request *);

/* What is wrong with the framing of a raw request head, or NULL.  The head ends with an empty
 * line. *ret_is_chunked is written if nothing is wrong. */
const char *head_fault(struct str input, bool *ret_is_chunked);
#define HEAD_MOST (64 * KIB)

/* Body bytes of all servers of the process: what came in and is not answered.  Returns the new
 * sum. */
int64_t budget_add(int64_t bytes);

/* NULL when the connection has no socket (in process). */
struct connection *connection_of(h2o_conn_t *);
struct str connection_peer(struct connection *);
/* Its request has arrived whole. */
void connection_works(struct connection *, struct exchange *);
/* Ends it without an answer: h2o sees the end of the stream and closes. */
void connection_shut(struct connection *);
/* The same for what it did; counted. */
void connection_cut(struct connection *, const char *why);

/* door.c */
void door_start(struct http_server *);
void door_drain(struct http_server *, usec_t grace);
/* The longest that a request may take to arrive, idle time before it included: h2o's one timer. */
usec_t door_arrival_most(const struct http_options *);

/* How long a body the route takes that the request line names; the server's own if it names none. */
size_t route_limit(const struct http_server *, const h2o_req_t *);

/* An SSL_CTX that offers HTTP/1.1, and HTTP/2 before it if that is wanted. */
int tls_new(const char *certificate, const char *key, bool has_http2, SSL_CTX **ret) _must_check_;

#endif
