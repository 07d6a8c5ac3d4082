#include "base/error.h"
#include "base/live.h"
#include "base/world.h"
#include "db/db-internal.h"

/* The protocol counts parameters in sixteen bits. */
#define MOST_VALUES 65535

static bool has_nul(const struct str *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (values[i].len > 0 && memchr(values[i].at, '\0', values[i].len) != NULL)
			return true;
	return false;
}

int db_call_init(struct db *db, struct db_call *call, const struct db_statement *statement,
		 const struct str *values, size_t count)
{
	OBJ_CHECK(db, DB_MAGIC);
	must(count <= MOST_VALUES);
	*call = (struct db_call){ .statement = statement, .values = values, .count = count };
	waiter_init(&call->waiter);
	list_init(&call->link);
	if (has_nul(values, count)) {
		/* Values travel as C strings; the server would say the same. */
		call->error = -E_SQL;
		call->has_failure = true;
		call->failure = (struct db_failure){
			.sqlstate = "22021",
			.message = "invalid byte sequence for encoding \"UTF8\": 0x00",
		};
		return db_failure_report(db, call);
	}
	return fiber_check();
}

/* The fiber leaves before its answer. */
static void leave(struct db_call *call)
{
	struct db_connection *c = call->connection;

	if (!list_is_empty(&call->link)) {
		list_remove(&call->link);
		return;
	}
	must(c != NULL);
	db_pipeline_forget(c, call);
	if (c->pool->kind == DB_SHARED) {
		db_watch_abandoned(c);
		return;
	}
	c->current = NULL;
	db_drain(c);
}

static int park_patiently(struct db_call *call, const char *why)
{
	FIBER_DEADLINE(DB_PATIENCE);

	waiter_init(&call->waiter); /* anew: running out of patience was a wake too */
	return fiber_park(&call->waiter, why);
}

/* A wait for a connection is no statement. */
static void tally(const struct db_call *call, usec_t began)
{
	fiber_tally_add(TALLY_DATABASE, call->statement != NULL, began);
}

static int run_in_pool(struct db_pool *pool, struct db_call *call, const char *why)
{
	bool is_hopeless = false;
	int r;

	db_pool_submit(pool, call);
	do {
		r = park_patiently(call, why);
		if (call->is_done)
			return call->error;
		if (r == -ETIMEDOUT &&
		    fiber_check() == 0) /* of patience, not of its own deadline */
			is_hopeless = !list_is_empty(&call->link) && db_pool_is_down(pool);
		else
			break;
	} while (!is_hopeless);
	leave(call);
	if (is_hopeless)
		return fail(-E_UNAVAILABLE, "database: no connection");
	return r;
}

int db_call_run(struct db_pool *pool, struct db_call *call, const char *why)
{
	usec_t began = now_monotonic();
	int r = run_in_pool(pool, call, why);

	tally(call, began);
	return r;
}

int db_call_run_current(struct db_connection *c, struct db_call *call, const char *why)
{
	usec_t began = now_monotonic();
	int r;

	db_pool_send_current(c, call);
	r = fiber_park(&call->waiter, why);
	tally(call, began);
	if (call->is_done)
		return call->error;
	leave(call);
	return r;
}

/* Rows that a command has changed; a SELECT has changed none. */
static int64_t affected_rows(PGresult *result)
{
	int64_t rows;

	if (strncmp(PQcmdStatus(result), "SELECT", strlen("SELECT")) == 0)
		return 0;
	/* "" for what does not count rows. */
	return str_to_i64(str_c(PQcmdTuples(result)), &rows) == 0 ? rows : 0;
}

static void result_clear(void *result)
{
	PQclear(result);
	live_add(LIVE_db_results, -1);
}

int db_call_result(struct db *db, struct db_call *call, struct arena *arena,
		   struct db_rows *ret_rows)
{
	PGresult *result = call->result;

	if (call->error < 0) {
		PQclear(result);
		return db_failure_report(db, call);
	}
	must(result != NULL);
	live_add(LIVE_db_results, 1);
	arena_defer(arena, result_clear, result);
	if (ret_rows == NULL)
		return 0;
	*ret_rows = (struct db_rows){
		.count = PQntuples(result),
		.columns = PQnfields(result),
		.affected = affected_rows(result),
		._result = result,
	};
	return 0;
}

int db_query(struct db *db, struct arena *arena, const struct db_statement *statement,
	     const struct str *values, size_t count, struct db_rows *ret_rows)
{
	struct db_call call;
	int r;

	r = db_call_init(db, &call, statement, values, count);
	if (r < 0)
		return r;
	call.is_single = statement->lane == DB_EXCLUSIVE;
	if (call.is_single) {
		must(!db_pool_has_borrower(&db->exclusive,
					   fiber_current())); /* it would wait for itself */
		r = db_call_run(&db->exclusive, &call, "database: statement");
	} else {
		r = db_call_run(&db->shared, &call, "database: read");
	}
	if (!call.is_done)
		return r;
	return db_call_result(db, &call, arena, ret_rows);
}

int db_at_query(struct db_at at, struct arena *arena, const struct db_statement *statement,
		const struct str *values, size_t count, struct db_rows *ret_rows)
{
	if (at.tx != NULL)
		return db_tx_query(at.tx, arena, statement, values, count, ret_rows);
	return db_query(at.db, arena, statement, values, count, ret_rows);
}

int db_ping(struct db *db)
{
	static const struct db_statement ping = { .sql = STR_INIT("SELECT 1"), .lane = DB_SHARED };
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	return db_query(db, &arena, &ping, DB_NO_VALUES, NULL);
}

/* Rows. */

struct str db_get(const struct db_rows *rows, int row, int column)
{
	int len;

	must(row >= 0 && row < rows->count && column >= 0 && column < rows->columns);
	len = PQgetlength(rows->_result, row, column);
	/* What has a length is not null. */
	if (len == 0 && PQgetisnull(rows->_result, row, column))
		return STR_NULL;
	return str_make(PQgetvalue(rows->_result, row, column), (size_t) len);
}

bool db_get_bool(const struct db_rows *rows, int row, int column)
{
	struct str value = db_get(rows, row, column);

	must(value.len == 1 && (value.at[0] == 't' || value.at[0] == 'f'));
	return value.at[0] == 't';
}

int64_t db_get_i64(const struct db_rows *rows, int row, int column)
{
	int64_t value;

	must(str_to_i64(db_get(rows, row, column), &value) == 0);
	return value;
}

const char *db_column_name(const struct db_rows *rows, int column)
{
	must(column >= 0 && column < rows->columns);
	return PQfname(rows->_result, column);
}
