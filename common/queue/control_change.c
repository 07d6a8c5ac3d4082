/*
 * control_change.c - the commands that change something, and what they mean for jobs that arrive.
 *
 * Revoke: ids are remembered (and kept in Redis), a job that waits here ends at once, one that is out
 * is told to its host, and the state REVOKED is stored at once for an id whose job has not begun, as
 * Celery does from 5.6.2 on.
 *
 * Rates: a job beyond its task's rate goes to the schedule for the moment that is its own, instead of
 * waiting in memory and in everybody's way.  Order among such jobs is not kept.  Per worker, as with
 * Celery.
 */
#include "queue/control-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/consumer.h"
#include "queue/result.h"

#define STAMPS_MOST 1000
#define SLOTS_MOST  4000 /* of APIUM_CONCURRENCY, and more: of all shared hosts together */
#define REVOKED_TTL "259200"
#define IDS_MOST    1000 /* of one command */
/* A rate lets pass what comes this much too early: scheduled jobs come in time but for the poll. */
#define EARLY_LEAST (100 * MSEC)
#define EARLY_MOST  (1 * SEC)

/* Arrival. */

static bool has_stamp(struct arena *arena, const struct json *v, struct str value)
{
	if (v == NULL)
		return false;
	if (v->type == JSON_STRING)
		return str_eq(json_text(arena, v), value);
	for (const struct json *e = v->type == JSON_ARRAY ? v->first : NULL; e != NULL; e = e->next)
		if (has_stamp(arena, e, value))
			return true;
	return v->type == JSON_NUMBER && str_eq(v->text, value);
}

static bool is_stamped(struct control *c, const struct message *m)
{
	_cleanup_(arena_fini) struct arena arena;
	struct json_error error;
	const struct json *stamps;
	struct json *tree;

	arena_init(&arena);
	if (json_parse(&arena, m->raw, JSON_PYTHON, CONTROL_DEPTH, &tree, &error) < 0)
		return false;
	stamps = json_get(json_get(tree, STR("headers")), STR("stamps"));
	list_for_each (node, &c->stamps) {
		struct control_stamp *s = list_entry(node, struct control_stamp, link);

		if (stamps != NULL && has_stamp(&arena, json_get(stamps, s->header), s->value))
			return true;
	}
	return false;
}

static bool is_revoked(struct control *c, const struct message *m)
{
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	return revoked_count(&c->revoked) > 0 &&
	       revoked_has(&c->revoked, message_text(&arena, m, MESSAGE_ID), loop_now(c->s->loop));
}

static usec_t rate_wait(struct control *c, struct control_task *t)
{
	usec_t now = loop_now(c->s->loop);
	usec_t early = MIN(MAX(t->interval / 2, EARLY_LEAST), EARLY_MOST);
	usec_t wait;

	if (now >= t->next - early) {
		t->next = MAX(t->next, now) + t->interval;
		t->reserved = MAX(t->reserved, t->next);
		return 0;
	}
	t->reserved = MAX(t->reserved, t->next);
	wait = t->reserved - now;
	t->reserved += t->interval;
	return wait;
}

enum control_verdict control_judge(struct control *c, const struct task *task,
				   const struct message *m, usec_t *ret_wait)
{
	struct control_task *t = &c->tasks[task_number(task)];

	if (is_revoked(c, m) || (c->stamp_count > 0 && is_stamped(c, m)))
		return CONTROL_REVOKED;
	if (t->interval == 0)
		return CONTROL_RUN;
	*ret_wait = rate_wait(c, t);
	return *ret_wait == 0 ? CONTROL_RUN : CONTROL_LATER;
}

/* Revoke. */

/* One command for all of them. */
static int keep_ids(struct control_call *call, const struct str *ids, size_t count)
{
	struct redis *redis = call->c->s->general;
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	struct str *words = arena_array(call->arena, struct str, 2 + 2 * count);
	struct redis_reply *reply;
	struct str now, rest;
	int r;

	queue_key_broker(&key, "apium:revoked");
	now = arena_printf(call->arena, "%lld", (long long) (now_realtime() / MSEC));
	rest = arena_printf(call->arena, "%d", -REVOKED_MOST - 1);
	words[0] = STR("ZADD");
	words[1] = buf_str(&key);
	for (size_t i = 0; i < count; i++) {
		words[2 + 2 * i] = now;
		words[3 + 2 * i] = ids[i];
	}
	r = redis_call(redis, call->arena, words, 2 + 2 * count, &reply);
	if (r == 0)
		r = redis_call(redis, call->arena,
			       REDIS_WORDS(STR("ZREMRANGEBYRANK"), buf_str(&key), STR("0"), rest),
			       &reply);
	if (r == 0)
		r = redis_call(redis, call->arena,
			       REDIS_WORDS(STR("EXPIRE"), buf_str(&key), STR(REVOKED_TTL)), &reply);
	return r;
}

/* A state that says that the job has begun or ended. */
static bool has_begun(struct str document)
{
	static const struct str waiting[] = { STR_INIT("{\"status\": \"PENDING\""),
					      STR_INIT("{\"status\": \"RETRY\""),
					      STR_INIT("{\"status\": \"RECEIVED\"") };

	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
		if (str_starts(document, waiting[i]))
			return false;
	return true;
}

/* REVOKED at once, if nobody is at it. */
static int store_revoked(struct control_call *call, struct str id)
{
	struct supervisor *s = call->c->s;
	struct redis *redis = s->results != NULL ? s->results : s->general;
	_cleanup_(buf_fini) struct buf key = BUF_INIT, document = BUF_INIT;
	struct result_about about = { .id = id, .children = STR("null") };
	struct redis_reply *reply;
	int r;

	queue_key_result(&key, id);
	r = redis_call(redis, call->arena, REDIS_WORDS(STR("GET"), buf_str(&key)), &reply);
	if (r < 0 || (reply->type == REDIS_TEXT && has_begun(reply->text)))
		return r;
	result_add_exception(&document, &about, RESULT_REVOKED, &result_revoked, STR("revoked"));
	return redis_eval(redis, call->arena, &script_tell, 1,
			  REDIS_WORDS(buf_str(&key), buf_str(&document),
				      arena_printf(call->arena, "%" PRId64, result_ttl()), STR("")),
			  &reply);
}

/* The flight of a job that this worker holds; NULL. */
static struct flight *find_flight(struct supervisor *s, struct str id)
{
	struct message m = { .raw = STR("-") };
	uint64_t identity;

	m.text[MESSAGE_ID] = id;
	identity = lane_identity(&m);
	for (uint32_t i = 0; i < s->flights.fresh; i++) {
		struct flight *f = &s->flights.at[i];

		if (f->state != FLIGHT_FREE && f->identity == identity && !f->is_lost)
			return f;
	}
	return NULL;
}

/* Returns true if it runs. */
static bool revoke_here(struct supervisor *s, struct flight *f, bool is_terminated)
{
	bool has_started;

	if (s->is_crew_gone)
		return false;
	if (f->state == FLIGHT_WAITING) {
		struct link_job job;
		struct message m;
		char *frame = f->frame;

		must(link_take_job(str_make(frame, f->frame_len), &job, &m) == 0); /* our own */
		m.text[MESSAGE_TASK] = str_c(task_at(f->task)->name); /* a frame has its number */
		f->frame = NULL;                                      /* the message lies in it */
		f->frame_len = 0;
		crew_forget(s->crew, f);
		fate_revoke(s, f, &m, FATE_REVOKED);
		free(frame);
		supervisor_pump(s);
		return false;
	}
	if (f->state != FLIGHT_OUT)
		return false;
	has_started = crew_has_started(s->crew, f);
	crew_revoke(s->crew, f, is_terminated);
	crew_flush(s->crew);
	return has_started;
}

static bool is_id(struct control_call *call, const struct json *v)
{
	struct str id = control_text(call, v);

	return id.len > 0 && id.len <= MESSAGE_ID_MOST;
}

/* The ids of one command: a text or a list of texts. */
static size_t read_ids(struct control_call *call, const struct json *v, struct str *ids)
{
	size_t n = 0;

	if (is_id(call, v))
		ids[n++] = json_text(call->arena, v);
	for (const struct json *e = v->type == JSON_ARRAY ? v->first : NULL;
	     e != NULL && n < IDS_MOST; e = e->next)
		if (is_id(call, e))
			ids[n++] = json_text(call->arena, e);
	return n;
}

/* Tells those that are here; says which are meant, and which of them run. */
static void revoke_all_here(struct control_call *call, const struct str *ids, size_t count,
			    bool is_terminated, struct buf *named, struct buf *ended)
{
	struct supervisor *s = call->c->s;

	for (size_t i = 0; i < count; i++) {
		struct flight *f = find_flight(s, ids[i]);

		revoked_add(&call->c->revoked, ids[i], loop_now(s->loop));
		buf_printf(named, "%s'%.*s'", named->len > 0 ? ", " : "", STR_ARG(ids[i]));
		if (f != NULL && revoke_here(s, f, is_terminated) && is_terminated)
			buf_printf(ended, "%s%.*s", ended->len > 0 ? ", " : "", STR_ARG(ids[i]));
	}
}

static int revoke_ids(struct control_call *call, bool is_terminated)
{
	struct str *ids = arena_array(call->arena, struct str, IDS_MOST);
	_cleanup_(buf_fini) struct buf named = BUF_INIT, ended = BUF_INIT;
	const struct json *v;
	size_t count;
	int r = control_argument(call, "task_id", &v);

	if (r < 0)
		return r;
	count = read_ids(call, v, ids);
	/* Redis may be away: what runs here has been told by then. */
	revoke_all_here(call, ids, count, is_terminated, &named, &ended);
	if (count > 0)
		r = keep_ids(call, ids, count);
	for (size_t i = 0; i < count && r == 0; i++)
		if (find_flight(call->c->s, ids[i]) == NULL)
			r = store_revoked(call, ids[i]);
	if (r < 0)
		return r;
	if (!is_terminated)
		control_ok(call,
			   arena_printf(call->arena, "tasks {%s} flagged as revoked", named.at));
	else if (ended.len > 0)
		control_ok(call, arena_printf(call->arena, "terminate: %s", ended.at));
	else
		control_ok(call, STR("terminate: tasks unknown"));
	return 0;
}

static int revoke_tasks(struct control_call *call)
{
	return revoke_ids(call, control_flag(call, "terminate"));
}

static int terminate(struct control_call *call)
{
	return revoke_ids(call, true);
}

/* By stamped headers. */

static void add_stamp(struct control *c, struct str header, struct str value)
{
	struct control_stamp *s;
	char *at;

	if (c->stamp_count == STAMPS_MOST) {
		s = list_entry(list_pop(&c->stamps), struct control_stamp, link);
		free(s);
		c->stamp_count--;
	}
	s = malloc(sizeof(*s) + header.len + value.len);
	must(s != NULL);
	at = (char *) (s + 1);
	memcpy(at, header.at, header.len);
	memcpy(at + header.len, value.at, value.len);
	s->header = str_make(at, header.len);
	s->value = str_make(at + header.len, value.len);
	list_init(&s->link);
	list_append(&c->stamps, &s->link);
	c->stamp_count++;
}

static void add_values(struct control_call *call, struct str header, const struct json *v)
{
	if (v->type == JSON_STRING)
		add_stamp(call->c, header, json_text(call->arena, v));
	else if (v->type == JSON_NUMBER)
		add_stamp(call->c, header, v->text);
	for (const struct json *e = v->type == JSON_ARRAY ? v->first : NULL; e != NULL; e = e->next)
		if (e->type == JSON_STRING)
			add_stamp(call->c, header, json_text(call->arena, e));
}

struct stamped {
	struct control_call *call;
	bool is_terminated;
	struct buf ended;
};

static void revoke_stamped(void *arg, const struct control_job *job)
{
	struct stamped *w = arg;
	struct control *c = w->call->c;

	if (is_stamped(c, job->message) && revoke_here(c->s, job->flight, w->is_terminated))
		buf_printf(&w->ended, "%s%.*s", w->ended.len > 0 ? ", " : "",
			   STR_ARG(message_text(w->call->arena, job->message, MESSAGE_ID)));
}

static int revoke_by_stamped_headers(struct control_call *call)
{
	const struct json *headers;
	struct stamped w = { .call = call,
			     .is_terminated = control_flag(call, "terminate"),
			     .ended = BUF_INIT };
	struct str shown;
	int r = control_argument(call, "headers", &headers);

	if (r < 0)
		return r;
	if (headers->type == JSON_OBJECT) {
		for (const struct json *h = headers->first; h != NULL; h = h->next)
			add_values(call, json_key(call->arena, h), h);
	} else {
		for (const struct json *h = headers->first; h != NULL; h = h->next) {
			struct str rest = control_text(call, h), name;

			if (str_cut(&rest, '=', &name) && !str_is_null(rest))
				add_stamp(call->c, name, rest);
		}
	}
	shown = message_repr(call->arena, headers->text);
	r = control_each_job(call, revoke_stamped, &w);
	if (r == 0 && w.is_terminated && w.ended.len > 0)
		control_ok(call, arena_printf(call->arena, "headers %.*s revoked", STR_ARG(shown)));
	else if (r == 0 && w.is_terminated)
		control_ok(call, arena_printf(call->arena, "headers %.*s were not terminated",
					      STR_ARG(shown)));
	else if (r == 0)
		control_ok(call, arena_printf(call->arena,
					      "headers %.*s flagged as revoked, but not terminated",
					      STR_ARG(shown)));
	buf_fini(&w.ended);
	return r;
}

/* Limits of a task. */

static int find_task(struct control_call *call, struct control_task **ret)
{
	const struct json *name;
	const struct task *task;
	int r = control_argument(call, "task_name", &name);

	if (r < 0)
		return r;
	task = task_find(control_text(call, name));
	if (task == NULL)
		return fail(-E_NOT_FOUND, "unknown task");
	*ret = &call->c->tasks[task_number(task)];
	return 0;
}

/* "10/m", "0.5/s", 10: jobs per second; 0: none.  Negative: no rate. */
static double read_rate(struct control_call *call, const struct json *v)
{
	struct str rest = v->type == JSON_STRING ? json_text(call->arena, v) : v->text, number;
	double count, seconds = 1;

	(void) str_cut(&rest, '/', &number);
	if (v->type == JSON_NULL || str_to_double(number, &count) < 0 || !(count >= 0))
		return v->type == JSON_NULL ? 0 : -1;
	if (str_eq_c(rest, "m"))
		seconds = 60;
	else if (str_eq_c(rest, "h"))
		seconds = 3600;
	else if (!str_is_null(rest) && !str_eq_c(rest, "s"))
		return -1;
	return count / seconds;
}

static int rate_limit(struct control_call *call)
{
	const struct json *v;
	struct control_task *t;
	double rate;
	int r = control_argument(call, "rate_limit", &v);

	if (r == 0)
		r = find_task(call, &t);
	if (r < 0)
		return r;
	rate = read_rate(call, v);
	if (rate < 0)
		return fail(-E_INVALID,
			    "Invalid rate limit string: ValueError(\"could not convert string to "
			    "float: %.*s\")",
			    STR_ARG(message_repr(call->arena,
						 v->type == JSON_STRING
							 ? arena_printf(call->arena, "\"%.*s\"",
									STR_ARG(v->text))
							 : v->text)));
	t->interval = rate == 0 ? 0 : (usec_t) MAX((double) SEC / rate, 1.0);
	t->next = t->reserved = 0;
	control_ok(call, rate == 0 ? STR("rate limit disabled successfully")
				   : STR("new rate limit set successfully"));
	return 0;
}

static usec_t seconds_of(const struct json *v)
{
	double value;

	if (v == NULL || json_to_double(v, &value) < 0 || !(value > 0))
		return 0;
	return (usec_t) (MIN(value, 86400.0 * 365) * (double) SEC);
}

static int time_limit(struct control_call *call)
{
	struct control_task *t;
	int r = find_task(call, &t);

	if (r < 0)
		return r;
	t->hard = seconds_of(json_get(call->arguments, STR("hard")));
	t->soft = seconds_of(json_get(call->arguments, STR("soft")));
	t->has_limits = t->hard != 0 || t->soft != 0;
	control_ok(call, STR("time limits set successfully"));
	return 0;
}

/* Events. */

static int switch_events(struct control_call *call, bool is_on)
{
	struct events *e = &call->c->s->events;
	bool was_on = e->is_on;

	e->is_on = is_on;
	control_ok(call,
		   arena_printf(call->arena, "task events %s%s", was_on == is_on ? "already " : "",
				is_on ? "enabled" : "disabled"));
	return 0;
}

static int enable_events(struct control_call *call)
{
	return switch_events(call, true);
}

static int disable_events(struct control_call *call)
{
	return switch_events(call, false);
}

static int heartbeat(struct control_call *call)
{
	events_bare_heartbeat(call->c->s);
	return 0;
}

/* The pool, the queues, the end. */

static int resize(struct control_call *call, int sign)
{
	struct supervisor *s = call->c->s;
	const struct json *v = json_get(call->arguments, STR("n"));
	int64_t n = 1, slots, hosts;

	if (v != NULL && (json_to_i64(v, &n) < 0 || n < 0 || n > SLOTS_MOST))
		return fail(-E_INVALID, "ValueError('n must be from 0 to %d')", SLOTS_MOST);
	if (s->is_crew_gone)
		return fail(-E_CONFLICT, "the worker is ending");
	if (autoscale_is_on(&s->autoscale))
		return fail(-E_CONFLICT,
			    "%s is not supported with autoscale. Adjust autoscale range instead.",
			    call->name);
	slots = crew_slots(s->crew);
	hosts = settings.hosts;
	slots += sign * n;
	if (slots < hosts || slots > SLOTS_MOST)
		return fail(-E_INVALID,
			    "ValueError('the pool would have %lld slots; from %lld to %d')",
			    (long long) slots, (long long) hosts, SLOTS_MOST);
	crew_set_slots(s->crew, (unsigned) ((slots + hosts - 1) / hosts));
	supervisor_pump(s);
	control_ok(call, sign > 0 ? STR("pool will grow") : STR("pool will shrink"));
	return 0;
}

static int pool_grow(struct control_call *call)
{
	return resize(call, 1);
}

static int pool_shrink(struct control_call *call)
{
	return resize(call, -1);
}

static int autoscale(struct control_call *call)
{
	struct supervisor *s = call->c->s;
	const struct json *max = json_get(call->arguments, STR("max"));
	const struct json *min = json_get(call->arguments, STR("min"));
	int64_t most = s->autoscale.most, least = s->autoscale.least;

	if (!autoscale_is_on(&s->autoscale))
		return fail(-E_CONFLICT, "ValueError('Autoscale not enabled')");
	if ((max != NULL && max->type != JSON_NULL && json_to_i64(max, &most) < 0) ||
	    (min != NULL && min->type != JSON_NULL && json_to_i64(min, &least) < 0) || least < 0 ||
	    most < 1 || most > SLOTS_MOST || least > most)
		return fail(-E_INVALID, "ValueError('0 <= min <= max <= %d')", SLOTS_MOST);
	if (s->is_crew_gone)
		return fail(-E_CONFLICT, "the worker is ending");
	autoscale_set(s, (unsigned) most, (unsigned) MAX(least, INT64_C(1)));
	control_ok(call, arena_printf(call->arena, "autoscale now max=%lld min=%lld",
				      (long long) most, (long long) least));
	return 0;
}

static int pool_restart(struct control_call *call)
{
	(void) call;
	return fail(-E_CONFLICT, "ValueError('Pool restarts not enabled')");
}

/* The queue that a command names, and its place as consumer_find gives it. */
static int queue_argument(struct control_call *call, struct str *ret_name, size_t *ret_place)
{
	const struct json *v;
	int r = control_argument(call, "queue", &v);

	if (r < 0)
		return r;
	*ret_name = control_text(call, v);
	*ret_place = consumer_find(call->c->s, *ret_name);
	return 0;
}

static int add_consumer(struct control_call *call)
{
	struct supervisor *s = call->c->s;
	struct str name;
	bool is_new;
	size_t i;
	int r = queue_argument(call, &name, &i);

	if (r < 0)
		return r;
	is_new = i == s->queue_count;
	r = is_new ? consumer_add(s, name) : 0;
	if (r < 0)
		return r;
	if (!is_new)
		is_new = consumer_resume(s, i);
	supervisor_pump(s);
	control_ok(call,
		   arena_printf(call->arena, "%s %.*s",
				is_new ? "add consumer" : "already consuming from", STR_ARG(name)));
	return 0;
}

static int cancel_consumer(struct control_call *call)
{
	struct str name;
	size_t i;
	int r = queue_argument(call, &name, &i);

	if (r < 0)
		return r;
	if (i < call->c->s->queue_count)
		consumer_cancel(call->c->s, i);
	control_ok(call, arena_printf(call->arena, "no longer consuming from %.*s", STR_ARG(name)));
	return 0;
}

static int shut_down(struct control_call *call)
{
	log_info("told to end by remote control");
	supervisor_drain(call->c->s);
	return 0;
}

/* Elections are between workers that gossip; this one has nothing to win. */
static int election(struct control_call *call)
{
	(void) call;
	return 0;
}

const struct control_row control_change_rows[] = {
	{ "revoke", revoke_tasks },
	{ "terminate", terminate },
	{ "revoke_by_stamped_headers", revoke_by_stamped_headers },
	{ "rate_limit", rate_limit },
	{ "time_limit", time_limit },
	{ "enable_events", enable_events },
	{ "disable_events", disable_events },
	{ "heartbeat", heartbeat },
	{ "pool_grow", pool_grow },
	{ "pool_shrink", pool_shrink },
	{ "pool_restart", pool_restart },
	{ "autoscale", autoscale },
	{ "add_consumer", add_consumer },
	{ "cancel_consumer", cancel_consumer },
	{ "shutdown", shut_down },
	{ "election", election },
};
const size_t control_change_count = ARRAY_SIZE(control_change_rows);
