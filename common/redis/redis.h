/*
 * redis.h - one connection to Redis, pipelined without being asked to.
 *
 * Everything that a loop turn sends leaves in one write(2); replies come back in order.  hiredis
 * reads the replies (RESP2), the socket is ours, and commands are formatted straight into the send
 * buffer.  Redis failing is a state, not a crash (drawn in redis-internal.h): resolving ->
 * connecting -> [securing ->] greeting (AUTH, SELECT, CLIENT SETNAME, PING) -> ready; lost ->
 * waiting with backoff and full jitter.  Behind Sentinels one of them is asked first.  -LOADING, -READONLY, -MASTERDOWN, -OOM and their like (the table in
 * redis.c) are reported to the caller as -E_UNAVAILABLE; the first three also put the connection
 * into waiting, because it talks to the wrong or a starting server: what is pending behind such a
 * reply fails as when the connection is lost.
 *
 * A command is never sent twice by itself: whether a lost one ran is not known, and only the caller
 * knows whether it may be repeated.
 *
 * Two ways in: redis_call for fibers, redis_send with a callback for what lives below the waterline
 * (the supervisor's fetch).  Blocking commands (BLMOVE, SUBSCRIBE) need a connection of their own.
 */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#include "base/arena.h"
#include "base/buf.h"
#include "loop/fiber.h"

struct redis;

enum redis_type { REDIS_NIL, REDIS_INTEGER, REDIS_TEXT, REDIS_STATUS, REDIS_ERROR, REDIS_ARRAY };

struct redis_reply {
	enum redis_type type;
	int64_t integer;
	struct str text; /* TEXT, STATUS, ERROR */
	size_t count;    /* ARRAY */
	struct redis_reply *elements;
};

struct redis_options {
	const char *url;  /* see struct redis_address */
	const char *name; /* CLIENT SETNAME */
	/* Told on the loop's stack whenever the connection becomes ready (with a number that
	 * grows with each connection) or is lost (0).  May be NULL. */
	void (*on_state)(void *arg, uint64_t generation);
	void *arg;
	size_t most_pending; /* bytes not yet taken by Redis before calls fail with -E_UNAVAILABLE;
				0: 64 MiB */
};

/* Returns at once.  0 or -E_BAD_SETTING. */
int redis_open(struct loop *, const struct redis_options *, struct redis **ret) _must_check_;
/* Pending callbacks get -ECANCELED first.  All fibers that use it must have ended; may be called
 * from any of its callbacks. */
void redis_close(struct redis *, void (*on_closed)(void *arg), void *arg);

/*
 * What a program does at SIGHUP, from any thread: reads the files that rediss:// urls name again, for
 * the connections that are made from then on; those that stand, stay.  Files that are wrong leave all as
 * it was.  The log says how it went, once for each set of files.
 */
void redis_reload_tls(void);

bool redis_is_ready(const struct redis *);
uint64_t redis_generation(const struct redis *); /* 0: not ready */

/*
 * A command and its arguments.  The words are copied before the call returns. on_reply: error 0
 * with a reply, valid during the call only; or -E_UNAVAILABLE (not connected, lost before the
 * answer, loading …) or -ECANCELED (closing) with reply NULL.  An error reply of the server is a
 * reply (type REDIS_ERROR) for callbacks.  Never called from within redis_send. Returns 0, or
 * -E_UNAVAILABLE when not ready or too much is pending; then on_reply is not called.
 */
typedef void redis_on_reply(void *arg, int error, const struct redis_reply *);
int redis_send(struct redis *, const struct str *words, size_t count, redis_on_reply *, void *arg)
	_must_check_;
/*
 * Already formatted RESP holding `commands` commands; `on_reply` is called once for each of them,
 * in order. REDIS_ENDLESS: it gets every reply from then on, until the connection is lost (once,
 * with the error): what SUBSCRIBE and MONITOR need.
 */
#define REDIS_ENDLESS SIZE_MAX
int redis_send_raw(struct redis *, struct str resp, size_t commands, redis_on_reply *, void *arg)
	_must_check_;
/* Writes what is queued now instead of at the end of the turn. */
void redis_flush(struct redis *);
/* Called after all replies of one read were delivered; for batching.  NULL: none. */
void redis_on_chunk(struct redis *, void (*on_chunk)(void *arg), void *arg);

/* Appends one command as RESP. */
void redis_format(struct buf *, const struct str *words, size_t count);

#define REDIS_WORDS(...)                                                                           \
	(const struct str[]){ __VA_ARGS__ }, ARRAY_SIZE(((const struct str[]){ __VA_ARGS__ }))

/*
 * For fibers.  0 with the reply copied into the arena; an error reply is -E_REDIS (-E_REDIS_TYPE
 * for WRONGTYPE) with its text as the reason; -E_UNAVAILABLE, -ECANCELED, -ETIMEDOUT.  While the
 * connection is not ready, waits for it within the deadline, at most `redis_patience` (one
 * second).  Yields.
 */
extern usec_t redis_patience;
int redis_call(struct redis *, struct arena *, const struct str *words, size_t count,
	       struct redis_reply **ret_reply) may_yield _must_check_;

/* A script known by its SHA-1; loaded when the server does not have it (EVALSHA, then EVAL). */
struct redis_script {
	const char *name;
	const char *text;
	char _sha[41]; /* filled on first use */
};
/* `words`: keys first, then arguments. */
int redis_eval(struct redis *, struct arena *, struct redis_script *, size_t keys,
	       const struct str *words, size_t count, struct redis_reply **ret_reply)
	may_yield _must_check_;
/* The same with a callback; NOSCRIPT is answered by sending the text once more, in order with
 * nothing else guaranteed. */
int redis_send_script(struct redis *, struct redis_script *, size_t keys, const struct str *words,
		      size_t count, redis_on_reply *, void *arg) _must_check_;

struct redis_stats {
	uint64_t commands, writes, reads, reconnects;
	size_t pending_commands, pending_bytes;
};
void redis_stats(const struct redis *, struct redis_stats *ret);

/*
 * A url:
 *
 *   redis://[user[:password]@]host[:port][/database]
 *   rediss://…                      the same by TLS
 *   unix:///path
 *   redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/name[/database]
 *   rediss+sentinel://…             Sentinels and server by TLS
 *
 * with options after `?`, named as Python's client names them: db, username, password,
 * ssl_ca_certs, ssl_certfile, ssl_keyfile (files), ssl_cert_reqs (required, or none: the server's
 * certificate is not looked at), ssl_check_hostname (true or false); and of our own
 * ssl_server_name (instead of the host), sentinel_username, sentinel_password.
 *
 * With Sentinels the hosts are theirs (port 26379) and `name` is what they call the master.  Who
 * it is they are asked for each new connection, and the server is asked whether it agrees; so a
 * failover is followed as soon as they have agreed on it.
 */
#define REDIS_SENTINELS_MOST 16

struct redis_address {
	const char *host, *path, *user, *password; /* host: NULL with Sentinels */
	int port, database;
	bool is_tls;
	struct redis_tls_files {
		const char *authorities, *certificate, *key; /* PEM; NULL: none given */
		const char *server_name;                     /* NULL: the host */
		bool is_unchecked, is_name_unchecked;
	} tls;
	const char *master; /* its name; NULL: no Sentinels */
	struct redis_sentinel {
		const char *host;
		int port;
	} sentinels[REDIS_SENTINELS_MOST];
	size_t sentinel_count;
	const char *sentinel_user, *sentinel_password;
};
/* The parts lie in the arena.  0, or -E_BAD_SETTING with a sentence that hides the password. */
int redis_address_parse(struct arena *, const char *url, struct redis_address *ret) _must_check_;

#endif
