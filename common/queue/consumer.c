#include "queue/consumer.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "queue/binding.h"
#include "queue/control.h"
#include "queue/gauges.h"
#include "queue/supervisor-internal.h"

/* So that no token of a queue that comes again is one that it had before. */
#define INCARNATIONS (1u << 20)

int consumers_read(struct supervisor *s)
{
	struct str rest = str_c(settings.queues), item;
	size_t most = rest.len + 1 + LINK_QUEUES_ADDED;
	int r = 0;

	s->queues = arena_array(&s->arena, struct queue_keys, most);
	while (r == 0 && settings_next_item(&rest, &item)) {
		for (size_t i = 0; i < s->queue_count; i++)
			if (str_eq(s->queues[i].queue, item))
				return fail(-E_BAD_SETTING, "APIUM_QUEUES names %.*s twice",
					    STR_ARG(item));
		r = queue_keys_init(&s->queues[s->queue_count], &s->arena, item);
		s->queue_count += r == 0;
	}
	if (r == 0 && s->queue_count == 0)
		r = fail(-E_BAD_SETTING, "APIUM_QUEUES is empty");
	s->own_queues = s->queue_count;
	s->queue_room = s->queue_count + LINK_QUEUES_ADDED;
	if (r == 0 && s->queue_room > FLIGHT_NOWHERE / QUEUE_STEPS_MOST)
		r = fail(-E_BAD_SETTING, "APIUM_QUEUES names too many");
	if (r == 0 && settings.unknown_to[0] != '\0')
		r = queue_keys_init(&s->unknown_to, &s->arena, str_c(settings.unknown_to));
	return r;
}

static int open_lanes(struct supervisor *s, size_t place)
{
	size_t steps = (size_t) queue_steps();
	int r = 0;

	for (size_t i = place * steps; i < (place + 1) * steps && r == 0; i++) {
		struct lane_options o = {
			.loop = s->loop,
			.url = settings.redis_url,
			.acks = s->acks,
			.keys = &s->queues[place],
			.step = (int) (i % steps),
			.number = (uint16_t) i,
			.worker = s->worker,
			.incarnation = s->queues_added * INCARNATIONS,
			.flights = &s->flights,
			.callbacks = &supervisor_lane_callbacks,
			.arg = s,
		};

		r = lane_open(&o, &s->lanes[i]);
		if (r < 0)
			break;
		s->is_fed_alone[i] = false;
		s->lane_count = MAX(s->lane_count, (unsigned) i + 1);
		if (s->has_acks)
			lane_acks_changed(s->lanes[i], true);
	}
	return r;
}

int consumers_open(struct supervisor *s)
{
	int r = 0;

	s->lanes = calloc(s->queue_room * (size_t) queue_steps(), sizeof(struct lane *));
	s->is_fed_alone = calloc(s->queue_room * (size_t) queue_steps(), sizeof(bool));
	must(s->lanes != NULL && s->is_fed_alone != NULL);
	for (size_t i = 0; i < s->queue_count && r == 0; i++)
		r = open_lanes(s, i);
	return r;
}

bool consumer_is_there(const struct supervisor *s, size_t place)
{
	return !str_is_null(s->queues[place].queue);
}

void consumers_bind(struct supervisor *s)
{
	for (size_t i = 0; i < s->queue_count; i++)
		if (consumer_is_there(s, i))
			binding_write(s->general, &s->queues[i], 1);
}

/* Cancelled for good: on its way out. */
static bool is_leaving(const struct supervisor *s, size_t place)
{
	return place >= s->own_queues && control_is_cancelled(s->control, place);
}

size_t consumer_find(const struct supervisor *s, struct str name)
{
	size_t i = 0;

	while (i < s->queue_count &&
	       (!consumer_is_there(s, i) || is_leaving(s, i) || !str_eq(s->queues[i].queue, name)))
		i++;
	return i;
}

static size_t free_place(const struct supervisor *s)
{
	size_t i = s->own_queues;

	while (i < s->queue_count && consumer_is_there(s, i))
		i++;
	return i;
}

static void tell_all(struct supervisor *s, size_t place)
{
	for (unsigned host = 0; host < crew_hosts(s->crew); host++)
		crew_tell_queue(s->crew, host, (unsigned) place, s->queues[place].queue);
}

int consumer_add(struct supervisor *s, struct str name)
{
	size_t place = free_place(s);
	const struct queue_keys *keys;
	int r;

	if (supervisor_is_stopping(s))
		return fail(-E_CONFLICT, "the worker is ending");
	if (place == s->queue_room)
		return fail(-E_CONFLICT, "%d queues were added already: cancel one of them first",
			    LINK_QUEUES_ADDED);
	r = queue_book_find(&s->book, name, &keys);
	if (r < 0)
		return r;
	s->queues[place] = *keys; /* its texts live as long as the book */
	s->queue_count = MAX(s->queue_count, place + 1);
	s->queues_added++;
	control_cancel(s->control, place, false);
	gauges_add(s, place);
	tell_all(s, place);
	r = open_lanes(s, place);
	if (r < 0) {
		consumer_cancel(s, place); /* those that were opened */
		return r;
	}
	binding_write(s->general, &s->queues[place], 1);
	log_info("queue %.*s is consumed from now on", STR_ARG(name));
	return 0;
}

void consumer_cancel(struct supervisor *s, size_t place)
{
	control_cancel(s->control, place, true);
	log_info("queue %.*s is not consumed any more", STR_ARG(s->queues[place].queue));
}

bool consumer_resume(struct supervisor *s, size_t place)
{
	bool was_cancelled = control_is_cancelled(s->control, place);

	control_cancel(s->control, place, false);
	return was_cancelled;
}

/* A lane that leaves is nobody's any more but its own. */
struct leaving {
	struct supervisor *s;
	struct lane *lane;
};

static void on_lane_gone(void *arg)
{
	supervisor_lane_dropped(arg);
}

static void on_lane_left(void *arg)
{
	struct leaving l = *(struct leaving *) arg;

	free(arg);
	lane_close(l.lane, on_lane_gone, l.s);
}

/* True when it is gone. */
static bool drop_lane(struct supervisor *s, size_t number)
{
	struct leaving *l;

	if (s->lanes[number] == NULL)
		return true;
	if (!lane_is_quiet(s->lanes[number])) {
		lane_stop(s->lanes[number]);
		return false;
	}
	if (!lane_may_leave(s->lanes[number]))
		return false;
	l = calloc(1, sizeof(*l));
	must(l != NULL);
	*l = (struct leaving){ .s = s, .lane = s->lanes[number] };
	s->lanes[number] = NULL;
	s->lanes_dropped++;
	lane_leave(l->lane, on_lane_left, l);
	return true;
}

void consumers_tick(struct supervisor *s)
{
	if (supervisor_is_stopping(s))
		return;
	for (size_t place = s->own_queues; place < s->queue_count; place++) {
		bool is_gone = true;

		if (!consumer_is_there(s, place) || !is_leaving(s, place))
			continue;
		for (size_t i = place * (size_t) queue_steps();
		     i < (place + 1) * (size_t) queue_steps(); i++)
			is_gone &= drop_lane(s, i);
		if (is_gone) {
			gauges_drop(s, place);
			s->queues[place] = (struct queue_keys){ 0 };
		}
	}
}

void consumers_tell(struct supervisor *s, unsigned host)
{
	for (size_t place = s->own_queues; place < s->queue_count; place++)
		if (consumer_is_there(s, place))
			crew_tell_queue(s->crew, host, (unsigned) place, s->queues[place].queue);
}
