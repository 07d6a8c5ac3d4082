#include "redis/redis-internal.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/metric.h"

#define MOST_PENDING (64 * MIB)
#define MOST_SPARE   256

/*
 * Error replies that speak of the server's state and not of the command.  `is_wrong` ones also say
 * that this connection leads to a server that cannot serve us for a while: it is left, and found
 * again with backoff.
 */
static const struct {
	struct str prefix;
	bool is_wrong;
} states_of_server[] = {
	{ STR_INIT("LOADING "), true },
	{ STR_INIT("READONLY "), true },
	{ STR_INIT("MASTERDOWN "), true },
	{ STR_INIT("UNBLOCKED "), true }, /* a blocking command met a change of roles */
	{ STR_INIT("OOM "), false },
	{ STR_INIT("MISCONF "), false }, /* writes are refused while snapshots fail */
	{ STR_INIT("NOREPLICAS "), false },
	{ STR_INIT("CLUSTERDOWN "), false },
	{ STR_INIT("BUSY "), false }, /* a script runs for too long */
};

static void flush_run(struct flush *f)
{
	redis_connection_write(container_of(f, struct redis, flush));
}

static const char *make_label(struct arena *arena, const struct redis_address *a)
{
	if (a->path != NULL)
		return a->path;
	if (a->master != NULL)
		return arena_printf(arena, "%s/%d", a->master, a->database).at;
	return arena_printf(arena, "%s:%d/%d", a->host, a->port, a->database).at;
}

int redis_open(struct loop *loop, const struct redis_options *options, struct redis **ret)
{
	struct redis *r = calloc(1, sizeof(*r));
	int e;

	must(r != NULL);
	arena_init(&r->arena);
	e = redis_address_parse(&r->arena, options->url, &r->address);
	if (e == 0 && r->address.is_tls)
		e = redis_tls_hold(&r->address.tls, &r->tls);
	if (e < 0) {
		arena_fini(&r->arena);
		free(r);
		return e;
	}
	r->magic = REDIS_MAGIC;
	r->loop = loop;
	r->label = make_label(&r->arena, &r->address);
	r->name = options->name == NULL ? NULL : arena_c(&r->arena, str_c(options->name));
	r->on_state = options->on_state;
	r->on_state_arg = options->arg;
	r->most_pending = options->most_pending == 0 ? MOST_PENDING : options->most_pending;
	sm_init(&r->sm, "redis connection", redis_states, STATE_COUNT, STATE_WAITING,
		redis_connection_invariant);
	buf_init(&r->out);
	redis_reader_init(&r->reader);
	list_init(&r->pending);
	list_init(&r->spare);
	list_init(&r->waiters);
	flush_init(&r->flush, flush_run);
	r->anchor = calloc(1, sizeof(*r->anchor));
	must(r->anchor != NULL);
	must(uv_idle_init(loop_uv(loop), r->anchor) == 0);
	r->anchor->data = r;
	r->closings = 1;
	redis_connection_start(r);
	*ret = r;
	return 0;
}

void redis_close(struct redis *r, void (*on_closed)(void *), void *arg)
{
	OBJ_CHECK(r, REDIS_MAGIC);
	must(r->sm.state != STATE_CLOSING);
	must(list_is_empty(&r->waiters)); /* fibers end first */
	r->on_closed = on_closed;
	r->on_closed_arg = arg;
	redis_connection_close(r);
}

bool redis_is_ready(const struct redis *r)
{
	return r->sm.state == STATE_READY;
}

uint64_t redis_generation(const struct redis *r)
{
	return r->sm.state == STATE_READY ? r->generation : 0;
}

void redis_on_chunk(struct redis *r, void (*on_chunk)(void *), void *arg)
{
	r->on_chunk = on_chunk;
	r->on_chunk_arg = arg;
}

void redis_stats(const struct redis *r, struct redis_stats *ret)
{
	*ret = r->stats;
	ret->pending_bytes = r->out.len - r->out_at;
}

/* Commands in. */

/* hiredis's own formatter allocates and copies each command; these bytes go where they are sent
 * from. */
void redis_command_format_head(struct buf *out, size_t words)
{
	buf_add_byte(out, '*');
	buf_add_u64(out, words);
	buf_add(out, "\r\n", 2);
}

void redis_command_format_word(struct buf *out, struct str word)
{
	buf_add_byte(out, '$');
	buf_add_u64(out, word.len);
	buf_add(out, "\r\n", 2);
	buf_add_str(out, word);
	buf_add(out, "\r\n", 2);
}

void redis_format(struct buf *out, const struct str *words, size_t count)
{
	redis_command_format_head(out, count);
	for (size_t i = 0; i < count; i++)
		redis_command_format_word(out, words[i]);
}

int redis_command_begin(struct redis *r, struct buf **ret_out)
{
	OBJ_CHECK(r, REDIS_MAGIC);
	if (r->sm.state != STATE_READY)
		return fail(-E_UNAVAILABLE, "redis %s: %s", r->label, sm_name(&r->sm));
	if (r->out.len - r->out_at >= r->most_pending)
		return fail(-E_UNAVAILABLE, "redis %s: %zu bytes wait to be sent", r->label,
			    r->out.len - r->out_at);
	/* A buffer that never runs empty drops what is written when that is the larger part. */
	if (r->out_at > r->out.len / 2 && r->out_at > MIB) {
		buf_drop_front(&r->out, r->out_at);
		r->out_at = 0;
	}
	*ret_out = &r->out;
	return 0;
}

static struct redis_pending *pending_new(struct redis *r)
{
	struct list *l = list_pop(&r->spare);
	struct redis_pending *p;

	if (l != NULL) {
		r->spare_count--;
		return list_entry(l, struct redis_pending, link);
	}
	p = calloc(1, sizeof(*p));
	must(p != NULL);
	list_init(&p->link);
	return p;
}

static void pending_recycle(struct redis *r, struct redis_pending *p)
{
	list_remove(&p->link);
	if (r->spare_count == MOST_SPARE) {
		free(p);
		return;
	}
	r->spare_count++;
	list_prepend(&r->spare, &p->link);
}

struct redis_pending *redis_command_end(struct redis *r, size_t commands, redis_on_reply *on_reply,
					void *arg)
{
	struct redis_pending *p = pending_new(r);

	must(commands > 0);
	p->on_reply = on_reply;
	p->arg = arg;
	p->commands = commands;
	list_append(&r->pending, &p->link);
	if (commands != REDIS_ENDLESS) {
		r->stats.commands += commands;
		metric_add(METRIC_redis_commands, (int64_t) commands);
		r->stats.pending_commands += commands;
	}
	flush_later(r->loop, &r->flush);
	return p;
}

void redis_command_greet(struct redis *r, const struct str *words, size_t count,
			 redis_on_reply *on_reply, void *arg)
{
	must(r->sm.state == STATE_GREETING || r->sm.state == STATE_ASKING);
	redis_format(&r->out, words, count);
	(void) redis_command_end(r, 1, on_reply, arg);
}

int redis_send(struct redis *r, const struct str *words, size_t count, redis_on_reply *on_reply,
	       void *arg)
{
	struct buf *out;
	int e = redis_command_begin(r, &out);

	if (e < 0)
		return e;
	redis_format(out, words, count);
	(void) redis_command_end(r, 1, on_reply, arg);
	return 0;
}

int redis_send_raw(struct redis *r, struct str resp, size_t commands, redis_on_reply *on_reply,
		   void *arg)
{
	struct buf *out;
	int e = redis_command_begin(r, &out);

	if (e < 0)
		return e;
	buf_add_str(out, resp);
	(void) redis_command_end(r, commands, on_reply, arg);
	return 0;
}

void redis_flush(struct redis *r)
{
	OBJ_CHECK(r, REDIS_MAGIC);
	flush_cancel(&r->flush);
	redis_connection_write(r);
}

/* Replies out. */

static int error_of_state(struct redis *r, struct str text)
{
	for (size_t i = 0; i < ARRAY_SIZE(states_of_server); i++) {
		if (!str_starts(text, states_of_server[i].prefix))
			continue;
		if (states_of_server[i].is_wrong)
			redis_connection_refuse(r, text);
		return fail(-E_UNAVAILABLE, "redis %s: %.*s", r->label, STR_ARG(text));
	}
	return 0;
}

int redis_pending_deliver(struct redis *r, const struct redis_reply *reply)
{
	struct list *first = list_first(&r->pending);
	redis_on_reply *on_reply;
	struct redis_pending *p;
	void *arg;
	int error;

	if (first == NULL)
		return fail(-EPROTO, "a reply that nobody asked for");
	p = list_entry(first, struct redis_pending, link);
	on_reply = p->on_reply;
	arg = p->arg;
	error = reply->type == REDIS_ERROR ? error_of_state(r, reply->text) : 0;
	if (p->commands != REDIS_ENDLESS) {
		r->stats.pending_commands--;
		/* Before the callback: it may send, and gets this one again. */
		if (--p->commands == 0)
			pending_recycle(r, p);
	}
	if (on_reply != NULL)
		on_reply(arg, error, error < 0 ? NULL : reply);
	return 0;
}

void redis_pending_fail(struct redis *r, int error)
{
	struct list all = LIST_INIT(all);

	/* Aside first: the callbacks may look at the counters, or close. */
	list_splice(&all, &r->pending);
	r->stats.pending_commands = 0;
	for (struct list *l; (l = list_first(&all)) != NULL;) {
		struct redis_pending p = *list_entry(l, struct redis_pending, link);
		size_t times = p.commands == REDIS_ENDLESS ? 1 : p.commands;

		pending_recycle(r, list_entry(l, struct redis_pending, link));
		for (; times > 0 && p.on_reply != NULL; times--)
			p.on_reply(p.arg, error, NULL);
	}
}
