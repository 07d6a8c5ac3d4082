#include "queue/events.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/node.h"
#include "queue/supervisor-internal.h"

/* A batch beyond this goes out at once. */
#define BATCH_MOST (64 * KIB)
#define DEPTH_MOST 200

void events_open(struct supervisor *s)
{
	_cleanup_(arena_fini) struct arena arena;
	struct redis_address address = { .database = 0 };
	char database[24];

	arena_init(&arena);
	buf_init(&s->events.channel);
	buf_init(&s->events.batch);
	if (redis_address_parse(&arena, settings.redis_url, &address) < 0)
		fail_clear(); /* whoever opens the connection says so */
	(void) snprintf(database, sizeof(database), "/%d.celeryev/", address.database);
	queue_key_broker(&s->events.channel, database);
	s->events.is_on = settings.task_events;
}

void events_close(struct supervisor *s)
{
	buf_fini(&s->events.channel);
	buf_fini(&s->events.batch);
}

static void put(struct json_writer *w, struct str key, struct str text)
{
	json_put_key(w, key);
	json_put_str(w, text);
}

static void put_real(struct json_writer *w, struct str key, double value)
{
	json_put_key(w, key);
	json_put_double(w, value);
}

/* `route` is the type with dots: the end of the channel's name. */
static void publish(struct supervisor *s, const char *route, struct str body)
{
	_cleanup_(buf_fini) struct buf channel = BUF_INIT, message = BUF_INIT, headers = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &headers, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	put(&w, STR("hostname"), node_name());
	json_end_object(&w);
	message_write_note(&message, &(struct message_note){ .body = body,
							     .headers = buf_str(&headers),
							     .exchange = STR("celeryev"),
							     .routing_key = str_c(route) });
	buf_add_str(&channel, buf_str(&s->events.channel));
	buf_add_c(&channel, route);
	if (redis_send(s->general,
		       REDIS_WORDS(STR("PUBLISH"), buf_str(&channel), buf_str(&message)), NULL,
		       NULL) < 0)
		log_debug("an event was lost: Redis is away");
}

/* Members that every event begins with; its own and `end` follow. */
static void begin(struct supervisor *s, struct json_writer *w, struct buf *out)
{
	json_writer_init(w, out, JSON_ESCAPE_ASCII, true);
	json_begin_object(w);
	put(w, STR("hostname"), node_name());
	json_put_key(w, STR("pid"));
	json_put_i64(w, getpid());
	json_put_key(w, STR("clock"));
	json_put_i64(w, ++s->events.clock);
}

static void end(struct json_writer *w, const char *type)
{
	put_real(w, STR("timestamp"), (double) now_realtime() / SEC);
	put(w, STR("type"), str_c(type));
	json_end_object(w);
}

static void put_load(struct json_writer *w)
{
	double load[3] = { 0, 0, 0 };

	(void) getloadavg(load, ARRAY_SIZE(load)); /* without /proc: zeros */
	json_put_key(w, STR("loadavg"));
	json_begin_array(w);
	for (size_t i = 0; i < ARRAY_SIZE(load); i++)
		json_put_double(w, load[i]);
	json_end_array(w);
}

static void put_software(struct json_writer *w)
{
	struct utsname os;

	put(w, STR("sw_ident"), STR("apium"));
	put(w, STR("sw_ver"), STR(APIUM_VERSION));
	put(w, STR("sw_sys"), uname(&os) == 0 ? str_c(os.sysname) : STR("unknown"));
}

void events_worker(struct supervisor *s, enum events_worker which)
{
	static const struct {
		const char *type, *route;
	} names[] = { [EVENTS_ONLINE] = { "worker-online", "worker.online" },
		      [EVENTS_HEARTBEAT] = { "worker-heartbeat", "worker.heartbeat" },
		      [EVENTS_OFFLINE] = { "worker-offline", "worker.offline" } };
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	begin(s, &w, &body);
	put_real(&w, STR("freq"), (double) EVENTS_BEAT / SEC);
	json_put_key(&w, STR("active"));
	json_put_i64(&w, s->is_crew_gone ? 0 : crew_running(s->crew));
	json_put_key(&w, STR("processed"));
	json_put_i64(&w, (int64_t) s->events.processed);
	put_load(&w);
	put_software(&w);
	end(&w, names[which].type);
	publish(s, names[which].route, buf_str(&body));
	s->events.beat_at = loop_now(s->loop);
}

void events_bare_heartbeat(struct supervisor *s)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	begin(s, &w, &body);
	put_real(&w, STR("freq"), 5);
	put_software(&w);
	end(&w, "worker-heartbeat");
	publish(s, "worker.heartbeat", buf_str(&body));
}

static void send_batch(struct supervisor *s)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;

	if (s->events.batch.len == 0)
		return;
	buf_printf(&body, "[%s]", s->events.batch.at);
	publish(s, "task.multi", buf_str(&body));
	buf_clear(&s->events.batch);
}

void events_close_down(struct supervisor *s)
{
	send_batch(s);
	events_worker(s, EVENTS_OFFLINE);
}

void events_tick(struct supervisor *s)
{
	usec_t now = loop_now(s->loop);

	if (s->sm.state == SUPERVISOR_CLOSING) /* it has said that it is offline */
		return;
	if (now - s->events.batch_since >= EVENTS_WAIT)
		send_batch(s);
	if (now - s->events.beat_at >= EVENTS_BEAT && redis_is_ready(s->general))
		events_worker(s, EVENTS_HEARTBEAT);
}

/* Of tasks. */

static void begin_task(struct supervisor *s, struct json_writer *w, struct str id)
{
	struct events *e = &s->events;

	must(e->is_on);
	if (e->batch.len == 0)
		e->batch_since = loop_now(s->loop);
	else
		buf_add_c(&e->batch, ", ");
	begin(s, w, &e->batch);
	put(w, STR("uuid"), id);
}

static void end_task(struct supervisor *s, struct json_writer *w, const char *type)
{
	end(w, type);
	if (s->events.batch.len > BATCH_MOST)
		send_batch(s);
}

/* What a header says, or null. */
static void put_header(struct json_writer *w, struct arena *arena, const struct json *headers,
		       struct str name)
{
	const struct json *v = json_get(headers, name);

	json_put_key(w, name);
	if (v == NULL || v->type == JSON_NULL)
		json_put_null(w);
	else if (v->type == JSON_STRING)
		json_put_str(w, utf8_repair(arena, json_text(arena, v)));
	else
		json_put_tree(w, v);
}

void events_received(struct supervisor *s, const struct message *m)
{
	static const struct str copied[] = { STR_INIT("root_id"), STR_INIT("parent_id"),
					     STR_INIT("retries"), STR_INIT("eta"),
					     STR_INIT("expires") };
	_cleanup_(arena_fini) struct arena arena;
	const struct json *headers = NULL, *v;
	struct json_error error;
	struct json_writer w;
	struct json *tree;

	arena_init(&arena);
	if (json_parse(&arena, m->raw, JSON_PYTHON, DEPTH_MOST, &tree, &error) == 0)
		headers = json_get(tree, STR("headers"));
	begin_task(s, &w, message_text(&arena, m, MESSAGE_ID));
	put(&w, STR("name"), message_text(&arena, m, MESSAGE_TASK));
	v = json_get(headers, STR("argsrepr"));
	put(&w, STR("args"),
	    v != NULL && v->type == JSON_STRING ? json_text(&arena, v) : STR("()"));
	v = json_get(headers, STR("kwargsrepr"));
	put(&w, STR("kwargs"),
	    v != NULL && v->type == JSON_STRING ? json_text(&arena, v) : STR("{}"));
	for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
		put_header(&w, &arena, headers, copied[i]);
	end_task(s, &w, "task-received");
}

void events_started(struct supervisor *s, struct str id)
{
	struct json_writer w;

	begin_task(s, &w, id);
	end_task(s, &w, "task-started");
}

void events_succeeded(struct supervisor *s, struct str id, struct str value, usec_t took)
{
	_cleanup_(arena_fini) struct arena arena;
	struct json_writer w;

	arena_init(&arena);
	begin_task(s, &w, id);
	put(&w, STR("result"), message_repr(&arena, str_is_null(value) ? STR("null") : value));
	put_real(&w, STR("runtime"), (double) took / SEC);
	end_task(s, &w, "task-succeeded");
}

void events_failed(struct supervisor *s, enum events_end which, struct str id,
		   const struct result_exception *exception, struct str reason)
{
	_cleanup_(arena_fini) struct arena arena;
	struct str text, said;
	struct json_writer w;

	arena_init(&arena);
	reason = utf8_repair(&arena, reason);
	text = arena_printf(&arena, "%s('%.*s')", exception->type, STR_ARG(reason));
	if (which == EVENTS_RETRIED)
		text = arena_printf(&arena, "Retry(Retry(...), %.*s, 0)", STR_ARG(text));
	said = arena_printf(&arena, "Traceback (most recent call last):\n%s.%s: %.*s\n",
			    exception->module, exception->type, STR_ARG(reason));
	begin_task(s, &w, id);
	put(&w, STR("exception"), text);
	if (exception != &result_not_registered) /* as Celery: nothing has run */
		put(&w, STR("traceback"), said);
	end_task(s, &w, which == EVENTS_RETRIED ? "task-retried" : "task-failed");
}

void events_revoked(struct supervisor *s, struct str id, bool is_terminated, bool is_expired)
{
	struct json_writer w;

	begin_task(s, &w, id);
	json_put_key(&w, STR("terminated"));
	json_put_bool(&w, is_terminated);
	json_put_key(&w, STR("signum"));
	if (is_terminated)
		json_put_i64(&w, SIGTERM);
	else
		json_put_null(&w);
	json_put_key(&w, STR("expired"));
	json_put_bool(&w, is_expired);
	end_task(s, &w, "task-revoked");
}
