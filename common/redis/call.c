#include "redis/call-internal.h"

#include "base/error.h"
#include "base/live.h"
#include "base/world.h"

usec_t redis_patience = 1 * SEC;

void redis_call_wake_waiters(struct redis *r)
{
	for (struct list *l; (l = list_pop(&r->waiters)) != NULL;)
		fiber_wake(list_entry(l, struct waiter, link), 0);
}

/* 0 when ready, else why not.  Yields unless it is ready. */
static int wait_until_ready(struct redis *r)
{
	usec_t until = loop_now(r->loop) + redis_patience;
	int e = fiber_check();

	while (e >= 0 && r->sm.state != STATE_READY) {
		FIBER_DEADLINE(MAX(until - loop_now(r->loop), 0));
		struct waiter w;

		waiter_init(&w);
		list_append(&r->waiters, &w.link);
		e = fiber_park(&w, "redis: connection");
		list_remove(&w.link);
	}
	/* Which of the two deadlines was it? */
	if (e == -ETIMEDOUT && fiber_check() == 0)
		return fail(-E_UNAVAILABLE, "redis %s: %s", r->label, sm_name(&r->sm));
	return e;
}

static void on_answer(void *arg, int error, const struct redis_reply *reply)
{
	struct redis_call *c = arg;

	c->pending = NULL;
	if (error < 0)
		c->reason = arena_c(c->arena, str_c(fail_reason(error)));
	else
		c->reply = redis_reply_copy(c->arena, reply);
	fiber_wake(&c->waiter, error);
}

int redis_call_begin(struct redis *r, struct arena *arena, struct redis_call *c,
		     struct buf **ret_out)
{
	int e = wait_until_ready(r);

	if (e < 0)
		return e;
	*c = (struct redis_call){ .arena = arena };
	return redis_command_begin(r, ret_out);
}

int redis_call_end(struct redis *r, struct redis_call *c)
{
	usec_t began = now_monotonic();
	int e;

	waiter_init(&c->waiter);
	c->pending = redis_command_end(r, 1, on_answer, c);
	live_add(LIVE_redis_calls, 1);
	e = fiber_park(&c->waiter, "redis: answer");
	live_add(LIVE_redis_calls, -1);
	fiber_tally_add(TALLY_REDIS, 1, began);
	if (c->pending != NULL)
		c->pending->on_reply = NULL; /* the answer will find nobody */
	if (e < 0 && c->reason != NULL)
		return fail(e, "%s", c->reason);
	return e;
}

int redis_call_result(const struct redis_call *c, struct redis_reply **ret_reply)
{
	struct str text = c->reply->text;

	if (c->reply->type == REDIS_ERROR)
		return fail(str_starts(text, STR("WRONGTYPE ")) ? -E_REDIS_TYPE : -E_REDIS,
			    "redis: %.*s", STR_ARG(text));
	*ret_reply = c->reply;
	return 0;
}

int redis_call(struct redis *r, struct arena *arena, const struct str *words, size_t count,
	       struct redis_reply **ret_reply)
{
	struct redis_call c;
	struct buf *out;
	int e = redis_call_begin(r, arena, &c, &out);

	if (e < 0)
		return e;
	redis_format(out, words, count);
	e = redis_call_end(r, &c);
	if (e < 0)
		return e;
	return redis_call_result(&c, ret_reply);
}
