/*
 * tls-internal.h - TLS over the socket of a connection, by OpenSSL.
 *
 * The server's certificate is checked against the authorities of the url's ssl_ca_certs (the
 * system's when it names none), and its name against ssl_server_name, or else the host that was
 * asked for.  TLS 1.2 or newer, no renegotiation: a write never has to wait for a read.
 *
 * Files are read when the first connection that names them is opened, so that a wrong one is refused
 * at start, and again by redis_reload_tls; all connections of a process that name the same ones share
 * what was read.  Any thread may call any of these.
 * OpenSSL writes to the socket without MSG_NOSIGNAL: the program must ignore SIGPIPE.
 */
#ifndef REDIS_TLS_INTERNAL_H
#define REDIS_TLS_INTERNAL_H

#include <sys/types.h>

#include "redis/redis.h"

struct redis_tls;     /* what was read of one set of files */
struct redis_session; /* one connection's */

/* 0, or -E_BAD_SETTING with the file that is wrong. */
int redis_tls_hold(const struct redis_tls_files *, struct redis_tls **ret) _must_check_;
struct redis_tls *redis_tls_drop(struct redis_tls *); /* NULL is fine; returns NULL */

/* The descriptor stays the caller's.  `host` is the name that the certificate must bear, if the files
 * do not come with another. */
struct redis_session *redis_session_new(struct redis_tls *, const struct redis_tls_files *, int fd,
					const char *host);
struct redis_session *redis_session_free(struct redis_session *); /* likewise */
/* 1: done.  0: to be called again when the socket can be written (*ret_for_write) or read.
 * -E_UNAVAILABLE with the reason. */
int redis_session_handshake(struct redis_session *, bool *ret_for_write) _must_check_;
/* As read(2) and send(2): -1 with errno, EAGAIN when the socket has or takes no more. */
ssize_t redis_session_read(struct redis_session *, void *to, size_t len);
/* Has it bytes that were taken from the socket and not read yet?  The socket does not tell of them. */
bool redis_session_has_more(const struct redis_session *);
ssize_t redis_session_write(struct redis_session *, const void *from, size_t len);

#endif
