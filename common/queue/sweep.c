#include "queue/sweep.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "queue/consumer.h"
#include "queue/supervisor-internal.h"
#include "queue/whoami.h"
#include "redis/redis.h"

#define PERIOD    (1 * SEC)
#define DEAD      (15 * SEC)
#define GAP_MOST  (5 * SEC)
#define CHUNK     16
#define CRASH_TTL "604800"

/* A lease as we saw it last. */
struct seen {
	struct list link;
	size_t queue;
	uint64_t round; /* in which it was there */
	int64_t counter;
	usec_t since; /* it has this value */
	size_t len;
	char token[];
};

struct sweeper {
	struct supervisor *s;
	struct list seen;
	uint64_t round;
	unsigned taken;
	usec_t *looked_at; /* per queue: the last successful look */
};

static bool is_own(struct supervisor *s, size_t queue, struct str token)
{
	for (int step = 0; step < queue_steps(); step++) {
		struct lane *lane = s->lanes[queue * (unsigned) queue_steps() + step];

		if (lane != NULL && lane_has_token(lane, token))
			return true;
	}
	return false;
}

static struct seen *seen_find(struct sweeper *w, size_t queue, struct str token)
{
	list_for_each (node, &w->seen) {
		struct seen *seen = list_entry(node, struct seen, link);

		if (seen->queue == queue && str_eq(str_make(seen->token, seen->len), token))
			return seen;
	}
	return NULL;
}

static struct seen *look_at(struct sweeper *w, size_t queue, struct str token, int64_t counter,
			    usec_t now)
{
	struct seen *seen = seen_find(w, queue, token);

	if (seen == NULL) {
		seen = malloc(sizeof(*seen) + token.len);
		must(seen != NULL);
		*seen = (struct seen){
			.queue = queue, .counter = counter, .since = now, .len = token.len
		};
		memcpy(seen->token, token.at, token.len);
		list_init(&seen->link);
		list_append(&w->seen, &seen->link);
	}
	seen->round = w->round;
	if (seen->counter != counter) {
		seen->counter = counter;
		seen->since = now;
	}
	return seen;
}

static void forget_missing(struct sweeper *w, size_t queue, bool all)
{
	list_for_each (node, &w->seen) {
		struct seen *seen = list_entry(node, struct seen, link);

		if (!all && (seen->queue != queue || seen->round == w->round))
			continue;
		list_remove(&seen->link);
		free(seen);
	}
}

/* The last part of a token says which list it takes from. */
static int step_of(struct str token)
{
	int step = token.len == 0 ? 0 : token.at[token.len - 1] - '0';

	return step < 0 || step >= queue_steps() ? 0 : step;
}

/* id and message of one element, for the script. */
static void prepare(struct arena *arena, struct str raw, struct str *ret_id,
		    struct str *ret_message)
{
	struct message_change change = { .retries = -1, .is_redelivered = true };
	_cleanup_(buf_fini) struct buf marked = BUF_INIT;
	struct message m;

	*ret_id = STR("");
	*ret_message = raw;
	/* What cannot be read goes back as it is: who fetches it next says so, and keeps its
	 * bytes. */
	if (raw.len == 0 || message_scan(raw, &m) < 0 ||
	    message_rewrite(arena, raw, &change, &marked) < 0) {
		fail_clear();
		return;
	}
	*ret_message = arena_str(arena, buf_str(&marked));
	if (message_scan(*ret_message, &m) == 0 && !str_is_null(m.text[MESSAGE_ID]))
		*ret_id = message_text(arena, &m, MESSAGE_ID);
}

struct taken {
	const struct queue_keys *keys;
	struct str old, token, fly;
	int step;
};

/* One chunk; the number of elements taken off the list, or negative. */
static int give_back_some(struct supervisor *s, struct arena *arena, const struct taken *t,
			  int64_t *back)
{
	struct str words[4 + 2 + 2 * CHUNK];
	struct redis_reply *reply;
	char from[16];
	size_t n = 0;
	int r;

	(void) snprintf(from, sizeof(from), "-%d", CHUNK);
	r = redis_call(s->general, arena,
		       REDIS_WORDS(STR("LRANGE"), t->fly, str_c(from), STR("-1")), &reply);
	if (r < 0)
		return r;
	if (reply->type != REDIS_ARRAY || reply->count > CHUNK)
		return fail(-E_REDIS, "LRANGE: an answer of another kind");
	if (reply->count == 0)
		return 0;
	words[n++] = t->fly;
	words[n++] = t->keys->lists[t->step];
	words[n++] = t->keys->crash;
	words[n++] = t->old;
	words[n++] = STR(CRASH_TTL);
	for (size_t i = 0; i < reply->count; i++, n += 2)
		prepare(arena, reply->elements[i].text, &words[n], &words[n + 1]);
	{
		struct redis_reply *given;

		r = redis_eval(s->general, arena, &script_give_back, 3, words, n, &given);
		if (r < 0)
			return r;
		*back += given->integer;
	}
	/* Our lease goes on while we work. */
	{
		struct redis_reply *counter;

		r = redis_call(s->general, arena,
			       REDIS_WORDS(STR("HINCRBY"), t->keys->workers, t->token, STR("1")),
			       &counter);
	}
	return r < 0 ? r : (int) reply->count;
}

static int give_back(struct supervisor *s, const struct taken *t)
{
	_cleanup_(arena_fini) struct arena arena;
	struct redis_reply *reply;
	int64_t back = 0;
	int r;

	arena_init(&arena);
	do {
		struct arena_mark mark = arena_save(&arena);

		r = give_back_some(s, &arena, t, &back);
		if (r < 0)
			return r;
		arena_rewind(&arena, mark);
	} while (r > 0);
	log_event(LOG_WARN, "gave back a dead worker's jobs", LOG_STR("worker", t->old),
		  LOG_STR("queue", t->keys->queue), LOG_INT("jobs", back));
	return redis_call(s->general, &arena, REDIS_WORDS(STR("HDEL"), t->keys->workers, t->token),
			  &reply);
}

static int sweep(struct sweeper *w, const struct queue_keys *k, struct seen *seen)
{
	struct supervisor *s = w->s;
	_cleanup_(buf_fini) struct buf old_fly = BUF_INIT, fly = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	struct taken t = { .keys = k, .old = str_make(seen->token, seen->len) };
	struct redis_reply *reply;
	char counter[24];
	int r;

	arena_init(&arena);
	t.step = step_of(t.old);
	t.old = arena_str(&arena, t.old);
	t.token = arena_printf(&arena, "%s.s%u.%d", s->worker, ++w->taken, t.step);
	(void) snprintf(counter, sizeof(counter), "%lld", (long long) seen->counter);
	queue_key_fly(&old_fly, k, t.old);
	queue_key_fly(&fly, k, t.token);
	t.fly = buf_str(&fly);
	r = redis_eval(
		s->general, &arena, &script_take, 3,
		REDIS_WORDS(k->workers, buf_str(&old_fly), t.fly, t.old, t.token, str_c(counter)),
		&reply);
	if (r < 0)
		return r;
	return reply->integer > 0 ? give_back(s, &t) : 0;
}

static int sweep_queue(struct sweeper *w, size_t queue)
{
	struct supervisor *s = w->s;
	const struct queue_keys keys = s->queues[queue]; /* while this waits, it may leave */
	_cleanup_(arena_fini) struct arena arena;
	struct redis_reply *reply;
	usec_t now;
	int r;

	arena_init(&arena);
	r = redis_call(s->general, &arena, REDIS_WORDS(STR("HGETALL"), keys.workers), &reply);
	if (r < 0)
		return r;
	now = loop_now(s->loop);
	if (now - w->looked_at[queue] > GAP_MOST)
		forget_missing(w, queue, true);
	w->looked_at[queue] = now;
	w->round++;
	for (size_t i = 0; i + 1 < reply->count; i += 2) {
		struct str token = reply->elements[i].text;
		struct seen *seen;
		int64_t counter;

		if (is_own(s, queue, token) ||
		    str_to_i64(reply->elements[i + 1].text, &counter) < 0)
			continue;
		seen = look_at(w, queue, token, counter, now);
		if (now - seen->since < DEAD && whoami_may_live(token))
			continue;
		r = sweep(w, &keys, seen);
		if (r < 0)
			return r;
	}
	forget_missing(w, queue, false);
	return 0;
}

int sweep_keep(void *arg)
{
	struct supervisor *s = arg;
	struct sweeper w = { .s = s };
	bool was_well = true;
	int r;

	list_init(&w.seen);
	w.looked_at = calloc(s->queue_room, sizeof(*w.looked_at));
	must(w.looked_at != NULL);
	do {
		r = 0;
		for (size_t i = 0; i < s->queue_count && r == 0; i++)
			if (consumer_is_there(s, i))
				r = sweep_queue(&w, i);
		if (r < 0 && r != -ECANCELED && was_well)
			log_warn("leases cannot be looked at: %s, trying again", fail_reason(r));
		was_well = r == 0;
		r = fiber_sleep(PERIOD);
	} while (r == 0);
	forget_missing(&w, 0, true);
	free(w.looked_at);
	return r;
}
