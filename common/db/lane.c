#include "base/live.h"
#include "db/db-internal.h"

void db_call_finish(struct db_call *call, int error)
{
	must(!call->is_done && list_is_empty(&call->link));
	call->is_done = true;
	call->error = error;
	fiber_wake(&call->waiter, error);
}

bool db_lane_is_down(const struct db_lane *lane)
{
	for (unsigned i = 0; i < lane->count; i++)
		if (db_connection_is_up(&lane->connections[i]))
			return false;
	return true;
}

static bool is_lent(unsigned state)
{
	return state == DB_LENT || state == DB_DRAINING;
}

void db_lane_move(struct db_connection *c, enum db_connection_state to)
{
	int by = (int) is_lent(to) - (int) is_lent(c->sm.state);

	if (by != 0)
		live_add(LIVE_db_lent, by);
	c->db->stats.lent += (unsigned) by;
	list_remove(&c->idle);
	if (to == DB_READY && c->lane->kind == LANE_EXCLUSIVE)
		list_prepend(&c->lane->idle, &c->idle); /* the warmest is the next one */
	sm_move(&c->sm, to);
	if (to == DB_READY)
		flush_later(c->db->loop, &c->lane->flush);
}

void db_lane_give_back(struct db_connection *c)
{
	must(c->current == NULL && list_is_empty(&c->steps));
	c->tx = NULL;
	c->borrower = NULL;
	if (PQtransactionStatus(c->pg) == PQTRANS_IDLE)
		db_lane_move(c, DB_READY);
	else
		db_drain(c);
}

/* Lends an idle connection to a call, and sends its statement if it has one. */
static void lend(struct db_connection *c, struct db_call *call)
{
	db_lane_move(c, DB_LENT);
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
	struct db_lane *lane = container_of(f, struct db_lane, flush);

	while (!list_is_empty(&lane->waiting) && !list_is_empty(&lane->idle)) {
		struct db_call *call = list_entry(list_pop(&lane->waiting), struct db_call, link);

		lend(list_entry(list_first(&lane->idle), struct db_connection, idle), call);
	}
}

/* The connection with the least under way. */
static struct db_connection *choose(const struct db_lane *lane)
{
	struct db_connection *best = NULL;

	for (unsigned i = 0; i < lane->count; i++) {
		struct db_connection *c = &lane->connections[i];

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

/* Everything that was asked for in this turn leaves under one sync; what a neighbour has aborted before, each
 * under one of its own. */
static void shared_flush(struct flush *f)
{
	struct db_lane *lane = container_of(f, struct db_lane, flush);
	struct db_connection *c = choose(lane);
	struct db_call *call;

	if (c == NULL)
		return; /* asked again when one is ready */
	while ((call = pop_call(&lane->again)) != NULL)
		if (!db_pipeline_send(c, call) || !db_pipeline_sync(c))
			return;
	if (list_is_empty(&lane->waiting))
		return;
	while ((call = pop_call(&lane->waiting)) != NULL)
		if (!db_pipeline_send(c, call))
			return;
	(void) db_pipeline_sync(c); /* false: lost, and everybody was told */
}

void db_lane_init(struct db_lane *lane, struct db *db, enum db_lane_kind kind, unsigned count)
{
	*lane = (struct db_lane){ .db = db, .kind = kind, .count = count };
	list_init(&lane->waiting);
	list_init(&lane->again);
	list_init(&lane->idle);
	flush_init(&lane->flush, kind == LANE_SHARED ? shared_flush : exclusive_flush);
	lane->connections = arena_array(&db->arena, struct db_connection, count);
	for (unsigned i = 0; i < count; i++) {
		db_connection_init(&lane->connections[i], db, lane);
		db_connection_start(&lane->connections[i]);
	}
}

void db_lane_close(struct db_lane *lane)
{
	must(list_is_empty(&lane->waiting) && list_is_empty(&lane->again)); /* fibers end first */
	flush_cancel(&lane->flush);
	for (unsigned i = 0; i < lane->count; i++)
		db_connection_close(&lane->connections[i]);
}

void db_lane_submit(struct db_lane *lane, struct db_call *call)
{
	if (list_is_empty(&lane->idle) && lane->kind == LANE_EXCLUSIVE)
		lane->db->stats.waits++;
	list_append(&lane->waiting, &call->link);
	flush_later(lane->db->loop, &lane->flush);
}

void db_lane_again(struct db_lane *lane, struct db_call *call)
{
	list_append(&lane->again, &call->link);
	flush_later(lane->db->loop, &lane->flush);
}

void db_lane_send_current(struct db_connection *c, struct db_call *call)
{
	must(c->sm.state == DB_LENT && c->current == NULL);
	call->connection = c;
	c->current = call;
	c->is_current_sent = false;
	flush_later(c->db->loop, &c->flush);
}
