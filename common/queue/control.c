#include "queue/control-internal.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/body.h"
#include "queue/control.h"
#include "queue/node.h"
#include "queue/purge.h"

#define PATTERN_MOST 200
#define REPLY_TTL    "60" /* seconds that a reply waits for its client */
#define LOAD_AGAIN   (200 * MSEC)
#define PURGE_MOST   (1 * HOUR)

struct request {
	struct list link;
	size_t len;
	char raw[];
};

/* Requests come. */

static void on_published(void *arg, int error, const struct redis_reply *reply)
{
	struct control *c = arg;
	struct request *q;

	if (error < 0) /* lost: on_state subscribes again */
		return;
	if (reply->type != REDIS_ARRAY || reply->count != 3 ||
	    !str_eq(reply->elements[0].text, STR("message")))
		return;
	if (c->request_count == CONTROL_WAITING || reply->elements[2].text.len > CONTROL_BYTES) {
		log_warn("too many commands of remote control, or too long ones: one is dropped");
		return;
	}
	q = malloc(sizeof(*q) + reply->elements[2].text.len);
	must(q != NULL);
	q->len = reply->elements[2].text.len;
	memcpy(q->raw, reply->elements[2].text.at, q->len);
	list_init(&q->link);
	list_append(&c->requests, &q->link);
	c->request_count++;
	if (c->waiter != NULL)
		fiber_wake(c->waiter, 0);
}

static void on_state(void *arg, uint64_t generation)
{
	struct control *c = arg;
	_cleanup_(buf_fini) struct buf resp = BUF_INIT;

	if (generation == 0)
		return;
	redis_format(&resp, REDIS_WORDS(STR("SUBSCRIBE"), buf_str(&c->channel)));
	if (redis_send_raw(c->subscription, buf_str(&resp), REDIS_ENDLESS, on_published, c) < 0)
		log_debug("the connection was lost again");
}

/* Helpers of commands. */

int control_argument(struct control_call *call, const char *name, const struct json **ret)
{
	*ret = json_get(call->arguments, str_c(name));
	if (*ret == NULL)
		return fail(-E_INVALID,
			    "TypeError(\"%s() missing 1 required positional argument: '%s'\")",
			    call->name, name);
	return 0;
}

bool control_flag(struct control_call *call, const char *name)
{
	const struct json *v = json_get(call->arguments, str_c(name));
	double number;

	if (v != NULL && v->type == JSON_NUMBER)
		return json_to_double(v, &number) == 0 && number != 0;
	return json_is_true(v) || (v != NULL && v->type == JSON_STRING && v->text.len > 0);
}

void control_ok(struct control_call *call, struct str text)
{
	json_begin_object(call->out);
	json_put_key(call->out, STR("ok"));
	json_put_str(call->out, text);
	json_end_object(call->out);
}

struct str control_text(struct control_call *call, const struct json *v)
{
	return v != NULL && v->type == JSON_STRING ? json_text(call->arena, v) : STR("");
}

/* Requests are answered. */

static bool is_in(struct arena *arena, const struct json *list, struct str text)
{
	for (const struct json *v = list->first; v != NULL; v = v->next)
		if (v->type == JSON_STRING && str_eq(json_text(arena, v), text))
			return true;
	return false;
}

static bool matches(struct arena *arena, const struct json *pattern, const struct json *matcher)
{
	struct str text = json_text(arena, pattern);
	const char *name = arena_c(arena, node_name());
	regex_t regex;
	bool is_match;

	if (text.len > PATTERN_MOST)
		return false;
	if (str_eq(json_text(arena, matcher), STR("glob")))
		return fnmatch(arena_c(arena, text), name, 0) == 0;
	/* Python's re.match: from the beginning.  No bounds: nested ones cost a compiler of patterns
	 * more than a supervisor has. */
	if (str_find_char(text, '{') >= 0 ||
	    regcomp(&regex, arena_printf(arena, "^(%.*s)", STR_ARG(text)).at,
		    REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	is_match = regexec(&regex, name, 0, NULL, 0) == 0;
	regfree(&regex);
	return is_match;
}

static bool is_for_us(struct arena *arena, const struct json *body)
{
	const struct json *to = json_get(body, STR("destination"));
	const struct json *pattern = json_get(body, STR("pattern"));
	const struct json *matcher = json_get(body, STR("matcher"));

	if (to != NULL && to->type == JSON_ARRAY && to->count > 0)
		return is_in(arena, to, node_name());
	if (pattern != NULL && matcher != NULL && pattern->type == JSON_STRING &&
	    matcher->type == JSON_STRING)
		return matches(arena, pattern, matcher);
	return true;
}

static control_command *find_command(struct str name)
{
	for (size_t i = 0; i < control_inspect_count; i++)
		if (str_eq_c(name, control_inspect_rows[i].name))
			return control_inspect_rows[i].run;
	for (size_t i = 0; i < control_change_count; i++)
		if (str_eq_c(name, control_change_rows[i].name))
			return control_change_rows[i].run;
	return NULL;
}

/* The value of the reply, whatever happens. */
static struct str run_command(struct control *c, struct arena *arena, const struct json *body)
{
	_cleanup_(buf_fini) struct buf value = BUF_INIT;
	struct json none = { .type = JSON_OBJECT };
	const struct json *arguments = json_get(body, STR("arguments"));
	const struct json *method = json_get(body, STR("method"));
	struct str name = method != NULL && method->type == JSON_STRING ? json_text(arena, method)
									: STR("");
	control_command *run = find_command(name);
	struct json_writer w;
	struct control_call call = {
		.c = c,
		.arena = arena,
		.name = arena_c(arena, name),
		.arguments = arguments != NULL && arguments->type == JSON_OBJECT ? arguments
										 : &none,
		.out = &w,
	};
	int r = 0;

	json_writer_init(&w, &value, JSON_ESCAPE_ASCII, true);
	if (run == NULL)
		r = fail(-E_NOT_FOUND, "KeyError('%.*s')", STR_ARG(str_slice(name, 0, 100)));
	else
		r = run(&call);
	if (r < 0) {
		/* It may hold a name that was cut in the middle of a character. */
		struct str reason = utf8_repair(arena, arena_printf(arena, "%s", fail_reason(r)));

		log_debug("remote control: %s: %.*s", call.name, STR_ARG(reason));
		buf_clear(&value);
		json_writer_init(&w, &value, JSON_ESCAPE_ASCII, true);
		json_begin_object(&w);
		json_put_key(&w, STR("error"));
		json_put_str(&w, reason);
		json_end_object(&w);
	}
	return value.len == 0 ? STR("null") : arena_str(arena, buf_str(&value));
}

/* Pushes the reply if its client's list is bound: nobody else would ever take it away. */
static int send_reply(struct control *c, struct arena *arena, struct str exchange, struct str key,
		      struct str message)
{
	_cleanup_(buf_fini) struct buf bindings = BUF_INIT, list = BUF_INIT, member = BUF_INIT;
	struct str queue = arena_printf(arena, "%.*s.%.*s", STR_ARG(key), STR_ARG(exchange));
	struct redis_reply *reply;
	int r;

	queue_binding_member(&member, key, queue);
	queue_key_broker(&bindings, "_kombu.binding.");
	buf_add_str(&bindings, exchange);
	r = redis_call(c->s->general, arena,
		       REDIS_WORDS(STR("SISMEMBER"), buf_str(&bindings), buf_str(&member)), &reply);
	if (r < 0 || reply->integer == 0)
		return r;
	queue_key_broker(&list, "");
	buf_add_str(&list, queue);
	r = redis_call(c->s->general, arena, REDIS_WORDS(STR("LPUSH"), buf_str(&list), message),
		       &reply);
	if (r == 0)
		r = redis_call(c->s->general, arena,
			       REDIS_WORDS(STR("EXPIRE"), buf_str(&list), STR(REPLY_TTL)), &reply);
	return r;
}

static int answer(struct control *c, struct arena *arena, const struct json *body, struct str value)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT, headers = BUF_INIT, message = BUF_INIT;
	const struct json *to = json_get(body, STR("reply_to"));
	const struct json *ticket = json_get(body, STR("ticket"));
	const struct json *exchange = json_get(to, STR("exchange"));
	const struct json *key = json_get(to, STR("routing_key"));
	struct message_note note;
	struct json_writer w;

	if (exchange == NULL || key == NULL || exchange->type != JSON_STRING ||
	    key->type != JSON_STRING)
		return 0;
	json_writer_init(&w, &text, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	json_put_key(&w, node_name());
	json_put_raw(&w, value);
	json_end_object(&w);
	json_writer_init(&w, &headers, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	json_put_key(&w, STR("ticket"));
	json_put_str(&w, ticket != NULL && ticket->type == JSON_STRING ? json_text(arena, ticket)
								       : STR_NULL);
	json_put_key(&w, STR("clock"));
	json_put_i64(&w, ++c->s->events.clock);
	json_end_object(&w);
	note = (struct message_note){ .body = buf_str(&text),
				      .headers = buf_str(&headers),
				      .exchange = json_text(arena, exchange),
				      .routing_key = json_text(arena, key) };
	message_write_note(&message, &note);
	return send_reply(c, arena, note.exchange, note.routing_key, buf_str(&message));
}

/* Too old: its client has gone.  Lamport's clock jumps ahead of the sender's. */
static bool is_stale(struct control *c, const struct json *headers)
{
	const struct json *v = json_get(headers, STR("clock"));
	int64_t clock;
	double expires;

	if (v != NULL && json_to_i64(v, &clock) == 0 && clock < INT64_MAX / 2)
		c->s->events.clock = MAX(c->s->events.clock, clock) + 1;
	v = json_get(headers, STR("expires"));
	return v != NULL && v->type == JSON_NUMBER && json_to_double(v, &expires) == 0 &&
	       expires > 0 && expires < (double) now_realtime() / SEC;
}

static int serve(struct control *c, struct str raw)
{
	_cleanup_(arena_fini) struct arena arena;
	struct json *envelope, *body;
	int r;

	arena_init(&arena);
	r = body_of_note(&arena, raw, &envelope, &body);
	if (r < 0)
		return r;
	if (is_stale(c, json_get(envelope, STR("headers"))) || !is_for_us(&arena, body))
		return 0;
	return answer(c, &arena, body, run_command(c, &arena, body));
}

static int serve_next(struct control *c)
{
	FIBER_DEADLINE(CONTROL_MOST);
	struct request *q = list_entry(list_pop(&c->requests), struct request, link);
	int r;

	c->request_count--;
	r = serve(c, str_make(q->raw, q->len));
	free(q);
	if (r < 0 && r != -ECANCELED)
		log_info("a command of remote control was not answered: %s", fail_reason(r));
	return r == -ECANCELED ? r : 0;
}

/* Life. */

static int load_revoked(struct control *c)
{
	FIBER_DEADLINE(CONTROL_MOST);
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	char most[16];
	struct redis_reply *reply;
	int r;

	arena_init(&arena);
	(void) snprintf(most, sizeof(most), "%d", REVOKED_MOST - 1);
	queue_key_broker(&key, "apium:revoked");
	r = redis_call(c->s->general, &arena,
		       REDIS_WORDS(STR("ZRANGE"), buf_str(&key), STR("0"), str_c(most), STR("REV")),
		       &reply);
	if (r < 0)
		return r;
	for (size_t i = reply->count; i > 0; i--) /* the oldest first */
		revoked_add(&c->revoked, reply->elements[i - 1].text, loop_now(c->s->loop));
	return 0;
}

static int wait_for_request(struct control *c)
{
	struct waiter waiter;
	int r = 0;

	if (list_is_empty(&c->requests)) {
		waiter_init(&waiter);
		c->waiter = &waiter;
		r = fiber_park(&waiter, "command");
		c->waiter = NULL;
	}
	return r;
}

/* Once, if the command line asked for it: -ECANCELED only. */
static int purge(struct supervisor *s)
{
	int64_t count = 0;
	int r = 0;

	for (size_t i = 0; s->is_purging && i < s->queue_count && r != -ECANCELED; i += r == 0) {
		FIBER_DEADLINE(PURGE_MOST);
		_cleanup_(arena_fini) struct arena arena;

		arena_init(&arena);
		r = queue_purge(s->general, s->db, &arena, &s->queues[i], &count);
		if (r < 0 && r != -ECANCELED) {
			log_warn("queue %.*s cannot be purged: %s, trying again",
				 STR_ARG(s->queues[i].queue), fail_reason(r));
			r = fiber_sleep(LOAD_AGAIN) == -ECANCELED ? -ECANCELED : r;
		}
	}
	if (s->is_purging && r == 0)
		log_info("%lld messages were purged", (long long) count);
	return r == -ECANCELED ? r : 0;
}

int control_keep(void *arg)
{
	struct supervisor *s = arg;
	struct control *c = s->control;
	int r;

	while ((r = load_revoked(c)) < 0) {
		if (r != -ECANCELED)
			r = fiber_sleep(LOAD_AGAIN);
		if (r < 0)
			return r;
	}
	r = purge(s);
	if (r < 0)
		return r;
	c->is_loaded = true;
	supervisor_pump(s);
	do {
		r = wait_for_request(c);
		if (r == 0 && !list_is_empty(&c->requests))
			r = serve_next(c);
	} while (r == 0);
	return r;
}

int control_open(struct supervisor *s, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));
	_cleanup_(arena_fini) struct arena arena;
	struct redis_options options = {
		.url = settings.redis_url, .name = "apium-control", .on_state = on_state, .arg = c
	};
	struct redis_address address;
	char name[48];
	int r;

	must(c != NULL);
	arena_init(&arena);
	c->s = s;
	c->started_at = loop_now(s->loop);
	list_init(&c->requests);
	list_init(&c->stamps);
	revoked_init(&c->revoked);
	buf_init(&c->channel);
	c->tasks = calloc(task_count() + 1, sizeof(*c->tasks));
	c->is_cancelled = calloc(s->queue_room, sizeof(*c->is_cancelled));
	must(c->tasks != NULL && c->is_cancelled != NULL);
	r = redis_address_parse(&arena, settings.redis_url, &address);
	if (r == 0) {
		(void) snprintf(name, sizeof(name), "/%d.celery.pidbox", address.database);
		queue_key_broker(&c->channel, name);
		r = redis_open(s->loop, &options, &c->subscription);
	}
	if (r < 0) {
		control_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void control_close(struct control *c, void (*on_closed)(void *), void *arg)
{
	redis_close(c->subscription, on_closed, arg);
}

void control_free(struct control *c)
{
	if (c == NULL)
		return;
	list_for_each (node, &c->requests)
		free(list_entry(node, struct request, link));
	list_for_each (node, &c->stamps)
		free(list_entry(node, struct control_stamp, link));
	revoked_fini(&c->revoked);
	buf_fini(&c->channel);
	free(c->tasks);
	free(c->is_cancelled);
	free(c);
}

/* What arrivals ask. */

bool control_is_loaded(const struct control *c)
{
	return c->is_loaded;
}

bool control_is_cancelled(const struct control *c, size_t queue)
{
	return c->is_cancelled[queue];
}

void control_cancel(struct control *c, size_t queue, bool is_cancelled)
{
	c->is_cancelled[queue] = is_cancelled;
}

void control_note(struct control *c, const struct task *task)
{
	c->tasks[task_number(task)].total++;
	c->s->events.processed++;
}

void control_limits(const struct control *c, const struct task *task, usec_t *hard, usec_t *soft)
{
	const struct control_task *t = &c->tasks[task_number(task)];

	if (t->has_limits) {
		*hard = t->hard;
		*soft = t->soft;
	}
}
