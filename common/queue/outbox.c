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
			"parent_id, traceparent, canvas) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
	};
	_cleanup_(buf_fini) struct buf eta = BUF_INIT;
	struct db_rows rows;

	if (row->eta != 0)
		datetime_add_python(&eta, row->eta);
	return db_at_query(at, arena, &insert,
			   DB_VALUES(row->id, row->task, row->kwargs, row->queue, row->key,
				     row->eta != 0 ? buf_str(&eta) : STR_NULL,
				     arena_printf(arena, "%d", row->priority), row->root_id,
				     row->parent_id, row->traceparent, row->canvas),
			   &rows);
}

struct str outbox_queue(const struct outbox_row *row)
{
	const struct task *task = task_find(row->task);

	if (!str_is_null(row->queue))
		return row->queue;
	return task != NULL && task->queue != NULL ? str_c(task->queue) : STR("default");
}

/* Members of `canvas`, each a text or raw JSON of a message. */
#define MEMBER(name, member, is_text)                                                              \
	{                                                                                          \
		STR_INIT(name), offsetof(struct message_new, member), is_text                      \
	}
static const struct {
	struct str name;
	size_t offset;
	bool is_text;
} members[] = {
	MEMBER("args", args, false),
	MEMBER("embed", embed, false),
	MEMBER("group", group, true),
	MEMBER("timelimit", timelimit, false),
	MEMBER("shadow", shadow, true),
	MEMBER("reply_to", reply_to, true),
	MEMBER("stamped_headers", stamped_headers, false),
	MEMBER("stamps", stamps, false),
	MEMBER("headers", headers, false),
};
static const struct {
	struct str name;
	size_t offset;
} numbers[] = {
	{ STR_INIT("group_index"), offsetof(struct message_new, group_index) },
	{ STR_INIT("retries"), offsetof(struct message_new, retries) },
	{ STR_INIT("expires"), offsetof(struct message_new, expires) },
};

static void put_number(struct json_writer *w, struct str name, int64_t value)
{
	json_put_key(w, name);
	json_put_i64(w, value);
}

struct str outbox_canvas(struct arena *arena, const struct message_new *m, struct str chord,
			 int64_t chord_size)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct str value;

		memcpy(&value, (const char *) m + members[i].offset, sizeof(value));
		if (str_is_null(value))
			continue;
		json_put_key(&w, members[i].name);
		if (members[i].is_text)
			json_put_str(&w, value);
		else
			json_put_raw(&w, value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int64_t value;

		memcpy(&value, (const char *) m + numbers[i].offset, sizeof(value));
		put_number(&w, numbers[i].name, value);
	}
	if (m->ignores_result) {
		json_put_key(&w, STR("ignore_result"));
		json_put_bool(&w, true);
	}
	if (chord_size > 0) {
		json_put_key(&w, STR("chord"));
		json_put_str(&w, chord);
		put_number(&w, STR("chord_size"), chord_size);
	}
	json_end_object(&w);
	return arena_str(arena, buf_str(&out));
}

/* Back again. */
static int read_canvas(struct arena *arena, struct str text, struct message_new *m,
		       struct push *push)
{
	const struct json *chord, *size;
	struct json_error e;
	struct json *tree;

	if (str_is_null(text))
		return 0;
	if (json_parse(arena, text, JSON_PYTHON, KWARGS_DEPTH * 2, &tree, &e) < 0 ||
	    tree->type != JSON_OBJECT)
		return fail(-E_DROPPED, "the row's canvas is no JSON object");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const struct json *v = json_get(tree, members[i].name);
		struct str value;

		if (v == NULL || v->type == JSON_NULL ||
		    (members[i].is_text && v->type != JSON_STRING))
			continue;
		value = members[i].is_text ? json_text(arena, v) : json_raw(v);
		memcpy((char *) m + members[i].offset, &value, sizeof(value));
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		const struct json *v = json_get(tree, numbers[i].name);
		int64_t value;

		if (v != NULL && json_to_i64(v, &value) == 0)
			memcpy((char *) m + numbers[i].offset, &value, sizeof(value));
	}
	m->ignores_result = m->ignores_result || json_is_true(json_get(tree, STR("ignore_result")));
	chord = json_get(tree, STR("chord"));
	size = json_get(tree, STR("chord_size"));
	if (chord != NULL && chord->type == JSON_STRING && size != NULL &&
	    json_to_i64(size, &push->chord_size) == 0)
		push->chord = json_text(arena, chord);
	return 0;
}

static int check_arguments(struct arena *arena, const struct task *task, struct str args,
			   struct str kwargs)
{
	static const struct json none = { .type = JSON_ARRAY, .text = STR_INIT("[]") };
	struct json_error e;
	struct json *tree, *list = NULL;

	if (json_parse(arena, kwargs, JSON_PYTHON, KWARGS_DEPTH, &tree, &e) < 0)
		return fail(-E_DROPPED, "the arguments are no JSON: %s", e.sentence);
	if (tree->type != JSON_OBJECT)
		return fail(-E_DROPPED, "the arguments are no object");
	if (!str_is_null(args) &&
	    (json_parse(arena, args, JSON_PYTHON, KWARGS_DEPTH, &list, &e) < 0 ||
	     list->type != JSON_ARRAY))
		return fail(-E_DROPPED, "the positional arguments are no JSON array");
	if (task == NULL)
		return 0;
	return task_bind(arena, task, list == NULL ? &none : list, tree,
			 arena_zalloc(arena, task->arguments_size + 1));
}

int outbox_to_push(struct arena *arena, struct queue_book *book, const struct outbox_row *row,
		   enum task_durability durability, struct push *ret)
{
	const struct task *task = task_find(row->task);
	_cleanup_(buf_fini) struct buf message = BUF_INIT;
	const struct queue_keys *keys;
	struct message_new m;
	struct push push;
	int r;

	r = queue_book_find(book, outbox_queue(row), &keys);
	if (r < 0)
		return fail(-E_DROPPED, "%s", arena_printf(arena, "%s", fail_reason(r)).at);
	if (!str_is_null(row->key) && (row->key.len == 0 || row->key.len > MESSAGE_ID_MOST))
		return fail(-E_DROPPED, "the key has 1 to %d bytes, not %zu", MESSAGE_ID_MOST,
			    row->key.len);
	m = (struct message_new){
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
	};
	push = (struct push){
		.keys = keys,
		.id = row->id,
		.durability = durability,
		.priority = row->priority,
		.eta = row->eta,
	};
	r = read_canvas(arena, row->canvas, &m, &push);
	if (r == 0)
		r = check_arguments(arena, task, m.args, row->kwargs);
	if (r < 0)
		return r;
	message_write(&message, &m);
	push.message = arena_str(arena, buf_str(&message));
	*ret = push;
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
			"traceparent, created_at, canvas FROM job_outbox WHERE id = ANY($1::uuid[]) "
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
			.canvas = db_get(&rows, i, 11),
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
