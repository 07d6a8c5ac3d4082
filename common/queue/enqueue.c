#include "queue/enqueue-internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "queue/host-internal.h"
#include "queue/outbox.h"
#include "queue/relay.h"

/* How messages leave: the one difference between a gateway and a host. */
struct producer_way {
	void (*send)(struct producer *, const struct push *);
	int (*call)(struct producer *, struct arena *, const struct push *) may_yield;
};

struct producer {
	const struct producer_way *way;
	struct loop *loop;
	struct db *db;
	struct redis *redis;  /* a gateway's */
	struct redis *waited; /* its connection for WAIT; made when it is first needed */
	struct host *host;    /* a host's */
	struct relay *relay;
	struct queue_book book;
};

/* A gateway's way. */

static void on_pushed(void *arg, int error, const struct redis_reply *reply)
{
	(void) arg;
	if (error < 0)
		log_debug("a job could not be pushed: %s, ignoring: a relay will",
			  fail_reason(error));
	else if (reply->type == REDIS_ERROR)
		log_warn("a job could not be pushed: %.*s, ignoring: a relay will",
			 STR_ARG(reply->text));
}

static void send_to_redis(struct producer *p, const struct push *push)
{
	struct push now = *push;
	int r;

	if (now.durability == TASK_WAITED)
		now.durability = TASK_FAST; /* there is nobody to tell what WAIT said */
	r = push_send(p->redis, &now, on_pushed, NULL);

	if (r < 0)
		on_pushed(NULL, r, NULL);
}

static int call_redis(struct producer *p, struct arena *arena, const struct push *push)
{
	const struct redis_options options = { .url = settings.redis_url, .name = "apium-waited" };
	int r = 0;

	if (push->durability != TASK_WAITED)
		return push_call(p->redis, arena, push);
	if (p->waited == NULL)
		r = redis_open(p->loop, &options, &p->waited);
	return r < 0 ? r : push_call(p->waited, arena, push);
}

static const struct producer_way to_redis = { send_to_redis, call_redis };

/* A host's way. */

static struct link_push head_of(const struct push *push)
{
	return (struct link_push){ .durability = push->durability,
				   .eta = push->eta,
				   .priority = push->priority,
				   .chord_size = push->chord_size };
}

static void send_to_supervisor(struct producer *p, const struct push *push)
{
	struct link_push head = head_of(push);

	host_push(p->host, &head, push);
}

static int call_supervisor(struct producer *p, struct arena *arena, const struct push *push)
{
	struct link_push head = head_of(push);

	(void) arena;
	return host_push_waited(p->host, &head, push);
}

static const struct producer_way to_supervisor = { send_to_supervisor, call_supervisor };

/* Enqueue. */

static int make_id(const struct enqueue_options *o, char id[ENQUEUE_ID])
{
	struct uuid uuid = uuid_v4();

	static_assert(ENQUEUE_ID == UUID_TEXT + 1, "an id is a UUID");
	if (!str_is_null(o->id) && uuid_parse(o->id, &uuid) < 0)
		return fail(-E_DROPPED, "the id is no UUID");
	uuid_format(&uuid, id);
	return 0;
}

/* The caller's own, else a child of the trace that the running fiber's work belongs to. */
static struct str traceparent_of(struct arena *arena, const struct enqueue_options *o)
{
	char text[TRACE_TEXT + 1];
	struct trace child;

	if (!str_is_null(o->traceparent) || log_context == NULL || log_context->trace.id[0] == '\0')
		return o->traceparent;
	trace_child(&log_context->trace, &child);
	trace_format(&child, text);
	return arena_str(arena, str_c(text));
}

int enqueue_row(struct producer *p, struct db_tx *tx, struct arena *arena, struct outbox_row *row,
		enum task_durability durability, struct enqueued **ret_enqueued)
{
	struct enqueued *e = arena_new(arena, struct enqueued);
	struct push *push = arena_new(arena, struct push);
	const struct job *job = p->host == NULL ? NULL : host_job_now(p->host);
	int r;

	must(row->id.len == UUID_TEXT);
	memcpy(e->id, row->id.at, UUID_TEXT);
	row->id = str_make(e->id, UUID_TEXT); /* the push borrows it */
	if (job != NULL && str_is_null(row->root_id))
		row->root_id = str_is_null(job->root_id) ? job->id : job->root_id;
	if (job != NULL && str_is_null(row->parent_id))
		row->parent_id = job->id;
	r = outbox_to_push(arena, &p->book, row, durability, push);
	if (r == 0 && durability == TASK_OUTBOX)
		r = outbox_insert((struct db_at){ .db = p->db, .tx = tx }, arena, row);
	if (r < 0)
		return r;
	e->_push = push;
	e->durability = durability;
	if (tx == NULL && durability == TASK_OUTBOX)
		enqueue_push(p, e);
	else if (tx == NULL)
		r = p->way->call(p, arena, push);
	if (r < 0)
		return r;
	*ret_enqueued = e;
	return 0;
}

struct db *enqueue_db(const struct producer *p)
{
	return p->db;
}

int enqueue(struct producer *p, struct db_tx *tx, struct arena *arena, const struct task *task,
	    struct str kwargs, const struct enqueue_options *options,
	    struct enqueued **ret_enqueued)
{
	static const struct enqueue_options usual;
	const struct enqueue_options *o = options == NULL ? &usual : options;
	struct outbox_row row = {
		.task = str_c(task->name),
		.kwargs = kwargs,
		.queue = o->queue == NULL ? STR_NULL : str_c(o->queue),
		.key = o->key,
		.root_id = o->root_id,
		.parent_id = o->parent_id,
		.traceparent = traceparent_of(arena, o),
		.eta = o->eta,
		.priority = o->priority,
	};
	char id[ENQUEUE_ID];
	int r = make_id(o, id);

	if (r < 0)
		return r;
	row.id = str_c(id);
	return enqueue_row(p, tx, arena, &row, task->durability, ret_enqueued);
}

int enqueue_args(struct producer *p, struct db_tx *tx, struct arena *arena, const struct task *task,
		 const void *args, const struct enqueue_options *options,
		 struct enqueued **ret_enqueued)
{
	_cleanup_(buf_fini) struct buf kwargs = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &kwargs, JSON_ESCAPE_ASCII, true);
	task_kwargs(&w, task, args);
	return enqueue(p, tx, arena, task, arena_str(arena, buf_str(&kwargs)), options,
		       ret_enqueued);
}

void enqueue_push(struct producer *p, struct enqueued *e)
{
	for (; e != NULL; e = e->next)
		p->way->send(p, e->_push);
}

/* Life. */

static struct producer *make(struct loop *loop, struct db *db, const struct producer_way *way)
{
	struct producer *p = calloc(1, sizeof(*p));

	must(p != NULL);
	p->loop = loop;
	p->db = db;
	p->way = way;
	queue_book_init(&p->book);
	return p;
}

static void producer_free(struct producer *p)
{
	queue_book_fini(&p->book);
	free(p);
}

int producer_new(const struct producer_options *o, struct producer **ret)
{
	struct producer *p = make(o->loop, o->db, &to_redis);
	int r;

	p->redis = o->redis;
	if (o->has_relay) {
		r = relay_open(
			&(struct relay_options){ .loop = o->loop, .db = o->db, .redis = o->redis },
			&p->relay);
		if (r < 0) {
			producer_free(p);
			return r;
		}
	}
	*ret = p;
	return 0;
}

int producer_new_in_host(struct loop *loop, struct db *db, struct host *host, struct producer **ret)
{
	struct producer *p = make(loop, db, &to_supervisor);

	p->host = host;
	*ret = p;
	return 0;
}

struct closing {
	struct producer *producer;
	void (*on_closed)(void *arg);
	void *arg;
};

static void on_waited_closed(void *arg)
{
	struct closing c = *(struct closing *) arg;

	free(arg);
	producer_free(c.producer);
	if (c.on_closed != NULL)
		c.on_closed(c.arg);
}

static void on_relay_closed(void *arg)
{
	struct closing *c = arg;

	if (c->producer->waited == NULL)
		on_waited_closed(c);
	else
		redis_close(c->producer->waited, on_waited_closed, c);
}

void producer_close(struct producer *p, void (*on_closed)(void *), void *arg)
{
	struct closing *c = malloc(sizeof(*c));

	must(c != NULL);
	*c = (struct closing){ .producer = p, .on_closed = on_closed, .arg = arg };
	if (p->relay == NULL)
		on_relay_closed(c);
	else
		relay_close(p->relay, on_relay_closed, c);
}
