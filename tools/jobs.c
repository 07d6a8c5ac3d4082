/*
 * jobs.c - apium enqueue, apium queues, apium dead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/datetime.h"
#include "base/error.h"
#include "base/json.h"
#include "base/settings.h"
#include "command.h"
#include "proto/tasks.h"
#include "queue/keys.h"
#include "result.h"
#include "session.h"

#define WAIT_MOST    HOUR
#define LETTERS_MOST 1000 /* shown, retried or purged by one call */

static void print(struct str text)
{
	printf("%.*s\n", STR_ARG(text));
}

/* --- enqueue --- */

struct enqueue_call {
	const struct task *task;
	const char *args, *kwargs, *eta, *durability;
	struct enqueue_options options;
	bool waits;
};

/* Positional and named arguments as the declaration knows them. */
static int bind_arguments(struct arena *arena, const struct enqueue_call *c, void **ret_arguments)
{
	void *arguments = arena_zalloc(arena, MAX(c->task->arguments_size, (size_t) 1));
	struct json *args, *kwargs;
	int r;

	r = command_json(arena, "--args", c->args, true, &args);
	if (r == 0)
		r = command_json(arena, "--kwargs", c->kwargs, false, &kwargs);
	if (r == 0)
		r = task_bind(arena, c->task, args, kwargs, arguments);
	if (r < 0)
		return r == -E_DROPPED ? fail(-EINVAL, "%s", fail_reason(r)) : r;
	*ret_arguments = arguments;
	return 0;
}

static int wait_for_result(struct session *s, const char *id)
{
	struct str status, document;
	int r = result_wait(s, str_c(id), WAIT_MOST, &document, &status);

	if (r < 0)
		return r;
	print(document);
	return str_eq(status, STR("SUCCESS")) ? 0 : 1;
}

/* The declaration, but for what --durability says. */
static int read_durability(const struct enqueue_call *c, struct task *ret)
{
	struct task task = *c->task;

	if (c->durability == NULL) {
		*ret = task;
		return 0;
	}
	for (int i = 0; i < TASK_DURABILITIES; i++) {
		if (strcmp(c->durability, task_durability_names[i]) != 0)
			continue;
		task.durability = (enum task_durability) i;
		*ret = task;
		return 0;
	}
	return fail(-EINVAL, "--durability takes outbox, waited or fast, not %s", c->durability);
}

static int do_enqueue(struct session *s, void *arg)
{
	struct enqueue_call *c = arg;
	struct enqueued *job;
	struct task task;
	void *arguments = NULL;
	int r;

	r = bind_arguments(&s->arena, c, &arguments);
	if (r < 0)
		return r;
	if (c->eta != NULL && datetime_parse(str_c(c->eta), &c->options.eta) < 0)
		return fail(-EINVAL, "--eta takes a time such as 2026-01-31T12:00:00Z, not %s",
			    c->eta);
	r = read_durability(c, &task);
	if (r == 0)
		r = enqueue_args(s->producer, NULL, &s->arena, &task, arguments, &c->options, &job);
	if (r < 0)
		return r;
	/* Not into what scripts read: the id, or the result. */
	fprintf(stderr, "kept: %s\n", task_durability_names[job->durability]);
	if (c->waits)
		return wait_for_result(s, job->id);
	printf("%s\n", job->id);
	return 0;
}

static const struct task *find_task(const char *name)
{
	const struct task *task = task_find(str_c(name));

	if (task != NULL)
		return task;
	const char **names = NULL;
	size_t count = task_count();
	_cleanup_(arena_fini) struct arena arena;
	arena_init(&arena);
	names = arena_array(&arena, const char *, count);
	for (size_t i = 0; i < count; i++)
		names[i] = task_at(i)->name;
	const char *near = str_nearest(name, names, count, sizeof(names[0]));
	(void) (near != NULL ? fail(-EINVAL, "there is no task %s; did you mean %s?", name, near)
			     : fail(-EINVAL, "there is no task %s", name));
	return NULL;
}

int command_enqueue(int argc, char **argv)
{
	struct enqueue_call c = { .args = "[]", .kwargs = "{}" };
	const char *key = NULL;
	const struct option options[] = {
		{ "--args", OPTION_TEXT, &c.args, "JSON", "Positional arguments, an array." },
		{ "--kwargs", OPTION_TEXT, &c.kwargs, "JSON", "Named arguments, an object." },
		{ "--queue", OPTION_TEXT, &c.options.queue, "NAME",
		  "Instead of the task's own queue." },
		{ "--key", OPTION_TEXT, &key, "TEXT", "Idempotency key." },
		{ "--durability", OPTION_TEXT, &c.durability, "WORD",
		  "outbox, waited or fast, instead of the task's own." },
		{ "--eta", OPTION_TEXT, &c.eta, "TIME", "Not before." },
		{ "--wait", OPTION_FLAG, &c.waits, NULL, "Wait for the result and print it." },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r == 0)
		r = tasks_register();
	if (r < 0)
		return r;
	if (words != 1)
		return fail(-EINVAL, "enqueue takes the name of one task");
	c.task = find_task(argv[0]);
	if (c.task == NULL)
		return -EINVAL;
	c.options.key = str_c(key);
	return session_run(do_enqueue, &c, c.waits ? WAIT_MOST : 30 * SEC);
}

/* --- queues --- */

static int ask_number(struct session *s, struct str command, struct str key, int64_t *sum)
{
	struct redis_reply *reply;
	int r;

	r = redis_call(s->redis, &s->arena, REDIS_WORDS(command, key), &reply);
	if (r == -E_REDIS_TYPE)
		return 0; /* a fenced in-flight list is a string */
	if (r == 0)
		*sum += reply->integer;
	return r;
}

/* In-flight lists of all workers; finished places that are not trimmed yet count too. */
static int ask_in_flight(struct session *s, const struct queue_keys *keys, int64_t *sum)
{
	struct redis_reply *tokens;
	int r;

	r = redis_call(s->redis, &s->arena, REDIS_WORDS(STR("HKEYS"), keys->workers), &tokens);
	for (size_t i = 0; r == 0 && i < tokens->count; i++) {
		_cleanup_(buf_fini) struct buf fly = BUF_INIT;

		queue_key_fly(&fly, keys, tokens->elements[i].text);
		r = ask_number(s, STR("LLEN"), buf_str(&fly), sum);
	}
	return r;
}

static int print_queue(struct session *s, struct str name)
{
	int64_t waiting = 0, in_flight = 0, scheduled = 0, dead = 0;
	struct queue_keys keys;
	int r;

	r = queue_keys_init(&keys, &s->arena, name);
	for (int step = 0; r == 0 && step < queue_steps(); step++)
		r = ask_number(s, STR("LLEN"), keys.lists[step], &waiting);
	if (r == 0)
		r = ask_in_flight(s, &keys, &in_flight);
	if (r == 0)
		r = ask_number(s, STR("ZCARD"), keys.schedule, &scheduled);
	if (r == 0)
		r = ask_number(s, STR("ZCARD"), keys.dead, &dead);
	if (r == 0)
		printf("%-20.*s %9" PRId64 " %9" PRId64 " %9" PRId64 " %9" PRId64 "\n",
		       STR_ARG(name), waiting, in_flight, scheduled, dead);
	return r;
}

static int do_queues(struct session *s, void *arg)
{
	struct str rest = str_c(settings.queues), name;

	(void) arg;
	printf("%-20s %9s %9s %9s %9s\n", "queue", "waiting", "in flight", "scheduled", "dead");
	while (settings_next_item(&rest, &name)) {
		int r = print_queue(s, name);

		if (r < 0)
			return r;
	}
	return 0;
}

int command_queues(int argc, char **argv)
{
	if (argc > 0)
		return fail(-EINVAL, "queues takes no words, not %s", argv[0]);
	return session_run(do_queues, NULL, 30 * SEC);
}

/* --- dead --- */

/* KEYS dead letters | letter -> 1, or 0 if there was none.  Retry: KEYS … list | letter */
static struct redis_script script_purge = {
	.name = "dead purge",
	.text = "redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. ':raw')\n"
		"return redis.call('ZREM', KEYS[1], ARGV[1])",
};
static struct redis_script script_retry = {
	.name = "dead retry",
	.text = "local raw = redis.call('HGET', KEYS[2], ARGV[1] .. ':raw')\n"
		"if not raw or redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end\n"
		"redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. ':raw')\n"
		"redis.call('LPUSH', KEYS[3], raw)\n"
		"return 1",
};

struct dead_call {
	const char *verb, *letter; /* letter NULL: all */
	const char *queue;
	struct queue_keys keys;
};

static int list_letters(struct session *s, const struct dead_call *c, struct redis_reply **ret)
{
	return redis_call(s->redis, &s->arena,
			  REDIS_WORDS(STR("ZRANGE"), c->keys.dead, STR("0"),
				      arena_printf(&s->arena, "%d", LETTERS_MOST - 1)),
			  ret);
}

static int get_field(struct session *s, const struct dead_call *c, struct str field,
		     struct str *ret)
{
	struct redis_reply *reply;
	int r;

	r = redis_call(s->redis, &s->arena, REDIS_WORDS(STR("HGET"), c->keys.letters, field),
		       &reply);
	if (r < 0)
		return r;
	if (reply->type != REDIS_TEXT)
		return fail(-ENOENT, "queue %s has no dead letter %.*s", c->queue, STR_ARG(field));
	*ret = reply->text;
	return 0;
}

/* Its own bytes, whatever they are; on a terminal escaped, because they may be meant for it. */
static void print_raw(struct str raw)
{
	_cleanup_(buf_fini) struct buf escaped = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	if (isatty(STDOUT_FILENO)) {
		json_escape_add(&escaped, utf8_repair(&arena, raw), JSON_ESCAPE_ASCII);
		raw = buf_str(&escaped);
	}
	fwrite(raw.at, 1, raw.len, stdout);
	putchar('\n');
}

static int show_letter(struct session *s, const struct dead_call *c, struct str letter)
{
	struct str record = STR_NULL, raw = STR_NULL;
	int r;

	r = get_field(s, c, letter, &record);
	if (r == 0)
		r = get_field(s, c, arena_printf(&s->arena, "%.*s:raw", STR_ARG(letter)), &raw);
	if (r < 0)
		return r;
	print(record);
	print_raw(raw);
	return 0;
}

static int list_letter(struct session *s, const struct dead_call *c, struct str letter)
{
	struct str record = STR_NULL;
	int r = get_field(s, c, letter, &record);

	if (r == 0)
		print(record);
	return r;
}

static int evaluate(struct session *s, struct redis_script *script, size_t keys,
		    const struct str *words, size_t count, struct str letter)
{
	struct redis_reply *reply;
	int r;

	r = redis_eval(s->redis, &s->arena, script, keys, words, count, &reply);
	if (r < 0)
		return r;
	if (reply->integer == 0)
		return fail(-ENOENT, "there is no dead letter %.*s", STR_ARG(letter));
	print(letter);
	return 0;
}

static int purge_letter(struct session *s, const struct dead_call *c, struct str letter)
{
	const struct str words[] = { c->keys.dead, c->keys.letters, letter };

	return evaluate(s, &script_purge, 2, words, ARRAY_SIZE(words), letter);
}

/* Back into the list it came from. */
static int retry_letter(struct session *s, const struct dead_call *c, struct str letter)
{
	struct json_error error;
	struct json *tree;
	struct str record;
	int r;

	r = get_field(s, c, letter, &record);
	if (r < 0)
		return r;
	if (json_parse(&s->arena, record, JSON_STRICT, 8, &tree, &error) < 0)
		return fail(-EINVAL, "the record of %.*s is not JSON: %s", STR_ARG(letter),
			    error.sentence);
	const struct json *list = json_get(tree, STR("list"));
	if (list == NULL || list->type != JSON_STRING)
		return fail(-EINVAL, "the record of %.*s names no list", STR_ARG(letter));
	const struct str words[] = { c->keys.dead, c->keys.letters, json_text(&s->arena, list),
				     letter };
	return evaluate(s, &script_retry, 3, words, ARRAY_SIZE(words), letter);
}

/* clang-format off */
static const struct dead_verb {
	const char *name;
	int (*run)(struct session *, const struct dead_call *, struct str letter);
	bool needs_letter;
} dead_verbs[] = {
	{ "list",  list_letter,  false },
	{ "show",  show_letter,  true },
	{ "retry", retry_letter, false },
	{ "purge", purge_letter, false },
};
/* clang-format on */

static int do_dead(struct session *s, void *arg)
{
	struct dead_call *c = arg;
	const struct dead_verb *verb = NULL;
	struct redis_reply *letters;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(dead_verbs); i++) {
		if (strcmp(c->verb, dead_verbs[i].name) == 0)
			verb = &dead_verbs[i];
	}
	if (verb == NULL)
		return fail(-EINVAL, "dead takes list, show, retry or purge, not %s", c->verb);
	if (verb->needs_letter && c->letter == NULL)
		return fail(-EINVAL, "dead %s needs a letter; `apium dead list` names them",
			    c->verb);
	r = queue_keys_init(&c->keys, &s->arena, str_c(c->queue));
	if (r < 0)
		return r;
	if (c->letter != NULL)
		return verb->run(s, c, str_c(c->letter));
	r = list_letters(s, c, &letters);
	for (size_t i = 0; r == 0 && i < letters->count; i++)
		r = verb->run(s, c, letters->elements[i].text);
	return r;
}

int command_dead(int argc, char **argv)
{
	struct dead_call c = { .queue = "default" };
	const struct option options[] = {
		{ "--queue", OPTION_TEXT, &c.queue, "NAME",
		  "Whose dead letters; default: default." },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words < 1 || words > 2)
		return fail(-EINVAL, "dead takes list, show, retry or purge, and perhaps a letter");
	c.verb = argv[0];
	c.letter = words == 2 ? argv[1] : NULL;
	return session_run(do_dead, &c, 30 * SEC);
}
