#include "queue/relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "base/world.h"
#include "queue/dead.h"
#include "queue/message.h"
#include "queue/outbox.h"
#include "queue/result.h"

#define PERIOD        (1 * SEC)
#define AGE           (1 * SEC)
#define OLDEST_PERIOD (5 * SEC)
/* How late a transaction may commit and its rows still count as fresh. */
#define OVERLAP_SQL   "10 seconds"
#define ENDED_WAIT    (100 * MSEC)
#define ENDED_BATCH   500
/* Beyond this the slow look finds them by their receipts. */
#define ENDED_MOST    20000
#define CLOSE_SHIELD  (2 * SEC)
#define NO_ID         "00000000-0000-0000-0000-000000000000"
#define LONG_AGO      "1970-01-01 00:00:00+00"

struct relay_note {
	struct relay *relay;
	size_t len;
	char id[];
};

/* Where a walk through the rows stands. */
struct place {
	char at[48], id[UUID_TEXT + 1];
};

struct relay {
	struct relay_options o;
	struct queue_book book;
	struct place fresh, all;
	bool is_suspicious; /* Redis may have lost data, or we looked away: all rows, without a
			       pause */
	char server[128];   /* run id and replication id; "": not asked yet */
	struct map epochs;  /* queue's name -> struct epoch */
	struct relay_stats stats;
	struct metric_collector collector;
	usec_t oldest_at; /* when the oldest row was last asked for */

	struct relay_note **ended;
	size_t ended_count;
	struct waiter *ended_waiter;

	struct fiber *looks, *deletes;
	unsigned fibers;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* What a queue's epoch key said; lives as long as the relay. */
struct epoch {
	const struct queue_keys *keys;
	char value[UUID_TEXT + 1];
};

/* Ended jobs. */

struct relay_note *relay_note_new(struct relay *relay, struct str id)
{
	struct relay_note *n = malloc(sizeof(*n) + id.len);

	must(n != NULL);
	n->relay = relay;
	n->len = id.len;
	memcpy(n->id, id.at, id.len);
	return n;
}

void relay_note_end(struct relay_note *n, bool has_ended)
{
	struct relay *r = n->relay;

	if (!has_ended || r->ended_count == ENDED_MOST) {
		free(n);
		return;
	}
	r->ended[r->ended_count++] = n;
	if (r->ended_waiter != NULL)
		fiber_wake(r->ended_waiter, 0);
}

/* The oldest of them, as many as one statement takes.  Kept until they are deleted. */
static int delete_some(struct relay *r)
{
	_cleanup_(arena_fini) struct arena arena;
	size_t count = MIN(r->ended_count, (size_t) ENDED_BATCH);
	struct str *ids;
	int e;

	arena_init(&arena);
	ids = arena_array(&arena, struct str, count);
	for (size_t i = 0; i < count; i++)
		ids[i] = str_make(r->ended[i]->id, r->ended[i]->len);
	e = outbox_delete((struct db_at){ .db = r->o.db }, &arena, ids, count);
	if (e < 0)
		return e;
	/* Only this fiber takes any away; meanwhile some may have been added behind. */
	for (size_t i = 0; i < count; i++)
		free(r->ended[i]);
	r->ended_count -= count;
	memmove(r->ended, r->ended + count, r->ended_count * sizeof(*r->ended));
	r->stats.deleted += count;
	return 0;
}

static int wait_for_ended(struct relay *r)
{
	struct waiter waiter;
	int e;

	if (r->ended_count > 0)
		return 0;
	waiter_init(&waiter);
	r->ended_waiter = &waiter;
	e = fiber_park(&waiter, "ended jobs");
	r->ended_waiter = NULL;
	return e;
}

static int keep_deleting(void *arg)
{
	struct relay *r = arg;
	bool was_well = true;
	int e;

	do {
		e = wait_for_ended(r);
		if (e == 0 && r->ended_count < ENDED_BATCH)
			e = fiber_sleep(ENDED_WAIT); /* more of them share the statement */
		while (e == 0 && r->ended_count > 0) {
			e = delete_some(r);
			if (e < 0 && e != -ECANCELED) {
				if (was_well)
					log_warn("rows of ended jobs cannot be deleted: %s, "
						 "trying again",
						 fail_reason(e));
				was_well = false;
				e = fiber_sleep(PERIOD);
			} else {
				was_well = true;
			}
		}
	} while (e == 0);
	{
		FIBER_SHIELD(CLOSE_SHIELD);

		while (r->ended_count > 0 && delete_some(r) == 0)
			;
	}
	return e;
}

/* Has Redis lost data? */

static int ask(struct relay *r, struct arena *arena, const struct str *words, size_t count,
	       struct str *ret)
{
	struct redis_reply *reply;
	int e = redis_call(r->o.redis, arena, words, count, &reply);

	if (e == 0)
		*ret = reply->type == REDIS_NIL ? STR_NULL : reply->text;
	return e;
}

/* The value of a line "name:value" of INFO. */
static struct str line_of(struct str info, struct str name)
{
	struct str line;

	while (str_cut(&info, '\n', &line))
		if (str_starts(line, name))
			return str_trim(str_slice(line, name.len, line.len));
	return STR("");
}

static int check_server(struct relay *r, struct arena *arena)
{
	char now[sizeof(r->server)];
	struct str server, replication;
	int e = ask(r, arena, REDIS_WORDS(STR("INFO"), STR("server")), &server);

	if (e == 0)
		e = ask(r, arena, REDIS_WORDS(STR("INFO"), STR("replication")), &replication);
	if (e < 0)
		return e;
	(void) snprintf(now, sizeof(now), "%.*s %.*s", STR_ARG(line_of(server, STR("run_id:"))),
			STR_ARG(line_of(replication, STR("master_replid:"))));
	if (r->server[0] != '\0' && strcmp(now, r->server) != 0) {
		log_warn("Redis is another or began anew, asking it about every open row");
		r->is_suspicious = true;
	}
	memcpy(r->server, now, sizeof(now));
	return 0;
}

/* The key is set by whoever finds it missing; a value that we did not see before means a loss. */
static int check_epoch(struct relay *r, struct arena *arena, struct epoch *epoch)
{
	struct uuid fresh = uuid_v4();
	char text[UUID_TEXT + 1];
	struct redis_reply *reply;
	struct str value = STR_NULL;
	int e;

	uuid_format(&fresh, text);
	e = redis_call(r->o.redis, arena,
		       REDIS_WORDS(STR("SETNX"), epoch->keys->epoch, str_c(text)), &reply);
	if (e == 0)
		e = ask(r, arena, REDIS_WORDS(STR("GET"), epoch->keys->epoch), &value);
	if (e < 0 || str_eq_c(value, epoch->value))
		return e;
	if (epoch->value[0] != '\0' && !r->is_suspicious) {
		log_warn("Redis has lost queue %.*s, asking it about every open row",
			 STR_ARG(epoch->keys->queue));
		r->is_suspicious = true;
	}
	(void) snprintf(epoch->value, sizeof(epoch->value), "%.*s", STR_ARG(value));
	return 0;
}

static int check_loss(struct relay *r, struct arena *arena)
{
	const struct map_slot *slot;
	int e = check_server(r, arena);

	for (size_t at = 0; e == 0 && (slot = map_next(&r->epochs, &at)) != NULL;)
		e = check_epoch(r, arena, slot->value);
	return e;
}

/* A queue whose rows we meet is watched from then on. */
static void watch_queue(struct relay *r, const struct queue_keys *keys)
{
	struct epoch *epoch;

	if (map_find(&r->epochs, keys->queue) != NULL)
		return;
	epoch = calloc(1, sizeof(*epoch));
	must(epoch != NULL);
	epoch->keys = keys;
	(void) map_put(&r->epochs, keys->queue, epoch);
}

/* Rows. */

static bool is_shared_queue(struct str queue)
{
	struct str rest = str_c(settings.shared_queues), item;

	while (settings_next_item(&rest, &item))
		if (str_eq(item, queue))
			return true;
	return false;
}

/* Final in a queue that Python workers share? */
static int has_final_result(struct relay *r, struct arena *arena, struct str id, bool *ret)
{
	static const struct str finals[] = { STR_INIT("SUCCESS"), STR_INIT("FAILURE"),
					     STR_INIT("REVOKED") };
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	struct str document;
	struct json_error error;
	const struct json *status;
	struct json *tree;
	int e;

	queue_key_result(&key, id);
	*ret = false;
	e = ask(r, arena, REDIS_WORDS(STR("GET"), buf_str(&key)), &document);
	if (e < 0 || str_is_null(document))
		return e;
	if (result_text(arena, document, &document) < 0) {
		fail_clear(); /* not ours; it will have expired one day */
		return 0;
	}
	if (json_parse(arena, document, JSON_PYTHON, 200, &tree, &error) < 0)
		return 0;
	status = json_get(tree, STR("status"));
	for (size_t i = 0; i < ARRAY_SIZE(finals); i++)
		*ret |= status != NULL && str_eq(status->text, finals[i]);
	return 0;
}

enum row_state { ROW_ABSENT, ROW_LIVE, ROW_ENDED };

/* The rows of one queue, asked for in two commands. */
struct asked {
	const struct queue_keys *keys; /* NULL: its name is no queue's; pushing it says so */
	struct str id;
	enum row_state state;
};

static int ask_queue(struct relay *r, struct arena *arena, struct asked *all, size_t count,
		     const struct queue_keys *keys)
{
	struct str *live = arena_array(arena, struct str, count + 2);
	struct str *ended = arena_array(arena, struct str, count + 1);
	struct redis_reply *lives, *ends;
	size_t n = 0;
	int e;

	live[0] = STR("HMGET");
	live[1] = keys->live;
	ended[0] = STR("MGET");
	for (size_t i = 0; i < count; i++) {
		_cleanup_(buf_fini) struct buf receipt = BUF_INIT;

		if (all[i].keys != keys)
			continue;
		queue_key_receipt(&receipt, keys, all[i].id);
		live[2 + n] = all[i].id;
		ended[1 + n++] = arena_str(arena, buf_str(&receipt));
	}
	e = redis_call(r->o.redis, arena, live, 2 + n, &lives);
	if (e == 0)
		e = redis_call(r->o.redis, arena, ended, 1 + n, &ends);
	if (e < 0)
		return e;
	if (lives->type != REDIS_ARRAY || lives->count != n || ends->type != REDIS_ARRAY ||
	    ends->count != n)
		return fail(-E_REDIS, "HMGET, MGET: answers of another kind");
	n = 0;
	for (size_t i = 0; i < count; i++) {
		if (all[i].keys != keys)
			continue;
		if (ends->elements[n].type == REDIS_TEXT)
			all[i].state = ROW_ENDED;
		else if (lives->elements[n].type == REDIS_TEXT)
			all[i].state = ROW_LIVE;
		n++;
	}
	return 0;
}

/* A live row of a queue that Python workers share: has it a final result? */
static int look_for_result(struct relay *r, struct arena *arena, struct asked *row)
{
	struct redis_reply *reply;
	bool is_final;
	int e = has_final_result(r, arena, row->id, &is_final);

	if (e < 0 || !is_final)
		return e;
	row->state = ROW_ENDED;
	return redis_call(r->o.redis, arena, REDIS_WORDS(STR("HDEL"), row->keys->live, row->id),
			  &reply);
}

static int ask_all(struct relay *r, struct arena *arena, struct asked *all, size_t count)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < count; i++) {
		bool is_first = all[i].keys != NULL;

		for (size_t k = 0; is_first && k < i; k++)
			is_first = all[k].keys != all[i].keys;
		if (is_first)
			e = ask_queue(r, arena, all, count, all[i].keys);
	}
	for (size_t i = 0; e == 0 && i < count; i++)
		if (all[i].state == ROW_LIVE && is_shared_queue(all[i].keys->queue))
			e = look_for_result(r, arena, &all[i]);
	return e;
}

/* Refused for good: a dead letter under the job's own id, so that writing it twice is writing it
 * once. */
static int refuse(struct relay *r, struct arena *arena, const struct outbox_row *row,
		  const char *reason)
{
	_cleanup_(buf_fini) struct buf record = BUF_INIT, document = BUF_INIT, result = BUF_INIT;
	_cleanup_(buf_fini) struct buf message = BUF_INIT;
	const struct queue_keys *keys;
	struct dead_letter letter = { .reason = str_c(reason), .task = row->task, .id = row->id };
	struct result_about about = { .id = row->id };
	struct redis_reply *reply;
	char now[24], ttl[16];
	int e;

	if (queue_book_find(&r->book, outbox_queue(row), &keys) < 0) {
		e = queue_book_find(&r->book, STR("default"), &keys);
		must(e == 0);
	}
	letter.queue = letter.list = keys->queue;
	message_write(&message, &(struct message_new){ .task = row->task,
						       .id = row->id,
						       .kwargs = row->kwargs,
						       .queue = keys->queue,
						       .key = row->key,
						       .is_outbox = true });
	(void) snprintf(letter.name, sizeof(letter.name), "%.*s", STR_ARG(row->id));
	dead_letter_record(&record, &letter);
	result_add_exception(&document, &about, RESULT_FAILURE, &result_rejected, letter.reason);
	queue_key_result(&result, row->id);
	(void) snprintf(now, sizeof(now), "%" PRId64, now_realtime() / MSEC);
	(void) snprintf(ttl, sizeof(ttl), "%" PRId64, result_ttl());
	log_event(LOG_WARN, "job is dead", LOG_STR("reason", letter.reason),
		  LOG_STR("task", row->task), LOG_STR("job", row->id));
	e = redis_call(r->o.redis, arena,
		       REDIS_WORDS(STR("HSET"), keys->letters, row->id, buf_str(&record),
				   arena_printf(arena, "%.*s:raw", STR_ARG(row->id)),
				   buf_str(&message)),
		       &reply);
	if (e == 0)
		e = redis_call(r->o.redis, arena,
			       REDIS_WORDS(STR("ZADD"), keys->dead, str_c(now), row->id), &reply);
	if (e == 0)
		e = redis_call(r->o.redis, arena,
			       REDIS_WORDS(STR("SET"), buf_str(&result), buf_str(&document),
					   STR("EX"), str_c(ttl)),
			       &reply);
	if (e == 0)
		e = redis_call(r->o.redis, arena,
			       REDIS_WORDS(STR("PUBLISH"), buf_str(&result), buf_str(&document)),
			       &reply);
	return e;
}

/* One locked row.  Positive: its row may go. */
static int push_row(struct relay *r, struct arena *arena, const struct outbox_row *row)
{
	struct push push;
	int e = outbox_to_push(arena, &r->book, row, TASK_OUTBOX, &push);

	if (e < 0) {
		const char *reason = arena_printf(arena, "%s", fail_reason(e)).at;

		e = refuse(r, arena, row, reason);
		r->stats.refused += e == 0;
		metric_add(METRIC_outbox_refused, e == 0);
		return e < 0 ? e : 1;
	}
	e = push_call(r->o.redis, arena, &push);
	r->stats.pushed += e == PUSH_DONE;
	metric_add(METRIC_outbox_pushed, e == PUSH_DONE);
	return e < 0 ? e : e == PUSH_HAS_ENDED;
}

/* Locks, pushes, deletes what need not stay, and commits. */
static int push_absent(struct relay *r, struct arena *arena, const struct str *ids, size_t count)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct outbox_row *rows;
	struct str *over = arena_array(arena, struct str, count);
	size_t locked, over_count = 0;
	int e = db_begin(r->o.db, &tx);

	if (e == 0)
		e = outbox_lock(&tx, arena, ids, count, &rows, &locked);
	for (size_t i = 0; e == 0 && i < locked; i++) {
		int pushed = push_row(r, arena, &rows[i]);

		if (pushed > 0)
			over[over_count++] = rows[i].id;
		e = MIN(pushed, 0);
	}
	if (e == 0 && over_count > 0)
		e = outbox_delete((struct db_at){ .db = r->o.db, .tx = &tx }, arena, over,
				  over_count);
	return e < 0 ? e : db_commit(&tx);
}

/* What is to be done with rows that were found.  0 or negative. */
static int look_after(struct relay *r, struct arena *arena, const struct outbox_place *places,
		      size_t count)
{
	struct str *absent = arena_array(arena, struct str, count);
	struct str *over = arena_array(arena, struct str, count);
	struct asked *all = arena_array(arena, struct asked, count);
	size_t absent_count = 0, over_count = 0;
	int e;

	for (size_t i = 0; i < count; i++) {
		const struct outbox_row row = { .task = places[i].task, .queue = places[i].queue };

		all[i].id = places[i].id;
		if (queue_book_find(&r->book, outbox_queue(&row), &all[i].keys) == 0)
			watch_queue(r, all[i].keys);
		else
			fail_clear();
	}
	e = ask_all(r, arena, all, count);
	for (size_t i = 0; e == 0 && i < count; i++) {
		if (all[i].state == ROW_ABSENT)
			absent[absent_count++] = all[i].id;
		else if (all[i].state == ROW_ENDED)
			over[over_count++] = all[i].id;
	}
	r->stats.looked += count;
	if (e == 0 && over_count > 0)
		e = outbox_delete((struct db_at){ .db = r->o.db }, arena, over, over_count);
	if (e == 0 && absent_count > 0)
		e = push_absent(r, arena, absent, absent_count);
	return e;
}

/* One look from a place on, which moves.  The number of rows, or negative. */
static int look(struct relay *r, struct place *place)
{
	_cleanup_(arena_fini) struct arena arena;
	struct outbox_place *found;
	size_t count;
	int e;

	arena_init(&arena);
	e = outbox_look(r->o.db, &arena, str_c(place->at), str_c(place->id), AGE, &found, &count);
	if (e == 0 && count > 0)
		e = look_after(r, &arena, found, count);
	if (e < 0)
		return e;
	if (count > 0) {
		(void) snprintf(place->at, sizeof(place->at), "%.*s", STR_ARG(found[count - 1].at));
		(void) snprintf(place->id, sizeof(place->id), "%.*s", STR_ARG(found[count - 1].id));
	}
	return (int) count;
}

static void place_first(struct place *place)
{
	memcpy(place->at, LONG_AGO, sizeof(LONG_AGO));
	memcpy(place->id, NO_ID, sizeof(NO_ID));
}

/* Fresh rows begin a while before the present: their transactions may commit late. */
static int place_fresh(struct relay *r, struct place *place)
{
	static const struct db_statement begin = {
		.sql = STR_INIT("SELECT now() - interval '" OVERLAP_SQL "'"),
		.lane = DB_SHARED,
	};
	_cleanup_(arena_fini) struct arena arena;
	struct db_rows rows;
	int e;

	arena_init(&arena);
	e = db_query(r->o.db, &arena, &begin, DB_NO_VALUES, &rows);
	if (e < 0)
		return e;
	(void) snprintf(place->at, sizeof(place->at), "%.*s", STR_ARG(db_get(&rows, 0, 0)));
	memcpy(place->id, NO_ID, sizeof(NO_ID));
	return 0;
}

static int round_of_looks(struct relay *r)
{
	_cleanup_(arena_fini) struct arena arena;
	int e, found;

	arena_init(&arena);
	e = check_loss(r, &arena);
	if (e < 0)
		return e;
	if (r->is_suspicious) {
		place_first(&r->all);
		do
			found = look(r, &r->all);
		while (found == OUTBOX_LOOK);
		if (found < 0)
			return found;
		r->is_suspicious = false;
		return 0;
	}
	e = place_fresh(r, &r->fresh);
	if (e < 0)
		return e;
	do
		found = look(r, &r->fresh);
	while (found == OUTBOX_LOOK);
	if (found < 0)
		return found;
	found = look(r, &r->all);
	if (found >= 0 && found < OUTBOX_LOOK)
		place_first(&r->all);
	return MIN(found, 0);
}

/* The oldest accepted job that has not ended; the index answers it. */
static int look_for_oldest(struct relay *r)
{
	static const struct db_statement oldest = {
		.sql = STR_INIT("SELECT coalesce((extract(epoch FROM clock_timestamp() - "
				"min(created_at)) * 1000000)::bigint, 0) FROM job_outbox"),
		.lane = DB_SHARED,
	};
	_cleanup_(arena_fini) struct arena arena;
	usec_t now = loop_now(r->o.loop);
	struct db_rows rows;
	int e;

	arena_init(&arena);
	if (r->oldest_at != 0 && now - r->oldest_at < OLDEST_PERIOD)
		return 0;
	e = db_query(r->o.db, &arena, &oldest, DB_NO_VALUES, &rows);
	if (e < 0)
		return e;
	r->oldest_at = now;
	metric_set(METRIC_outbox_oldest, MAX(db_get_i64(&rows, 0, 0), INT64_C(0)));
	return 0;
}

static void collect(struct metric_collector *c)
{
	const struct relay *r = container_of(c, struct relay, collector);

	metric_set(METRIC_outbox_worked,
		   r->stats.worked_at == 0 ? -SEC : loop_now(r->o.loop) - r->stats.worked_at);
}

static int keep_looking(void *arg)
{
	struct relay *r = arg;
	bool was_well = true;
	int e;

	place_first(&r->all);
	r->is_suspicious = true; /* who knows for how long nobody looked */
	do {
		e = round_of_looks(r);
		if (e == 0)
			e = look_for_oldest(r);
		if (e < 0)
			r->is_suspicious = true;
		if (e < 0 && e != -ECANCELED && was_well)
			log_warn("the outbox cannot be looked after: %s, trying again",
				 fail_reason(e));
		was_well = e == 0;
		if (was_well)
			r->stats.worked_at = loop_now(r->o.loop);
		/* Not all at once, where many of us run. */
		e = fiber_sleep(PERIOD / 2 + (usec_t) random_below(PERIOD));
	} while (e == 0);
	return e;
}

/* Life. */

static void on_fiber_end(void *arg, int result)
{
	struct relay *r = arg;
	const struct map_slot *slot;
	void (*on_closed)(void *) = r->on_closed;
	void *on_closed_arg = r->on_closed_arg;

	(void) result; /* cancelled: there is no other way out */
	if (--r->fibers > 0)
		return;
	for (size_t at = 0; (slot = map_next(&r->epochs, &at)) != NULL;)
		free(slot->value);
	map_fini(&r->epochs);
	for (size_t i = 0; i < r->ended_count; i++)
		free(r->ended[i]);
	free(r->ended);
	metric_collector_remove(&r->collector);
	queue_book_fini(&r->book);
	free(r);
	if (on_closed != NULL)
		on_closed(on_closed_arg);
}

int relay_open(const struct relay_options *o, struct relay **ret)
{
	struct relay *r = calloc(1, sizeof(*r));
	usec_t never = loop_now(o->loop) + FIBER_NO_LIMIT;

	must(r != NULL);
	r->o = *o;
	queue_book_init(&r->book);
	map_init(&r->epochs);
	r->ended = calloc(ENDED_MOST, sizeof(struct relay_note *));
	must(r->ended != NULL);
	r->collector.run = collect;
	metric_collector_add(&r->collector);
	r->looks = fiber_start(o->loop, "relay", never, keep_looking, r);
	r->deletes = fiber_start(o->loop, "relay deletes", never, keep_deleting, r);
	must(r->looks != NULL && r->deletes != NULL); /* the first fibers of a process */
	r->fibers = 2;
	fiber_detach(r->looks, on_fiber_end, r);
	fiber_detach(r->deletes, on_fiber_end, r);
	*ret = r;
	return 0;
}

void relay_close(struct relay *r, void (*on_closed)(void *), void *arg)
{
	r->on_closed = on_closed;
	r->on_closed_arg = arg;
	fiber_cancel(r->looks);
	fiber_cancel(r->deletes);
}

void relay_stats(const struct relay *r, struct relay_stats *ret)
{
	*ret = r->stats;
}
