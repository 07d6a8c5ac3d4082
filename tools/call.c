/*
 * call.c - apium call: a message for any task, whoever runs it, as `celery call` sends it.
 *
 * `apium enqueue` is for tasks that are declared here: it checks their arguments and keeps them as the
 * declaration says.  This pushes into Redis what it is told to, with `eta` in the message, so that a
 * Python worker understands it, too.
 */
#include <math.h>
#include <stdio.h>

#include "base/datetime.h"
#include "base/error.h"
#include "base/json.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "base/world.h"
#include "command.h"
#include "proto/tasks.h"
#include "queue/message.h"
#include "queue/push.h"
#include "queue/signature.h"
#include "session.h"

#define BINDINGS_MOST 1000

struct call {
	const char *args, *kwargs, *eta, *countdown, *expires, *serializer;
	const char *queue, *exchange, *routing_key, *id, *priority;
	const char *time_limit, *soft_time_limit, *options;
	bool ignores_result;
	struct message_new message;
	char new_id[UUID_TEXT + 1];
	char limits[64]; /* JSON */
};

int command_json(struct arena *arena, const char *option, const char *text, bool is_array,
		 struct json **ret)
{
	struct json_error error;

	if (json_parse(arena, str_c(text), JSON_STRICT, 64, ret, &error) < 0)
		return fail(-EINVAL, "%s is not JSON: %s", option, error.sentence);
	if ((*ret)->type != (is_array ? JSON_ARRAY : JSON_OBJECT))
		return fail(-EINVAL, "%s must be %s", option, is_array ? "an array" : "an object");
	return 0;
}

static int read_seconds(const char *option, const char *text, usec_t *ret)
{
	double seconds;

	if (text == NULL)
		return 0;
	if (str_to_double(str_c(text), &seconds) < 0 || !(fabs(seconds) < 1e9))
		return fail(-EINVAL, "%s takes a number of seconds, not %s", option, text);
	*ret = (usec_t) (seconds * (double) SEC);
	return 0;
}

static int read_time(const char *option, const char *text, usec_t *ret)
{
	if (text != NULL && datetime_parse(str_c(text), ret) < 0)
		return fail(-EINVAL, "%s takes a time such as 2026-01-31T12:00:00Z, not %s", option,
			    text);
	return 0;
}

/* A time, or seconds from now. */
static int read_expires(struct call *c)
{
	double seconds;

	if (c->expires == NULL || str_to_double(str_c(c->expires), &seconds) < 0)
		return read_time("--expires", c->expires, &c->message.expires);
	if (!(fabs(seconds) < 1e9))
		return fail(-EINVAL, "--expires takes fewer seconds, not %s", c->expires);
	c->message.expires_in = (usec_t) (seconds * (double) SEC);
	c->message.expires = now_realtime() + c->message.expires_in;
	return 0;
}

/* A duration, as Python writes the number it was given. */
static void add_seconds(struct buf *b, usec_t duration)
{
	struct json_writer w;

	json_writer_init(&w, b, JSON_ESCAPE_ASCII, true);
	if (duration == 0)
		json_put_null(&w);
	else if (duration % SEC == 0)
		json_put_i64(&w, duration / SEC);
	else
		json_put_double(&w, (double) duration / SEC);
}

static int read_limits(struct call *c)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	usec_t hard = 0, soft = 0;
	int r = read_seconds("--time-limit", c->time_limit, &hard);

	if (r == 0)
		r = read_seconds("--soft-time-limit", c->soft_time_limit, &soft);
	if (r < 0)
		return r;
	buf_add_byte(&b, '[');
	add_seconds(&b, hard);
	buf_add_c(&b, ", ");
	add_seconds(&b, soft);
	buf_add_byte(&b, ']');
	(void) snprintf(c->limits, sizeof(c->limits), "%.*s", STR_ARG(buf_str(&b)));
	c->message.timelimit = str_c(c->limits);
	return 0;
}

static int read_times(struct call *c)
{
	struct message_new *m = &c->message;
	usec_t wait = 0;
	int r = read_time("--eta", c->eta, &m->eta);

	if (r == 0)
		r = read_seconds("--countdown", c->countdown, &wait);
	if (r == 0)
		r = read_expires(c);
	if (r == 0)
		r = read_limits(c);
	if (r == 0 && wait != 0)
		m->eta = now_realtime() + wait;
	return r;
}

/* Where to: a queue, or whatever is bound to an exchange. */
static int read_route(struct call *c, const struct task *task)
{
	struct str rest = str_c(settings.queues), first = STR("celery");
	int64_t priority = 0;

	if (c->queue != NULL && (c->exchange != NULL || c->routing_key != NULL))
		return fail(-EINVAL,
			    "--queue names where it goes: --exchange and --routing-key are "
			    "for what is bound to an exchange");
	if (c->exchange != NULL || c->routing_key != NULL) {
		c->message.exchange = c->exchange == NULL ? STR("celery") : str_c(c->exchange);
		c->message.routing_key = c->routing_key == NULL ? STR("") : str_c(c->routing_key);
	}
	if (c->priority != NULL && str_to_i64(str_c(c->priority), &priority) < 0)
		return fail(-EINVAL, "--priority takes a number from 0, the most urgent, to 9");
	c->message.priority = (int) priority;
	(void) settings_next_item(&rest, &first);
	if (c->queue != NULL)
		c->message.queue = str_c(c->queue);
	else
		c->message.queue = task != NULL
					   ? str_c(task->queue == NULL ? "default" : task->queue)
					   : first;
	return 0;
}

/* Options of Celery's that have words of their own here. */
static const struct {
	const char *name, *word;
} own_words[] = {
	{ "queue", "--queue" },
	{ "exchange", "--exchange" },
	{ "routing_key", "--routing-key" },
	{ "priority", "--priority" },
	{ "task_id", "--task-id" },
	{ "eta", "--eta" },
	{ "countdown", "--countdown" },
	{ "expires", "--expires" },
	{ "time_limit", "--time-limit" },
	{ "soft_time_limit", "--soft-time-limit" },
	{ "ignore_result", "--ignore-result" },
	{ "serializer", "--serializer" },
};

/* Those that the message has a place for, beside stamps; any other is a property of it, as with Celery. */
static const char *const placed[] = { "shadow",         "headers",    "retries",     "root_id",
				      "parent_id",      "group_id",   "group_index", "reply_to",
				      "link",           "link_error", "chain",       "chord",
				      "stamped_headers" };

static bool is_placed(const struct message_new *m, struct arena *arena, struct str name)
{
	struct json_error e;
	struct json *stamps;

	for (size_t i = 0; i < ARRAY_SIZE(placed); i++)
		if (str_eq_c(name, placed[i]))
			return true;
	return !str_is_null(m->stamps) &&
	       json_parse(arena, m->stamps, JSON_STRICT, 64, &stamps, &e) == 0 &&
	       json_get(stamps, name) != NULL;
}

static int keep_message(void *arg, const struct message_new *m)
{
	*(struct message_new *) arg = *m;
	return 0;
}

/* `link`, `link_error`: a signature, or several. */
static int check_linked(struct arena *arena, const struct json *linked)
{
	const struct json *one = linked != NULL && linked->type == JSON_ARRAY ? linked->first
									      : linked;
	struct signature *s;
	int r = 0;

	for (; one != NULL && r == 0; one = one == linked ? NULL : one->next)
		r = signature_read(arena, one, &s);
	return r < 0 ? fail_in(r, "--options") : 0;
}

/* The message that a signature with these options comes to. */
static int apply_options(struct arena *arena, const struct message_new *asked,
			 const struct json *options, struct message_new *ret)
{
	struct signature *s = canvas_named(arena, asked->task, asked->args, asked->kwargs);
	struct signature_use use = { .arena = arena, .emit = keep_message, .arg = ret };
	struct json_error e;
	struct json *tree;
	int r;

	for (const struct json *o = options->first; o != NULL; o = o->next) {
		const char *name = arena_c(arena, json_key(arena, o));

		for (size_t i = 0; i < ARRAY_SIZE(own_words); i++)
			if (strcmp(name, own_words[i].name) == 0)
				return fail(-EINVAL, "--options: %s is said by %s", name,
					    own_words[i].word);
		(void) canvas_set_json(s, name, json_raw(o));
	}
	r = check_linked(arena, json_get(options, STR("link")));
	if (r == 0)
		r = check_linked(arena, json_get(options, STR("link_error")));
	if (r < 0)
		return r;
	(void) canvas_set(s, "task_id", asked->id);
	if (json_parse(arena, signature_text(s), JSON_STRICT, SIGNATURE_DEPTH * 8, &tree, &e) < 0)
		return fail(-EINVAL, "--options: %s", e.sentence);
	r = signature_read(arena, tree, &s);
	return r < 0 ? fail_in(r, "--options") : signature_apply(&use, s, STR_NULL, STR_NULL);
}

static int read_options(struct call *c, struct arena *arena)
{
	_cleanup_(buf_fini) struct buf properties = BUF_INIT;
	struct message_new *m = &c->message, made;
	struct json *options;
	struct json_writer w;
	const struct json *shown;
	int r;

	if (c->options == NULL)
		return 0;
	r = command_json(arena, "--options", c->options, false, &options);
	if (r == 0)
		r = apply_options(arena, m, options, &made);
	if (r < 0)
		return r;
	m->shadow = made.shadow;
	m->headers = made.headers;
	m->retries = made.retries;
	m->root_id = made.root_id;
	m->parent_id = made.parent_id;
	m->group = made.group;
	m->group_index = made.group_index;
	m->reply_to = made.reply_to;
	m->embed = made.embed;
	m->stamped_headers = made.stamped_headers;
	m->stamps = made.stamps;
	shown = json_get(options, STR("argsrepr"));
	m->argsrepr = shown != NULL && shown->type == JSON_STRING ? json_text(arena, shown)
								  : STR_NULL;
	shown = json_get(options, STR("kwargsrepr"));
	m->kwargsrepr = shown != NULL && shown->type == JSON_STRING ? json_text(arena, shown)
								    : STR_NULL;
	json_writer_init(&w, &properties, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	for (const struct json *o = options->first; o != NULL; o = o->next) {
		if (is_placed(m, arena, json_key(arena, o)))
			continue;
		json_put_key(&w, json_key(arena, o));
		json_put_raw(&w, json_raw(o));
	}
	json_end_object(&w);
	m->properties = arena_str(arena, buf_str(&properties));
	return 0;
}

static int push_to(struct session *s, const struct call *c, struct str queue, struct str message)
{
	struct queue_keys keys;
	struct push push = { .keys = &keys,
			     .id = c->message.id,
			     .message = message,
			     .durability = TASK_FAST,
			     .priority = c->message.priority };
	int r = queue_keys_init(&keys, &s->arena, queue);

	return r < 0 ? r : MIN(push_call(s->redis, &s->arena, &push), 0);
}

/* As kombu routes to an exchange that it has not declared itself: the keys must be equal. */
static int push_to_bound(struct session *s, const struct call *c, struct str message)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	struct redis_reply *members;
	size_t pushed = 0;
	int r;

	queue_key_broker(&key, "_kombu.binding.");
	buf_add_str(&key, c->message.exchange);
	r = redis_call(s->redis, &s->arena, REDIS_WORDS(STR("SMEMBERS"), buf_str(&key)), &members);
	for (size_t i = 0; r == 0 && i < MIN(members->count, (size_t) BINDINGS_MOST); i++) {
		struct str routing_key, queue;

		if (!queue_binding_read(members->elements[i].text, &routing_key, &queue) ||
		    !str_eq(routing_key, c->message.routing_key))
			continue;
		r = push_to(s, c, queue, message);
		pushed += r == 0;
	}
	if (r == 0 && pushed == 0)
		r = fail(-ENOENT, "no queue is bound to exchange %.*s by the key \"%.*s\"",
			 STR_ARG(c->message.exchange), STR_ARG(c->message.routing_key));
	return r;
}

static int do_call(struct session *s, void *arg)
{
	_cleanup_(buf_fini) struct buf message = BUF_INIT;
	struct call *c = arg;
	struct json *args, *kwargs;
	int r;

	r = command_json(&s->arena, "--args", c->args, true, &args);
	if (r == 0)
		r = command_json(&s->arena, "--kwargs", c->kwargs, false, &kwargs);
	if (r < 0)
		return r;
	c->message.args = args->text;
	c->message.kwargs = kwargs->text;
	r = read_options(c, &s->arena);
	if (r < 0)
		return r;
	message_write(&message, &c->message);
	if (str_is_null(c->message.exchange))
		r = push_to(s, c, c->message.queue, buf_str(&message));
	else
		r = push_to_bound(s, c, buf_str(&message));
	if (r == 0)
		printf("%.*s\n", STR_ARG(c->message.id));
	return r;
}

static int read_id(struct call *c)
{
	struct uuid uuid = uuid_v4();

	uuid_format(&uuid, c->new_id);
	c->message.id = str_c(c->id == NULL ? c->new_id : c->id);
	if (c->message.id.len == 0 || c->message.id.len > MESSAGE_ID_MOST)
		return fail(-EINVAL, "--task-id takes 1 to %d bytes", MESSAGE_ID_MOST);
	return 0;
}

int command_call(int argc, char **argv)
{
	struct call c = { .args = "[]", .kwargs = "{}", .serializer = "json" };
	const struct option options[] = {
		{ "--args", OPTION_TEXT, &c.args, "JSON", "Positional arguments, an array.", "-a" },
		{ "--kwargs", OPTION_TEXT, &c.kwargs, "JSON", "Named arguments, an object.", "-k" },
		{ "--eta", OPTION_TEXT, &c.eta, "TIME", "Not before." },
		{ "--countdown", OPTION_TEXT, &c.countdown, "SECONDS", "The same, from now on." },
		{ "--expires", OPTION_TEXT, &c.expires, "TIME", "Not after; or seconds from now." },
		{ "--serializer", OPTION_TEXT, &c.serializer, "NAME", "Only json." },
		{ "--queue", OPTION_TEXT, &c.queue, "NAME", "Instead of the task's own queue." },
		{ "--exchange", OPTION_TEXT, &c.exchange, "NAME",
		  "To the queues that are bound to it." },
		{ "--routing-key", OPTION_TEXT, &c.routing_key, "KEY",
		  "By this key; the exchange is celery if none is named." },
		{ "--priority", OPTION_TEXT, &c.priority, "NUMBER", "0, the most urgent, to 9." },
		{ "--time-limit", OPTION_TEXT, &c.time_limit, "SECONDS", "Hard limit." },
		{ "--soft-time-limit", OPTION_TEXT, &c.soft_time_limit, "SECONDS", "Soft limit." },
		{ "--ignore-result", OPTION_FLAG, &c.ignores_result, NULL,
		  "Nobody will ask for it." },
		{ "--task-id", OPTION_TEXT, &c.id, "ID", "Instead of a new one." },
		{ "--options", OPTION_TEXT, &c.options, "JSON",
		  "Further options of Celery's apply_async, an object: link, headers, shadow …" },
	};
	const struct task *task;
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r == 0)
		r = tasks_register();
	if (r < 0)
		return r;
	if (words != 1)
		return fail(-EINVAL, "call takes the name of one task");
	if (strcmp(c.serializer, "json") != 0)
		return fail(-EINVAL, "--serializer %s is not here: bodies are JSON", c.serializer);
	c.message.task = str_c(argv[0]);
	task = task_find(c.message.task);
	c.message.is_foreign = task == NULL && !c.ignores_result;
	c.message.ignores_result = c.ignores_result || (task != NULL && task->ignores_result);
	r = read_times(&c);
	if (r == 0)
		r = read_route(&c, task);
	if (r == 0)
		r = read_id(&c);
	return r < 0 ? r : session_run_redis(do_call, &c, 30 * SEC);
}
