#include <stdlib.h>

#include "base/error.h"
#include "base/metric.h"
#include "db/db-internal.h"

/*
 * libpq's pipeline mode.  Every statement is a step or two (its preparation, itself), every sync is
 * one, and results come back in their order; libpq ends the results of a statement, not those of a
 * sync, with NULL. Between two syncs all is one implicit transaction: behind a failed step the
 * server skips to the sync and libpq reports the skipped ones as aborted.
 */

#define MOST_SPARE_STEPS 1024
/* Sent at most this often: after a neighbour's error, a lost name, a stray cancel. */
#define MOST_SENDINGS    4

static struct db_step *step_push(struct db_connection *c, enum db_step_kind kind,
				 struct db_call *call)
{
	struct list *l = list_pop(&c->db->spare_steps);
	struct db_step *step;

	if (l != NULL) {
		c->db->spare_count--;
		step = list_entry(l, struct db_step, link);
	} else {
		step = malloc(sizeof(*step));
		must(step != NULL);
	}
	*step = (struct db_step){ .kind = kind, .call = call };
	list_init(&step->link);
	list_append(&c->steps, &step->link);
	c->step_count++;
	return step;
}

static void step_pop(struct db_connection *c, struct db_step *step)
{
	list_remove(&step->link);
	c->step_count--;
	if (c->watched == step)
		c->watched = NULL; /* its memory is used again */
	if (c->db->spare_count == MOST_SPARE_STEPS) {
		free(step);
		return;
	}
	c->db->spare_count++;
	list_prepend(&c->db->spare_steps, &step->link);
}

void db_pipeline_clear(struct db_connection *c)
{
	for (struct list *l; (l = list_first(&c->steps)) != NULL;) {
		struct db_step *step = list_entry(l, struct db_step, link);
		struct db_call *call = step->call;

		if (call != NULL) {
			db_pipeline_forget(c, call);
			db_call_finish(call, -E_UNAVAILABLE);
		}
		step_pop(c, step);
	}
}

void db_pipeline_forget(struct db_connection *c, const struct db_call *call)
{
	list_for_each (l, &c->steps) {
		struct db_step *step = list_entry(l, struct db_step, link);

		if (step->call != call)
			continue;
		step->call = NULL;
		if (step->kind == STEP_STATEMENT)
			return; /* the last of its steps: usually the first of all */
	}
}

/* Out. */

static bool sent(struct db_connection *c, int libpq_result)
{
	if (libpq_result == 1)
		return true;
	db_connection_lose(c, PQerrorMessage(c->pg));
	return false;
}

bool db_pipeline_send_plain(struct db_connection *c, enum db_step_kind kind, const char *sql)
{
	if (!sent(c, PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0)))
		return false;
	(void) step_push(c, kind, NULL);
	return true;
}

static const char *const *values_for_libpq(struct arena *scratch, const struct db_call *call)
{
	const char **values = arena_array(scratch, const char *, call->count);

	for (size_t i = 0; i < call->count; i++)
		values[i] = str_is_null(call->values[i]) ? NULL : arena_c(scratch, call->values[i]);
	return values;
}

static bool send_statement(struct db_connection *c, struct db_call *call, struct arena *scratch)
{
	struct str sql = call->statement->sql;
	const char *const *values = values_for_libpq(scratch, call);
	bool is_named = c->db->is_prepared && !call->statement->is_varying;
	struct db_prepared *p = is_named ? db_prepared_find(&c->prepared, sql) : NULL;
	int count = (int) call->count;
	struct db_step *step;

	if (p == NULL) {
		if (!sent(c, PQsendQueryParams(c->pg, arena_c(scratch, sql), count, NULL, values,
					       NULL, NULL, 0)))
			return false;
		(void) step_push(c, STEP_STATEMENT, call);
		return true;
	}
	if (!p->is_known) {
		db_prepared_rename(&c->prepared, p);
		if (!sent(c, PQsendPrepare(c->pg, p->name, arena_c(scratch, sql), 0, NULL)))
			return false;
		p->is_known = true;
		step = step_push(c, STEP_PREPARE, call);
		step->prepared = p;
		step->prepared_serial = p->serial;
	}
	if (!sent(c, PQsendQueryPrepared(c->pg, p->name, count, values, NULL, NULL, 0)))
		return false;
	step = step_push(c, STEP_STATEMENT, call);
	step->prepared = p;
	step->prepared_serial = p->serial;
	return true;
}

static bool send_begin(struct db_connection *c, struct db_call *call)
{
	if (!db_pipeline_send_plain(c, STEP_BEGIN, "BEGIN ISOLATION LEVEL READ COMMITTED"))
		return false;
	list_entry(c->steps.prev, struct db_step, link)->call = call;
	/* Behind a pooler the session is somebody else's afterwards: connection.c. */
	if (!c->db->is_prepared) {
		if (!db_pipeline_send_plain(
			    c, STEP_BEGIN,
			    "SET LOCAL idle_in_transaction_session_timeout TO '10s'"))
			return false;
		list_entry(c->steps.prev, struct db_step, link)->call = call;
	}
	c->db->stats.transactions++;
	metric_add(METRIC_sql_transactions, 1);
	return true;
}

bool db_pipeline_send(struct db_connection *c, struct db_call *call)
{
	struct db *db = c->db;
	bool is_sent;

	call->connection = c;
	call->sendings++;
	call->error = 0;
	call->has_failure = false;
	db->stats.statements++;
	metric_add(METRIC_sql_statements, 1);
	if (c->pool->kind == DB_SHARED)
		db->stats.shared_statements++;
	is_sent = !call->has_begin || send_begin(c, call);
	is_sent = is_sent && send_statement(c, call, &db->scratch);
	arena_rewind(&db->scratch, db->scratch_start);
	if (!is_sent && !call->is_done)
		db_call_finish(call,
			       -E_UNAVAILABLE); /* lost before there was a step that points at it */
	return is_sent;
}

bool db_pipeline_sync(struct db_connection *c)
{
	/* Sends everything by itself, in one send if the socket takes it. */
	if (!sent(c, PQpipelineSync(c->pg)))
		return false;
	(void) step_push(c, STEP_SYNC, NULL);
	c->db->stats.syncs++;
	db_connection_flush(c);
	return true;
}

/* In. */

/* The server does not know the name, or what it stands for is out of date (a changed table). */
static bool is_stale_name(const struct db_step *step, const struct db_failure *failure)
{
	return step->kind == STEP_STATEMENT && step->prepared != NULL &&
	       (strcmp(failure->sqlstate, "26000") == 0 || strcmp(failure->sqlstate, "0A000") == 0);
}

static void forget_name(const struct db_step *step)
{
	if (step->prepared != NULL && step->prepared->serial == step->prepared_serial)
		step->prepared->is_known = false;
}

/* A cancel meant for another statement of the same connection may hit this one. */
static bool is_stray_cancel(const struct db_connection *c, const struct db_failure *failure)
{
	return c->pool->kind == DB_SHARED && strcmp(failure->sqlstate, "57014") == 0;
}

static void send_again(struct db_connection *c, struct db_call *call)
{
	db_pipeline_forget(c, call);
	c->db->stats.resent++;
	db_pool_again(c->pool, call);
}

static void step_failed(struct db_connection *c, struct db_step *step, const PGresult *result)
{
	struct db_call *call = step->call;
	bool may_repeat;

	if (step->kind == STEP_GREETING) {
		db_connection_lose(c, PQresultErrorMessage(result));
		return;
	}
	if (step->kind == STEP_PREPARE)
		forget_name(step);
	if (call == NULL)
		return; /* nobody waits; a failed ROLLBACK shows in the transaction's state */
	call->has_failure = true;
	call->error = db_failure_read(result, &call->failure);
	if (is_stale_name(step, &call->failure))
		forget_name(step);
	may_repeat = call->sendings < MOST_SENDINGS &&
		     (is_stale_name(step, &call->failure) || is_stray_cancel(c, &call->failure));
	if (c->pool->kind == DB_EXCLUSIVE) {
		call->is_repeated = may_repeat && call->is_single; /* at its sync */
	} else if (may_repeat) {
		send_again(c, call);
	} else {
		db_pipeline_forget(c, call);
		db_call_finish(call, call->error);
	}
}

static void step_aborted(struct db_connection *c, struct db_step *step)
{
	struct db_call *call = step->call;

	if (step->kind == STEP_PREPARE)
		forget_name(step);
	if (call == NULL || step->kind != STEP_STATEMENT || c->pool->kind == DB_EXCLUSIVE)
		return; /* exclusive: the step that failed has left its error in the call */
	if (call->sendings < MOST_SENDINGS) {
		send_again(c, call);
	} else {
		db_pipeline_forget(c, call);
		db_call_finish(call, -E_UNAVAILABLE);
	}
}

/* Takes the result if it is a statement's. */
static bool step_succeeded(struct db_connection *c, struct db_step *step, PGresult *result)
{
	struct db_call *call = step->call;

	if (call == NULL || step->kind != STEP_STATEMENT)
		return false;
	call->result = result;
	if (c->pool->kind == DB_SHARED) {
		/* A read: nothing that comes later can undo it. */
		db_pipeline_forget(c, call);
		db_call_finish(call, 0);
	}
	return true;
}

/* The sync of a statement of the exclusive lane: only now is it done, or undone. */
static void current_synced(struct db_connection *c)
{
	struct db_call *call = c->current;

	must(call != NULL);
	if (call->is_repeated) {
		call->is_repeated = false;
		c->db->stats.resent++;
		if (db_pipeline_send(c, call))
			(void) db_pipeline_sync(c); /* false: lost, and everybody was told */
		return;
	}
	c->current = NULL;
	if (call->is_single) {
		call->connection = NULL;
		db_pool_give_back(c);
	}
	if (call->error == 0 && call->result == NULL)
		call->error = -E_UNAVAILABLE; /* skipped, and not for an error of its own */
	db_call_finish(call, call->error);
}

static void synced(struct db_connection *c)
{
	switch (c->sm.state) {
	case DB_GREETING:
		db_connection_greeted(c);
		break;
	case DB_LENT:
		current_synced(c);
		break;
	case DB_DRAINING:
		db_drain_step(c);
		break;
	default:
		must(c->pool->kind == DB_SHARED);
	}
}

/* COPY and the like: they leave the connection in a state that only its end ends. */
static void refuse(struct db_connection *c, struct db_call *call)
{
	if (call != NULL) {
		call->has_failure = true;
		call->failure = (struct db_failure){
			.sqlstate = "0A000",
			.message = "COPY is not possible here",
		};
		db_pipeline_forget(c, call);
		c->current = NULL;
		db_call_finish(call, -E_SQL);
	}
	db_connection_lose(c, "a statement that is neither query nor command");
}

/* False: the connection is gone. */
static bool take(struct db_connection *c, struct db_step *step, PGresult *result)
{
	bool is_taken = false;

	step->has_result = true;
	switch (PQresultStatus(result)) {
	case PGRES_PIPELINE_SYNC:
		PQclear(result);
		must(step->kind == STEP_SYNC);
		step_pop(c, step);
		synced(c);
		return c->wire != NULL;
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		is_taken = step_succeeded(c, step, result);
		break;
	case PGRES_PIPELINE_ABORTED:
		step_aborted(c, step);
		break;
	case PGRES_FATAL_ERROR:
		if (PQstatus(c->pg) == CONNECTION_BAD)
			db_connection_lose(c, PQerrorMessage(c->pg));
		else
			step_failed(c, step, result);
		break;
	default:
		refuse(c, step->call);
	}
	if (!is_taken)
		PQclear(result);
	return c->wire != NULL;
}

void db_pipeline_receive(struct db_connection *c)
{
	bool was_null = false;

	/* Asked also when nothing is under way: libpq takes in what the server says by itself. */
	while (c->wire != NULL && !PQisBusy(c->pg) && !list_is_empty(&c->steps)) {
		struct db_step *step = list_entry(list_first(&c->steps), struct db_step, link);
		PGresult *result = PQgetResult(c->pg);

		if (result != NULL) {
			was_null = false;
			if (!take(c, step, result))
				return;
		} else if (step->has_result) {
			step_pop(c, step);
		} else if (was_null) {
			db_connection_lose(c, "libpq has lost a result");
			return;
		} else {
			was_null = true;
		}
	}
}
