#include "queue/flight.h"

#include <stdlib.h>

#include "base/live.h"

#define NONE UINT32_MAX

void flights_init(struct flights *f, uint32_t count)
{
	must(count > 0 && count < NONE);
	f->at = calloc(count, sizeof(*f->at));
	must(f->at != NULL);
	f->count = count;
	f->used = f->fresh = 0;
	f->free = NONE;
}

void flights_fini(struct flights *f)
{
	must(f->used == 0);
	free(f->at);
	f->at = NULL;
}

static struct flight *take_fresh(struct flights *f)
{
	struct flight *flight;

	if (f->fresh == f->count)
		return NULL;
	flight = &f->at[f->fresh];
	flight->number = f->fresh++;
	flight->generation = 1;
	list_init(&flight->link);
	return flight;
}

struct flight *flight_new(struct flights *f)
{
	struct flight *flight;

	if (f->free == NONE) {
		flight = take_fresh(f);
		if (flight == NULL)
			return NULL;
	} else {
		flight = &f->at[f->free];
		f->free = flight->next;
	}
	must(flight->state == FLIGHT_FREE);
	f->used++;
	flight->is_lost = flight->is_suspect = flight->is_acked = false;
	flight->is_outbox = flight->is_counted = flight->wants_result = false;
	flight->lane = flight->host = flight->task = FLIGHT_NOWHERE;
	flight->next = NONE;
	flight->hard_limit = 0;
	live_add(LIVE_jobs, 1);
	return flight;
}

void flight_free(struct flights *f, struct flight *flight)
{
	must(flight->state != FLIGHT_FREE);
	flight_drop_frame(flight);
	list_remove(&flight->link);
	flight->state = FLIGHT_FREE;
	flight->generation++;
	flight->next = f->free;
	f->free = flight->number;
	f->used--;
	live_add(LIVE_jobs, -1);
}

struct flight *flight_find(struct flights *f, uint32_t number, uint32_t generation)
{
	if (number >= f->fresh || f->at[number].generation != generation ||
	    f->at[number].state == FLIGHT_FREE)
		return NULL;
	return &f->at[number];
}

void flight_keep_frame(struct flight *flight, struct str frame)
{
	must(flight->frame == NULL);
	flight->frame = malloc(frame.len);
	must(flight->frame != NULL);
	memcpy(flight->frame, frame.at, frame.len);
	flight->frame_len = frame.len;
}

void flight_drop_frame(struct flight *flight)
{
	free(flight->frame);
	flight->frame = NULL;
	flight->frame_len = 0;
}
