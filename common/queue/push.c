#include "queue/push.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/result.h"
#include "queue/schedule.h"
#include "queue/scripts.h"

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

/* WAIT: how many replicas, and how many ms; 0 ms would be for ever. */
struct wait {
	char replicas[24], ms[24];
};

static void wait_init(struct wait *w)
{
	(void) snprintf(w->replicas, sizeof(w->replicas), "%" PRId64, settings.wait_replicas);
	(void) snprintf(w->ms, sizeof(w->ms), "%" PRId64,
			MAX(settings.wait_timeout / MSEC, INT64_C(1)));
}

static int judge_wait(const struct redis_reply *reply)
{
	if (reply->type == REDIS_INTEGER && reply->integer >= settings.wait_replicas)
		return 0;
	return fail(-E_UNAVAILABLE, "pushed, but no replica has said that it has it");
}

/* A push and the WAIT behind it, on one connection. */
struct waited {
	redis_on_reply *on_reply;
	void *arg;
	int error;          /* the push's */
	bool has_wait_left; /* WAIT was sent: its answer is the last word */
};

static void end_waited(struct waited *w, int error, const struct redis_reply *reply)
{
	struct waited last = *w;

	free(w);
	if (last.on_reply != NULL)
		last.on_reply(last.arg, error, error < 0 ? NULL : reply);
}

static void on_waited_push(void *arg, int error, const struct redis_reply *reply)
{
	struct waited *w = arg;

	w->error = error;
	if (error == 0 && reply->type == REDIS_ERROR)
		w->error = fail(-E_REDIS, "%.*s", STR_ARG(reply->text));
	if (!w->has_wait_left)
		end_waited(w, w->error < 0 ? w->error : -E_UNAVAILABLE, NULL);
}

static void on_waited(void *arg, int error, const struct redis_reply *reply)
{
	struct waited *w = arg;

	if (w->error < 0)
		error = w->error;
	else if (error == 0)
		error = judge_wait(reply);
	end_waited(w, error, reply);
}

static int send_waited(struct redis *redis, const struct words *words, redis_on_reply *on_reply,
		       void *arg)
{
	struct waited *w = calloc(1, sizeof(*w));
	struct wait wait;
	int r;

	must(w != NULL);
	*w = (struct waited){ .on_reply = on_reply, .arg = arg };
	r = redis_send(redis, words->at, words->count, on_waited_push, w);
	if (r < 0) {
		free(w);
		return r;
	}
	wait_init(&wait);
	w->has_wait_left = redis_send(
				   redis,
				   REDIS_WORDS(STR("WAIT"), str_c(wait.replicas), str_c(wait.ms)),
				   on_waited, w) == 0;
	return 0;
}

/* The size of the chord; not over that of one that is being counted. */
struct chord_words {
	struct str at[6];
	char size[24], ttl[24];
	struct buf key;
};

static void chord_words_init(struct chord_words *w, const struct push *p)
{
	buf_init(&w->key);
	queue_key_chord(&w->key, p->chord, ".s");
	(void) snprintf(w->size, sizeof(w->size), "%" PRId64, p->chord_size);
	(void) snprintf(w->ttl, sizeof(w->ttl), "%" PRId64, result_ttl());
	w->at[0] = STR("SET");
	w->at[1] = buf_str(&w->key);
	w->at[2] = str_c(w->size);
	w->at[3] = STR("EX");
	w->at[4] = str_c(w->ttl);
	w->at[5] = STR("NX");
}

static void chord_words_fini(struct chord_words *w)
{
	buf_fini(&w->key);
}

static int send_chord(struct redis *redis, const struct push *p)
{
	_cleanup_(chord_words_fini) struct chord_words w;

	chord_words_init(&w, p);
	return redis_send(redis, w.at, ARRAY_SIZE(w.at), NULL, NULL);
}

static int call_chord(struct redis *redis, struct arena *arena, const struct push *p)
{
	_cleanup_(chord_words_fini) struct chord_words w;
	struct redis_reply *reply;

	chord_words_init(&w, p);
	return redis_call(redis, arena, w.at, ARRAY_SIZE(w.at), &reply);
}

int push_send(struct redis *redis, const struct push *p, redis_on_reply *on_reply, void *arg)
{
	_cleanup_(words_fini) struct words w;

	if (p->chord_size > 0) {
		int r = send_chord(redis, p);

		if (r < 0)
			return r;
	}
	words_init(&w, p);
	if (w.keys > 0)
		return redis_send_script(redis, &script_push, w.keys, w.at, w.count, on_reply, arg);
	if (p->durability == TASK_WAITED)
		return send_waited(redis, &w, on_reply, arg);
	return redis_send(redis, w.at, w.count, on_reply, arg);
}

int push_call(struct redis *redis, struct arena *arena, const struct push *p)
{
	_cleanup_(words_fini) struct words w;
	struct redis_reply *reply;
	struct wait wait;
	int r;

	if (p->chord_size > 0) {
		r = call_chord(redis, arena, p);
		if (r < 0)
			return r;
	}
	words_init(&w, p);
	if (w.keys > 0) {
		r = redis_eval(redis, arena, &script_push, w.keys, w.at, w.count, &reply);
		return r < 0 ? r : (int) reply->integer;
	}
	r = redis_call(redis, arena, w.at, w.count, &reply);
	if (r < 0 || p->durability != TASK_WAITED)
		return r < 0 ? r : PUSH_DONE;
	wait_init(&wait);
	r = redis_call(redis, arena, REDIS_WORDS(STR("WAIT"), str_c(wait.replicas), str_c(wait.ms)),
		       &reply);
	if (r == 0)
		r = judge_wait(reply);
	return r < 0 ? r : PUSH_DONE;
}
