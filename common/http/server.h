/*
 * server.h - libh2o on one libuv loop: listening, the door, the life of a request, draining.
 *
 * The door.  libh2o 2.2.5 knows one body limit and one timer over headers and body.  So its limit is the
 * largest route's, its timer the longest upload; bodies above 256 KiB spill to disk; and a sweep each
 * second over the connections enforces header time, least rate, the route's own limit and the process's
 * budget of body bytes, ending an offender by shutdown.  A complete body over its route's limit gets our
 * 413.  Repeated or conflicting Content-Length and Transfer-Encoding are 400 and close.  Beyond
 * `most_requests` fibers: 503 with Retry-After.
 *
 * A request: copied into its own arena, matched, given a fiber with the route's deadline, dispatched in
 * DRF's order, answered exactly once on the loop's stack.  One access line each.
 *
 * Draining: accept until EAGAIN, close the listeners, finish what runs within the grace period, close
 * idle connections, then on_drained.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http/route.h"

struct http_server;

struct http_options {
	struct gateway_thread *thread;
	const struct route_table *routes;
	/* Sets rq->caller from the headers.  0 (also for anonymous) or an error (401).  Yields. */
	int (*authenticate)(struct request *);
	/* Anything else the application wants in every answer (headers).  May be NULL; must not yield. */
	void (*decorate)(struct request *);
	size_t max_body, body_budget, most_requests;
	usec_t header_timeout, upload_timeout, idle_timeout;
	size_t upload_rate;                    /* bytes per second */
	const char *tls_certificate, *tls_key; /* NULL: plain */
};

int http_server_new(const struct http_options *, struct http_server **ret) _must_check_;
/* A bound, listening, non-blocking descriptor; taken over. */
int http_server_listen(struct http_server *, int fd) _must_check_;
void http_server_drain(struct http_server *, usec_t grace, void (*on_drained)(void *arg),
		       void *arg);
/* After on_drained; the loop must run on until on_freed. */
void http_server_free(struct http_server *, void (*on_freed)(void *arg), void *arg);

/* Binds "host:port" with SO_REUSEPORT; port 0 picks one.  The descriptor, or negative. */
int http_bind(const char *address, int *ret_port) _must_check_;

/* Counters of the process, all threads. */
struct http_stats {
	uint64_t requests, by_class[6]; /* [2]: 2xx, … */
	uint64_t refused_busy, refused_budget, cut_slow, bad_framing, client_gone;
	int64_t in_flight, connections, body_bytes;
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
