#include "queue/push.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/world.h"
#include "queue/schedule.h"
#include "queue/scripts.h"

#define REPLICAS     "1"
#define REPLICA_WAIT "500" /* ms */

/* The words of a push: a script's keys and arguments, or a plain command. */
struct words {
	struct str at[7];
	size_t count, keys; /* keys 0: a plain command */
	char due[24];
	struct buf member, receipt;
};

static void words_init(struct words *w, const struct push *p)
{
	const struct queue_keys *k = p->keys;
	int step = queue_step(p->priority);
	bool is_later = p->eta > now_realtime();
	struct str what = p->message;

	w->member = w->receipt = (struct buf) BUF_INIT;
	w->count = w->keys = 0;
	(void) snprintf(w->due, sizeof(w->due), "%" PRId64,
			is_later ? (p->eta + MSEC - 1) / MSEC : 0);
	if (is_later) {
		schedule_member(&w->member, step, p->message);
		what = buf_str(&w->member);
	}
	if (p->durability == TASK_OUTBOX) {
		queue_key_receipt(&w->receipt, k, p->id);
		w->at[w->count++] = k->live;
		w->at[w->count++] = k->lists[step];
		w->at[w->count++] = k->schedule;
		w->at[w->count++] = buf_str(&w->receipt);
		w->keys = w->count;
		w->at[w->count++] = p->id;
		w->at[w->count++] = str_c(w->due);
	} else if (is_later) {
		w->at[w->count++] = STR("ZADD");
		w->at[w->count++] = k->schedule;
		w->at[w->count++] = str_c(w->due);
	} else {
		w->at[w->count++] = STR("LPUSH");
		w->at[w->count++] = k->lists[step];
	}
	w->at[w->count++] = what;
}

static void words_fini(struct words *w)
{
	buf_fini(&w->member);
	buf_fini(&w->receipt);
}

int push_send(struct redis *redis, const struct push *p, redis_on_reply *on_reply, void *arg)
{
	_cleanup_(words_fini) struct words w;

	words_init(&w, p);
	if (w.keys > 0)
		return redis_send_script(redis, &script_push, w.keys, w.at, w.count, on_reply, arg);
	return redis_send(redis, w.at, w.count, on_reply, arg);
}

int push_call(struct redis *redis, struct arena *arena, const struct push *p)
{
	_cleanup_(words_fini) struct words w;
	struct redis_reply *reply;
	int r;

	words_init(&w, p);
	if (w.keys > 0) {
		r = redis_eval(redis, arena, &script_push, w.keys, w.at, w.count, &reply);
		return r < 0 ? r : (int) reply->integer;
	}
	r = redis_call(redis, arena, w.at, w.count, &reply);
	if (r < 0 || p->durability != TASK_WAITED)
		return r < 0 ? r : PUSH_DONE;
	r = redis_call(redis, arena, REDIS_WORDS(STR("WAIT"), STR(REPLICAS), STR(REPLICA_WAIT)),
		       &reply);
	if (r < 0)
		return r;
	if (reply->integer < 1)
		return fail(-E_UNAVAILABLE, "pushed, but no replica has said that it has it");
	return PUSH_DONE;
}
