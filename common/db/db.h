/*
 * db.h - PostgreSQL for fibers: two lanes of connections per event loop.
 *
 * Why two lanes.  In libpq's pipeline mode everything between two syncs is one implicit
 * transaction: an error in a neighbour's statement would undo an INSERT that had already reported
 * COMMAND_OK.  So:
 *
 *   shared lane     read-only statements marked DB_SHARED.  Few connections, many fibers: what a
 *                   loop turn asks for goes out under one sync and one send, and comes back
 *                   together.  When one fails, those that were aborted with it are sent again,
 *                   each alone.
 *   exclusive lane  everything else, on a connection borrowed for the statement or the transaction.
 *                   Nothing is reported as done before its own sync or COMMIT came back.
 *
 * A fiber holds at most one connection (asserted).  Statements with a constant text are prepared
 * once per connection (off behind a pooler in transaction mode: APIUM_DB_PREPARE).  Values travel
 * as text.  Sessions run with TimeZone UTC; a transaction that is idle for ten seconds is ended by
 * the server.
 *
 * A connection is a state machine (drawn in db-internal.h): lost ones come back with backoff and
 * full jitter.  A fiber that is cancelled or out of time leaves at once; its connection drains (a
 * cancel request is sent from a thread) and returns to the pool when idle.  While PostgreSQL is
 * away, calls wait within their deadline, at most two seconds, for a connection and then fail with
 * -E_UNAVAILABLE.
 *
 * Names are resolved by uv_getaddrinfo and passed as hostaddr: libpq's own resolver would block.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/arena.h"
#include "loop/fiber.h"

struct db;

struct db_options {
	const char *url; /* postgresql://… or "key=value …" */
	unsigned shared; /* connections per lane */
	unsigned exclusive;
	bool is_prepared;        /* named statements */
	const char *application; /* application_name */
	/*
	 * A channel to LISTEN on, or NULL; not behind a pooler in transaction mode.  The first
	 * shared connection listens beside its reads.  on_listening says on the loop's stack when
	 * it begins (true) and when notices may be missed from now on (false): whoever keeps what
	 * notices would end must forget it then.
	 */
	const char *channel;
	void (*on_listening)(void *arg, bool is_listening);
	void (*on_notice)(void *arg, struct str payload);
	void *arg;
};

/* Returns at once; connections are made behind.  0 or -E_BAD_SETTING (the url). */
int db_open(struct loop *, const struct db_options *, struct db **ret) _must_check_;
/* All fibers that use it must have ended.  on_closed runs when the last socket is gone. */
void db_close(struct db *, void (*on_closed)(void *arg), void *arg);

enum db_lane { DB_EXCLUSIVE, DB_SHARED };

/*
 * A statement, usually `static const`.  Unless `is_varying` it is prepared, and found again by the
 * place of its text: the same bytes must stay there.  DB_SHARED promises: one SELECT, cheap, no
 * side effects (the server refuses writes there).  COPY is refused.
 */
struct db_statement {
	struct str sql;
	enum db_lane lane;
	bool is_varying; /* text made per call: not prepared */
};

struct db_rows {
	int count; /* rows of a SELECT or RETURNING */
	int columns;
	int64_t affected; /* rows of INSERT, UPDATE, DELETE */
	void *_result;    /* PGresult, freed with the arena */
};

/* NULL is the absent str; a value lives as long as the arena, and is followed by a NUL. */
struct str db_get(const struct db_rows *, int row, int column);
static inline bool db_is_null(const struct db_rows *rows, int row, int column)
{
	return str_is_null(db_get(rows, row, column));
}
bool db_get_bool(const struct db_rows *, int row, int column);
int64_t db_get_i64(const struct db_rows *, int row,
		   int column); /* must be an integer column, not null */
const char *db_column_name(const struct db_rows *, int column);

/* Parameters in order, as text; the absent str is NULL. */
#define DB_VALUES(...)                                                                             \
	(const struct str[]){ __VA_ARGS__ }, ARRAY_SIZE(((const struct str[]){ __VA_ARGS__ }))
#define DB_NO_VALUES NULL, 0

/*
 * One statement, alone.  0 with *ret_rows (which may be NULL); -E_UNIQUE, -E_FOREIGN_KEY,
 * -E_SERIALIZATION (also deadlock), -E_SQL (any other complaint; the SQLSTATE and message are the
 * reason), -E_UNAVAILABLE (no connection; or it broke while the statement was under way, so that
 * the outcome is unknown; or the server is short of something), -ECANCELED, -ETIMEDOUT.  After the
 * last two it may have run all the same.  Yields.
 */
int db_query(struct db *, struct arena *, const struct db_statement *, const struct str *values,
	     size_t count, struct db_rows *ret_rows) may_yield _must_check_;

/* What the server said last on this fiber's failed statement; valid until the fiber's next db
 * call. */
struct db_failure {
	char sqlstate[6];
	char constraint[64]; /* "" if none was named */
	char column[64];
	char message[256];
};
const struct db_failure *db_failure(struct db *);

/* A transaction on a borrowed connection.  READ COMMITTED.  BEGIN leaves together with the first
 * statement.  Stays where it is from db_begin to its end: the connection points back at it. */
struct db_tx {
	struct db *db;
	struct db_connection *_connection; /* NULL: not open */
	bool has_begun;
	bool has_failed; /* only rollback is possible */
};
/* clang-format off */
#define DB_TX_INIT { NULL, NULL, false, false }
/* clang-format on */

int db_begin(struct db *, struct db_tx *ret) may_yield _must_check_;
int db_tx_query(struct db_tx *, struct arena *, const struct db_statement *,
		const struct str *values, size_t count, struct db_rows *ret_rows)
	may_yield _must_check_;
/* Shielded for a bounded time: once COMMIT was sent its outcome is awaited (five seconds; so not
 * to be called inside of a shield).  -E_UNAVAILABLE: unknown.  The transaction is over on
 * success; a transaction without a statement costs nothing. */
int db_commit(struct db_tx *) may_yield _must_check_;
/* Rolls back what was not committed and gives the connection back; the cleanup of a struct db_tx.
 * Does not yield: the connection drains behind. */
void db_tx_end(struct db_tx *);

/* Either a transaction or the pool: lets one function serve both. */
struct db_at {
	struct db *db;
	struct db_tx *tx; /* NULL: a statement of its own */
};
int db_at_query(struct db_at, struct arena *, const struct db_statement *, const struct str *values,
		size_t count, struct db_rows *ret_rows) may_yield _must_check_;

/* Counted since db_open; for /metrics, Server-Timing and tests. */
struct db_stats {
	uint64_t statements, shared_statements, syncs, resent, transactions, reconnects;
	uint64_t waits; /* calls of the exclusive lane that found no idle connection */
	unsigned ready_shared, ready_exclusive;
	unsigned lent; /* to a fiber, or not yet recovered from one that left early */
};
void db_stats(const struct db *, struct db_stats *ret);
/* SELECT 1 within the deadline; for /readyz.  Yields. */
int db_ping(struct db *) may_yield _must_check_;

#endif
