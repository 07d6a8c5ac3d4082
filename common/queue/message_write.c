/*
 * message_write.c - making envelopes: a new one, a changed one, protocol 2 out of protocol 1.
 *
 * Python's separators (", ", ": "), order and escapes throughout.
 */
#include "queue/message.h"

#include <stdio.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/datetime.h"
#include "base/error.h"
#include "base/json.h"
#include "base/uuid.h"
#include "base/world.h"
#include "queue/body.h"

#define DEPTH_MOST   200
#define HISTORY_KEPT 10

static int parse(struct arena *arena, struct str text, struct json **ret)
{
	struct json_error e;
	int r = json_parse(arena, text, JSON_PYTHON, DEPTH_MOST, ret, &e);

	return r < 0 ? fail(r, "%s", e.sentence) : 0;
}

static void put_time(struct json_writer *w, usec_t realtime)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	if (realtime == 0) {
		json_put_null(w);
		return;
	}
	datetime_add_python(&text, realtime);
	json_put_str(w, buf_str(&text));
}

static const char *origin(void)
{
	static char text[96];

	if (text[0] == '\0') {
		char host[64] = "";

		(void) gethostname(host, sizeof(host) - 1); /* an empty name is fine, too */
		snprintf(text, sizeof(text), "gen%d@%s", (int) getpid(), host);
	}
	return text;
}

static void put_uuid(struct json_writer *w)
{
	struct uuid u = uuid_v4();
	char text[UUID_TEXT + 1];

	uuid_format(&u, text);
	json_put_c(w, text);
}

#define PUT(w, key, how, ...) (json_put_key((w), STR(key)), json_put_##how((w), ##__VA_ARGS__))

static struct str or_else(struct str json, const char *otherwise)
{
	return str_is_null(json) ? str_c(otherwise) : json;
}

/* Members of the caller's own; those that a message has anyway are not his. */
static void put_own(struct json_writer *w, struct arena *arena, struct str object,
		    const char *const *taken)
{
	struct json *tree;

	if (str_is_null(object) || parse(arena, object, &tree) < 0)
		return;
	for (const struct json *h = tree->first; h != NULL; h = h->next) {
		bool is_taken = false;

		for (size_t i = 0; taken[i] != NULL; i++)
			is_taken = is_taken || str_eq_c(h->key, taken[i]);
		if (is_taken)
			continue;
		json_put_key(w, json_key(arena, h));
		json_put_raw(w, json_raw(h));
	}
}

static void put_headers(struct json_writer *w, const struct message_new *n)
{
	static const char *const taken[] = { "lang",          "task",        "id",
					     "apium_at",      "apium_key",   "apium_outbox",
					     "apium_history", "traceparent", NULL };
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	json_begin_object(w);
	PUT(w, "lang", c, "c");
	PUT(w, "task", str, n->task);
	PUT(w, "id", str, n->id);
	PUT(w, "shadow", str, n->shadow);
	json_put_key(w, STR("eta"));
	put_time(w, n->eta);
	json_put_key(w, STR("expires"));
	put_time(w, n->expires);
	PUT(w, "group", str, n->group);
	json_put_key(w, STR("group_index"));
	if (str_is_null(n->group) || n->group_index < 0)
		json_put_null(w);
	else
		json_put_i64(w, n->group_index);
	PUT(w, "retries", i64, n->retries);
	PUT(w, "timelimit", raw, or_else(n->timelimit, "[null, null]"));
	PUT(w, "root_id", str, str_is_null(n->root_id) ? n->id : n->root_id);
	PUT(w, "parent_id", str, n->parent_id);
	PUT(w, "argsrepr", str,
	    str_is_null(n->argsrepr) ? message_repr_args(&arena, or_else(n->args, "[]"))
				     : n->argsrepr);
	PUT(w, "kwargsrepr", str,
	    str_is_null(n->kwargsrepr) ? message_repr(&arena, n->kwargs) : n->kwargsrepr);
	PUT(w, "origin", c, origin());
	json_put_key(w, STR("ignore_result"));
	if (n->is_foreign)
		json_put_null(w);
	else
		json_put_bool(w, n->ignores_result);
	PUT(w, "replaced_task_nesting", i64, 0);
	PUT(w, "stamped_headers", raw, or_else(n->stamped_headers, "null"));
	PUT(w, "stamps", raw, or_else(n->stamps, "{}"));
	put_own(w, &arena, n->headers, taken);
	PUT(w, "apium_at", i64, (n->at != 0 ? n->at : now_realtime()) / MSEC);
	if (!str_is_null(n->key))
		PUT(w, "apium_key", str, n->key);
	if (n->is_outbox)
		PUT(w, "apium_outbox", bool, true);
	if (!str_is_null(n->traceparent))
		PUT(w, "traceparent", str, n->traceparent);
	json_end_object(w);
}

/* How the transport is to deliver it: the end of the properties. */
static void put_delivery(struct json_writer *w, struct str exchange, struct str routing_key,
			 int priority)
{
	json_put_key(w, STR("delivery_info"));
	json_begin_object(w);
	PUT(w, "exchange", str, str_is_null(exchange) ? STR("") : exchange);
	PUT(w, "routing_key", str, routing_key);
	json_end_object(w);
	PUT(w, "priority", i64, priority);
	PUT(w, "body_encoding", c, "base64");
	json_put_key(w, STR("delivery_tag"));
	put_uuid(w);
}

static void put_properties(struct json_writer *w, const struct message_new *n)
{
	static const char *const taken[] = { "correlation_id", "reply_to",   "delivery_mode",
					     "delivery_info",  "priority",   "body_encoding",
					     "delivery_tag",   "expiration", NULL };
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	json_begin_object(w);
	PUT(w, "correlation_id", str, n->id);
	json_put_key(w, STR("reply_to"));
	if (str_is_null(n->reply_to))
		put_uuid(w);
	else
		json_put_str(w, n->reply_to);
	put_own(w, &arena, n->properties, taken);
	PUT(w, "delivery_mode", i64, 2);
	if (n->expires != 0) {
		usec_t left = n->expires_in != 0 ? n->expires_in : n->expires - now_realtime();
		char ms[24]; /* kombu says it as a text; nobody reads it on Redis */

		(void) snprintf(ms, sizeof(ms), "%lld", (long long) (MAX(left, INT64_C(0)) / MSEC));
		PUT(w, "expiration", c, ms);
	}
	put_delivery(w, n->exchange, str_is_null(n->routing_key) ? n->queue : n->routing_key,
		     n->priority);
	json_end_object(w);
}

/* The envelope around a body that is given as JSON text. */
static void begin_envelope(struct json_writer *w, struct str body)
{
	_cleanup_(buf_fini) struct buf base64 = BUF_INIT;

	base64_encode(&base64, body);
	json_begin_object(w);
	PUT(w, "body", str, buf_str(&base64));
	PUT(w, "content-encoding", c, "utf-8");
	PUT(w, "content-type", c, "application/json");
}

void message_write(struct buf *out, const struct message_new *n)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	buf_add_byte(&body, '[');
	buf_add_str(&body, or_else(n->args, "[]"));
	buf_add_c(&body, ", ");
	buf_add_str(&body, n->kwargs);
	buf_add_c(&body, ", ");
	buf_add_str(&body, or_else(n->embed, "{\"callbacks\": null, \"errbacks\": null, "
					     "\"chain\": null, \"chord\": null}"));
	buf_add_byte(&body, ']');
	json_writer_init(&w, out, JSON_ESCAPE_ASCII, true);
	begin_envelope(&w, buf_str(&body));
	json_put_key(&w, STR("headers"));
	put_headers(&w, n);
	json_put_key(&w, STR("properties"));
	put_properties(&w, n);
	json_end_object(&w);
}

void message_write_note(struct buf *out, const struct message_note *n)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_ESCAPE_ASCII, true);
	begin_envelope(&w, n->body);
	PUT(&w, "headers", raw, n->headers);
	json_put_key(&w, STR("properties"));
	json_begin_object(&w);
	PUT(&w, "delivery_mode", i64, n->is_kept ? 2 : 1);
	put_delivery(&w, n->exchange, n->routing_key, 0);
	json_end_object(&w);
	json_end_object(&w);
}

/* Members of a protocol 1 body that are headers in protocol 2. */
static const struct str v1_headers[] = {
	STR_INIT("task"),  STR_INIT("id"),          STR_INIT("eta"),     STR_INIT("expires"),
	STR_INIT("group"), STR_INIT("group_index"), STR_INIT("retries"), STR_INIT("timelimit"),
};

static void put_v1_member(struct json_writer *w, const struct json *job, struct str from,
			  struct str to, const char *usual)
{
	const struct json *v = json_get(job, from);

	if (!str_is_null(to))
		json_put_key(w, to);
	if (v != NULL)
		json_put_raw(w, json_raw(v));
	else
		json_put_raw(w, str_c(usual));
}

static void put_v1_body(struct buf *out, const struct json *job)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_ESCAPE_ASCII, true);
	json_begin_array(&w);
	put_v1_member(&w, job, STR("args"), STR_NULL, "[]");
	put_v1_member(&w, job, STR("kwargs"), STR_NULL, "{}");
	json_begin_object(&w);
	put_v1_member(&w, job, STR("callbacks"), STR("callbacks"), "null");
	put_v1_member(&w, job, STR("errbacks"), STR("errbacks"), "null");
	PUT(&w, "chain", null);
	put_v1_member(&w, job, STR("chord"), STR("chord"), "null");
	json_end_object(&w);
	json_end_array(&w);
}

int message_from_v1(struct arena *arena, const struct message *m, struct str *ret_raw)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json *job, *envelope;
	const struct json *properties;
	struct message made;
	struct json_writer w;
	struct str text;
	int r;

	r = body_text(arena, m, &text);
	if (r < 0)
		return fail_in(-EINVAL, "no \"task\" header, and the body is no job either");
	r = parse(arena, text, &job);
	if (r == 0 && json_get(job, STR("task")) == NULL)
		r = fail(-EINVAL, "it has no \"task\"");
	if (r < 0)
		return fail_in(-EINVAL, "no \"task\" header, and the body is no job either");
	r = parse(arena, m->raw, &envelope);
	if (r < 0)
		return r;
	put_v1_body(&body, job);
	json_writer_init(&w, &out, JSON_ESCAPE_ASCII, true);
	begin_envelope(&w, buf_str(&body));
	json_put_key(&w, STR("headers"));
	json_begin_object(&w);
	for (size_t i = 0; i < ARRAY_SIZE(v1_headers); i++)
		put_v1_member(&w, job, v1_headers[i], v1_headers[i], "null");
	json_end_object(&w);
	json_put_key(&w, STR("properties"));
	json_begin_object(&w);
	properties = json_get(envelope, STR("properties"));
	for (const struct json *p = properties == NULL ? NULL : properties->first; p != NULL;
	     p = p->next) {
		if (str_eq(p->key, STR("body_encoding")))
			continue;
		json_put_key(&w, json_key(arena, p));
		json_put_raw(&w, json_raw(p));
	}
	PUT(&w, "body_encoding", c, "base64");
	json_end_object(&w);
	json_end_object(&w);
	r = message_scan(buf_str(&out), &made); /* an id that is a number */
	if (r < 0)
		return r;
	*ret_raw = arena_str(arena, buf_str(&out));
	return 0;
}

int message_open(struct arena *arena, struct str *raw, struct message *ret)
{
	struct message m;
	int r = message_scan(*raw, &m);

	if (r == 0 && str_is_null(m.text[MESSAGE_TASK])) {
		r = message_from_v1(arena, &m, raw);
		if (r == 0)
			r = message_scan(*raw, &m);
	}
	if (r == 0)
		*ret = m;
	return r;
}

static void put_history(struct json_writer *w, const struct json *old, struct str entry)
{
	uint32_t skip = 0;

	json_begin_array(w);
	if (old != NULL && old->type == JSON_ARRAY) {
		skip = old->count >= HISTORY_KEPT ? old->count - HISTORY_KEPT + 1 : 0;
		for (const struct json *e = old->first; e != NULL; e = e->next)
			if (skip-- == 0) {
				json_put_raw(w, json_raw(e));
				skip = 0;
			}
	}
	json_put_raw(w, entry);
	json_end_array(w);
}

/* Which change a header of this name takes. */
enum change { KEPT, NEW_RETRIES, NEW_REDELIVERED, NEW_HISTORY, CHANGES };

static const struct str change_names[CHANGES] = {
	[NEW_RETRIES] = STR_INIT("retries"),
	[NEW_REDELIVERED] = STR_INIT("redelivered"),
	[NEW_HISTORY] = STR_INIT("apium_history"),
};

static bool is_asked(const struct message_change *c, enum change which)
{
	return (which == NEW_RETRIES && c->retries >= 0) ||
	       (which == NEW_REDELIVERED && c->is_redelivered) ||
	       (which == NEW_HISTORY && !str_is_null(c->history));
}

static void put_change(struct json_writer *w, const struct message_change *c, enum change which,
		       const struct json *old)
{
	json_put_key(w, change_names[which]);
	if (which == NEW_RETRIES)
		json_put_i64(w, c->retries);
	else if (which == NEW_REDELIVERED)
		json_put_bool(w, true);
	else
		put_history(w, old, c->history);
}

static void put_changed_headers(struct arena *arena, struct json_writer *w,
				const struct json *headers, const struct message_change *c)
{
	bool is_done[CHANGES] = { false };

	json_begin_object(w);
	for (const struct json *h = headers == NULL ? NULL : headers->first; h != NULL;
	     h = h->next) {
		enum change which = KEPT;

		for (int i = KEPT + 1; i < CHANGES; i++)
			if (str_eq(h->key, change_names[i]) && is_asked(c, (enum change) i))
				which = (enum change) i;
		if (which == KEPT) {
			json_put_key(w, json_key(arena, h));
			json_put_raw(w, json_raw(h));
		} else if (!is_done[which]) {
			put_change(w, c, which, h);
			is_done[which] = true;
		}
	}
	for (int i = KEPT + 1; i < CHANGES; i++)
		if (is_asked(c, (enum change) i) && !is_done[i])
			put_change(w, c, (enum change) i, NULL);
	json_end_object(w);
}

int message_rewrite(struct arena *arena, struct str raw, const struct message_change *c,
		    struct buf *out)
{
	struct json_writer w;
	struct message m;
	struct json *tree;
	int r = message_scan(raw, &m);

	if (r == 0 && str_is_null(m.text[MESSAGE_TASK]))
		r = message_from_v1(arena, &m, &raw);
	if (r == 0)
		r = parse(arena, raw, &tree);
	if (r < 0)
		return r;
	json_writer_init(&w, out, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	for (const struct json *member = tree->first; member != NULL; member = member->next) {
		json_put_key(&w, json_key(arena, member));
		if (str_eq(member->key, STR("headers")))
			put_changed_headers(arena, &w, member, c);
		else
			json_put_raw(&w, json_raw(member));
	}
	json_end_object(&w);
	return 0;
}
