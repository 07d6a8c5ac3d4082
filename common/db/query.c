#include "base/error.h"
#include "base/live.h"
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
	if (c->lane->kind == LANE_SHARED) {
		db_watch_abandoned(c);
		return;
	}
	c->current = NULL;
	db_drain(c);
}

int db_call_run(struct db_lane *lane, struct db_call *call, const char *why)
{
	int r;

	db_lane_submit(lane, call);
	for (;;) {
		FIBER_DEADLINE(DB_PATIENCE);

		r = fiber_park(&call->waiter, why);
		if (call->is_done || r != -ETIMEDOUT)
			break;
		if (!list_is_empty(&call->link) && db_lane_is_down(lane))
			break;
		fiber_scope_end(&fiber_scope_here);
		if (fiber_check() < 0)
			break;
	}
	...
}
