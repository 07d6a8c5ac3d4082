/*
 * fate.c - a job ended: acknowledged, with a result, tried again, dead, given back.
 *
 * Whatever has effects is one script (queue/scripts.h).  What it takes to write another message or
 * a dead letter is read from the in-flight list first (lane_read): nothing of it is kept in memory
 * meanwhile.
 */
#include "queue/supervisor-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/datetime.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/world.h"
#include "queue/ending-internal.h"
#include "queue/retry.h"
#include "queue/schedule.h"
#include "queue/tally.h"

#define CRASHES_MOST 3
#define CRASH_TTL    "604800" /* a week: entries of jobs that never come back */

static struct follow_job follow_job_of(struct arena *arena, const struct message *m)
{
	return (struct follow_job){
		.id = message_text(arena, m, MESSAGE_ID),
		.group = message_text(arena, m, MESSAGE_GROUP),
		.root_id = message_text(arena, m, MESSAGE_ROOT),
		.traceparent = message_text(arena, m, MESSAGE_TRACEPARENT),
		.group_index = m->group_index,
	};
}

/* What follows a job that has failed; false: nothing. */
static bool follows(struct arena *arena, const struct message *m, struct follow *ret,
		    const struct follow_failure *failure)
{
	struct follow_job job = follow_job_of(arena, m);
	struct body body;
	struct str text;
	int r = body_text(arena, m, &text);

	if (r == 0)
		r = body_parse(arena, text, &body);
	if (r < 0) {
		fail_clear(); /* it is why the job failed, and has been said */
		return false;
	}
	if (!body.has_embed)
		return false;
	r = follow_failure(ret, &job, &body.embed, failure);
	if (r < 0)
		log_warn("what follows failed job %.*s cannot be carried out: %s", STR_ARG(job.id),
			 fail_reason(r));
	return ret->count > 0 || !str_is_null(ret->part.group);
}

/* An end with an exception (or none: `exception` NULL) as its result. */
static void end_badly(struct supervisor *s, struct flight *f, const struct message *m,
		      enum result_state state, const struct result_exception *exception,
		      struct str text, const struct dead_letter *letter, struct str record)
{
	_cleanup_(buf_fini) struct buf document = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	struct ending e = {
		.document = STR(""), .receipt = STR("E"), .letter = letter, .record = record
	};
	struct result_about about;
	struct follow follow;

	arena_init(&arena);
	follow_init(&follow, &arena, &s->book);
	e.id = m == NULL ? STR("") : message_text(&arena, m, MESSAGE_ID);
	if (m != NULL && exception != NULL &&
	    follows(&arena, m, &follow,
		    &(struct follow_failure){ .state = state,
					      .exception = exception,
					      .message = utf8_repair(&arena, text) }))
		e.follow = &follow;
	if (m != NULL && f->wants_result) {
		result_about_message(&arena, m, lane_keys(supervisor_lane(s, f))->queue, &about);
		result_add_exception(&document, &about, state, exception,
				     utf8_repair(&arena, text));
		e.document = buf_str(&document);
	}
	ending_run(s, f, &e);
	follow_fini(&follow);
}

void fate_bury(struct supervisor *s, struct flight *f, const struct message *m, int64_t attempts,
	       const struct result_exception *exception, const char *reason)
{
	_cleanup_(buf_fini) struct buf record = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	struct lane *lane = supervisor_lane(s, f);
	struct dead_letter letter = {
		.reason = str_c(reason),
		.queue = lane_keys(lane)->queue,
		.list = lane_list(lane),
		.worker = str_c(s->worker),
		.attempts = attempts,
	};
	struct str letter_trace = STR(""), said = letter.reason;

	arena_init(&arena);
	if (m != NULL) {
		letter.id = message_text(&arena, m, MESSAGE_ID);
		letter.task = message_text(&arena, m, MESSAGE_TASK);
		letter_trace = trace_id_of(m->text[MESSAGE_TRACEPARENT]);
	}
	dead_letter_name(&letter);
	dead_letter_record(&record, &letter);
	tally_ended(task_find(letter.task), TALLY_DEAD, f);
	log_event(LOG_WARN, "job is dead", LOG_STR("reason", letter.reason),
		  LOG_STR("task", letter.task), LOG_STR("job", letter.id),
		  LOG_STR("letter", str_c(letter.name)), LOG_STR("trace", letter_trace));
	/* NotRegistered carries the name of the task and nothing else, as Celery's does. */
	if (exception == &result_not_registered)
		said = letter.task;
	if (s->events.is_on && m != NULL)
		events_failed(s, EVENTS_FAILED, letter.id, exception, said);
	end_badly(s, f, m, RESULT_FAILURE, exception, said, &letter, buf_str(&record));
}

void fate_revoke(struct supervisor *s, struct flight *f, const struct message *m,
		 enum fate_revocation why)
{
	static const char *const words[] = { [FATE_REVOKED] = "revoked",
					     [FATE_EXPIRED] = "expired",
					     [FATE_TERMINATED] = "terminated" };
	_cleanup_(arena_fini) struct arena arena;
	struct str id;

	arena_init(&arena);
	id = message_text(&arena, m, MESSAGE_ID);
	tally_ended(task_find(message_text(&arena, m, MESSAGE_TASK)), TALLY_REVOKED, f);
	log_event(LOG_INFO, "job revoked", LOG_STR("why", str_c(words[why])), LOG_STR("job", id),
		  LOG_STR("trace", trace_id_of(m->text[MESSAGE_TRACEPARENT])));
	if (s->events.is_on)
		events_revoked(s, id, why == FATE_TERMINATED, why == FATE_EXPIRED);
	end_badly(s, f, m, RESULT_REVOKED, &result_revoked, str_c(words[why]), NULL, STR(""));
}

/* What follows a job that had this value before. */
static bool follows_repeat(struct arena *arena, const struct message *m, struct follow *ret,
			   struct str value)
{
	struct follow_job job = follow_job_of(arena, m);
	struct body body;
	struct str text;
	int r = body_text(arena, m, &text);

	if (r == 0)
		r = body_parse(arena, text, &body);
	if (r == 0 && body.has_embed)
		r = follow_success(ret, &job, &body.embed, value);
	if (r < 0)
		log_warn("what follows job %.*s cannot be carried out: %s", STR_ARG(job.id),
			 fail_reason(r));
	return ret->count > 0 || !str_is_null(ret->part.group);
}

void fate_repeat(struct supervisor *s, struct flight *f, const struct message *m, struct str value)
{
	_cleanup_(buf_fini) struct buf document = BUF_INIT, receipt = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	struct ending e = { .document = STR(""), .record = STR("") };
	struct result_about about;
	struct follow follow;

	arena_init(&arena);
	follow_init(&follow, &arena, &s->book);
	e.id = message_text(&arena, m, MESSAGE_ID);
	e.key = message_text(&arena, m, MESSAGE_KEY);
	/* By its key: it may be another job, with something else after it. */
	if (!str_is_null(e.key) && follows_repeat(&arena, m, &follow, value))
		e.follow = &follow;
	buf_add_byte(&receipt, 'S');
	buf_add_str(&receipt, value);
	e.receipt = buf_str(&receipt);
	if (f->wants_result) {
		result_about_message(&arena, m, lane_keys(supervisor_lane(s, f))->queue, &about);
		if (follow.children.len > 0)
			about.children = arena_printf(&arena, "[%s]", follow.children.at);
		result_add_success(&document, &about, value);
		e.document = buf_str(&document);
	}
	ending_run(s, f, &e);
	follow_fini(&follow);
}

/* Elsewhere. */

void fate_release(struct supervisor *s, struct flight *f)
{
	struct lane *lane = supervisor_lane(s, f);

	crew_forget(s->crew, f);
	flight_drop_frame(f);
	lane_run(lane, f, SCRIPT_RELEASE, REDIS_WORDS(lane_list(lane)), NULL, 0, NULL, NULL);
}

void fate_forward(struct supervisor *s, struct flight *f)
{
	lane_run(supervisor_lane(s, f), f, SCRIPT_FORWARD, REDIS_WORDS(s->unknown_to.lists[0]),
		 NULL, 0, NULL, NULL);
}

struct scheduling {
	struct supervisor *s;
	size_t queue;
};

static void on_scheduled(void *arg, struct flight *f, int error, const struct redis_reply *reply)
{
	struct scheduling *w = arg;

	(void) f;
	if (error == 0 && reply->type == REDIS_INTEGER)
		schedule_hint(w->s, w->queue, reply->integer * MSEC);
	free(w);
}

/* `how`: "at" a time or "in" a while, both in ms. */
static void schedule(struct supervisor *s, struct flight *f, struct str how, int64_t ms,
		     struct str message, struct str id, struct str document)
{
	_cleanup_(buf_fini) struct buf member = BUF_INIT, result = BUF_INIT;
	struct lane *lane = supervisor_lane(s, f);
	struct scheduling *w = malloc(sizeof(*w));
	char when[24];

	must(w != NULL);
	*w = (struct scheduling){ .s = s, .queue = f->lane / (unsigned) queue_steps() };
	schedule_member(&member, lane_step(lane), message);
	queue_key_result(&result, id);
	(void) snprintf(when, sizeof(when), "%" PRId64, ms);
	lane_run(lane, f, SCRIPT_SCHEDULE, REDIS_WORDS(lane_keys(lane)->schedule, buf_str(&result)),
		 REDIS_WORDS(how, str_c(when), buf_str(&member), document, ending_ttl()),
		 on_scheduled, w);
}

void fate_schedule(struct supervisor *s, struct flight *f, const struct message *m, usec_t eta)
{
	schedule(s, f, STR("at"), (eta + MSEC - 1) / MSEC, m->raw, STR(""), STR(""));
}

/* Suspects. */

/* We mark where a suspect runs: if all of us die with it, who sweeps knows whom to
 * blame.  Once it is over the mark goes: it may be in hand for longer (a chord's last part waits for
 * a claim, a retry comes back), and is blameless then. */
static void mark_suspect(struct supervisor *s, struct flight *f, struct str id, bool is_in)
{
	struct lane *lane = supervisor_lane(s, f);
	_cleanup_(arena_fini) struct arena arena;
	struct str field;
	int r;

	arena_init(&arena);
	field = arena_printf(&arena, "%.*s:in", STR_ARG(id));
	r = is_in ? redis_send(s->general,
			       REDIS_WORDS(STR("HSET"), lane_keys(lane)->crash, field,
					   lane_token(lane)),
			       NULL, NULL)
		  : redis_send(s->general, REDIS_WORDS(STR("HDEL"), lane_keys(lane)->crash, field),
			       NULL, NULL);
	if (r < 0)
		log_debug("a suspect could not be marked, ignoring");
}

void fate_suspect(struct supervisor *s, struct flight *f, struct str id)
{
	mark_suspect(s, f, id, true);
}

void fate_acquit(struct supervisor *s, struct flight *f, struct str id)
{
	if (f->is_suspect)
		mark_suspect(s, f, id, false);
}

/* Failures and deaths: the message is read first. */

struct fate {
	struct supervisor *s;
	bool is_crash, is_unstarted;
	enum crew_end crash;
	struct link_failure failure;
	struct arena arena;
	const char *reason; /* or how the host died */
	struct str raw;     /* crash: the message, marked as delivered before */
};

static void fate_free(struct fate *w)
{
	arena_fini(&w->arena);
	free(w);
}

static const struct result_exception *exception_of(const struct link_failure *f)
{
	static const struct result_exception *const exceptions[] = {
		[LINK_FAILED_ERROR] = &result_job_error,
		[LINK_FAILED_BODY] = &result_job_error,
		[LINK_FAILED_SOFT] = &result_soft_time_limit,
		[LINK_FAILED_HARD] = &result_time_limit,
	};

	return f->kind < ARRAY_SIZE(exceptions) ? exceptions[f->kind] : &result_job_error;
}

static struct str history_entry(struct arena *arena, const struct fate *w)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT, at = BUF_INIT;
	struct json_writer json;

	datetime_add_python(&at, now_realtime());
	json_writer_init(&json, &out, JSON_ESCAPE_ASCII, true);
	json_begin_object(&json);
	json_put_key(&json, STR("attempt"));
	json_put_i64(&json, w->failure.attempt);
	json_put_key(&json, STR("at"));
	json_put_str(&json, buf_str(&at));
	json_put_key(&json, STR("error"));
	json_put_str(&json, utf8_repair(arena, str_slice(str_c(w->reason), 0, 200)));
	json_end_object(&json);
	return arena_str(arena, buf_str(&out));
}

static void retry(struct fate *w, struct flight *f, const struct message *m,
		  const struct task_retry *policy)
{
	_cleanup_(buf_fini) struct buf next = BUF_INIT, document = BUF_INIT;
	struct message_change change = { .retries = m->retries + 1,
					 .history = history_entry(&w->arena, w) };
	usec_t wait = retry_wait(policy, m->retries);
	struct str id = message_text(&w->arena, m, MESSAGE_ID);
	int r = message_rewrite(&w->arena, m->raw, &change, &next);

	if (r < 0) {
		const char *why = arena_printf(&w->arena, "undecodable: %s", fail_reason(r)).at;

		fate_bury(w->s, f, m, w->failure.attempt, &result_job_error, why);
		return;
	}
	if (f->wants_result) {
		struct result_about about;

		result_about_message(&w->arena, m, lane_keys(supervisor_lane(w->s, f))->queue,
				     &about);
		result_add_exception(&document, &about, RESULT_RETRY, exception_of(&w->failure),
				     utf8_repair(&w->arena, str_c(w->reason)));
	}
	tally_ended(task_at(f->task), TALLY_RETRY, f);
	log_event(LOG_INFO, "job failed, trying again", LOG_STR("reason", str_c(w->reason)),
		  LOG_STR("task", message_text(&w->arena, m, MESSAGE_TASK)), LOG_STR("job", id),
		  LOG_INT("attempt", w->failure.attempt), LOG_INT("wait_ms", wait / MSEC),
		  LOG_STR("trace", trace_id_of(m->text[MESSAGE_TRACEPARENT])));
	if (w->s->events.is_on)
		events_failed(w->s, EVENTS_RETRIED, id, exception_of(&w->failure),
			      str_c(w->reason));
	/* With results elsewhere the state of a retry is news only: it is told, and not waited
	 * for. */
	if (w->s->results != NULL && document.len > 0)
		supervisor_tell(w->s, id, buf_str(&document));
	schedule(w->s, f, STR("in"), wait / MSEC, buf_str(&next), id,
		 w->s->results != NULL ? STR("") : buf_str(&document));
}

static void decide(struct fate *w, struct flight *f, const struct message *m)
{
	const struct link_failure *x = &w->failure;
	struct task_retry policy = { .times = x->retry_times,
				     .first = x->retry_first,
				     .most = x->retry_most };
	struct str id;

	if (x->kind == LINK_FAILED_REVOKED || x->kind == LINK_FAILED_TERMINATED) {
		fate_revoke(w->s, f, m,
			    x->kind == LINK_FAILED_REVOKED ? FATE_REVOKED : FATE_TERMINATED);
	} else if (x->kind == LINK_FAILED_BODY) {
		const char *why = arena_printf(&w->arena, "undecodable: %s", w->reason).at;

		fate_bury(w->s, f, m, x->attempt, &result_job_error, why);
	} else if (x->kind == LINK_FAILED_FOLLOW) {
		const char *why = arena_printf(&w->arena, "what follows it cannot be published: %s",
					       w->reason)
					  .at;

		fate_bury(w->s, f, m, x->attempt, &result_job_error, why);
	} else if (x->verdict == ERROR_DROP) {
		id = message_text(&w->arena, m, MESSAGE_ID);
		log_event(LOG_INFO, "job dropped", LOG_STR("reason", str_c(w->reason)),
			  LOG_STR("task", message_text(&w->arena, m, MESSAGE_TASK)),
			  LOG_STR("job", id),
			  LOG_STR("trace", trace_id_of(m->text[MESSAGE_TRACEPARENT])));
		tally_ended(task_at(f->task), TALLY_DROPPED, f);
		if (w->s->events.is_on)
			events_failed(w->s, EVENTS_FAILED, id, &result_rejected, str_c(w->reason));
		end_badly(w->s, f, m, RESULT_FAILURE, &result_rejected, str_c(w->reason), NULL,
			  STR(""));
	} else if (x->verdict == ERROR_RETRY && retry_is_left(&policy, m->retries)) {
		retry(w, f, m, &policy);
	} else {
		fate_bury(w->s, f, m, x->attempt, exception_of(x), w->reason);
	}
}

static void on_counted(void *arg, struct flight *f, int error, const struct redis_reply *reply)
{
	struct fate *w = arg;
	struct message m;
	const char *why;

	if (error < 0 || reply->type != REDIS_ARRAY || reply->count != 2) {
		fate_free(w);
		return;
	}
	must(message_scan(w->raw, &m) == 0); /* it was, when it was rewritten */
	f->is_counted = true;
	if (reply->elements[1].integer >= CRASHES_MOST) {
		why = arena_printf(&w->arena, "killed its worker %" PRId64 " times: %s",
				   reply->elements[1].integer, w->reason)
			      .at;
		fate_bury(w->s, f, &m, m.retries + reply->elements[0].integer, &result_worker_lost,
			  why);
	} else {
		arrive_again(w->s, f, &m, (unsigned) reply->elements[0].integer);
	}
	supervisor_pump(w->s);
	fate_free(w);
}

static void count_crash(struct fate *w, struct flight *f, const struct message *m)
{
	_cleanup_(buf_fini) struct buf marked = BUF_INIT;
	struct message_change change = { .retries = -1, .is_redelivered = true };
	struct lane *lane = supervisor_lane(w->s, f);
	struct str id = message_text(&w->arena, m, MESSAGE_ID);
	bool is_alone = w->crash == CREW_GUILTY;

	/* One that is no JSON in a part that nobody reads goes unmarked: counted all the same. */
	if (message_rewrite(&w->arena, m->raw, &change, &marked) < 0) {
		buf_clear(&marked);
		buf_add_str(&marked, m->raw);
	}
	w->raw = arena_str(&w->arena, buf_str(&marked));
	lane_run(lane, f, SCRIPT_CRASHED, REDIS_WORDS(lane_keys(lane)->crash),
		 REDIS_WORDS(id, is_alone ? STR("1") : STR(""), w->raw, STR(CRASH_TTL)), on_counted,
		 w);
}

static void on_read(void *arg, struct flight *f, int error, const struct redis_reply *reply)
{
	struct fate *w = arg;
	struct supervisor *s = w->s;
	struct message m;
	struct str raw;
	int r;

	if (error < 0) {
		fate_free(w);
		return;
	}
	raw = arena_str(&w->arena, reply->text);
	r = message_open(&w->arena, &raw, &m);
	must(r == 0); /* it was understood when it came, and the list is ours */
	if (w->is_crash) {
		count_crash(w, f, &m);
		return;
	}
	fate_acquit(s, f, message_text(&w->arena, &m, MESSAGE_ID));
	if (w->is_unstarted) {
		fate_release(s, f);
		fate_free(w);
		return;
	}
	if (w->failure.attempt == 0) /* killed: the host could not say it */
		w->failure.attempt = (uint32_t) MIN(m.retries, INT32_MAX - 1) + 1;
	decide(w, f, &m);
	fate_free(w);
	supervisor_pump(s);
}

static struct fate *fate_new(struct supervisor *s, struct str reason)
{
	struct fate *w = calloc(1, sizeof(*w));

	must(w != NULL);
	arena_init(&w->arena);
	w->s = s;
	w->reason = arena_c(&w->arena, reason);
	return w;
}

static void ended(struct supervisor *s, struct flight *f, struct str payload)
{
	struct str texts[5];
	_cleanup_(buf_fini) struct buf receipt = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	struct ending e = { .record = STR("") };
	struct follow follow;
	int r = link_unpack(&payload, texts, ARRAY_SIZE(texts));

	arena_init(&arena);
	if (r == 0 && !str_is_null(texts[4])) {
		follow_init(&follow, &arena, &s->book);
		r = follow_unpack(&follow, texts[4]);
		e.follow = &follow;
	}
	if (r < 0) {
		log_error("an outcome is torn, giving its job back");
		fate_release(s, f);
		return;
	}
	fate_acquit(s, f, texts[0]);
	e.id = texts[0];
	e.key = texts[1];
	e.document = str_is_null(texts[2]) ? STR("") : texts[2];
	buf_add_byte(&receipt, 'S');
	buf_add_str(&receipt, texts[3]);
	e.receipt = buf_str(&receipt);
	if (s->events.is_on)
		events_succeeded(s, e.id, texts[3], f->took);
	ending_run(s, f, &e);
}

static void failed(struct supervisor *s, struct flight *f, struct str payload)
{
	struct link_failure failure;
	struct str reason;
	struct fate *w;

	if (link_take(&payload, &failure, sizeof(failure)) < 0 ||
	    link_unpack(&payload, &reason, 1) < 0) {
		log_error("an outcome is torn, giving its job back");
		fate_release(s, f);
		return;
	}
	w = fate_new(s, reason);
	w->failure = failure;
	lane_read(supervisor_lane(s, f), f, on_read, w);
}

void fate_outcome(struct supervisor *s, struct flight *f, enum link_state state, struct str payload)
{
	if (f->is_lost) {
		log_info("a job that is no longer ours has ended, ignoring its outcome");
		flight_free(&s->flights, f);
		return;
	}
	if (state == LINK_DONE)
		lane_done(supervisor_lane(s, f), f);
	else if (state == LINK_ENDED)
		ended(s, f, payload);
	else
		failed(s, f, payload);
}

void fate_death(struct supervisor *s, struct flight *f, enum crew_end end, const char *how)
{
	const struct task *task = task_at(f->task);
	struct fate *w;

	if (f->is_lost) {
		flight_free(&s->flights, f);
		return;
	}
	/* A suspect is marked when it is sent; a worker that stops takes its marks along. */
	if (end == CREW_UNSTARTED && (!f->is_suspect || supervisor_is_stopping(s))) {
		fate_release(s, f);
		return;
	}
	if (end != CREW_TERMINATED && end != CREW_UNSTARTED)
		tally_crashed(f);
	w = fate_new(s, str_c(how));
	if (end == CREW_UNSTARTED) {
		w->is_unstarted = true;
	} else if (end == CREW_TIMED_OUT) {
		w->reason = arena_printf(&w->arena, "The hard time limit of %g s was exceeded.",
					 (double) f->hard_limit / SEC)
				    .at;
		w->failure = (struct link_failure){ .kind = LINK_FAILED_HARD,
						    .verdict = ERROR_RETRY,
						    .retry_times = task->retry.times,
						    .retry_first = task->retry.first,
						    .retry_most = task->retry.most,
						    .limit = f->hard_limit };
	} else if (end == CREW_TERMINATED) {
		w->failure = (struct link_failure){ .kind = LINK_FAILED_TERMINATED };
	} else {
		w->is_crash = true;
		w->crash = end;
	}
	lane_read(supervisor_lane(s, f), f, on_read, w);
}
