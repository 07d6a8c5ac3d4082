#include "queue/schedule.h"

#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/world.h"
#include "queue/consumer.h"
#include "queue/supervisor-internal.h"
#include "redis/redis.h"

#define MOST     "32"
#define MOST_N   32
/* How late something may be that another process scheduled. */
#define POLL     (500 * MSEC)
/* While Redis is away. */
#define PATIENCE (1 * SEC)

void schedule_member(struct buf *out, int step, struct str message)
{
	uint64_t unique;

	random_bytes(&unique, sizeof(unique));
	buf_printf(out, "%d:%016llx:", step, (unsigned long long) unique);
	buf_add_str(out, message);
}

void schedule_hint(struct supervisor *s, size_t queue, usec_t wait)
{
	usec_t due = loop_now(s->loop) + MAX(wait, (usec_t) 0);

	(void) queue; /* one fiber looks after all of them */
	if (due >= s->schedule_due)
		return;
	s->schedule_due = due;
	if (s->schedule_waiter != NULL)
		fiber_wake(s->schedule_waiter, 0);
}

/* Moves all that is due.  0 with the time until the next in *next, if that is sooner. */
static int move_due(struct supervisor *s, const struct queue_keys *k, usec_t *next)
{
	struct str words[1 + QUEUE_STEPS_MOST + 1] = { k->schedule };
	size_t keys = 1 + (size_t) queue_steps();
	_cleanup_(arena_fini) struct arena arena;
	struct redis_reply *reply;
	int64_t moved, wait;
	int r;

	arena_init(&arena);
	for (size_t i = 1; i < keys; i++)
		words[i] = k->lists[i - 1];
	words[keys] = STR(MOST);
	do {
		r = redis_eval(s->general, &arena, &script_due, keys, words, keys + 1, &reply);
		if (r < 0)
			return r;
		if (reply->type != REDIS_ARRAY || reply->count != 2)
			return fail(-E_REDIS, "script due: an answer of another kind");
		moved = reply->elements[0].integer;
		wait = reply->elements[1].integer;
	} while (moved == MOST_N);
	if (wait >= 0)
		*next = MIN(*next, wait * MSEC);
	return 0;
}

static int wait_until(struct supervisor *s, usec_t due)
{
	struct waiter waiter;
	int r = 0;

	while (r == 0 && loop_now(s->loop) < MIN(due, s->schedule_due)) {
		FIBER_DEADLINE(MIN(due, s->schedule_due) - loop_now(s->loop));
		waiter_init(&waiter);
		s->schedule_waiter = &waiter;
		r = fiber_park(&waiter, "schedule");
		s->schedule_waiter = NULL;
	}
	s->schedule_due = USEC_NEVER;
	return r == -ETIMEDOUT ? 0 : r;
}

int schedule_keep(void *arg)
{
	struct supervisor *s = arg;
	bool was_well = true;
	usec_t next;
	int r;

	s->schedule_due = USEC_NEVER;
	for (;;) {
		next = POLL;
		r = 0;
		for (size_t i = 0; i < s->queue_count && r == 0; i++)
			if (consumer_is_there(s, i))
				r = move_due(s, &s->queues[i], &next);
		if (r == -ECANCELED)
			return r;
		if (r < 0 && was_well)
			log_warn("waiting jobs cannot be looked after: %s, trying again",
				 fail_reason(r));
		was_well = r == 0;
		r = wait_until(s, loop_now(s->loop) + (was_well ? next : PATIENCE));
		if (r < 0)
			return r;
	}
}
