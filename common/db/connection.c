#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/world.h"
#include "db/db-internal.h"

/* Waits between attempts: random in [0, min(MOST, FIRST * 2^failures)). */
#define BACKOFF_FIRST   (50 * MSEC)
#define BACKOFF_MOST    (2 * SEC)
/* Ready for this long counts as healed; a server that takes connections and ends them does not. */
#define STEADY          (5 * SEC)
#define ATTEMPT_TIMEOUT (5 * SEC)

/* clang-format off */
const struct sm_state db_connection_states[DB_STATE_COUNT] = {
	[DB_WAITING]    = { "waiting",    SM_TO(DB_RESOLVING) | SM_TO(DB_CLOSING) },
	[DB_RESOLVING]  = { "resolving",  SM_TO(DB_CONNECTING) | SM_TO(DB_WAITING) | SM_TO(DB_CLOSING) },
	[DB_CONNECTING] = { "connecting", SM_TO(DB_GREETING) | SM_TO(DB_WAITING) | SM_TO(DB_CLOSING) },
	[DB_GREETING]   = { "greeting",   SM_TO(DB_READY) | SM_TO(DB_WAITING) | SM_TO(DB_CLOSING) },
	[DB_READY]      = { "ready",      SM_TO(DB_LENT) | SM_TO(DB_WAITING) | SM_TO(DB_CLOSING) },
	[DB_LENT]       = { "lent",       SM_TO(DB_READY) | SM_TO(DB_DRAINING) | SM_TO(DB_WAITING) | SM_TO(DB_CLOSING) },
	[DB_DRAINING]   = { "draining",   SM_TO(DB_READY) | SM_TO(DB_WAITING) | SM_TO(DB_CLOSING) },
	[DB_CLOSING]    = { "closing",    0 },
};
/* clang-format on */

/* The watcher of one socket; freed by its close callback.  The socket is libpq's. */
struct db_wire {
	uv_poll_t poll;
	struct db_connection *connection;
	int events;
};

/* Looks the names of one attempt up, one after the other.  Outlives a connection that is closed
 * meanwhile. */
struct db_lookup {
	uv_getaddrinfo_t req;
	struct db_connection *connection;
	struct arena arena;
	struct db_addresses addresses;
	size_t host;
	int error; /* of the last name that was not found */
};

static void wire_on_ready(uv_poll_t *poll, int status, int events);
static void attempt(struct db_connection *c);

static void connection_invariant(const struct sm *sm)
{
	const struct db_connection *c = container_of(sm, struct db_connection, sm);
	bool is_idle = sm->state == DB_READY && c->pool->kind == DB_EXCLUSIVE;

	must(is_idle == !list_is_empty(&c->idle));
	must(!is_idle || (list_is_empty(&c->steps) && c->current == NULL && c->cancel == NULL));
	must(sm->state == DB_LENT || c->tx == NULL);
	must((sm->state >= DB_GREETING && sm->state <= DB_DRAINING) == (c->wire != NULL) ||
	     sm->state == DB_CONNECTING);
}

static void on_flush(struct flush *f)
{
	struct db_connection *c = container_of(f, struct db_connection, flush);

	OBJ_CHECK(c, DB_CONNECTION_MAGIC);
	if (c->sm.state == DB_DRAINING) {
		db_drain_step(c);
	} else if (c->current != NULL && !c->is_current_sent) {
		c->is_current_sent = true;
		if (db_pipeline_send(c, c->current))
			(void) db_pipeline_sync(c); /* false: lost, and everybody was told */
	}
}

void db_connection_init(struct db_connection *c, struct db *db, struct db_pool *pool)
{
	*c = (struct db_connection){ .magic = DB_CONNECTION_MAGIC, .db = db, .pool = pool };
	list_init(&c->idle);
	list_init(&c->steps);
	db_prepared_init(&c->prepared);
	flush_init(&c->flush, on_flush);
	sm_init(&c->sm, "db connection", db_connection_states, DB_STATE_COUNT, DB_WAITING,
		connection_invariant);
}

bool db_connection_is_up(const struct db_connection *c)
{
	return c->sm.state == DB_READY || c->sm.state == DB_LENT || c->sm.state == DB_DRAINING;
}

/* The socket's watcher. */

static void wire_on_closed(uv_handle_t *handle)
{
	struct db_wire *w = handle->data;
	struct db *db = w->connection->db;

	free(w);
	db_closing_ended(db);
}

static void wire_drop(struct db_connection *c)
{
	struct db_wire *w = c->wire;

	if (w == NULL)
		return;
	c->wire = NULL;
	c->db->closings++;
	uv_close((uv_handle_t *) &w->poll, wire_on_closed);
}

static void wire_watch(struct db_wire *w, int events)
{
	if (w->events == events)
		return; /* each start costs libuv two system calls */
	w->events = events;
	must(uv_poll_start(&w->poll, events, wire_on_ready) ==
	     0); /* fails only on a closing handle */
}

/* libpq may have another socket after every step of connecting, even under the same number; so
 * each step gets a watcher of its own. */
static int wire_open(struct db_connection *c, int events)
{
	struct db_wire *w = calloc(1, sizeof(*w));
	int e;

	must(w != NULL);
	e = uv_poll_init(loop_uv(c->db->loop), &w->poll, PQsocket(c->pg));
	if (e < 0) {
		free(w);
		return e;
	}
	w->poll.data = w;
	w->connection = c;
	c->wire = w;
	wire_watch(w, events);
	return 0;
}

void db_connection_flush(struct db_connection *c)
{
	/* A failed write shows as a failed read, with what the server had to say before. */
	wire_watch(c->wire, PQflush(c->pg) == 1 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* Loss. */

static void on_wait_over(struct timer *t)
{
	attempt(container_of(t, struct db_connection, timer));
}

/* Whoever waits for this connection hears that its outcome is unknown. */
static void abandon_all(struct db_connection *c)
{
	struct db_call *current = c->current;

	c->current = NULL;
	c->borrower = NULL;
	if (c->tx != NULL) {
		c->tx->_connection = NULL;
		c->tx->has_failed = true;
		c->tx = NULL;
	}
	if (current != NULL)
		current->connection = NULL;
	db_pipeline_clear(c); /* ends the calls that are under way */
	if (current != NULL && !current->is_done)
		db_call_finish(current, -E_UNAVAILABLE);
}

static void end_session(struct db_connection *c, enum db_connection_state next)
{
	timer_stop(&c->timer);
	flush_cancel(&c->flush);
	wire_drop(c); /* before libpq closes the socket */
	PQfinish(c->pg);
	c->pg = NULL;
	db_cancel_orphan(c);
	abandon_all(c);
	db_prepared_clear(&c->prepared);
	c->watched = NULL;
	c->has_rolled_back = false;
	db_pool_move(c, next);
}

void db_connection_lose(struct db_connection *c, const char *why)
{
	struct db *db = c->db;
	usec_t now = loop_now(db->loop), most;
	bool was_up = db_connection_is_up(c);

	if (was_up && db_connection_listens(c))
		db->on_listening(db->notice_arg, false);
	if (!db->is_loss_told)
		log_warn("database: %.*s, reconnecting", (int) strcspn(why, "\n"), why);
	db->is_loss_told = true;
	end_session(c, DB_WAITING); /* `why` may have been libpq's */
	if (was_up && now - c->ready_since >= STEADY)
		c->failures = 0;
	most = MIN(BACKOFF_MOST, BACKOFF_FIRST << MIN(c->failures, 16u));
	c->failures++;
	timer_start(db->loop, &c->timer, now + (usec_t) random_below((uint64_t) most),
		    on_wait_over);
}

void db_connection_close(struct db_connection *c)
{
	if (c->lookup != NULL)
		uv_cancel((uv_req_t *) &c->lookup
				  ->req); /* too late for one that runs: it ends by itself */
	end_session(c, DB_CLOSING);
}

/* Connecting. */

static void on_late(struct timer *t)
{
	db_connection_lose(container_of(t, struct db_connection, timer), "no connection in time");
}

static void ignore_notice(void *arg, const char *text)
{
	log_debug("database: %.*s", (int) strcspn(text, "\n"), text);
}

bool db_connection_listens(const struct db_connection *c)
{
	return c->db->listen != NULL && c == &c->db->shared.connections[0] && c->db->is_prepared;
}

void db_connection_take_notices(struct db_connection *c)
{
	PGnotify *notice;

	while (c->pg != NULL && (notice = PQnotifies(c->pg)) != NULL) {
		c->db->on_notice(c->db->notice_arg, str_c(notice->extra));
		PQfreemem(notice);
	}
}

/*
 * One statement sets what the rest of the program relies on.  Reads of the shared lane must not
 * write: the server holds them to it.  A transaction whose process was stopped, or whose machine is
 * gone, holds its locks for ten seconds and not until TCP gives up: whoever does its work anew waits
 * for the same rows.
 *
 * A pooler in transaction mode hands the session to others between two transactions.  It keeps a
 * client's TimeZone and DateStyle for it, wherever the next one runs (PgBouncer tracks what the
 * server reports); anything else would stay with a session that is not ours any more.  There the
 * transaction's own limit is set with each BEGIN (pipeline.c).
 */
static const char *greeting(const struct db_connection *c)
{
	if (!c->db->is_prepared)
		return "SELECT set_config('TimeZone', 'UTC', false), "
		       "set_config('DateStyle', 'ISO, YMD', false)";
	if (c->pool->kind == DB_SHARED)
		return "SELECT set_config('TimeZone', 'UTC', false), "
		       "set_config('DateStyle', 'ISO, YMD', false), "
		       "set_config('default_transaction_read_only', 'on', false)";
	return "SELECT set_config('TimeZone', 'UTC', false), "
	       "set_config('DateStyle', 'ISO, YMD', false), "
	       "set_config('idle_in_transaction_session_timeout', '10s', false)";
}

static void greet(struct db_connection *c)
{
	sm_move(&c->sm, DB_GREETING);
	if (PQsetnonblocking(c->pg, 1) != 0 || PQenterPipelineMode(c->pg) != 1) {
		db_connection_lose(c, PQerrorMessage(c->pg));
		return;
	}
	if (db_connection_listens(c) && !db_pipeline_send_plain(c, STEP_GREETING, c->db->listen))
		return; /* lost */
	if (db_pipeline_send_plain(c, STEP_GREETING, greeting(c)))
		(void) db_pipeline_sync(c); /* false: lost */
}

static void connect_step(struct db_connection *c)
{
	PostgresPollingStatusType status;
	int e;

	wire_drop(c);
	status = PQconnectPoll(c->pg);
	if (status == PGRES_POLLING_FAILED) {
		db_connection_lose(c, PQerrorMessage(c->pg));
		return;
	}
	e = wire_open(c, status == PGRES_POLLING_WRITING ? UV_WRITABLE : UV_READABLE);
	if (e < 0)
		db_connection_lose(c, uv_strerror(e));
	else if (status == PGRES_POLLING_OK)
		greet(c);
}

static void connect_start(struct db_connection *c, const struct db_addresses *addresses)
{
	const char *const *keywords, *const *values;
	int e;

	sm_move(&c->sm, DB_CONNECTING);
	timer_start(c->db->loop, &c->timer, loop_now(c->db->loop) + ATTEMPT_TIMEOUT, on_late);
	db_conninfo_params(&c->db->conninfo, addresses, c->failures, &keywords, &values);
	c->pg = PQconnectStartParams(keywords, values, 0);
	must(c->pg != NULL);
	PQsetNoticeProcessor(c->pg, ignore_notice, NULL);
	if (PQstatus(c->pg) == CONNECTION_BAD) {
		db_connection_lose(c, PQerrorMessage(c->pg));
		return;
	}
	e = wire_open(c, UV_WRITABLE);
	if (e < 0)
		db_connection_lose(c, uv_strerror(e));
}

void db_connection_greeted(struct db_connection *c)
{
	struct db *db = c->db;

	timer_stop(&c->timer);
	c->ready_since = loop_now(db->loop);
	if (c->has_been_ready) {
		db->stats.reconnects++;
		metric_add(METRIC_sql_reconnects, 1);
	}
	c->has_been_ready = true;
	if (db->is_loss_told)
		log_info("database: connected again");
	db->is_loss_told = false;
	if (db_connection_listens(c))
		db->on_listening(db->notice_arg, true);
	db_pool_move(c, DB_READY);
}

/* Looking up. */

static void lookup_free(struct db_lookup *lookup)
{
	lookup->connection->lookup = NULL;
	arena_fini(&lookup->arena);
	free(lookup);
}

static void lookup_next(struct db_lookup *lookup);

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct db_lookup *lookup = container_of(req, struct db_lookup, req);
	struct db_connection *c = lookup->connection;
	struct db *db = c->db;

	OBJ_CHECK(c, DB_CONNECTION_MAGIC);
	if (c->sm.state == DB_CLOSING) {
		lookup_free(lookup);
	} else {
		if (status < 0)
			lookup->error = status;
		else
			db_addresses_add(&lookup->addresses, &db->conninfo.hosts[lookup->host],
					 found);
		lookup->host++;
		lookup_next(lookup);
	}
	uv_freeaddrinfo(found); /* NULL is fine */
	db_closing_ended(db);
}

/* The next host of the url; after the last one, connects to what was found. */
static void lookup_next(struct db_lookup *lookup)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct db_connection *c = lookup->connection;
	const struct db_conninfo *info = &c->db->conninfo;

	for (; lookup->host < info->host_count; lookup->host++) {
		const struct db_host *host = &info->hosts[lookup->host];
		int e;

		if (!host->is_name) {
			db_addresses_add(&lookup->addresses, host, NULL);
			continue;
		}
		e = uv_getaddrinfo(loop_uv(c->db->loop), &lookup->req, on_found, host->name, NULL,
				   &hints);
		if (e == 0) {
			c->db->closings++;
			return;
		}
		lookup->error = e;
	}
	if (info->host_count > 0 && lookup->addresses.count == 0)
		db_connection_lose(c, uv_strerror(lookup->error));
	else
		connect_start(c, &lookup->addresses);
	lookup_free(lookup);
}

static void attempt(struct db_connection *c)
{
	struct db_lookup *lookup = calloc(1, sizeof(*lookup));

	must(lookup != NULL);
	sm_move(&c->sm, DB_RESOLVING);
	arena_init(&lookup->arena);
	db_addresses_init(&lookup->addresses, &lookup->arena);
	lookup->connection = c;
	c->lookup = lookup;
	lookup_next(lookup);
}

void db_connection_start(struct db_connection *c)
{
	/* Not from within db_open: its caller does not have the pointer yet. */
	timer_start(c->db->loop, &c->timer, loop_now(c->db->loop), on_wait_over);
}

static void wire_on_ready(uv_poll_t *poll, int status, int events)
{
	struct db_wire *w = poll->data;
	struct db_connection *c = w->connection;
	bool is_broken;

	OBJ_CHECK(c, DB_CONNECTION_MAGIC);
	if (c->sm.state == DB_CONNECTING) {
		connect_step(c);
		return;
	}
	if (status == 0 && (events & UV_WRITABLE))
		db_connection_flush(c);
	if (status == 0 && !(events & UV_READABLE))
		return;
	is_broken = PQconsumeInput(c->pg) == 0;
	db_pipeline_receive(c); /* what came before the end counts */
	db_connection_take_notices(c);
	if (c->wire == w && (is_broken || status < 0 || PQstatus(c->pg) == CONNECTION_BAD))
		db_connection_lose(c, PQerrorMessage(c->pg)[0] != '\0' ? PQerrorMessage(c->pg)
								       : "connection broken");
}
