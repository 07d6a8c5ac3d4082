#include <stdlib.h>

#include "base/log.h"
#include "db/db-internal.h"
#include "loop/offload.h"

/*
 * libpq 15 can cancel only by a blocking connection of its own, so a thread sends it.  A cancel
 * that is late would hit the next statement; so the connection is given back only when the cancel
 * has been sent and all that was under way has ended.  (A cancel that reaches an idle session does
 * nothing.)
 */

#define DRAIN_PATIENCE  (10 * SEC)
#define CANCEL_PATIENCE (10 * SEC)
/* How often the shared lane looks whether a statement without a fiber holds the others up. */
#define WATCH_INTERVAL  (100 * MSEC)

struct db_cancel {
	struct db *db;
	struct db_connection *connection; /* NULL: lost meanwhile */
	PGcancel *request;
	char why[256];
};

/* On a thread. */
static int cancel_send(void *arg)
{
	struct db_cancel *cancel = arg;

	return PQcancel(cancel->request, cancel->why, sizeof(cancel->why)) == 1 ? 0 : -EIO;
}

static int cancel_body(void *arg)
{
	return offload(offload_files(), cancel_send, arg);
}

static void cancel_ended(void *arg, int result)
{
	struct db_cancel *cancel = arg;
	struct db_connection *c = cancel->connection;
	struct db *db = cancel->db;

	if (result < 0)
		log_debug("database: a cancel was not delivered: %s", cancel->why);
	PQfreeCancel(cancel->request);
	free(cancel);
	if (c != NULL) {
		c->cancel = NULL;
		if (c->sm.state == DB_DRAINING)
			db_drain_step(c);
	}
	db_closing_ended(db);
}

void db_cancel_start(struct db_connection *c)
{
	struct db *db = c->db;
	struct db_cancel *cancel;
	struct fiber *fiber;

	if (c->cancel != NULL)
		return;
	cancel = calloc(1, sizeof(*cancel));
	must(cancel != NULL);
	*cancel = (struct db_cancel){ .db = db, .connection = c, .request = PQgetCancel(c->pg) };
	fiber = cancel->request == NULL
			? NULL
			: fiber_start(db->loop, "database cancel",
				      loop_now(db->loop) + CANCEL_PATIENCE, cancel_body, cancel);
	if (fiber == NULL) {
		/* Without one the statement ends by itself, or the connection is given up. */
		PQfreeCancel(cancel->request);
		free(cancel);
		return;
	}
	db->closings++;
	c->cancel = cancel;
	fiber_detach(fiber, cancel_ended, cancel);
}

void db_cancel_orphan(struct db_connection *c)
{
	if (c->cancel != NULL)
		c->cancel->connection = NULL;
	c->cancel = NULL;
}

static void drain_is_late(struct timer *t)
{
	db_connection_lose(container_of(t, struct db_connection, timer),
			   "a cancelled statement does not end");
}

/* Callable on a fiber: libpq is called from the flush. */
void db_drain(struct db_connection *c)
{
	must(c->current == NULL);
	c->tx = NULL;
	c->borrower = NULL;
	c->has_rolled_back = false;
	c->is_cancel_wanted = !list_is_empty(&c->steps);
	db_pool_move(c, DB_DRAINING);
	timer_start(c->db->loop, &c->timer, loop_now(c->db->loop) + DRAIN_PATIENCE, drain_is_late);
	flush_later(c->db->loop, &c->flush);
}

void db_drain_step(struct db_connection *c)
{
	must(c->sm.state == DB_DRAINING);
	if (c->is_cancel_wanted && !list_is_empty(&c->steps))
		db_cancel_start(c);
	c->is_cancel_wanted = false;
	if (!list_is_empty(&c->steps) || c->cancel != NULL)
		return;
	if (PQtransactionStatus(c->pg) == PQTRANS_IDLE) {
		timer_stop(&c->timer);
		flush_cancel(&c->flush);
		db_pool_move(c, DB_READY);
	} else if (c->has_rolled_back) {
		db_connection_lose(c, "a transaction cannot be rolled back");
	} else {
		c->has_rolled_back = true;
		if (db_pipeline_send_plain(c, STEP_ROLLBACK, "ROLLBACK"))
			(void) db_pipeline_sync(c); /* false: lost */
	}
}

/* Has a statement's fiber left, of those up to the next sync, or of all? */
static bool has_abandoned(const struct db_connection *c, bool is_next_sync)
{
	list_for_each (l, &c->steps) {
		const struct db_step *step = list_entry(l, struct db_step, link);

		if (step->kind == STEP_STATEMENT && step->call == NULL)
			return true;
		if (step->kind == STEP_SYNC && is_next_sync)
			return false;
	}
	return false;
}

/*
 * The server keeps the answers of a turn's reads back until their sync.  When nothing has come
 * between two looks, and one of those reads is nobody's any more, it is taken for the one that
 * holds up the lane.  If it was another one, that one is sent again, as are those that are aborted
 * with it.
 */
static void watch(struct timer *t)
{
	struct db_connection *c = container_of(t, struct db_connection, timer);
	const struct list *l = list_first(&c->steps);
	const struct db_step *first = l == NULL ? NULL : list_entry(l, struct db_step, link);

	if (first != NULL && first == c->watched && has_abandoned(c, true))
		db_cancel_start(c);
	c->watched = first;
	if (has_abandoned(c, false))
		timer_start(c->db->loop, t, loop_now(c->db->loop) + WATCH_INTERVAL, watch);
}

void db_watch_abandoned(struct db_connection *c)
{
	must(c->pool->kind == DB_SHARED);
	if (c->timer.loop == NULL)
		timer_start(c->db->loop, &c->timer, loop_now(c->db->loop) + WATCH_INTERVAL, watch);
}
