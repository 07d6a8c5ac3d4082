/*
 * redis-internal.h - what the files of this folder know of a connection and strangers do not.
 *
 *   connection.c  the socket and its states
 *   sentinel.c    who the master is
 *   tls.c         TLS over the socket
 *   redis.c       commands in, replies out
 *   call.c        fibers
 *   script.c      scripts
 */
#ifndef REDIS_REDIS_INTERNAL_H
#define REDIS_REDIS_INTERNAL_H

#include "base/buf.h"
#include "loop/sm.h"
#include "redis/reader.h"
#include "redis/redis.h"
#include "redis/tls-internal.h"

/*
 *              +-------------------------------------------------------------------------------+
 *              v                                                                  lost, failed |
 *   WAITING --timer--> RESOLVING --> CONNECTING --> [SECURING] --> GREETING --> READY           |
 *                        |  ^            |              |             |           |             |
 *                        |  |            |              |--> ASKING   |           |             |
 *                        |  +------------+--------------+------+      |           |             |
 *                        +---------------+--------------+------+------+-----------+-------------+
 *   any of them --redis_close--> CLOSING, in which the handles end
 *
 * WAITING has no socket, and a timer; RESOLVING a name look-up (skipped for unix sockets);
 * CONNECTING, SECURING (TLS's handshake), ASKING and GREETING a socket and a timer; READY a socket.
 *
 * With Sentinels there are two hops: to one of them, which is asked (ASKING) for the master, and
 * then, with a new socket, to that one.  The edges back to RESOLVING are the second hop, or the
 * next Sentinel when one does not answer.
 */
enum redis_state {
	STATE_WAITING,
	STATE_RESOLVING,
	STATE_CONNECTING,
	STATE_SECURING,
	STATE_ASKING,
	STATE_GREETING,
	STATE_READY,
	STATE_CLOSING,
	STATE_COUNT,
};

enum redis_hop { HOP_SERVER, HOP_SENTINEL };

extern const struct sm_state redis_states[STATE_COUNT];
void redis_connection_invariant(const struct sm *);

/* Commands that were sent together and are answered through one function. */
struct redis_pending {
	struct list link;
	redis_on_reply *on_reply; /* NULL: nobody waits for it any more */
	void *arg;
	size_t commands; /* not answered yet; REDIS_ENDLESS */
};

#define REDIS_MAGIC 0x52454431u

struct redis {
	uint32_t magic;
	struct sm sm;
	struct loop *loop;
	struct arena arena; /* of address and name; lives as long as this */
	struct redis_address address;
	const char *label; /* for sentences: the address without its password */
	const char *name;
	void (*on_state)(void *, uint64_t);
	void *on_state_arg;
	void (*on_chunk)(void *);
	void *on_chunk_arg;
	void (*on_closed)(void *);
	void *on_closed_arg;
	unsigned closings; /* handles and look-ups whose end redis_close awaits */
	uv_idle_t *anchor; /* never started: redis_close waits at least for its closing */

	struct redis_tls *tls; /* NULL: none */
	enum redis_hop hop;
	const char *host; /* of this hop; NULL: a unix socket */
	int port;
	size_t sentinel_at;    /* the one that is asked, or is next */
	size_t sentinels_left; /* not tried yet in this round */
	char master_host[256]; /* a Sentinel's answer; "" before it */
	int master_port;

	struct lookup *lookup;       /* RESOLVING */
	struct addrinfo *addresses;  /* what it found */
	struct addrinfo *address_at; /* the one that is tried */
	struct wire *wire;           /* the socket; NULL without one */
	struct timer timer;
	unsigned failures; /* since it was last ready for long; sets the wait */
	bool is_loss_told; /* logged: the next failures of the same outage are not */
	usec_t ready_since;
	uint64_t generation; /* of the current or last connection */
	char refusal[256];   /* why the connection must be left; "" if it need not */

	struct buf out; /* out.at[out_at…] waits to be written */
	size_t out_at;
	size_t most_pending;
	struct flush flush;
	char *in; /* one read's bytes */
	struct redis_reader reader;
	struct list pending; /* oldest first */
	struct list spare;   /* used `struct redis_pending`, to save the allocation */
	size_t spare_count;
	struct list waiters; /* fibers that wait for READY */
	struct redis_stats stats;
};

/* connection.c */
void redis_connection_start(struct redis *);
void redis_connection_close(struct redis *);
/* Writes what is queued, as far as the socket takes it. */
void redis_connection_write(struct redis *);
/* Sets why the connection must be left; it is, after the replies of this read were delivered. */
void redis_connection_refuse(struct redis *, struct str why);

/* sentinel.c */
/* The first hop of a new attempt. */
void redis_sentinel_first_hop(struct redis *);
/* A Sentinel could not be asked: aims at the next one.  False: all were tried. */
bool redis_sentinel_next(struct redis *);
/* Writes the question; the answer is in master_host, or refuses the connection. */
void redis_sentinel_ask(struct redis *);
/* Aims at whom the answer named. */
void redis_sentinel_second_hop(struct redis *);
/* Asks the server itself: a replica is refused. */
void redis_sentinel_check_role(struct redis *);

/* redis.c */
/* Between these two a command is appended to the buf.  begin: 0 or -E_UNAVAILABLE. */
int redis_command_begin(struct redis *, struct buf **ret_out) _must_check_;
struct redis_pending *redis_command_end(struct redis *, size_t commands, redis_on_reply *,
					void *arg);
/* The same in one go while the connection greets. */
void redis_command_greet(struct redis *, const struct str *words, size_t count, redis_on_reply *,
			 void *arg);
void redis_command_format_head(struct buf *, size_t words);
void redis_command_format_word(struct buf *, struct str);
/* Hands a reply to whom it belongs.  0, or -EPROTO when nobody asked. */
int redis_pending_deliver(struct redis *, const struct redis_reply *) _must_check_;
/* Every pending command fails with this. */
void redis_pending_fail(struct redis *, int error);

/* call.c */
void redis_call_wake_waiters(struct redis *);

#endif
