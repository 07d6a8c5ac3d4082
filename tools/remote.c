#include "remote.h"

#include <stdio.h>

#include "base/error.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "base/world.h"
#include "queue/body.h"
#include "queue/keys.h"
#include "queue/repr.h"

#define REPLY_EXCHANGE "reply.celery.pidbox"
#define TIMEOUT_USUAL  (1 * SEC)
#define TIMEOUT_MOST   3600.0
#define INDENT         4

/* Words. */

static const struct remote_command *find(const struct remote_book *book, const char *name)
{
	_cleanup_(buf_fini) struct buf all = BUF_INIT;

	for (size_t i = 0; i < book->count; i++)
		if (strcmp(book->commands[i].name, name) == 0)
			return &book->commands[i];
	for (size_t i = 0; i < book->count; i++)
		buf_printf(&all, "%s%s", i > 0 ? ", " : "", book->commands[i].name);
	(void) fail(-EINVAL, "Command %s not recognized. Available %s commands: %s", name,
		    book->word, all.at);
	return NULL;
}

static void list(const struct remote_book *book)
{
	printf("%s Commands:\n", book->title);
	for (size_t i = 0; i < book->count; i++) {
		char words[96];

		(void) snprintf(words, sizeof(words), "%s %s", book->commands[i].name,
				book->commands[i].signature);
		printf("  %-44s %s\n", words, book->commands[i].help);
	}
}

static int put_argument(struct json_writer *w, const struct remote_argument *a, const char *word)
{
	double number;

	json_put_key(w, str_c(a->name));
	if (a->kind == REMOTE_TEXT) {
		json_put_c(w, word);
		return 0;
	}
	if (a->kind == REMOTE_SWITCH) {
		json_put_bool(w, strcmp(word, "0") != 0 && strcmp(word, "no") != 0 &&
					 strcmp(word, "false") != 0 && strcmp(word, "off") != 0);
		return 0;
	}
	if (str_to_double(str_c(word), &number) < 0)
		return fail(-EINVAL, "%s is a number, not %s", a->name, word);
	if (number == (double) (int64_t) number)
		json_put_i64(w, (int64_t) number);
	else
		json_put_double(w, number);
	return 0;
}

/* From the words behind the command's name. */
static int put_arguments(struct buf *out, const struct remote_command *c, int argc, char **argv)
{
	struct json_writer w;
	int at = 0, r = 0;

	json_writer_init(&w, out, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	for (; at < argc && c->arguments[at].name != NULL && r == 0; at++)
		r = put_argument(&w, &c->arguments[at], argv[at]);
	if (r < 0)
		return r;
	if (at < argc && c->rest == NULL)
		return fail(-EINVAL, "Command '%s' takes arguments: %s", c->name,
			    c->signature[0] == '\0' ? "none" : c->signature);
	if (c->rest != NULL) {
		json_put_key(&w, str_c(c->rest));
		json_begin_array(&w);
		for (; at < argc; at++)
			json_put_c(&w, argv[at]);
		json_end_array(&w);
	}
	json_end_object(&w);
	return 0;
}

/* Replies are shown. */

static void add_sorted(struct json_writer *w, struct arena *arena, const struct json *v)
{
	const struct json **members;
	size_t count = 0;

	if (v->type != JSON_OBJECT && v->type != JSON_ARRAY) {
		json_put_tree(w, v);
		return;
	}
	members = arena_array(arena, const struct json *, v->count + 1);
	for (const struct json *m = v->first; m != NULL; m = m->next) {
		size_t at = count++;

		/* By insertion: objects of replies are small. */
		for (;
		     v->type == JSON_OBJECT && at > 0 && str_cmp(m->key, members[at - 1]->key) < 0;
		     at--)
			members[at] = members[at - 1];
		members[at] = m;
	}
	if (v->type == JSON_OBJECT)
		json_begin_object(w);
	else
		json_begin_array(w);
	for (size_t i = 0; i < count; i++) {
		if (v->type == JSON_OBJECT)
			json_put_key(w, json_key(arena, members[i]));
		add_sorted(w, arena, members[i]);
	}
	if (v->type == JSON_OBJECT)
		json_end_object(w);
	else
		json_end_array(w);
}

/* As the lines of a text, each with spaces before it. */
static void add_indented(struct buf *out, struct str text, int spaces)
{
	struct str line;

	for (bool is_first = true; str_cut(&text, '\n', &line); is_first = false)
		buf_printf(out, "%s%*s%.*s", is_first ? "" : "\n", spaces, "", STR_ARG(line));
}

static void add_list(struct buf *out, struct arena *arena, const struct json *v)
{
	if (v->first == NULL)
		buf_add_c(out, "- empty -");
	for (const struct json *e = v->first; e != NULL; e = e->next) {
		buf_printf(out, "%s* ", e == v->first ? "" : "\n");
		if (e->type == JSON_STRING)
			buf_add_str(out, json_text(arena, e));
		else
			repr_add(out, arena, e);
	}
}

/* Celery's CLIContext.pretty; false: it is an error. */
static bool add_pretty(struct buf *out, struct arena *arena, const struct json *v)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	const struct json *ok = json_get(v, STR("ok")), *error = json_get(v, STR("error"));
	struct json_writer w;

	if (ok != NULL || error != NULL) {
		(void) add_pretty(&text, arena, ok != NULL ? ok : error);
		add_indented(out, buf_str(&text), INDENT);
		return ok != NULL;
	}
	if (v->type == JSON_ARRAY) {
		add_list(out, arena, v);
	} else if (v->type == JSON_OBJECT) {
		json_writer_init(&w, &text, JSON_ESCAPE_ASCII, false);
		add_sorted(&w, arena, v);
		json_indent(out, buf_str(&text), INDENT);
	} else if (v->type == JSON_STRING) {
		buf_add_str(out, json_text(arena, v));
	} else {
		repr_add(out, arena, v);
	}
	return true;
}

static void say(struct remote_call *c, struct str node, const struct json *value, bool has_body)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT, body = BUF_INIT;
	bool is_ok = add_pretty(&text, c->arena, value);

	printf("->  %.*s: %s\n", STR_ARG(node), is_ok ? "OK" : "ERROR");
	add_indented(&body, buf_str(&text), INDENT);
	if (has_body && body.len > 0)
		printf("%.*s\n", STR_ARG(buf_str(&body)));
	fflush(stdout);
}

void remote_say(struct remote_call *c, struct str node, const struct json *value)
{
	say(c, node, value, true);
}

void remote_say_shortly(struct remote_call *c, struct str node, const struct json *value)
{
	say(c, node, value, false);
}

void remote_say_count(const struct remote_call *c)
{
	printf("\n%zu node%s online.\n", c->count, c->count == 1 ? "" : "s");
}

/* Asking. */

/* Where replies are to go. */
struct mailbox {
	char oid[UUID_TEXT + 1], ticket[UUID_TEXT + 1];
	struct str bindings, member, list;
};

static void mailbox_init(struct mailbox *m, struct arena *arena)
{
	_cleanup_(buf_fini) struct buf bindings = BUF_INIT, list = BUF_INIT, member = BUF_INIT;
	struct uuid oid = uuid_v4(), ticket = uuid_v4();
	struct str queue;

	uuid_format(&oid, m->oid);
	uuid_format(&ticket, m->ticket);
	queue = arena_printf(arena, "%s." REPLY_EXCHANGE, m->oid);
	queue_key_broker(&bindings, "_kombu.binding." REPLY_EXCHANGE);
	queue_key_broker(&list, queue.at);
	m->bindings = arena_str(arena, buf_str(&bindings));
	m->list = arena_str(arena, buf_str(&list));
	queue_binding_member(&member, str_c(m->oid), queue);
	m->member = arena_str(arena, buf_str(&member));
}

/* The number of destinations. */
static size_t put_destinations(struct json_writer *w, const char *names)
{
	struct str rest = str_c(names), name;
	size_t count = 0;

	if (names == NULL) {
		json_put_null(w);
		return 0;
	}
	json_begin_array(w);
	for (; settings_next_item(&rest, &name); count++)
		json_put_str(w, name);
	json_end_array(w);
	return count;
}

static size_t write_request(struct buf *out, const struct remote_call *c, const struct mailbox *m)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT, headers = BUF_INIT;
	struct message_note note = { .exchange = STR("celery.pidbox"), .is_kept = true };
	struct json_writer w;
	size_t limit;

	json_writer_init(&w, &body, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	json_put_key(&w, STR("method"));
	json_put_c(&w, c->method);
	json_put_key(&w, STR("arguments"));
	json_put_raw(&w, c->arguments);
	json_put_key(&w, STR("destination"));
	limit = put_destinations(&w, c->destination);
	json_put_key(&w, STR("pattern"));
	json_put_null(&w);
	json_put_key(&w, STR("matcher"));
	json_put_null(&w);
	json_put_key(&w, STR("ticket"));
	json_put_c(&w, m->ticket);
	json_put_key(&w, STR("reply_to"));
	json_begin_object(&w);
	json_put_key(&w, STR("exchange"));
	json_put_c(&w, REPLY_EXCHANGE);
	json_put_key(&w, STR("routing_key"));
	json_put_c(&w, m->oid);
	json_end_object(&w);
	json_end_object(&w);
	json_writer_init(&w, &headers, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	json_put_key(&w, STR("clock"));
	json_put_i64(&w, 1);
	json_put_key(&w, STR("expires"));
	json_put_double(&w, (double) (now_realtime() + c->_most) / SEC);
	json_end_object(&w);
	note.body = buf_str(&body);
	note.headers = buf_str(&headers);
	note.routing_key = STR("");
	message_write_note(out, &note);
	return limit;
}

static int publish(struct session *s, struct str request)
{
	_cleanup_(buf_fini) struct buf channel = BUF_INIT;
	struct redis_address address;
	struct redis_reply *reply;
	int r = redis_address_parse(&s->arena, settings.redis_url, &address);

	if (r < 0)
		return r;
	queue_key_broker(&channel,
			 arena_printf(&s->arena, "/%d.celery.pidbox", address.database).at);
	return redis_call(s->redis, &s->arena,
			  REDIS_WORDS(STR("PUBLISH"), buf_str(&channel), request), &reply);
}

static void take_reply(struct remote_call *c, const struct mailbox *m, struct str raw)
{
	struct json *envelope, *body;
	const struct json *ticket;
	struct json_writer w;

	if (body_of_note(c->arena, raw, &envelope, &body) < 0 || body->type != JSON_OBJECT) {
		fail_clear(); /* who writes what is no reply is not waited for */
		return;
	}
	ticket = json_get(json_get(envelope, STR("headers")), STR("ticket"));
	if (ticket == NULL || !str_eq_c(ticket->text, m->ticket))
		return;
	for (const struct json *v = body->first; v != NULL; v = v->next) {
		struct str node = json_key(c->arena, v);

		if (c->all.len > 1)
			buf_add_c(&c->all, ", ");
		if (c->is_list)
			buf_add_byte(&c->all, '{');
		json_escape_add(&c->all, node, JSON_ESCAPE_ASCII);
		buf_add_c(&c->all, ": ");
		json_writer_init(&w, &c->all, JSON_ESCAPE_ASCII, true);
		json_put_tree(&w, v);
		if (c->is_list)
			buf_add_byte(&c->all, '}');
		c->count++;
		if (c->on_reply != NULL && !c->is_json)
			c->on_reply(c, node, v);
	}
}

static int gather(struct session *s, struct remote_call *c, const struct mailbox *m, size_t limit)
{
	usec_t until = loop_now(s->loop) + c->_most, left;
	struct redis_reply *reply;
	int r = 0;

	while (r == 0 && (limit == 0 || c->count < limit) &&
	       (left = until - loop_now(s->loop)) > 0) {
		r = redis_call(s->redis, &s->arena,
			       REDIS_WORDS(STR("BRPOP"), m->list,
					   arena_printf(&s->arena, "%.3f",
							MAX((double) left / SEC, 0.001))),
			       &reply);
		if (r == 0 && reply->type == REDIS_ARRAY && reply->count == 2)
			take_reply(c, m, reply->elements[1].text);
	}
	return r;
}

static int ask(struct session *s, void *arg)
{
	_cleanup_(buf_fini) struct buf request = BUF_INIT;
	struct remote_call *c = arg;
	struct redis_reply *reply;
	struct mailbox m;
	size_t limit;
	int r;

	c->arena = &s->arena;
	mailbox_init(&m, &s->arena);
	limit = write_request(&request, c, &m);
	r = redis_call(s->redis, &s->arena, REDIS_WORDS(STR("SADD"), m.bindings, m.member), &reply);
	if (r < 0)
		return r;
	buf_add_byte(&c->all, c->is_list ? '[' : '{');
	r = publish(s, buf_str(&request));
	if (r == 0)
		r = gather(s, c, &m, limit);
	buf_add_byte(&c->all, c->is_list ? ']' : '}');
	if (redis_call(s->redis, &s->arena, REDIS_WORDS(STR("SREM"), m.bindings, m.member),
		       &reply) < 0 ||
	    redis_call(s->redis, &s->arena, REDIS_WORDS(STR("DEL"), m.list), &reply) < 0)
		fail_clear(); /* Redis has gone: what was said before counts */
	return r;
}

int remote_run(struct remote_call *c)
{
	double seconds = TIMEOUT_USUAL / (double) SEC;
	int r;

	if (c->timeout != NULL && (str_to_double(str_c(c->timeout), &seconds) < 0 ||
				   !(seconds > 0 && seconds <= TIMEOUT_MOST)))
		return fail(-EINVAL, "--timeout takes a number of seconds, not %s", c->timeout);
	c->_most = (usec_t) (seconds * (double) SEC);
	r = session_run_redis(ask, c, c->_most + 30 * SEC);
	if (r == -E_UNAVAILABLE) {
		fprintf(stderr, "Error: Could not connect to the message broker: %s\n",
			fail_reason(r));
		r = REMOTE_UNAVAILABLE;
	} else if (r == 0 && c->count == 0) {
		fprintf(stderr, "Error: No nodes replied within time constraint\n");
		r = REMOTE_UNAVAILABLE;
	} else if (r == 0 && c->is_json) {
		printf("%.*s\n", STR_ARG(buf_str(&c->all)));
	}
	buf_fini(&c->all);
	return r;
}

int remote_command(struct remote_call *c, const struct remote_book *book, int argc, char **argv)
{
	_cleanup_(buf_fini) struct buf arguments = BUF_INIT;
	bool is_listing = false;
	const struct option options[] = {
		REMOTE_OPTIONS(c),
		{ "--list", OPTION_FLAG, &is_listing, NULL, "Print the commands and end." },
	};
	const struct remote_command *command;
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (is_listing) {
		list(book);
		return 0;
	}
	if (words < 1)
		return fail(-EINVAL, "%s needs a command; `apium %s --list` names them", book->word,
			    book->word);
	command = find(book, argv[0]);
	if (command == NULL)
		return -EINVAL;
	r = put_arguments(&arguments, command, words - 1, argv + 1);
	if (r < 0)
		return r;
	c->method = command->name;
	c->arguments = buf_str(&arguments);
	r = remote_run(c);
	if (r == 0 && c->is_counted && !c->is_json)
		remote_say_count(c);
	return r;
}
