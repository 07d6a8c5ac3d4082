/*
 * server.h - libh2o on one libuv loop: listening, the door, the life of a request, draining.
 *
 * The door.  libh2o 2.2.5 knows one body limit and one timer over headers and body.  So its limit
 * is the largest route's, its timer the longest that all of a request may take; bodies above 256
 * KiB spill to an unlinked file below $TMPDIR; and a sweep each second over the connections
 * enforces header time, least rate, the route's own limit and the process's budget of body bytes,
 * ending an offender by shutdown.  A complete body over its route's limit gets our 413.  A head is
 * at most 64 KiB and 100 headers.  Repeated or conflicting Content-Length and Transfer-Encoding,
 * two Hosts and folded lines are 400 and close.  Beyond `most_requests` fibers: 503 with
 * Retry-After.  HTTP/1.1 only, with TLS too.
 *
 * A request: copied into its own arena, matched, given a fiber with the route's deadline,
 * dispatched in DRF's order, answered exactly once on the loop's stack.  One access line each, at
 * level info.  A client that resets its connection has its fiber cancelled at the next sweep; one
 * that only closes its side is answered, because it may have done no more than finish its request.
 *
 * Draining: accept until EAGAIN, close the listeners, finish what runs within the grace period,
 * close idle connections; then cancel what still runs, and a second later end what is left; then
 * on_drained.
 *
 * Everything here is called on the loop's own thread, except http_bind and http_stats.  The program
 * must ignore SIGPIPE.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http/route.h"

struct http_server;
struct http_policy; /* http/policy.h */

struct http_options {
	struct gateway_thread *thread;    /* borrowed */
	const struct route_table *routes; /* sealed; borrowed, may be shared by threads */
	/* Sets rq->caller from the headers.  0 (also for anonymous) or an error (401), to which it
	 * may have given its own body.  May be NULL.  Yields. */
	int (*authenticate)(struct request *);
	/* The key of rq->caller, as long as the request; absent: anonymous.  NULL with no
	 * `authenticate`. */
	struct str (*caller_key)(const struct request *);
	/* After the permission: 0, or an error with its answer set (http/throttles.h).  May be NULL.
	 * Yields. */
	int (*throttle)(struct request *);
	/* Anything else the application wants in every answer (headers).  May be NULL; must not
	 * yield. */
	void (*decorate)(struct request *);
	/* Adds members to what OPTIONS answers about rq->view ("actions").  A reply that it sets on the way
	 * does not count.  May be NULL; yields. */
	int (*describe)(struct request *, struct json_writer *);
	/* {"error": {"status_code", "message", "errors"}} around the bodies of refusals (http/envelope.c). */
	bool has_error_envelope;
	size_t max_body;      /* of any route, bytes */
	size_t body_budget;   /* of the process, bytes */
	size_t most_requests; /* fibers of this loop */
	/* For a head, and for a new connection to say something. */
	usec_t header_timeout;
	/* For a body to come.  An answer to go gets the same, and its length at upload_rate. */
	usec_t upload_timeout;
	usec_t idle_timeout; /* between two requests */
	size_t upload_rate;  /* least bytes per second of a body, after the header time; 0: none */
	bool compress;       /* gzip and zstd, for those who ask */
	bool server_timing;  /* Server-Timing in every answer of a fiber */
	unsigned statements_most; /* a request with more SQL statements is warned of; 0: none is */
	const struct http_policy *policy; /* borrowed, shared by threads; NULL: everything goes */
	const char *tls_certificate, *tls_key; /* NULL: plain */
	bool has_http2;                        /* offered beside HTTP/1.1; over TLS only */
	bool is_internal;                      /* not counted; access lines at level debug */
};

int http_server_new(const struct http_options *, struct http_server **ret) _must_check_;
/*
 * Reads certificate and key anew: connections from now on get them, those that stand keep theirs.
 * -E_BAD_SETTING with the reason, and nothing has changed.  Only for a server that speaks TLS.
 */
int http_server_reload_tls(struct http_server *) _must_check_;
/* A bound, listening, non-blocking descriptor; taken over, also when this fails. */
int http_server_listen(struct http_server *, int fd) _must_check_;
void http_server_drain(struct http_server *, usec_t grace, void (*on_drained)(void *arg),
		       void *arg);
/* After on_drained; the loop must run on until on_freed. */
void http_server_free(struct http_server *, void (*on_freed)(void *arg), void *arg);

/* Binds "host:port" or "[v6]:port" with SO_REUSEPORT and listens; port 0 picks one (ret_port may be
 * NULL). Looks names up, so it may block: at start only.  The descriptor, or negative. */
int http_bind(const char *address, int *ret_port) _must_check_;
/* The same, but nobody else may listen there. */
int http_bind_alone(const char *address) _must_check_;

/* Counters of the process, all threads. */
struct http_stats {
	uint64_t requests;
	uint64_t by_class[6];    /* [2]: answered 2xx, … */
	uint64_t refused_busy;   /* 503: too many fibers */
	uint64_t refused_budget; /* 503, or cut off: too many body bytes */
	uint64_t cut_slow;       /* cut off by the sweep: too slow, or too long for its route */
	uint64_t cut_resets;  /* ended: too many HTTP/2 streams were reset before their answers */
	uint64_t bad_framing; /* 400 by the second look at the head */
	uint64_t client_gone; /* nobody was there to take the answer */
	int64_t in_flight;    /* fibers */
	int64_t connections, body_bytes;
};
void http_stats(struct http_stats *ret);

/* For tests: runs one request through everything behind the socket, in process. */
struct http_answer {
	int status;
	const struct header *headers;
	size_t header_count;
	struct str body;
	int replies;    /* 0 or 1: how many were sent */
	int result;     /* of the fiber; 0 if none was needed */
	unsigned parks; /* how often its fiber waited */
};
struct http_ask {
	const char *method, *path; /* path with query */
	const struct header *headers;
	size_t header_count;
	struct str body;
	unsigned cancel_at; /* cancel at the n-th park; 0: never */
	bool leaves;        /* the client is gone as soon as its request was handed over */
};
/* Turns the loop until the request's fiber has ended and its answer was sent or dropped. */
void http_ask(struct http_server *, struct arena *, const struct http_ask *,
	      struct http_answer *ret);

#endif
