#include "queue/gauges.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/world.h"
#include "queue/consumer.h"
#include "queue/supervisor-internal.h"
#include "redis/redis.h"

#define PERIOD (5 * SEC)

struct queue_gauges {
	struct metric_series *waiting, *oldest, *in_flight, *scheduled, *dead, *poll;
	/* The next job, of a client that tells no time: what it was, and when it was first seen. */
	uint64_t head;
	usec_t head_since;
};

struct gauges {
	struct supervisor *s;
	struct metric_collector collector;
	struct queue_gauges queues[];
};

/* What this worker itself knows. */
static void collect(struct metric_collector *c)
{
	struct gauges *g = container_of(c, struct gauges, collector);
	struct supervisor *s = g->s;
	usec_t now = loop_now(s->loop);

	for (size_t i = 0; i < s->queue_count; i++) {
		usec_t polled = 0;
		size_t held = 0;

		if (!consumer_is_there(s, i))
			continue;
		for (unsigned step = 0; step < (unsigned) queue_steps(); step++) {
			unsigned number = (unsigned) i * (unsigned) queue_steps() + step;

			if (number >= s->lane_count || s->lanes[number] == NULL)
				continue;
			held += lane_held(s->lanes[number]);
			polled = MAX(polled, lane_polled_at(s->lanes[number]));
		}
		series_set(g->queues[i].in_flight, (int64_t) held);
		series_set(g->queues[i].poll, polled == 0 ? -SEC : now - polled);
	}
}

void gauges_open(struct supervisor *s)
{
	struct gauges *g = calloc(1, sizeof(*g) + s->queue_room * sizeof(g->queues[0]));

	must(g != NULL);
	g->s = s;
	s->losses = calloc(s->queue_room, sizeof(struct metric_series *));
	must(s->losses != NULL);
	s->gauges = g;
	for (size_t i = 0; i < s->queue_count; i++)
		gauges_add(s, i);
	g->collector.run = collect;
	metric_collector_add(&g->collector);
}

void gauges_add(struct supervisor *s, size_t place)
{
	struct queue_gauges *q = &s->gauges->queues[place];
	const char *name[] = { s->queues[place].queue.at };

	*q = (struct queue_gauges){ 0 };
	q->waiting = metric_series(METRIC_queue_waiting, name);
	q->oldest = metric_series(METRIC_queue_oldest, name);
	q->in_flight = metric_series(METRIC_queue_in_flight, name);
	q->scheduled = metric_series(METRIC_queue_scheduled, name);
	q->dead = metric_series(METRIC_queue_dead, name);
	q->poll = metric_series(METRIC_queue_poll, name);
	s->losses[place] = metric_series(METRIC_queue_lease_losses, name);
}

/* A series stays for the life of the process: it shows nothing from now on. */
void gauges_drop(struct supervisor *s, size_t place)
{
	const struct queue_gauges *q = &s->gauges->queues[place];

	series_set(q->waiting, 0);
	series_set(q->oldest, 0);
	series_set(q->in_flight, 0);
	series_set(q->scheduled, 0);
	series_set(q->dead, 0);
	series_set(q->poll, 0);
}

void gauges_close(struct supervisor *s)
{
	metric_collector_remove(&s->gauges->collector);
	free(s->gauges);
	free(s->losses);
}

static int ask(struct supervisor *s, struct arena *arena, struct str command, struct str key,
	       int64_t *ret)
{
	struct redis_reply *reply;
	int r = redis_call(s->general, arena, REDIS_WORDS(command, key), &reply);

	if (r == 0)
		*ret = reply->integer;
	return r;
}

/* The job that is next; of the most urgent list that holds one.  Its age, or how long it has been
 * seen there. */
static int ask_oldest(struct supervisor *s, struct arena *arena, struct queue_gauges *q,
		      struct str list)
{
	usec_t now = loop_now(s->loop);
	struct redis_reply *reply;
	struct message m;
	uint64_t head;
	int r = redis_call(s->general, arena, REDIS_WORDS(STR("LINDEX"), list, STR("-1")), &reply);

	if (r < 0)
		return r;
	if (reply->type != REDIS_TEXT) { /* taken meanwhile */
		series_set(q->oldest, 0);
		return 0;
	}
	if (message_scan(reply->text, &m) == 0 && m.at != 0) {
		series_set(q->oldest, MAX(now_realtime() - m.at, (usec_t) 0));
		return 0;
	}
	fail_clear(); /* who fetches it will say what is wrong with it */
	head = str_hash(reply->text);
	if (head != q->head)
		q->head_since = now;
	q->head = head;
	series_set(q->oldest, now - q->head_since);
	return 0;
}

static int ask_queue(struct supervisor *s, size_t place)
{
	const struct queue_keys keys = s->queues[place]; /* while this waits, it may leave */
	struct queue_gauges *q = &s->gauges->queues[place];
	_cleanup_(arena_fini) struct arena arena;
	int64_t waiting = 0, length = 0, scheduled = 0, dead = 0;
	struct str oldest = STR_NULL;
	int r = 0;

	arena_init(&arena);
	for (int step = 0; r == 0 && step < queue_steps(); step++) {
		r = ask(s, &arena, STR("LLEN"), keys.lists[step], &length);
		if (r < 0)
			break;
		waiting += length;
		if (length > 0 && str_is_null(oldest))
			oldest = keys.lists[step];
	}
	if (r == 0)
		r = ask(s, &arena, STR("ZCARD"), keys.schedule, &scheduled);
	if (r == 0)
		r = ask(s, &arena, STR("ZCARD"), keys.dead, &dead);
	if (r == 0 && !str_is_null(oldest))
		r = ask_oldest(s, &arena, q, oldest);
	if (r < 0)
		return r;
	series_set(q->waiting, waiting);
	series_set(q->scheduled, scheduled);
	series_set(q->dead, dead);
	if (str_is_null(oldest))
		series_set(q->oldest, 0);
	return 0;
}

int gauges_keep(void *arg)
{
	struct supervisor *s = arg;
	int r = 0;

	while (r != -ECANCELED) {
		for (size_t i = 0; i < s->queue_count && r == 0; i++)
			if (consumer_is_there(s, i))
				r = ask_queue(s, i);
		if (r < 0 && r != -ECANCELED)
			log_debug("the queues cannot be measured: %s, trying again",
				  fail_reason(r));
		r = fiber_sleep(PERIOD);
	}
	return r;
}
