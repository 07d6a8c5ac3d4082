#include "queue/purge.h"

#include "base/error.h"
#include "queue/message.h"
#include "queue/outbox.h"

#define CHUNK 32

/*
 * KEYS list live, then a receipt for each message | for each message: the message, its id, or '' if it
 * did not come through the outbox.  Those that were still there; the youngest are looked for where they
 * lie, at the end from which a worker takes.
 */
static struct redis_script script_purge = {
	.name = "purge",
	.text = "local n = 0\n"
		"for i = 1, #ARGV, 2 do\n"
		"  if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then\n"
		"    n = n + 1\n"
		"    if ARGV[i + 1] ~= '' then\n"
		"      redis.call('SET', KEYS[2 + (i + 1) / 2], 'E', 'EX', 3600)\n"
		"      redis.call('HDEL', KEYS[2], ARGV[i + 1])\n"
		"    end\n"
		"  end\n"
		"end\n"
		"return n",
};

struct chunk {
	struct str words[2 + 3 * CHUNK];
	struct str rows[CHUNK]; /* ids of the outbox */
	size_t count, row_count;
};

static void add(struct chunk *c, struct arena *arena, const struct queue_keys *keys, struct str raw,
		size_t number, size_t count)
{
	_cleanup_(buf_fini) struct buf receipt = BUF_INIT;
	struct str id = STR("");
	struct message m;

	if (message_scan(raw, &m) == 0 && m.is_outbox && !str_is_null(m.text[MESSAGE_ID]))
		id = message_text(arena, &m, MESSAGE_ID);
	else
		fail_clear(); /* what cannot be read is thrown away as well */
	queue_key_receipt(&receipt, keys, id);
	c->words[2 + number] = arena_str(arena, buf_str(&receipt));
	c->words[2 + count + 2 * number] = raw;
	c->words[2 + count + 2 * number + 1] = id;
	if (id.len > 0)
		c->rows[c->row_count++] = id;
}

/* How many lay there; 0: the list is empty. */
static int purge_some(struct redis *redis, struct db *db, struct arena *arena,
		      const struct queue_keys *keys, struct str list, int64_t *count)
{
	struct chunk *c = arena_new(arena, struct chunk);
	struct redis_reply *reply, *purged;
	struct str first = arena_printf(arena, "%d", -CHUNK);
	int r = redis_call(redis, arena, REDIS_WORDS(STR("LRANGE"), list, first, STR("-1")),
			   &reply);

	if (r < 0 || reply->count == 0)
		return r;
	c->row_count = 0;
	c->words[0] = list;
	c->words[1] = keys->live;
	for (size_t i = 0; i < reply->count; i++)
		add(c, arena, keys, reply->elements[i].text, i, reply->count);
	r = redis_eval(redis, arena, &script_purge, 2 + reply->count, c->words,
		       2 + 3 * reply->count, &purged);
	if (r < 0)
		return r;
	*count += purged->integer;
	/* One that was fetched in between runs, and its row goes at its end. */
	if (db != NULL && c->row_count > 0 && purged->integer == (int64_t) reply->count)
		r = outbox_delete((struct db_at){ .db = db }, arena, c->rows, c->row_count);
	return r < 0 ? r : (int) reply->count;
}

/* What lay there when it began: who goes on pushing does not keep this from ending. */
static int purge_list(struct redis *redis, struct db *db, struct arena *arena,
		      const struct queue_keys *keys, struct str list, int64_t *count)
{
	struct redis_reply *reply;
	int r = redis_call(redis, arena, REDIS_WORDS(STR("LLEN"), list), &reply);
	int64_t left = r == 0 ? reply->integer : 0;

	while (left > 0) {
		struct arena_mark mark = arena_save(arena);

		r = purge_some(redis, db, arena, keys, list, count);
		arena_rewind(arena, mark);
		if (r <= 0)
			break;
		left -= r;
	}
	return MIN(r, 0);
}

int queue_purge(struct redis *redis, struct db *db, struct arena *arena,
		const struct queue_keys *keys, int64_t *count)
{
	int r = 0;

	for (int step = 0; step < queue_steps() && r == 0; step++)
		r = purge_list(redis, db, arena, keys, keys->lists[step], count);
	return r;
}
