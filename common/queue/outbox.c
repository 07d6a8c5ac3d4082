#include "queue/outbox.h"

#include <inttypes.h>

#include "base/datetime.h"
#include "base/error.h"
#include "base/json.h"
#include "base/uuid.h"
#include "queue/message.h"

#define KWARGS_DEPTH 200

int outbox_insert(struct db_at at, struct arena *arena, const struct outbox_row *row)
{
	static const struct db_statement insert = {
		.sql = STR_INIT(
			"INSERT INTO job_outbox (id, task, kwargs, queue, key, eta, priority, root_id, "
			"parent_id, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
	};
	_cleanup_(buf_fini) struct buf eta = BUF_INIT;
	struct db_rows rows;

	if (row->eta != 0)
		datetime_add_python(&eta, row->eta);
	return db_at_query(at, arena, &insert,
			   DB_VALUES(row->id, row->task, row->kwargs, row->queue, row->key,
				     row->eta != 0 ? buf_str(&eta) : STR_NULL,
				     arena_printf(arena, "%d", row->priority), row->root_id,
				     row->parent_id, row->traceparent),
			   &rows);
}

struct str outbox_queue(const struct outbox_row *row)
{
	const struct task *task = task_find(row->task);

	if (!str_is_null(row->queue))
		return row->queue;
	return task != NULL && task->queue != NULL ? str_c(task->queue) : STR("default");
}

static int check_arguments(struct arena *arena, const struct task *task, struct str kwargs)
{
	static const struct json none = { .type = JSON_ARRAY, .text = STR_INIT("[]") };
	struct json_error e;
	struct json *tree;

	if (json_parse(arena, kwargs, JSON_PYTHON, KWARGS_DEPTH, &tree, &e) < 0)
		return fail(-E_DROPPED, "the arguments are no JSON: %s", e.sentence);
	if (tree->type != JSON_OBJECT)
		return fail(-E_DROPPED, "the arguments are no object");
	if (task == NULL)
		return 0;
	return task_bind(arena, task, &none, tree, arena_zalloc(arena, task->arguments_size + 1));
}

int outbox_to_push(struct arena *arena, struct queue_book *book, const struct outbox_row *row,
		   enum task_durability durability, struct push *ret)
{
	const struct task *task = task_find(row->task);
	_cleanup_(buf_fini) struct buf message = BUF_INIT;
	const struct queue_keys *keys;
	int r;

	r = queue_book_find(book, outbox_queue(row), &keys);
	if (r < 0)
		return fail(-E_DROPPED, "%s", arena_printf(arena, "%s", fail_reason(r)).at);
	if (!str_is_null(row->key) && (row->key.len == 0 || row->key.len > MESSAGE_ID_MOST))
		return fail(-E_DROPPED, "the key has 1 to %d bytes, not %zu", MESSAGE_ID_MOST,
			    row->key.len);
	r = check_arguments(arena, task, row->kwargs);
	if (r < 0)
		return r;
	message_write(&message, &(struct message_new){
					.task = row->task,
					.id = row->id,
					.kwargs = row->kwargs,
					.queue = keys->queue,
					.key = row->key,
					.root_id = row->root_id,
					.parent_id = row->parent_id,
					.traceparent = row->traceparent,
					.at = row->at,
					.eta = row->eta,
					.priority = row->priority,
					.ignores_result = task != NULL && task->ignores_result,
					.is_outbox = durability == TASK_OUTBOX,
				});
	*ret = (struct push){
		.keys = keys,
		.id = row->id,
		.message = arena_str(arena, buf_str(&message)),
		.durability = durability,
		.priority = row->priority,
		.eta = row->eta,
	};
	return 0;
}

int outbox_look(struct db *db, struct arena *arena, struct str after_at, struct str after_id,
		usec_t age, struct outbox_place **ret, size_t *ret_count)
{
	static const struct db_statement look = {
		.sql = STR_INIT("SELECT id, queue, task, created_at FROM job_outbox "
				"WHERE (created_at, id) > ($1::timestamptz, $2::uuid) "
				"AND created_at < now() - $3 * interval '1 microsecond' "
				"ORDER BY created_at, id LIMIT $4"),
		.lane = DB_SHARED,
	};
	struct db_rows rows;
	int r = db_query(db, arena, &look,
			 DB_VALUES(after_at, after_id, arena_printf(arena, "%" PRId64, age),
				   arena_printf(arena, "%d", OUTBOX_LOOK)),
			 &rows);

	if (r < 0)
		return r;
	*ret = arena_array(arena, struct outbox_place, rows.count + 1);
	*ret_count = (size_t) rows.count;
	for (int i = 0; i < rows.count; i++)
		(*ret)[i] = (struct outbox_place){ .id = db_get(&rows, i, 0),
						   .queue = db_get(&rows, i, 1),
						   .task = db_get(&rows, i, 2),
						   .at = db_get(&rows, i, 3) };
	return 0;
}

/* As PostgreSQL reads an array; ids that are none are left out. */
static struct str array_of(struct arena *arena, const struct str *ids, size_t count)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct uuid uuid;

	buf_add_byte(&out, '{');
	for (size_t i = 0; i < count; i++) {
		char text[UUID_TEXT + 1];

		if (uuid_parse(ids[i], &uuid) < 0)
			continue;
		uuid_format(&uuid, text);
		if (out.len > 1)
			buf_add_byte(&out, ',');
		buf_add_c(&out, text);
	}
	buf_add_byte(&out, '}');
	return arena_str(arena, buf_str(&out));
}

int outbox_lock(struct db_tx *tx, struct arena *arena, const struct str *ids, size_t count,
		struct outbox_row **ret, size_t *ret_count)
{
	static const struct db_statement lock = {
		.sql = STR_INIT(
			"SELECT id, task, kwargs, queue, key, eta, priority, root_id, parent_id, "
			"traceparent, created_at FROM job_outbox WHERE id = ANY($1::uuid[]) "
			"FOR UPDATE SKIP LOCKED")
	};
	struct db_rows rows;
	struct outbox_row *all;
	int r = db_tx_query(tx, arena, &lock, DB_VALUES(array_of(arena, ids, count)), &rows);

	if (r < 0)
		return r;
	all = arena_array(arena, struct outbox_row, rows.count + 1);
	for (int i = 0; i < rows.count; i++) {
		all[i] = (struct outbox_row){
			.id = db_get(&rows, i, 0),
			.task = db_get(&rows, i, 1),
			.kwargs = db_get(&rows, i, 2),
			.queue = db_get(&rows, i, 3),
			.key = db_get(&rows, i, 4),
			.priority = (int) db_get_i64(&rows, i, 6),
			.root_id = db_get(&rows, i, 7),
			.parent_id = db_get(&rows, i, 8),
			.traceparent = db_get(&rows, i, 9),
		};
		if ((!db_is_null(&rows, i, 5) &&
		     datetime_parse_pg(db_get(&rows, i, 5), &all[i].eta) < 0) ||
		    datetime_parse_pg(db_get(&rows, i, 10), &all[i].at) < 0)
			return fail(-E_SQL, "job_outbox: an eta or created_at that is no time");
	}
	*ret = all;
	*ret_count = (size_t) rows.count;
	return 0;
}

int outbox_delete(struct db_at at, struct arena *arena, const struct str *ids, size_t count)
{
	static const struct db_statement delete = {
		.sql = STR_INIT("DELETE FROM job_outbox WHERE id = ANY($1::uuid[])")
	};
	struct db_rows rows;

	return db_at_query(at, arena, &delete, DB_VALUES(array_of(arena, ids, count)), &rows);
}
