/*
 * events.c - apium events: what workers tell, as it comes.
 *
 * On a terminal a picture of workers and jobs, drawn anew each second; with --dump, or when the output is
 * no terminal, each event a line, as `celery events --dump` prints it.  Both end at SIGINT and SIGTERM.
 *
 * Events are published on `/<db>.celeryev/<type>`; task events come many at once.  Those of tasks are sent
 * only when somebody asked (`apium control enable_events`).  At the start every worker is asked for a
 * heartbeat, so that it is seen at once.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/datetime.h"
#include "base/error.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/settings.h"
#include "base/world.h"
#include "command.h"
#include "queue/body.h"
#include "queue/keys.h"
#include "queue/repr.h"
#include "session.h"

#define LIFE         (3650 * DAY)
#define LOOK         (100 * MSEC)
#define DRAW         (1 * SEC)
#define WORKERS_MOST 200
#define TASKS_MOST   2000
#define ROWS_USUAL   24
#define NAME_MOST    80

struct seen_worker {
	struct list link;
	char name[NAME_MOST];
	bool is_online;
	usec_t seen_at, freq;
	int64_t active, processed;
	double load[3];
};

struct seen_job {
	struct list link; /* the last that was heard of stands first */
	char id[NAME_MOST], task[NAME_MOST], what[512], worker[NAME_MOST], state[16];
	usec_t at;
};

struct watch {
	struct session *s;
	struct redis *subscription;
	struct buf channel;
	bool is_dumping, is_changed;
	uint64_t events;
	struct list workers, jobs;
	size_t worker_count, job_count;
	struct map by_id; /* jobs */
	struct waiter *closing;
};

static volatile sig_atomic_t is_told_to_end;

static void on_signal(int number)
{
	(void) number;
	is_told_to_end = 1;
}

/* What an event says. */

static struct str text_of(struct arena *arena, const struct json *event, const char *name)
{
	const struct json *v = json_get(event, str_c(name));

	return v != NULL && v->type == JSON_STRING ? json_text(arena, v) : STR("");
}

static double number_of(const struct json *event, const char *name)
{
	const struct json *v = json_get(event, str_c(name));
	double number;

	return v != NULL && json_to_double(v, &number) == 0 ? number : 0;
}

/* What a stranger sends is not to steer a terminal. */
static void tame(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			*text = '?';
}

static void copy(char *to, size_t size, struct str text)
{
	(void) snprintf(to, size, "%.*s", STR_ARG(text));
	tame(to);
}

static struct seen_job *job_of(struct watch *w, struct str id)
{
	struct seen_job *j;

	id = str_slice(id, 0, NAME_MOST - 1);
	j = map_find(&w->by_id, id);
	if (j != NULL) {
		list_remove(&j->link);
	} else {
		if (w->job_count == TASKS_MOST) {
			j = list_entry(w->jobs.prev, struct seen_job, link);
			list_remove(&j->link);
			(void) map_remove(&w->by_id, str_c(j->id));
			w->job_count--;
		} else {
			j = malloc(sizeof(*j));
			must(j != NULL);
		}
		*j = (struct seen_job){ .at = 0 };
		list_init(&j->link);
		copy(j->id, sizeof(j->id), id);
		(void) map_put(&w->by_id, str_c(j->id), j);
		w->job_count++;
	}
	list_prepend(&w->jobs, &j->link);
	return j;
}

/* NULL: there are too many. */
static struct seen_worker *worker_of(struct watch *w, struct str name)
{
	struct seen_worker *worker;

	list_for_each (node, &w->workers) {
		worker = list_entry(node, struct seen_worker, link);
		if (str_eq_c(str_slice(name, 0, NAME_MOST - 1), worker->name))
			return worker;
	}
	if (w->worker_count == WORKERS_MOST)
		return NULL;
	worker = calloc(1, sizeof(*worker));
	must(worker != NULL);
	list_init(&worker->link);
	copy(worker->name, sizeof(worker->name), name);
	list_append(&w->workers, &worker->link);
	w->worker_count++;
	return worker;
}

static void note_worker(struct watch *w, struct arena *arena, const struct json *event,
			struct str type)
{
	struct seen_worker *worker = worker_of(w, text_of(arena, event, "hostname"));
	const struct json *load = json_get(event, STR("loadavg"));
	size_t i = 0;

	if (worker == NULL)
		return;
	worker->is_online = !str_eq(type, STR("worker-offline"));
	worker->seen_at = loop_now(w->s->loop);
	worker->freq = (usec_t) (MIN(MAX(number_of(event, "freq"), 1.0), 3600.0) * (double) SEC);
	if (json_get(event, STR("active")) == NULL)
		return; /* a bare heartbeat */
	worker->active = (int64_t) number_of(event, "active");
	worker->processed = (int64_t) number_of(event, "processed");
	for (const struct json *v = load == NULL ? NULL : load->first; v != NULL && i < 3;
	     v = v->next, i++)
		if (json_to_double(v, &worker->load[i]) < 0)
			worker->load[i] = 0;
}

static struct seen_job *note_job(struct watch *w, struct arena *arena, const struct json *event,
				 struct str type)
{
	struct seen_job *j = job_of(w, text_of(arena, event, "uuid"));

	if (str_eq(type, STR("task-received")) || str_eq(type, STR("task-sent"))) {
		copy(j->task, sizeof(j->task), text_of(arena, event, "name"));
		(void) snprintf(j->what, sizeof(j->what), "%s(%s) args=%.*s kwargs=%.*s", j->task,
				j->id, STR_ARG(text_of(arena, event, "args")),
				STR_ARG(text_of(arena, event, "kwargs")));
	}
	copy(j->worker, sizeof(j->worker), text_of(arena, event, "hostname"));
	copy(j->state, sizeof(j->state), str_slice(type, sizeof("task-") - 1, type.len));
	j->at = (usec_t) (number_of(event, "timestamp") * (double) SEC);
	return j;
}

/* Lines. */

struct field {
	const struct json *value;
	struct str name;
};

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct field *) a)->name, ((const struct field *) b)->name);
}

/* "pid=4242, runtime=0.01": those that do not stand elsewhere in the line, by name. */
static void add_fields(struct buf *out, struct arena *arena, const struct json *event, bool is_task,
		       bool has_name)
{
	static const char *const shown[] = { "timestamp", "type", "hostname", "uuid",
					     "name",      "args", "kwargs" };
	struct field *fields = arena_array(arena, struct field, event->count + 1);
	size_t hidden = has_name ? ARRAY_SIZE(shown) : is_task ? 4 : 3, count = 0;

	for (const struct json *m = event->first; m != NULL; m = m->next) {
		bool is_hidden = false;

		for (size_t i = 0; i < hidden; i++)
			is_hidden |= str_eq_c(m->key, shown[i]);
		if (!is_hidden)
			fields[count++] = (struct field){ m, json_key(arena, m) };
	}
	qsort(fields, count, sizeof(*fields), by_name);
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "%s%.*s=", i > 0 ? ", " : "", STR_ARG(fields[i].name));
		if (fields[i].value->type == JSON_STRING)
			buf_add_str(out, json_text(arena, fields[i].value));
		else
			repr_add(out, arena, fields[i].value);
	}
}

/* As Celery says it: "task succeeded", "started". */
static void add_type(struct buf *out, struct str type)
{
	static const struct {
		const char *type, *words;
	} human[] = { { "worker-offline", "shutdown" },
		      { "worker-online", "started" },
		      { "worker-heartbeat", "heartbeat" } };

	for (size_t i = 0; i < ARRAY_SIZE(human); i++)
		if (str_eq_c(type, human[i].type)) {
			buf_add_c(out, human[i].words);
			return;
		}
	for (size_t i = 0; i < type.len; i++)
		buf_add_byte(out, type.at[i] == '-' ? ' ' : type.at[i]);
}

static void dump(struct arena *arena, const struct json *event, struct str type,
		 const struct seen_job *job)
{
	_cleanup_(buf_fini) struct buf line = BUF_INIT, fields = BUF_INIT, time = BUF_INIT;
	bool has_name = str_eq(type, STR("task-received")) || str_eq(type, STR("task-sent"));

	datetime_add_python(&time, (usec_t) (number_of(event, "timestamp") * (double) SEC));
	for (size_t i = 0; i < time.len; i++)
		if (time.at[i] == 'T')
			time.at[i] = ' ';
	add_fields(&fields, arena, event, job != NULL, has_name);
	buf_printf(&line, "%.*s [%s] ", STR_ARG(text_of(arena, event, "hostname")), time.at);
	add_type(&line, type);
	buf_add_c(&line, fields.len > 0 ? ": " : " ");
	if (job != NULL)
		buf_printf(&line, "%s ", job->what);
	buf_add_str(&line, buf_str(&fields));
	tame(line.at);
	printf("%s\n", line.at);
}

static void take_event(struct watch *w, struct arena *arena, const struct json *event)
{
	struct str type = text_of(arena, event, "type");
	struct seen_job *job = NULL;

	if (event->type != JSON_OBJECT || text_of(arena, event, "hostname").len == 0)
		return;
	w->events++;
	w->is_changed = true;
	if (str_starts(type, STR("task-")) && text_of(arena, event, "uuid").len > 0)
		job = note_job(w, arena, event, type);
	else if (str_starts(type, STR("worker-")))
		note_worker(w, arena, event, type);
	if (w->is_dumping)
		dump(arena, event, type, job);
}

static void on_published(void *arg, int error, const struct redis_reply *reply)
{
	_cleanup_(arena_fini) struct arena arena;
	struct json *envelope, *body;
	struct watch *w = arg;

	arena_init(&arena);
	if (error < 0 || reply->type != REDIS_ARRAY || reply->count != 4)
		return;
	if (body_of_note(&arena, reply->elements[3].text, &envelope, &body) < 0) {
		fail_clear(); /* not an event */
		return;
	}
	if (body->type != JSON_ARRAY)
		take_event(w, &arena, body);
	for (const struct json *e = body->type == JSON_ARRAY ? body->first : NULL; e != NULL;
	     e = e->next)
		take_event(w, &arena, e);
	fflush(stdout);
}

static void on_state(void *arg, uint64_t generation)
{
	_cleanup_(buf_fini) struct buf resp = BUF_INIT;
	struct watch *w = arg;

	if (generation == 0) {
		if (w->is_dumping && !is_told_to_end)
			printf("-> Connection lost, attempting reconnect\n");
		return;
	}
	redis_format(&resp, REDIS_WORDS(STR("PSUBSCRIBE"), buf_str(&w->channel)));
	if (redis_send_raw(w->subscription, buf_str(&resp), REDIS_ENDLESS, on_published, w) < 0)
		w->is_changed = true; /* lost again: its state says so */
}

/* The picture. */

static void clock_of(usec_t at, char *to, size_t size)
{
	time_t seconds = (time_t) (at / SEC);
	struct tm local;

	(void) localtime_r(&seconds, &local);
	(void) strftime(to, size, "%H:%M:%S", &local);
}

static bool is_alive(const struct watch *w, const struct seen_worker *worker)
{
	return worker->is_online && loop_now(w->s->loop) - worker->seen_at < 2 * worker->freq;
}

static void draw(struct watch *w)
{
	struct winsize size = { .ws_row = ROWS_USUAL };
	int rows, alive = 0;
	char at[16];

	(void) ioctl(STDOUT_FILENO, TIOCGWINSZ, &size); /* else the usual size */
	rows = MAX((int) size.ws_row, 10) - 5;
	list_for_each (node, &w->workers)
		alive += is_alive(w, list_entry(node, struct seen_worker, link));
	clock_of(now_realtime(), at, sizeof(at));
	printf("\x1b[H\x1b[2Japium events  %s   events: %" PRIu64
	       "   tasks: %zu   workers: %d/%zu   (Ctrl-C ends)\n\n",
	       at, w->events, w->job_count, alive, w->worker_count);
	printf("\x1b[1m%-32s %-8s %8s %10s  %s\x1b[0m\n", "WORKER", "STATE", "ACTIVE", "PROCESSED",
	       "LOAD");
	list_for_each (node, &w->workers) {
		const struct seen_worker *k = list_entry(node, struct seen_worker, link);

		if (rows-- <= 0)
			break;
		printf("%-32.32s %-8s %8" PRId64 " %10" PRId64 "  %.2f %.2f %.2f\n", k->name,
		       is_alive(w, k) ? "online" : "offline", k->active, k->processed, k->load[0],
		       k->load[1], k->load[2]);
	}
	printf("\n\x1b[1m%-36s %-20s %-24s %-8s %s\x1b[0m\n", "TASK ID", "WORKER", "TASK", "TIME",
	       "STATE");
	list_for_each (node, &w->jobs) {
		const struct seen_job *j = list_entry(node, struct seen_job, link);

		if (rows-- <= 0)
			break;
		clock_of(j->at, at, sizeof(at));
		printf("%-36.36s %-20.20s %-24.24s %-8s %s\n", j->id, j->worker, j->task, at,
		       j->state);
	}
	fflush(stdout);
}

/* Life. */

static void on_closed(void *arg)
{
	struct watch *w = arg;

	fiber_wake(w->closing, 0);
}

/* The workers that are there say so. */
static int ask_for_heartbeats(struct session *s, int database)
{
	_cleanup_(buf_fini) struct buf channel = BUF_INIT, message = BUF_INIT;
	struct message_note note = {
		.body = STR("{\"method\": \"heartbeat\", \"arguments\": {}, \"destination\": null, "
			    "\"pattern\": null, \"matcher\": null}"),
		.headers = STR("{\"clock\": 1, \"expires\": 0}"),
		.exchange = STR("celery.pidbox"),
		.routing_key = STR(""),
		.is_kept = true,
	};
	struct redis_reply *reply;

	queue_key_broker(&channel, arena_printf(&s->arena, "/%d.celery.pidbox", database).at);
	message_write_note(&message, &note);
	return redis_call(s->redis, &s->arena,
			  REDIS_WORDS(STR("PUBLISH"), buf_str(&channel), buf_str(&message)),
			  &reply);
}

static int watch(struct watch *w)
{
	usec_t drawn_at = 0;
	int r = 0;

	while (!is_told_to_end && r == 0) {
		if (!w->is_dumping && loop_now(w->s->loop) - drawn_at >= DRAW) {
			drawn_at = loop_now(w->s->loop);
			draw(w);
		}
		r = fiber_sleep(LOOK);
	}
	return r;
}

static int do_events(struct session *s, void *arg)
{
	struct watch *w = arg;
	struct redis_options options = {
		.url = settings.redis_url, .name = "apium-events", .on_state = on_state, .arg = w
	};
	struct redis_address address;
	struct waiter waiter;
	int r;

	w->s = s;
	r = redis_address_parse(&s->arena, settings.redis_url, &address);
	if (r < 0)
		return r;
	queue_key_broker(&w->channel,
			 arena_printf(&s->arena, "/%d.celeryev/*", address.database).at);
	r = redis_open(s->loop, &options, &w->subscription);
	if (r < 0)
		return r;
	if (w->is_dumping)
		printf("-> evdump: starting capture...\n");
	else
		printf("\x1b[?1049h"); /* another screen, so that this one comes back */
	fflush(stdout);
	r = ask_for_heartbeats(s, address.database);
	if (r == 0)
		r = watch(w);
	if (!w->is_dumping)
		printf("\x1b[?1049l");
	waiter_init(&waiter);
	w->closing = &waiter;
	redis_close(w->subscription, on_closed, w);
	{
		int closed = fiber_park(&waiter, "close");

		return r < 0 ? r : closed;
	}
}

static void watch_fini(struct watch *w)
{
	while (!list_is_empty(&w->workers))
		free(list_entry(list_pop(&w->workers), struct seen_worker, link));
	while (!list_is_empty(&w->jobs))
		free(list_entry(list_pop(&w->jobs), struct seen_job, link));
	map_fini(&w->by_id);
	buf_fini(&w->channel);
}

int command_events(int argc, char **argv)
{
	struct watch w = { .channel = BUF_INIT };
	const struct option options[] = {
		{ "--dump", OPTION_FLAG, &w.is_dumping, NULL, "Print each event, one a line.",
		  "-d" },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words > 0)
		return fail(-EINVAL, "events takes no words, not %s", argv[0]);
	w.is_dumping |= !isatty(STDOUT_FILENO);
	list_init(&w.workers);
	list_init(&w.jobs);
	must(signal(SIGINT, on_signal) != SIG_ERR && signal(SIGTERM, on_signal) != SIG_ERR);
	r = session_run_redis(do_events, &w, LIFE);
	watch_fini(&w);
	return r;
}
