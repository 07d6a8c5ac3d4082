#include "base/live.h"
#include "base/metric.h"
#include "db/db-internal.h"

void db_call_finish(struct db_call *call, int error)
{
	must(!call->is_done && list_is_empty(&call->link));
	call->is_done = true;
	call->error = error;
	fiber_wake(&call->waiter, error);
}

bool db_pool_is_down(const struct db_pool *pool)
{
	for (unsigned i = 0; i < pool->count; i++)
		if (db_connection_is_up(&pool->connections[i]))
			return false;
	return true;
}

bool db_pool_has_borrower(const struct db_pool *pool, const struct fiber *fiber)
{
	for (unsigned i = 0; i < pool->count; i++)
		if (pool->connections[i].borrower == fiber)
			return true;
	return false;
}

static bool is_lent(unsigned state)
{
	return state == DB_LENT || state == DB_DRAINING;
}

void db_pool_move(struct db_connection *c, enum db_connection_state to)
{
	int by = (int) is_lent(to) - (int) is_lent(c->sm.state);

	if (by != 0)
		live_add(LIVE_db_lent, by);
	c->db->stats.lent += (unsigned) by;
	list_remove(&c->idle);
	if (to == DB_READY && c->pool->kind == DB_EXCLUSIVE)
		list_prepend(&c->pool->idle, &c->idle); /* the warmest is the next one */
	sm_move(&c->sm, to);
	if (to == DB_READY)
		flush_later(c->db->loop, &c->pool->flush);
}

void db_pool_give_back(struct db_connection *c)
{
	must(c->current == NULL && list_is_empty(&c->steps));
	c->tx = NULL;
	c->borrower = NULL;
	if (PQtransactionStatus(c->pg) == PQTRANS_IDLE)
		db_pool_move(c, DB_READY);
	else
		db_drain(c);
}

/* Lends an idle connection to a call, and sends its statement if it has one. */
static void lend(struct db_connection *c, struct db_call *call)
{
	db_pool_move(c, DB_LENT);
	call->connection = c;
	c->current = call;
	if (call->statement == NULL) {
		call->is_done = true;
		fiber_wake(&call->waiter, 0); /* `current` stays until the fiber has taken it */
		return;
	}
	c->is_current_sent = true;
	if (db_pipeline_send(c, call))
		(void) db_pipeline_sync(c); /* false: lost, and everybody was told */
}

static void exclusive_flush(struct flush *f)
{
	struct db_pool *pool = container_of(f, struct db_pool, flush);

	while (!list_is_empty(&pool->waiting) && !list_is_empty(&pool->idle)) {
		struct db_call *call = list_entry(list_pop(&pool->waiting), struct db_call, link);

		lend(list_entry(list_first(&pool->idle), struct db_connection, idle), call);
	}
}

/* The connection with the least under way. */
static struct db_connection *choose(const struct db_pool *pool)
{
	struct db_connection *best = NULL;

	for (unsigned i = 0; i < pool->count; i++) {
		struct db_connection *c = &pool->connections[i];

		if (c->sm.state == DB_READY && (best == NULL || c->step_count < best->step_count))
			best = c;
	}
	return best;
}

static struct db_call *pop_call(struct list *calls)
{
	struct list *l = list_pop(calls);

	return l == NULL ? NULL : list_entry(l, struct db_call, link);
}

/* Everything that was asked for in this turn leaves under one sync; what a neighbour has aborted
 * before, each under one of its own. */
static void shared_flush(struct flush *f)
{
	struct db_pool *pool = container_of(f, struct db_pool, flush);
	struct db_connection *c = choose(pool);
	struct db_call *call;

	if (c == NULL)
		return; /* asked again when one is ready */
	while ((call = pop_call(&pool->again)) != NULL)
		if (!db_pipeline_send(c, call) || !db_pipeline_sync(c))
			return;
	if (list_is_empty(&pool->waiting))
		return;
	while ((call = pop_call(&pool->waiting)) != NULL)
		if (!db_pipeline_send(c, call))
			return;
	(void) db_pipeline_sync(c); /* false: lost, and everybody was told */
}

void db_pool_init(struct db_pool *pool, struct db *db, enum db_lane kind, unsigned count)
{
	*pool = (struct db_pool){ .db = db, .kind = kind, .count = count };
	list_init(&pool->waiting);
	list_init(&pool->again);
	list_init(&pool->idle);
	flush_init(&pool->flush, kind == DB_SHARED ? shared_flush : exclusive_flush);
	pool->connections = arena_array(&db->arena, struct db_connection, count);
	for (unsigned i = 0; i < count; i++) {
		db_connection_init(&pool->connections[i], db, pool);
		db_connection_start(&pool->connections[i]);
	}
}

void db_pool_close(struct db_pool *pool)
{
	must(list_is_empty(&pool->waiting) && list_is_empty(&pool->again)); /* fibers end first */
	flush_cancel(&pool->flush);
	for (unsigned i = 0; i < pool->count; i++)
		db_connection_close(&pool->connections[i]);
}

void db_pool_submit(struct db_pool *pool, struct db_call *call)
{
	if (list_is_empty(&pool->idle) && pool->kind == DB_EXCLUSIVE) {
		pool->db->stats.waits++;
		metric_add(METRIC_sql_waits, 1);
	}
	list_append(&pool->waiting, &call->link);
	flush_later(pool->db->loop, &pool->flush);
}

void db_pool_again(struct db_pool *pool, struct db_call *call)
{
	list_append(&pool->again, &call->link);
	flush_later(pool->db->loop, &pool->flush);
}

void db_pool_send_current(struct db_connection *c, struct db_call *call)
{
	must(c->sm.state == DB_LENT && c->current == NULL);
	call->connection = c;
	c->current = call;
	c->is_current_sent = false;
	flush_later(c->db->loop, &c->flush);
}
