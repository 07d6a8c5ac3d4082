/*
 * db-internal.h - what the files of this folder share.
 *
 *   conninfo.c    the url: what libpq is given, names looked up for it
 *   connection.c  one connection: its states, its socket, its loss
 *   pipeline.c    statements out, results in
 *   prepared.c    the names of prepared statements, per connection
 *   pool.c        which connection serves which call
 *   drain.c       a connection whose borrower left early becomes whole again
 *   failure.c     what the server said, mapped to our errors
 *   query.c, tx.c the fibers' side
 *
 * Crossing is by value: a fiber leaves a `struct db_call` on its stack in the hands of a pool or a
 * connection and parks; libpq is called from the loop's own stack only (flushes, socket callbacks,
 * timers).
 */
#ifndef DB_DB_INTERNAL_H
#define DB_DB_INTERNAL_H

#include <libpq-fe.h>

#include "base/map.h"
#include "db/conninfo.h"
#include "db/db.h"
#include "loop/sm.h"

/* Without a single connection that works, calls fail after this. */
#define DB_PATIENCE (2 * SEC)

struct db_connection;

/* What a fiber asks for, while it is parked. */
struct db_call {
	struct waiter waiter;
	struct list link; /* in db_pool.waiting or .again while it is not sent */
	const struct db_statement *statement; /* NULL: only to borrow a connection */
	const struct str *values;
	size_t count;
	bool is_single;   /* the connection is borrowed for this one statement */
	bool has_begin;   /* BEGIN leaves before it */
	bool is_done;     /* woken; nothing points here any more */
	bool is_repeated; /* its name was stale: to be sent once more at its sync */
	unsigned sendings;
	struct db_connection *connection; /* borrowed for it */
	PGresult *result;
	int error;
	bool has_failure; /* the server complained: `failure` is filled */
	struct db_failure failure;
};

/* One thing that libpq will report a result for, in the order of sending. */
struct db_step {
	struct list link;
	enum db_step_kind {
		STEP_GREETING,
		STEP_BEGIN,
		STEP_PREPARE,
		STEP_STATEMENT,
		STEP_ROLLBACK,
		STEP_SYNC
	} kind;
	bool has_result;
	struct db_call *call; /* NULL: its fiber left, or has its answer */
	struct db_prepared *prepared;
	unsigned prepared_serial; /* of the name that was used */
};

/* Statements known to the server under a name. */
struct db_prepared {
	struct list link;
	const char *at;  /* where the caller keeps the text: the key */
	struct str text; /* a copy, to be sure */
	unsigned serial; /* of the name */
	char name[24];   /* "apium_<serial>" */
	bool is_known;   /* sent, and not reported as failed */
};

struct db_prepared_set {
	struct map by_place;
	struct list all;
	unsigned last_serial, count;
};

/*
 *              +---------------------------------------------------------------- lost ----+
 *              v                                                                           |
 *   WAITING --timer--> RESOLVING --> CONNECTING --> GREETING --> READY <---> LENT          |
 *                          |             |             |          ^  |         |           |
 *                          |             |             |          |  |         v           |
 *                          |             |             |          +--|---- DRAINING        |
 *                          +-------------+-------------+-------------+---------+-----------+
 *   any of them --db_close--> CLOSING, in which the handles end
 *
 * READY of the exclusive lane means: in the lane's idle list, nothing under way, no transaction.
 * READY of the shared lane: takes any number of reads; it is never lent.  LENT: a statement or a
 * transaction has it.  DRAINING: its borrower left early; what is under way is cancelled, awaited
 * and rolled back.
 */
enum db_connection_state {
	DB_WAITING,
	DB_RESOLVING,
	DB_CONNECTING,
	DB_GREETING,
	DB_READY,
	DB_LENT,
	DB_DRAINING,
	DB_CLOSING,
	DB_STATE_COUNT,
};

extern const struct sm_state db_connection_states[DB_STATE_COUNT];

#define DB_CONNECTION_MAGIC 0x44424331u

struct db_connection {
	uint32_t magic;
	struct sm sm;
	struct db *db;
	struct db_pool *pool;
	struct list idle; /* in pool->idle: READY, exclusive */

	PGconn *pg;               /* from CONNECTING on */
	struct db_wire *wire;     /* watches its socket */
	struct db_lookup *lookup; /* RESOLVING */
	/* WAITING: the next attempt.  Until READY: the attempt's end.  DRAINING: the end of
	 * patience. READY, shared: the watch over statements whose fiber has left. */
	struct timer timer;
	unsigned failures;
	usec_t ready_since;
	bool has_been_ready;

	struct list steps; /* sent, oldest first */
	unsigned step_count;
	struct db_prepared_set prepared;

	struct db_call *current; /* LENT: what its borrower waits for */
	bool is_current_sent;
	struct db_tx *tx;       /* LENT: the transaction that has it */
	struct fiber *borrower; /* LENT by a transaction */
	struct flush flush;     /* sends `current`, or goes on draining */
	struct db_cancel *cancel;
	bool is_cancel_wanted;         /* DRAINING: something was under way */
	bool has_rolled_back;          /* DRAINING: a second time would not help */
	const struct db_step *watched; /* shared: first in line at the last look */
};

struct db_pool {
	struct db *db;
	enum db_lane kind;
	struct db_connection *connections;
	unsigned count;
	struct list waiting; /* calls, first come, first served */
	struct list again;   /* shared: calls that were aborted with a neighbour */
	struct list idle;    /* exclusive: the last one given back first */
	struct flush flush;
};

#define DB_MAGIC 0x44424231u

struct db {
	uint32_t magic;
	struct loop *loop;
	struct arena arena; /* of the options and the url; lives as long as this */
	struct db_conninfo conninfo;
	bool is_prepared;
	bool is_closing;
	char *listen; /* "LISTEN …", or NULL */
	void (*on_listening)(void *arg, bool is_listening);
	void (*on_notice)(void *arg, struct str payload);
	void *notice_arg;
	bool is_loss_told; /* logged: what follows of the same outage is not */
	struct db_pool shared, exclusive;
	struct list spare_steps; /* used ones, to save the allocation */
	unsigned spare_count;
	struct arena scratch; /* of one statement's sending */
	struct arena_mark scratch_start;
	struct list failures; /* newest first */
	unsigned failure_count;
	struct db_stats stats;
	unsigned closings; /* handles, look-ups and cancels whose end db_close awaits */
	uv_idle_t *anchor; /* never started: db_close waits at least for its closing */
	void (*on_closed)(void *);
	void *on_closed_arg;
};

/* connection.c */
void db_connection_init(struct db_connection *, struct db *, struct db_pool *);
void db_connection_start(struct db_connection *);
void db_connection_close(struct db_connection *);
/* Does this one listen? */
bool db_connection_listens(const struct db_connection *);
/* Hands out the notices that have arrived. */
void db_connection_take_notices(struct db_connection *);
/* Ends it, tells whoever waits for it, and starts to look for a new one. */
void db_connection_lose(struct db_connection *, const char *why);
/* Greeting has ended well. */
void db_connection_greeted(struct db_connection *);
/* Watches for room in the socket as long as libpq has bytes left. */
void db_connection_flush(struct db_connection *);
bool db_connection_is_up(const struct db_connection *);
void db_closing_ended(struct db *);

/* pipeline.c */
/* A statement into libpq's buffer, without sync.  False: the connection was lost. */
bool db_pipeline_send(struct db_connection *, struct db_call *);
bool db_pipeline_send_plain(struct db_connection *, enum db_step_kind, const char *sql);
/* Ends what was sent since the last one, and sends it all. */
bool db_pipeline_sync(struct db_connection *);
/* Hands out the results that have arrived. */
void db_pipeline_receive(struct db_connection *);
void db_pipeline_clear(struct db_connection *);
/* Nothing that is under way points at this call any more. */
void db_pipeline_forget(struct db_connection *, const struct db_call *);

/* prepared.c */
void db_prepared_init(struct db_prepared_set *);
void db_prepared_clear(struct db_prepared_set *);
/* NULL: too many are known already, send it without a name. */
struct db_prepared *db_prepared_find(struct db_prepared_set *, struct str sql);
/* A name that the server has not heard yet. */
void db_prepared_rename(struct db_prepared_set *, struct db_prepared *);

/* pool.c */
void db_pool_init(struct db_pool *, struct db *, enum db_lane, unsigned count);
void db_pool_close(struct db_pool *);
void db_pool_submit(struct db_pool *, struct db_call *);
void db_pool_again(struct db_pool *, struct db_call *);
/* Nothing is under way and no transaction open: back to the idle ones, else it drains. */
void db_pool_give_back(struct db_connection *);
/* The one way into and out of READY and LENT: keeps the idle list and the counters. */
void db_pool_move(struct db_connection *, enum db_connection_state to);
bool db_pool_is_down(const struct db_pool *);
/* Does this fiber have a connection for a transaction? */
bool db_pool_has_borrower(const struct db_pool *, const struct fiber *);
/* Sends the statement of a transaction from the loop's stack. */
void db_pool_send_current(struct db_connection *, struct db_call *);
void db_call_finish(struct db_call *, int error);

/* drain.c */
void db_drain(struct db_connection *);
void db_drain_step(struct db_connection *);
void db_cancel_start(struct db_connection *);
void db_cancel_orphan(struct db_connection *);
/* Shared: looks after statements whose fiber left. */
void db_watch_abandoned(struct db_connection *);

/* failure.c */
int db_failure_read(const PGresult *, struct db_failure *ret);
/* For the running fiber: keeps the failure for db_failure, returns the error with its reason. */
int db_failure_report(struct db *, const struct db_call *);
void db_failure_fini(struct db *);

/* query.c */
/* 0; or an error when the values cannot be sent, or the fiber is cancelled or late. */
int db_call_init(struct db *, struct db_call *, const struct db_statement *,
		 const struct str *values, size_t count) _must_check_;
/* Hands the call to a pool and parks until it is done.  Nothing points at it then.  Yields. */
int db_call_run(struct db_pool *, struct db_call *, const char *why) may_yield _must_check_;
/* The same on the connection that the fiber has borrowed.  Yields. */
int db_call_run_current(struct db_connection *, struct db_call *, const char *why)
	may_yield _must_check_;
/* What a call that is done gives its fiber: the rows, tied to the arena, or the error with its
 * reason. */
int db_call_result(struct db *, struct db_call *, struct arena *, struct db_rows *ret_rows)
	_must_check_;

#endif
