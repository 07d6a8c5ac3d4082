/*
 * arrive.c - a message came: is it a job, may it run now, and where?
 *
 * The usual message goes from the reader's buffer into a host's channel without an allocation.  One
 * that was delivered before, or has an idempotency key, is first looked up in Redis: it may have
 * ended already, or have killed hosts.
 */
#include "queue/supervisor-internal.h"

#include <stdlib.h>

#include "base/codec.h"
#include "base/datetime.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/result.h"

/* A job that ended this often with its host, alone, is not tried again. */
#define CRASHES_MOST   3
/* After so many deaths it did not cause for certain, it runs alone. */
#define DEATHS_TRUSTED 2
#define LOOKUP_AGAIN   (200 * MSEC)

/* What is sent with a job to its host. */
static void fill(struct supervisor *s, struct link_job *job, const struct flight *f,
		 const struct task *task, const struct message *m, size_t queue, unsigned deaths)
{
	usec_t hard, soft;

	message_limits(m, &hard, &soft);
	if (hard == 0)
		hard = task->time_limit != 0 ? task->time_limit : settings.time_limit;
	if (soft == 0)
		soft = task->soft_time_limit != 0 ? task->soft_time_limit
						  : settings.soft_time_limit;
	control_limits(s->control, task, &hard, &soft);
	*job = (struct link_job){
		.number = f->number,
		.generation = f->generation,
		.task = (uint16_t) task_number(task),
		.queue = (uint16_t) queue,
		.deaths = (uint16_t) MIN(deaths, (unsigned) UINT16_MAX),
		.retries = (uint32_t) MIN(m->retries, INT32_MAX),
		.group_index = (int32_t) MIN(m->group_index, INT32_MAX),
		.hard_limit = hard,
		.soft_limit = soft,
	};
	if (f->wants_result)
		job->flags |= LINK_WANTS_RESULT;
	if (!str_is_null(m->text[MESSAGE_KEY]))
		job->flags |= LINK_WANTS_ID | LINK_HAS_KEY;
	if (f->is_outbox || f->is_counted)
		job->flags |= LINK_WANTS_ID;
	if (s->events.is_on)
		job->flags |= LINK_WANTS_ID | LINK_WANTS_START;
	else if (settings.track_started && f->wants_result)
		job->flags |= LINK_WANTS_START;
}

static void offer(struct supervisor *s, struct flight *f, const struct task *task,
		  const struct message *m, unsigned deaths)
{
	struct link_job job;

	s->is_fed_alone[f->lane] = f->is_suspect || task->where == TASK_ALONE;
	control_note(s->control, task);
	fill(s, &job, f, task, m, f->lane / (unsigned) queue_steps(), deaths);
	crew_offer(s->crew, f, task, &job, m);
}

/* Look-up. */

struct lookup {
	struct supervisor *s;
	uint32_t number, generation;
	const struct task *task;
	bool asks_receipt, asks_crashes;
	unsigned left; /* answers */
	int error;
	struct str receipt; /* in the arena */
	int64_t deaths, alone;
	struct timer again;
	struct arena arena;
	struct str raw;
};

static void lookup_send(struct lookup *l);

static void lookup_free(struct lookup *l)
{
	timer_stop(&l->again);
	arena_fini(&l->arena);
	free(l);
}

static void on_again(struct timer *t)
{
	lookup_send(container_of(t, struct lookup, again));
}

static void lookup_later(struct lookup *l)
{
	struct loop *loop = l->s->loop;

	timer_start(loop, &l->again, loop_now(loop) + LOOKUP_AGAIN, on_again);
}

static void looked_up(struct lookup *l, struct flight *f)
{
	struct supervisor *s = l->s;
	struct message m;
	char reason[96];

	must(message_scan(l->raw, &m) == 0); /* it was, before */
	if (supervisor_is_stopping(s)) {
		fate_release(s, f);
	} else if (l->receipt.len > 0 && l->receipt.at[0] == 'S') {
		fate_repeat(s, f, &m, str_slice(l->receipt, 1, l->receipt.len));
	} else if (l->alone >= CRASHES_MOST) {
		(void) snprintf(reason, sizeof(reason), "killed its worker %lld times",
				(long long) l->alone);
		fate_bury(s, f, &m, m.retries + l->deaths, &result_worker_lost, reason);
	} else {
		f->is_suspect = l->alone > 0 || l->deaths >= DEATHS_TRUSTED;
		offer(s, f, l->task, &m, (unsigned) MIN(l->deaths, INT32_MAX));
	}
	supervisor_pump(s);
}

static void lookup_answered(struct lookup *l, int error)
{
	struct flight *f = flight_find(&l->s->flights, l->number, l->generation);

	if (error < 0)
		l->error = error;
	if (--l->left > 0)
		return;
	must(f != NULL && f->state == FLIGHT_LOOKED_UP);
	if (f->is_lost || l->error == -ECANCELED) {
		flight_free(&l->s->flights, f);
	} else if (l->error < 0) {
		lookup_later(l);
		return;
	} else {
		looked_up(l, f);
	}
	lookup_free(l);
}

static void on_receipt(void *arg, int error, const struct redis_reply *reply)
{
	struct lookup *l = arg;

	if (error == 0 && reply->type == REDIS_TEXT)
		l->receipt = arena_str(&l->arena, reply->text);
	lookup_answered(l, error);
}

static int64_t number_of(const struct redis_reply *reply)
{
	int64_t n;

	return reply->type == REDIS_TEXT && str_to_i64(reply->text, &n) == 0 ? n : 0;
}

static void on_crashes(void *arg, int error, const struct redis_reply *reply)
{
	struct lookup *l = arg;

	if (error == 0 && reply->type == REDIS_ARRAY && reply->count == 2) {
		l->deaths = number_of(&reply->elements[0]);
		l->alone = number_of(&reply->elements[1]);
	}
	lookup_answered(l, error);
}

static void ask(struct lookup *l, const struct str *words, size_t count, redis_on_reply *on_reply)
{
	int r = redis_send(l->s->general, words, count, on_reply, l);

	if (r < 0)
		lookup_answered(l, r);
}

static void lookup_send(struct lookup *l)
{
	struct flight *f = flight_find(&l->s->flights, l->number, l->generation);
	const struct queue_keys *keys;
	_cleanup_(buf_fini) struct buf receipt = BUF_INIT;
	struct message m;
	struct str id, key;

	must(f != NULL);
	if (f->is_lost) {
		flight_free(&l->s->flights, f);
		lookup_free(l);
		return;
	}
	must(message_scan(l->raw, &m) == 0);
	keys = &l->s->queues[f->lane / (unsigned) queue_steps()];
	id = message_text(&l->arena, &m, MESSAGE_ID);
	key = message_text(&l->arena, &m, MESSAGE_KEY);
	queue_key_receipt(&receipt, keys, str_is_null(key) ? id : key);
	l->error = 0;
	l->left = 1 + l->asks_receipt + l->asks_crashes;
	if (l->asks_receipt)
		ask(l, REDIS_WORDS(STR("GET"), buf_str(&receipt)), on_receipt);
	if (l->asks_crashes)
		ask(l,
		    REDIS_WORDS(STR("HMGET"), keys->crash, id,
				arena_printf(&l->arena, "%.*s:alone", STR_ARG(id))),
		    on_crashes);
	lookup_answered(l, 0); /* ours: so that no answer before this is the last one */
}

static void look_up(struct supervisor *s, struct flight *f, const struct task *task,
		    const struct message *m)
{
	struct lookup *l = calloc(1, sizeof(*l));

	must(l != NULL);
	arena_init(&l->arena);
	l->s = s;
	l->number = f->number;
	l->generation = f->generation;
	l->task = task;
	l->asks_receipt = !str_is_null(m->text[MESSAGE_KEY]) || (m->is_outbox && m->is_redelivered);
	l->asks_crashes = m->is_redelivered;
	l->raw = arena_str(&l->arena, m->raw);
	f->state = FLIGHT_LOOKED_UP;
	lookup_send(l);
}

/* Arrival. */

static bool is_good_name(struct arena *arena, const struct message *m, enum message_field field)
{
	struct str text = message_text(arena, m, field);

	if (text.len == 0 || text.len > MESSAGE_ID_MOST)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char) text.at[i] < ' ' || text.at[i] == 0x7f)
			return false;
	return utf8_find_invalid(text) < 0;
}

/* The time in a header, or 0 when there is none.  -EINVAL: not a time. */
static int time_of(struct arena *arena, const struct message *m, enum message_field field,
		   usec_t *ret)
{
	struct str text = message_text(arena, m, field);

	*ret = 0;
	return str_is_null(text) ? 0 : datetime_parse(text, ret);
}

static void undecodable(struct supervisor *s, struct flight *f, const struct message *m,
			const char *why)
{
	char reason[256];

	(void) snprintf(reason, sizeof(reason), "undecodable: %s", why);
	fate_bury(s, f, m, 0, &result_job_error, reason);
}

static void unknown(struct supervisor *s, struct lane *lane, struct flight *f,
		    const struct message *m, struct str name)
{
	char reason[160];

	/* One hop: what comes from there is not sent there again. */
	if (!str_is_null(s->unknown_to.queue) &&
	    !str_eq(s->unknown_to.queue, lane_keys(lane)->queue)) {
		fate_forward(s, f);
		return;
	}
	(void) snprintf(reason, sizeof(reason), "unknown task %.*s",
			STR_ARG(str_slice(name, 0, 100)));
	fate_bury(s, f, m, 0, &result_not_registered, reason);
}

static void arrive_scanned(struct supervisor *s, struct lane *lane, struct flight *f,
			   const struct message *m, struct arena *arena)
{
	struct str name = message_text(arena, m, MESSAGE_TASK);
	const struct task *task = task_find(name);
	usec_t eta = 0, expires = 0, now, wait = 0;
	enum control_verdict verdict;

	f->wants_result = !m->ignores_result && (task == NULL || !task->ignores_result);
	f->is_outbox = m->is_outbox;
	f->is_counted = m->is_redelivered;
	f->asked_at = m->at;
	f->is_first = m->retries == 0 && !m->is_redelivered && str_is_null(m->text[MESSAGE_ETA]);
	if (!is_good_name(arena, m, MESSAGE_ID)) {
		undecodable(s, f, NULL, "the id is missing, too long or no text");
		return;
	}
	if (!str_is_null(m->text[MESSAGE_KEY]) && !is_good_name(arena, m, MESSAGE_KEY)) {
		undecodable(s, f, m, "the idempotency key is too long or no text");
		return;
	}
	if (task == NULL) {
		unknown(s, lane, f, m, name);
		return;
	}
	if (!str_is_null(m->text[MESSAGE_ETA]) || !str_is_null(m->text[MESSAGE_EXPIRES])) {
		now = now_realtime();
		if (time_of(arena, m, MESSAGE_EXPIRES, &expires) < 0 ||
		    time_of(arena, m, MESSAGE_ETA, &eta) < 0) {
			undecodable(s, f, m, "eta or expires is no time");
			return;
		}
		if (expires != 0 && expires <= now) {
			fate_revoke(s, f, m, FATE_EXPIRED);
			return;
		}
		if (eta > now) {
			fate_schedule(s, f, m, eta);
			return;
		}
	}
	verdict = control_judge(s->control, task, m, &wait);
	if (verdict == CONTROL_REVOKED) {
		fate_revoke(s, f, m, FATE_REVOKED);
		return;
	}
	if (s->events.is_on)
		events_received(s, m);
	if (verdict == CONTROL_LATER)
		fate_schedule(s, f, m, now_realtime() + wait);
	else if (m->is_redelivered || !str_is_null(m->text[MESSAGE_KEY]))
		look_up(s, f, task, m);
	else
		offer(s, f, task, m, 0);
}

void arrive(struct supervisor *s, struct lane *lane, struct flight *f, int scanned,
	    const struct message *m)
{
	_cleanup_(arena_fini) struct arena arena;
	struct message converted;
	struct str raw;

	arena_init(&arena);
	if (supervisor_is_stopping(s) ||
	    control_is_cancelled(s->control, f->lane / (unsigned) queue_steps())) {
		fate_release(s, f);
		return;
	}
	if (m->raw.len > MESSAGE_MOST) {
		undecodable(s, f, NULL, "the message is too large");
		return;
	}
	if (scanned == 0 && str_is_null(m->text[MESSAGE_TASK])) {
		scanned = message_from_v1(&arena, m, &raw);
		if (scanned == 0)
			scanned = message_scan(raw, &converted);
		m = &converted;
	}
	if (scanned < 0)
		undecodable(s, f, NULL, fail_reason(scanned));
	else
		arrive_scanned(s, lane, f, m, &arena);
}

void arrive_again(struct supervisor *s, struct flight *f, const struct message *m, unsigned deaths)
{
	if (supervisor_is_stopping(s)) {
		fate_release(s, f);
		return;
	}
	f->is_suspect = true;
	f->is_counted = true;
	offer(s, f, task_at(f->task), m, deaths);
}
