/*
 * control_inspect.c - the commands that only look.
 *
 * The supervisor keeps no message in memory (queue/flight.h): what runs and what waits here is read
 * back from the lanes' in-flight lists, some at a time, and matched with the flights by the hash of
 * its id.
 */
#include "queue/control-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/datetime.h"
#include "base/error.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/body.h"
#include "queue/consumer.h"
#include "queue/node.h"

#define CHUNK      64
#define SHOWN_MOST 1000 /* scheduled jobs of one queue */
#define BODY_SHOWN (64 * KIB)
#define BYTES_MOST (32 * MIB) /* read back for one command */
#define PIDS_MOST  512

static void put_text(struct json_writer *w, const char *key, struct str text)
{
	json_put_key(w, str_c(key));
	json_put_str(w, text);
}

static void put_count(struct json_writer *w, const char *key, int64_t n)
{
	json_put_key(w, str_c(key));
	json_put_i64(w, n);
}

static void put_flag(struct json_writer *w, const char *key, bool is_true)
{
	json_put_key(w, str_c(key));
	json_put_bool(w, is_true);
}

static void put_nothing(struct json_writer *w, const char *key)
{
	json_put_key(w, str_c(key));
	json_put_null(w);
}

static void put_real(struct json_writer *w, const char *key, double value)
{
	json_put_key(w, str_c(key));
	json_put_double(w, value);
}

static void put_empty(struct json_writer *w, const char *key)
{
	json_put_key(w, str_c(key));
	json_begin_object(w);
	json_end_object(w);
}

/* Jobs that are here. */

struct known {
	uint64_t identity;
	struct flight *flight;
};

static int by_identity(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->identity < y->identity ? -1 : x->identity > y->identity;
}

static size_t know_flights(struct control_call *call, const struct lane *lane, struct known **ret)
{
	struct flights *f = &call->c->s->flights;
	size_t count = 0;

	*ret = arena_array(call->arena, struct known, f->used + 1);
	for (uint32_t i = 0; i < f->fresh; i++)
		if (f->at[i].state != FLIGHT_FREE && f->at[i].lane == lane_number(lane) &&
		    !f->at[i].is_lost)
			(*ret)[count++] = (struct known){ f->at[i].identity, &f->at[i] };
	qsort(*ret, count, sizeof(**ret), by_identity);
	return count;
}

/* A message as protocol 2; -EINVAL: it is none. */
static int read_message(struct arena *arena, struct str raw, struct message *ret)
{
	int r = message_scan(raw, ret);

	if (r == 0 && str_is_null(ret->text[MESSAGE_TASK])) {
		r = message_from_v1(arena, ret, &raw);
		if (r == 0)
			r = message_scan(raw, ret);
	}
	return r;
}

static void visit_raw(struct control_call *call, const struct lane *lane, struct str raw,
		      const struct known *known, size_t count,
		      void (*visit)(void *, const struct control_job *), void *arg)
{
	struct message m;
	struct known key;
	const struct known *found;

	if (raw.len == 0 || message_scan(raw, &m) < 0)
		return;
	key.identity = lane_identity(&m);
	found = bsearch(&key, known, count, sizeof(*known), by_identity);
	if (found == NULL || read_message(call->arena, raw, &m) < 0)
		return;
	visit(arg, &(struct control_job){
			   .flight = found->flight,
			   .message = &m,
			   .queue = lane_keys(lane)->queue,
			   .has_started = crew_has_started(call->c->s->crew, found->flight),
		   });
}

static int visit_lane(struct control_call *call, const struct lane *lane, size_t *bytes,
		      void (*visit)(void *, const struct control_job *), void *arg)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	struct redis_reply *reply;
	char from[16], to[16];
	int r = 0;

	queue_key_fly(&key, lane_keys(lane), lane_token(lane));
	for (int at = 0; at < CONTROL_JOBS && *bytes < BYTES_MOST; at += CHUNK) {
		struct known *known;
		size_t count;

		(void) snprintf(from, sizeof(from), "%d", at);
		(void) snprintf(to, sizeof(to), "%d", at + CHUNK - 1);
		r = redis_call(call->c->s->general, call->arena,
			       REDIS_WORDS(STR("LRANGE"), buf_str(&key), str_c(from), str_c(to)),
			       &reply);
		if (r == -E_REDIS_TYPE) /* it was taken away: what was in it is not ours */
			return 0;
		if (r < 0 || reply->count == 0 || call->c->s->is_crew_gone)
			return r;
		count = know_flights(call, lane, &known); /* as they are now, after the wait */
		for (size_t i = 0; i < reply->count; i++) {
			*bytes += reply->elements[i].text.len;
			visit_raw(call, lane, reply->elements[i].text, known, count, visit, arg);
		}
		if (reply->count < CHUNK)
			return 0;
	}
	return r;
}

int control_each_job(struct control_call *call, void (*visit)(void *, const struct control_job *),
		     void *arg)
{
	struct supervisor *s = call->c->s;
	size_t bytes = 0;
	int r = 0;

	for (unsigned i = 0; i < s->lane_count && r == 0; i++)
		if (s->lanes[i] != NULL && lane_is_open(s->lanes[i]) && lane_held(s->lanes[i]) > 0)
			r = visit_lane(call, s->lanes[i], &bytes, visit, arg);
	return r;
}

/* Requests, as Celery shows them. */

static void put_arguments(struct control_call *call, const struct message *m, bool is_repr)
{
	struct json_writer *w = call->out;
	struct body body = { 0 };
	struct str text;

	if (m->text[MESSAGE_BODY].len <= BODY_SHOWN && body_text(call->arena, m, &text) == 0 &&
	    body_parse(call->arena, text, &body) < 0)
		fail_clear();
	json_put_key(w, STR("args"));
	if (body.args == NULL)
		json_put_c(w, "(...)");
	else if (is_repr)
		json_put_str(w, message_repr(call->arena, body.args->text));
	else
		json_put_tree(w, body.args);
	json_put_key(w, STR("kwargs"));
	if (body.kwargs == NULL)
		json_put_c(w, "{...}");
	else if (is_repr)
		json_put_str(w, message_repr(call->arena, body.kwargs->text));
	else
		json_put_tree(w, body.kwargs);
}

/* `f` NULL: it waits in the schedule. */
static void put_request(struct control_call *call, const struct message *m, struct str queue,
			const struct flight *f, bool has_started, bool is_repr)
{
	struct supervisor *s = call->c->s;
	struct json_writer *w = call->out;
	struct str name = message_text(call->arena, m, MESSAGE_TASK);
	usec_t ago;

	json_begin_object(w);
	put_text(w, "id", message_text(call->arena, m, MESSAGE_ID));
	put_text(w, "name", name);
	put_arguments(call, m, is_repr);
	put_text(w, "type", name);
	put_text(w, "hostname", node_name());
	if (has_started) {
		ago = loop_now(s->loop) - f->sent_at;
		put_real(w, "time_start", (double) (now_realtime() - ago) / SEC);
	} else {
		put_nothing(w, "time_start");
	}
	put_flag(w, "acknowledged", false);
	json_put_key(w, STR("delivery_info"));
	json_begin_object(w);
	put_text(w, "exchange", STR(""));
	put_text(w, "routing_key", queue);
	put_count(w, "priority", m->priority);
	put_flag(w, "redelivered", m->is_redelivered);
	json_end_object(w);
	if (has_started)
		put_count(w, "worker_pid", crew_pid_of(s->crew, f));
	else
		put_nothing(w, "worker_pid");
	json_end_object(w);
}

struct listing {
	struct control_call *call;
	bool wants_started, is_repr;
};

static bool is_reserved(const struct flight *f)
{
	return f->state == FLIGHT_OUT || f->state == FLIGHT_WAITING || f->state == FLIGHT_LOOKED_UP;
}

static void list_job(void *arg, const struct control_job *job)
{
	struct listing *l = arg;

	if (job->has_started == l->wants_started && is_reserved(job->flight))
		put_request(l->call, job->message, job->queue, job->flight, job->has_started,
			    l->is_repr);
}

static int list_jobs(struct control_call *call, bool wants_started)
{
	struct listing l = { .call = call,
			     .wants_started = wants_started,
			     .is_repr = control_flag(call, "safe") };
	int r;

	json_begin_array(call->out);
	r = control_each_job(call, list_job, &l);
	json_end_array(call->out);
	return r;
}

static int active(struct control_call *call)
{
	return list_jobs(call, true);
}

static int reserved(struct control_call *call)
{
	return list_jobs(call, false);
}

/* Visits the schedule of every queue; all workers of a queue see the same. */
static int each_scheduled(struct control_call *call,
			  void (*visit)(struct control_call *, const struct message *,
					struct str queue, usec_t due, void *arg),
			  void *arg)
{
	struct supervisor *s = call->c->s;
	struct redis_reply *reply;
	char most[16];
	int r;

	(void) snprintf(most, sizeof(most), "%d", SHOWN_MOST - 1);
	for (size_t q = 0; q < s->queue_count; q++) {
		const struct queue_keys keys = s->queues[q]; /* while this waits, it may leave */

		if (!consumer_is_there(s, q))
			continue;
		r = redis_call(s->general, call->arena,
			       REDIS_WORDS(STR("ZRANGE"), keys.schedule, STR("0"), str_c(most),
					   STR("WITHSCORES")),
			       &reply);
		if (r < 0)
			return r;
		for (size_t i = 0; i + 1 < reply->count; i += 2) {
			struct str raw = reply->elements[i].text;
			struct message m;
			double due;

			/* "<step>:<unique>:<message>" */
			for (int colons = 0; colons < 2; colons++) {
				struct str head;

				(void) str_cut(&raw, ':', &head);
			}
			if (!str_is_null(raw) && read_message(call->arena, raw, &m) == 0 &&
			    str_to_double(reply->elements[i + 1].text, &due) == 0)
				visit(call, &m, keys.queue, (usec_t) due * MSEC, arg);
		}
	}
	return 0;
}

static void list_scheduled(struct control_call *call, const struct message *m, struct str queue,
			   usec_t due, void *arg)
{
	_cleanup_(buf_fini) struct buf eta = BUF_INIT;

	(void) arg;
	datetime_add_python(&eta, due);
	json_begin_object(call->out);
	put_text(call->out, "eta", buf_str(&eta));
	put_count(call->out, "priority", 6); /* the timer's, says Celery */
	json_put_key(call->out, STR("request"));
	put_request(call, m, queue, NULL, false, false);
	json_end_object(call->out);
}

static int scheduled(struct control_call *call)
{
	int r;

	json_begin_array(call->out);
	r = each_scheduled(call, list_scheduled, NULL);
	json_end_array(call->out);
	return r;
}

struct query {
	struct control_call *call;
	const struct json *ids;
};

static bool is_asked(const struct query *q, struct str id)
{
	if (q->ids->type == JSON_STRING)
		return str_eq(json_text(q->call->arena, q->ids), id);
	for (const struct json *v = q->ids->type == JSON_ARRAY ? q->ids->first : NULL; v != NULL;
	     v = v->next)
		if (v->type == JSON_STRING && str_eq(json_text(q->call->arena, v), id))
			return true;
	return false;
}

static void put_found(struct query *q, const char *state, const struct message *m, struct str queue,
		      const struct flight *f, bool has_started)
{
	struct json_writer *w = q->call->out;

	json_put_key(w, message_text(q->call->arena, m, MESSAGE_ID));
	json_begin_array(w);
	json_put_c(w, state);
	put_request(q->call, m, queue, f, has_started, false);
	json_end_array(w);
}

static void query_here(void *arg, const struct control_job *job)
{
	struct query *q = arg;

	if (!is_asked(q, message_text(q->call->arena, job->message, MESSAGE_ID)))
		return;
	put_found(q,
		  job->has_started           ? "active"
		  : is_reserved(job->flight) ? "reserved"
					     : "ready",
		  job->message, job->queue, job->flight, job->has_started);
}

static void query_scheduled(struct control_call *call, const struct message *m, struct str queue,
			    usec_t due, void *arg)
{
	(void) due;
	if (is_asked(arg, message_text(call->arena, m, MESSAGE_ID)))
		put_found(arg, "scheduled", m, queue, NULL, false);
}

static int query_task(struct control_call *call)
{
	struct query q = { .call = call };
	int r = control_argument(call, "ids", &q.ids);

	if (r < 0)
		return r;
	json_begin_object(call->out);
	r = control_each_job(call, query_here, &q);
	if (r == 0)
		r = each_scheduled(call, query_scheduled, &q);
	json_end_object(call->out);
	return r;
}

static void put_id(void *arg, struct str id)
{
	json_put_str(arg, id);
}

static int revoked(struct control_call *call)
{
	json_begin_array(call->out);
	revoked_visit(&call->c->revoked, put_id, call->out);
	json_end_array(call->out);
	return 0;
}

/* The worker itself. */

static int ping(struct control_call *call)
{
	control_ok(call, STR("pong"));
	return 0;
}

static int clock_of(struct control_call *call)
{
	json_begin_object(call->out);
	put_count(call->out, "clock", call->c->s->events.clock);
	json_end_object(call->out);
	return 0;
}

/* A worker that starts asks the others what was revoked. */
static int hello(struct control_call *call)
{
	json_begin_object(call->out);
	json_put_key(call->out, STR("revoked"));
	(void) revoked(call);
	put_count(call->out, "clock", call->c->s->events.clock);
	json_end_object(call->out);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct task *const *) a)->name,
		      (*(const struct task *const *) b)->name);
}

static void add_info(struct control_call *call, struct buf *out, const struct task *task)
{
	const struct json *items = json_get(call->arguments, STR("taskinfoitems"));
	const struct control_task *t = &call->c->tasks[task_number(task)];
	bool has_any = false;

	for (const struct json *v = items != NULL && items->type == JSON_ARRAY ? items->first
									       : NULL;
	     v != NULL; v = v->next) {
		struct str name = control_text(call, v), value = STR_NULL;

		if (str_eq_c(name, "acks_late"))
			value = STR("True");
		else if (str_eq_c(name, "ignore_result"))
			value = task->ignores_result ? STR("True") : STR("False");
		else if (str_eq_c(name, "max_retries") && task->retry.times >= 0)
			value = arena_printf(call->arena, "%d", task->retry.times);
		else if (str_eq_c(name, "rate_limit") && t->interval > 0)
			value = arena_printf(call->arena, "%g/s",
					     (double) SEC / (double) t->interval);
		if (str_is_null(value))
			continue;
		buf_printf(out, "%s%.*s=%.*s", has_any ? " " : " [", STR_ARG(name), STR_ARG(value));
		has_any = true;
	}
	if (has_any)
		buf_add_byte(out, ']');
}

static int registered(struct control_call *call)
{
	const struct task **tasks = arena_array(call->arena, const struct task *, task_count() + 1);

	for (size_t i = 0; i < task_count(); i++)
		tasks[i] = task_at(i);
	qsort(tasks, task_count(), sizeof(*tasks), by_name);
	json_begin_array(call->out);
	for (size_t i = 0; i < task_count(); i++) {
		_cleanup_(buf_fini) struct buf text = BUF_INIT;

		/* As Celery: those that it brings itself only when they are asked for. */
		if (strncmp(tasks[i]->name, "celery.", 7) == 0 && !control_flag(call, "builtins"))
			continue;
		buf_add_c(&text, tasks[i]->name);
		add_info(call, &text, tasks[i]);
		json_put_str(call->out, buf_str(&text));
	}
	json_end_array(call->out);
	return 0;
}

static void put_exchange(struct json_writer *w, struct str queue)
{
	json_put_key(w, STR("exchange"));
	json_begin_object(w);
	put_text(w, "name", queue);
	put_text(w, "type", STR("direct"));
	put_nothing(w, "arguments");
	put_flag(w, "durable", true);
	put_flag(w, "passive", false);
	put_flag(w, "auto_delete", false);
	put_nothing(w, "delivery_mode");
	put_flag(w, "no_declare", false);
	json_end_object(w);
}

static int active_queues(struct control_call *call)
{
	static const char *const nothing[] = { "queue_arguments", "binding_arguments",
					       "consumer_arguments" };
	static const char *const rest[] = { "no_declare", "expires",          "message_ttl",
					    "max_length", "max_length_bytes", "max_priority" };
	struct supervisor *s = call->c->s;
	struct json_writer *w = call->out;

	json_begin_array(w);
	for (size_t i = 0; i < s->queue_count; i++) {
		if (call->c->is_cancelled[i])
			continue;
		json_begin_object(w);
		put_text(w, "name", s->queues[i].queue);
		put_exchange(w, s->queues[i].queue);
		put_text(w, "routing_key", s->queues[i].queue);
		for (size_t k = 0; k < ARRAY_SIZE(nothing); k++)
			put_nothing(w, nothing[k]);
		put_flag(w, "durable", true);
		put_flag(w, "exclusive", false);
		put_flag(w, "auto_delete", false);
		put_flag(w, "no_ack", false);
		put_nothing(w, "alias");
		json_put_key(w, STR("bindings"));
		json_begin_array(w);
		json_end_array(w);
		for (size_t k = 0; k < ARRAY_SIZE(rest); k++)
			put_nothing(w, rest[k]);
		json_end_object(w);
	}
	json_end_array(w);
	return 0;
}

static void put_total(struct control_call *call)
{
	struct json_writer *w = call->out;

	json_put_key(w, STR("total"));
	json_begin_object(w);
	for (size_t i = 0; i < task_count(); i++)
		if (call->c->tasks[i].total > 0)
			put_count(w, task_at(i)->name, (int64_t) call->c->tasks[i].total);
	json_end_object(w);
}

static void put_pool(struct control_call *call)
{
	struct supervisor *s = call->c->s;
	struct json_writer *w = call->out;
	int pids[PIDS_MOST];
	size_t count = s->is_crew_gone ? 0 : crew_pids(s->crew, pids, PIDS_MOST);

	json_put_key(w, STR("pool"));
	json_begin_object(w);
	put_text(w, "implementation", STR("apium:hosts"));
	put_count(w, "max-concurrency", s->is_crew_gone ? 0 : crew_slots(s->crew));
	json_put_key(w, STR("processes"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		json_put_i64(w, pids[i]);
	json_end_array(w);
	if (settings.max_tasks_per_child > 0)
		put_count(w, "max-tasks-per-child", settings.max_tasks_per_child);
	else
		put_text(w, "max-tasks-per-child", STR("N/A"));
	put_flag(w, "put-guarded-by-semaphore", false);
	json_put_key(w, STR("timeouts"));
	json_begin_array(w);
	json_put_double(w, (double) settings.soft_time_limit / SEC);
	json_put_double(w, (double) settings.time_limit / SEC);
	json_end_array(w);
	put_empty(w, "writes");
	json_end_object(w);
}

static void put_broker(struct control_call *call)
{
	struct json_writer *w = call->out;
	struct redis_address address = { 0 };

	json_put_key(w, STR("broker"));
	json_begin_object(w);
	if (redis_address_parse(call->arena, settings.redis_url, &address) == 0) {
		put_text(w, "hostname", str_c(address.path != NULL ? address.path : address.host));
		put_text(w, "userid", str_c(address.user));
		put_text(w, "virtual_host", arena_printf(call->arena, "%d", address.database));
		put_count(w, "port", address.path != NULL ? 0 : address.port);
		put_flag(w, "ssl", address.is_tls);
	}
	put_flag(w, "insist", false);
	put_text(w, "transport", STR("redis"));
	put_empty(w, "transport_options");
	put_nothing(w, "login_method");
	put_nothing(w, "uri_prefix");
	put_nothing(w, "heartbeat");
	json_put_key(w, STR("alternates"));
	json_begin_array(w);
	json_end_array(w);
	json_end_object(w);
}

static double seconds_of(const struct timeval *t)
{
	return (double) t->tv_sec + (double) t->tv_usec / 1e6;
}

static void put_rusage(struct json_writer *w)
{
	struct rusage u;

	must(getrusage(RUSAGE_SELF, &u) == 0);
	json_put_key(w, STR("rusage"));
	json_begin_object(w);
	put_real(w, "utime", seconds_of(&u.ru_utime));
	put_real(w, "stime", seconds_of(&u.ru_stime));
	put_count(w, "maxrss", u.ru_maxrss);
	put_count(w, "minflt", u.ru_minflt);
	put_count(w, "majflt", u.ru_majflt);
	put_count(w, "inblock", u.ru_inblock);
	put_count(w, "oublock", u.ru_oublock);
	put_count(w, "nvcsw", u.ru_nvcsw);
	put_count(w, "nivcsw", u.ru_nivcsw);
	json_end_object(w);
}

static void put_autoscaler(struct control_call *call)
{
	const struct supervisor *s = call->c->s;
	struct json_writer *w = call->out;

	json_put_key(w, STR("autoscaler"));
	json_begin_object(w);
	put_count(w, "max", s->autoscale.most);
	put_count(w, "min", s->autoscale.least);
	put_count(w, "current", s->is_crew_gone ? 0 : crew_slots(s->crew));
	put_count(w, "qty", s->is_crew_gone ? 0 : crew_shared_load(s->crew));
	json_end_object(w);
}

static int stats(struct control_call *call)
{
	struct supervisor *s = call->c->s;
	struct json_writer *w = call->out;
	struct crew_options room = { .shared = (unsigned) settings.hosts,
				     .alone = (unsigned) settings.processes,
				     .slots = (unsigned) settings.concurrency };

	json_begin_object(w);
	put_total(call);
	put_count(w, "pid", getpid());
	put_text(w, "clock", arena_printf(call->arena, "%" PRId64, s->events.clock));
	put_count(w, "uptime", (loop_now(s->loop) - call->c->started_at) / SEC);
	put_pool(call);
	put_broker(call);
	put_count(w, "prefetch_count", crew_most(&room));
	put_rusage(w);
	if (autoscale_is_on(&s->autoscale))
		put_autoscaler(call);
	json_end_object(w);
	return 0;
}

static int memsample(struct control_call *call)
{
	struct rusage u;

	must(getrusage(RUSAGE_SELF, &u) == 0);
	json_put_str(call->out, arena_printf(call->arena, "%.3fMB", (double) u.ru_maxrss / 1024));
	return 0;
}

static void put_setting(struct json_writer *w, const struct setting *row)
{
	json_put_key(w, str_c(row->name));
	if (row->flags & SETTING_SECRET)
		json_put_c(w, "********");
	else if (row->type == SETTING_TEXT || row->type == SETTING_CHOICE)
		json_put_c(w, *(const char *const *) row->at);
	else if (row->type == SETTING_SWITCH)
		json_put_bool(w, *(const bool *) row->at);
	else if (row->type == SETTING_SECONDS)
		json_put_double(w, (double) *(const usec_t *) row->at / SEC);
	else
		json_put_i64(w, *(const int64_t *) row->at);
}

/* Celery's names where there is one, then every setting by its own. */
static int conf(struct control_call *call)
{
	struct json_writer *w = call->out;
	const struct setting *row;

	json_begin_object(w);
	put_text(w, "task_default_queue", call->c->s->queues[0].queue);
	put_flag(w, "task_acks_late", true);
	put_flag(w, "task_track_started", settings.track_started);
	put_flag(w, "result_extended", settings.result_extended);
	put_count(w, "result_expires", result_ttl());
	put_count(w, "worker_concurrency", settings.concurrency);
	put_flag(w, "worker_send_task_events", settings.task_events);
	for (size_t i = 0; (row = settings_row(i)) != NULL; i++)
		put_setting(w, row);
	json_end_object(w);
	return 0;
}

static int report(struct control_call *call)
{
	struct utsname os;
	struct str text = arena_printf(
		call->arena,
		"\nsoftware -> apium:" APIUM_VERSION "\nplatform -> system:%s arch:%s\n"
		"queues   -> %s\n",
		uname(&os) == 0 ? os.sysname : "?", os.machine, settings.queues);

	control_ok(call, text);
	return 0;
}

const struct control_row control_inspect_rows[] = {
	{ "ping", ping },
	{ "stats", stats },
	{ "active", active },
	{ "dump_active", active },
	{ "reserved", reserved },
	{ "dump_reserved", reserved },
	{ "scheduled", scheduled },
	{ "dump_schedule", scheduled },
	{ "revoked", revoked },
	{ "dump_revoked", revoked },
	{ "registered", registered },
	{ "dump_tasks", registered },
	{ "active_queues", active_queues },
	{ "conf", conf },
	{ "dump_conf", conf },
	{ "report", report },
	{ "query_task", query_task },
	{ "clock", clock_of },
	{ "hello", hello },
	{ "memsample", memsample },
};
const size_t control_inspect_count = ARRAY_SIZE(control_inspect_rows);
