#include "base/error.h"
#include "db/db-internal.h"

/* COMMIT waits for the disk; a server that needs longer than this is in trouble. */
#define COMMIT_PATIENCE (5 * SEC)

int db_begin(struct db *db, struct db_tx *ret)
{
	struct fiber *me = fiber_current();
	struct db_connection *c;
	struct db_call call;
	int r;

	must(!db_pool_has_borrower(&db->exclusive, me)); /* it would wait for itself */
	r = db_call_init(db, &call, NULL, DB_NO_VALUES);
	if (r < 0)
		return r;
	r = db_call_run(&db->exclusive, &call, "database: connection");
	if (r < 0)
		return r;
	c = call.connection;
	if (c == NULL)
		return fail(-E_UNAVAILABLE, "database: the connection was lost");
	*ret = (struct db_tx){ .db = db, ._connection = c };
	c->current = NULL; /* was `call` */
	c->tx = ret;
	c->borrower = me;
	return 0;
}

/* After a failure nothing but the end is possible.  A connection that still works waits for it. */
static int failed(struct db_tx *tx, int error)
{
	tx->has_failed = true;
	return error;
}

/* Runs one statement on the transaction's connection.  A fiber that leaves early leaves it for
 * good. */
static int run(struct db_tx *tx, struct db_call *call, const char *why)
{
	struct db_connection *c = tx->_connection;
	int r;

	must(c->tx == tx && c->sm.state == DB_LENT);
	call->has_begin = !tx->has_begun;
	tx->has_begun = true;
	r = db_call_run_current(c, call, why);
	if (!call->is_done)
		tx->_connection = NULL; /* draining */
	return r;
}

int db_tx_query(struct db_tx *tx, struct arena *arena, const struct db_statement *statement,
		const struct str *values, size_t count, struct db_rows *ret_rows)
{
	struct db_call call;
	int r;

	must(tx->db != NULL);
	if (tx->has_failed)
		return fail(-E_SQL, "database: the transaction has failed before");
	r = db_call_init(tx->db, &call, statement, values, count);
	if (r < 0)
		return failed(tx, r);
	r = run(tx, &call, "database: statement");
	if (!call.is_done)
		return failed(tx, r);
	r = db_call_result(tx->db, &call, arena, ret_rows);
	return r < 0 ? failed(tx, r) : 0;
}

/* The server answers COMMIT with ROLLBACK when the transaction had failed. */
static int commit_result(struct db *db, struct db_call *call)
{
	_cleanup_(arena_fini) struct arena arena;
	struct db_rows rows;
	int r;

	arena_init(&arena);
	r = db_call_result(db, call, &arena, &rows);
	if (r < 0)
		return r;
	if (strcmp(PQcmdStatus(rows._result), "COMMIT") != 0)
		return fail(-E_SQL, "database: COMMIT was answered with %s",
			    PQcmdStatus(rows._result));
	return 0;
}

int db_commit(struct db_tx *tx)
{
	static const struct db_statement commit = { .sql = STR_INIT("COMMIT") };
	struct db_call call;
	int r;

	must(tx->db != NULL);
	if (tx->has_failed)
		return fail(-E_SQL, "database: the transaction has failed before");
	r = db_call_init(tx->db, &call, &commit, DB_NO_VALUES);
	if (r < 0)
		return failed(tx, r);
	if (tx->has_begun) {
		FIBER_SHIELD(COMMIT_PATIENCE);

		r = run(tx, &call, "database: commit");
		if (!call.is_done)
			return failed(tx,
				      fail(-E_UNAVAILABLE, "database: COMMIT was not answered"));
		r = commit_result(tx->db, &call);
	}
	if (r < 0)
		return failed(tx, r);
	db_tx_end(tx);
	return 0;
}

void db_tx_end(struct db_tx *tx)
{
	struct db_connection *c = tx->_connection;

	tx->_connection = NULL;
	if (c != NULL) {
		must(c->tx == tx);
		db_pool_give_back(c);
	}
}
