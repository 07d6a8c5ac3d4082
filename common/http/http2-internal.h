/*
 * http2-internal.h - HTTP/2 at a TLS door, by nghttp2 (RFC 9113), where h2o's HTTP/1.1 would stand.
 *
 * libh2o 2.2.5 speaks HTTP/2 too, but gathers bodies where nobody sees how long they have become, follows
 * CONTINUATION frames without a bound and knows nothing of rapid resets.  So only its request object is
 * used: a stream fills an h2o_req_t as HTTP/1.1 would and takes the answer from it (as ask.c does), and
 * everything from exchange_on_req on is the same code for both protocols.
 *
 *     HEADERS --> head --> body --(END_STREAM)--> work --> answer --> closed
 *                  |        |                      |
 *                  |        |                      `- RST_STREAM: the fiber is cancelled; counted
 *                  |        `- over its route's limit: works at once, so that 413 is said; the rest is dropped
 *                  `- over HEAD_MOST: the stream is refused
 *
 * Bounds.  A connection has at most HTTP2_STREAMS streams at once.  Bodies count against the process's
 * budget byte by byte as they come; the stream that passes it is refused.  Streams that end with an error
 * before their answer stands (reset by the client, or by nghttp2 for what the client did) are counted;
 * HTTP2_RESETS more of them than there were answers end the connection with ENHANCE_YOUR_CALM (rapid
 * reset, CVE-2023-44487, and its like).  nghttp2 bounds CONTINUATION, acknowledgements that wait to be
 * sent, and header tables.  What is to be sent is taken from streams only when the socket has taken what
 * came before, so it is HTTP2_WRITE at most.  The sweep (door.c) keeps the same times as for HTTP/1.1.
 *
 * An http2 belongs to its connection and is freed when that ends; streams belong to it.  Nothing yields:
 * all of it runs on the loop's own stack.
 */
#ifndef HTTP_HTTP2_INTERNAL_H
#define HTTP_HTTP2_INTERNAL_H

#include "http/internal.h"

#define HTTP2_STREAMS 100
#define HTTP2_RESETS  100
#define HTTP2_WRITE   (64 * KIB)

/* The handshake has chosen "h2".  From here on the connection is this one's. */
void http2_accept(struct connection *);
/* Judges its streams as the sweep judges a connection of HTTP/1.1. */
void http2_judge(struct connection *, usec_t now);
/* Ends it without a word to the client: its stream refuses to be written to. */
void http2_abandon(struct connection *);

#endif
