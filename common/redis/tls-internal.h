/*
 * tls-internal.h - TLS over the socket of a connection, by OpenSSL.
 *
 * The server's certificate is checked against the authorities of the url's ssl_ca_certs (the
 * system's when it names none), and its name against ssl_server_name, or else the host that was
 * asked for.  TLS 1.2 or newer, no renegotiation: a write never has to wait for a read.
 *
 * Files are read once, when the connection is opened, so that a wrong one is refused at start.
 * OpenSSL writes to the socket without MSG_NOSIGNAL: the program must ignore SIGPIPE.
 */
#ifndef REDIS_TLS_INTERNAL_H
#define REDIS_TLS_INTERNAL_H

#include <sys/types.h>

#include "redis/redis.h"

struct redis_tls;     /* what all connections of an address have in common */
struct redis_session; /* one connection's */

/* 0, or -E_BAD_SETTING with the file that is wrong. */
int redis_tls_new(const struct redis_address *, struct redis_tls **ret) _must_check_;
struct redis_tls *redis_tls_free(struct redis_tls *); /* NULL is fine; returns NULL */

/* The descriptor stays the caller's.  `host` is the name that the certificate must bear. */
struct redis_session *redis_session_new(struct redis_tls *, int fd, const char *host);
struct redis_session *redis_session_free(struct redis_session *); /* likewise */
/* 1: done.  0: to be called again when the socket can be written (*ret_for_write) or read.
 * -E_UNAVAILABLE with the reason. */
int redis_session_handshake(struct redis_session *, bool *ret_for_write) _must_check_;
/* As read(2) and send(2): -1 with errno, EAGAIN when the socket has or takes no more. */
ssize_t redis_session_read(struct redis_session *, void *to, size_t len);
ssize_t redis_session_write(struct redis_session *, const void *from, size_t len);

#endif
