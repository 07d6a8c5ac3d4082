#include <stdlib.h>

#include "base/error.h"
#include "db/db-internal.h"

int db_open(struct loop *loop, const struct db_options *options, struct db **ret)
{
	struct db *db = calloc(1, sizeof(*db));
	int r;

	must(db != NULL);
	must(options->shared > 0 && options->exclusive > 0);
	arena_init(&db->arena);
	r = db_conninfo_parse(&db->arena, options->url, options->application, &db->conninfo);
	if (r < 0) {
		arena_fini(&db->arena);
		free(db);
		return r;
	}
	db->magic = DB_MAGIC;
	db->loop = loop;
	db->is_prepared = options->is_prepared;
	if (options->channel != NULL)
		db->listen = (char *) arena_printf(&db->arena, "LISTEN %s", options->channel).at;
	db->on_listening = options->on_listening;
	db->on_notice = options->on_notice;
	db->notice_arg = options->arg;
	list_init(&db->spare_steps);
	list_init(&db->failures);
	arena_init(&db->scratch);
	(void) arena_alloc(&db->scratch, 1); /* its first chunk stays over all rewinds */
	db->scratch_start = arena_save(&db->scratch);
	db->anchor = calloc(1, sizeof(*db->anchor));
	must(db->anchor != NULL);
	must(uv_idle_init(loop_uv(loop), db->anchor) == 0);
	db->anchor->data = db;
	db->closings = 1;
	db_pool_init(&db->shared, db, DB_SHARED, options->shared);
	db_pool_init(&db->exclusive, db, DB_EXCLUSIVE, options->exclusive);
	*ret = db;
	return 0;
}

void db_closing_ended(struct db *db)
{
	void (*on_closed)(void *) = db->on_closed;
	void *arg = db->on_closed_arg;

	must(db->closings > 0);
	if (--db->closings > 0)
		return;
	for (struct list *l; (l = list_pop(&db->spare_steps)) != NULL;)
		free(list_entry(l, struct db_step, link));
	db_failure_fini(db);
	arena_fini(&db->scratch);
	arena_fini(&db->arena);
	db->magic = 0;
	free(db);
	if (on_closed != NULL)
		on_closed(arg);
}

static void anchor_on_closed(uv_handle_t *handle)
{
	struct db *db = handle->data;

	free(handle);
	db_closing_ended(db);
}

void db_close(struct db *db, void (*on_closed)(void *), void *arg)
{
	OBJ_CHECK(db, DB_MAGIC);
	must(!db->is_closing);
	db->is_closing = true;
	db->on_closed = on_closed;
	db->on_closed_arg = arg;
	db_pool_close(&db->shared);
	db_pool_close(&db->exclusive);
	uv_close((uv_handle_t *) db->anchor, anchor_on_closed);
}

static unsigned count_ready(const struct db_pool *pool)
{
	unsigned ready = 0;

	for (unsigned i = 0; i < pool->count; i++)
		ready += pool->connections[i].sm.state == DB_READY;
	return ready;
}

void db_stats(const struct db *db, struct db_stats *ret)
{
	*ret = db->stats;
	ret->ready_shared = count_ready(&db->shared);
	ret->ready_exclusive = count_ready(&db->exclusive);
}
