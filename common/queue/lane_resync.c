/*
 * lane_resync.c - what is still ours after a connection or data was lost.
 *
 * TAKING: the script that takes dead workers' lists, used on our own, under a new token: whatever
 * the old connections may still deliver to Redis meets the fence.  READING: the list is read in
 * pieces and the ring is built anew from it.  Flights are found again by the hash of their id; of
 * several with one id the first in the list is the first in the ring.
 */
#include "queue/lane-internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"

#define PIECE 64
#define NONE  UINT32_MAX

/* Flights that were ours before, by identity, each chain in the order of places. */
struct known {
	size_t buckets; /* a power of two */
	uint32_t *first;
};

static struct known known_make(struct lane *l)
{
	struct flights *f = l->o.flights;
	struct known k = { .buckets = 1024 };
	uint32_t *last;

	k.first = malloc(k.buckets * sizeof(*k.first));
	last = malloc(k.buckets * sizeof(*last));
	must(k.first != NULL && last != NULL);
	memset(k.first, 0xff, k.buckets * sizeof(*k.first));
	/* In order of places: the ring's order, and of what is not in the ring nothing is left. */
	for (uint64_t p = l->confirmed; p < l->tail; p++) {
		uint32_t number = *lane_at(l, p);
		size_t b;

		if (number == LANE_BLANK)
			continue;
		b = f->at[number].identity & (k.buckets - 1);
		f->at[number].next = NONE;
		if (k.first[b] == NONE)
			k.first[b] = number;
		else
			f->at[last[b]].next = number;
		last[b] = number;
	}
	free(last);
	return k;
}

static struct flight *known_take(struct known *k, struct lane *l, uint64_t identity)
{
	struct flights *f = l->o.flights;
	uint32_t *at = &k->first[identity & (k->buckets - 1)];

	for (; *at != NONE; at = &f->at[*at].next) {
		struct flight *flight = &f->at[*at];

		if (flight->identity != identity)
			continue;
		*at = flight->next;
		flight->next = NONE;
		return flight;
	}
	return NULL;
}

void resync_lose(struct lane *l, struct flight *flight)
{
	flight->is_lost = true;
	flight->next = NONE;
	ack_drop_ops(l, flight);
	if (flight->state == FLIGHT_DONE) {
		flight_free(l->o.flights, flight);
		return;
	}
	l->o.callbacks->on_lost(l->o.arg, l, flight);
	if (flight->state != FLIGHT_OUT && flight->state != FLIGHT_LOOKED_UP)
		flight_free(l->o.flights, flight);
}

static void lose_the_rest(struct known *k, struct lane *l)
{
	for (size_t b = 0; b < k->buckets; b++)
		while (k->first[b] != NONE) {
			struct flight *flight = &l->o.flights->at[k->first[b]];

			k->first[b] = flight->next;
			resync_lose(l, flight);
		}
}

/* The pieces are gathered first: only the whole list tells what is missing. */
struct reading {
	struct lane *lane;
	struct arena arena;
	struct str *elements;
	size_t count, most;
};

static void reading_free(struct reading *r)
{
	arena_fini(&r->arena);
	free(r->elements);
	free(r);
}

static void take_element(struct lane *l, struct known *k, struct str raw)
{
	struct message m;
	struct flight *flight;
	int scanned;

	if (raw.len == 0) {
		lane_put_blank(l);
		return;
	}
	scanned = message_scan(raw, &m);
	if (scanned < 0)
		m = (struct message){ .raw = raw };
	flight = known_take(k, l, lane_identity(&m));
	if (flight == NULL) {
		flight = lane_append(l, lane_identity(&m));
		l->o.callbacks->on_message(l->o.arg, l, flight, scanned, &m);
		return;
	}
	lane_put(l, flight);
	flight->is_acked = false;
}

static void gather_late(struct lane *l)
{
	for (uint64_t p = l->head; p < l->tail; p++) {
		uint32_t number = *lane_at(l, p);
		struct flight *flight;

		if (number == LANE_BLANK)
			continue;
		flight = &l->o.flights->at[number];
		if (flight->state != FLIGHT_DONE || !list_is_empty(&flight->link))
			continue;
		list_append(&l->late, &flight->link);
		l->late_count++;
	}
}

static void rebuild(struct lane *l, const struct reading *r)
{
	struct known k = known_make(l);

	ack_lost(l);
	l->confirmed = l->head = l->tail = 0;
	l->blanks = 0;
	for (size_t i = 0; i < r->count; i++)
		take_element(l, &k, r->elements[i]);
	lose_the_rest(&k, l);
	free(k.first);
	gather_late(l);
	log_info("lane %s: resynced, %llu messages are in flight", l->label,
		 (unsigned long long) l->tail);
}

static void read_piece(struct reading *r);

static void on_piece(void *arg, int error, const struct redis_reply *reply)
{
	struct reading *r = arg;
	struct lane *l = r->lane;

	OBJ_CHECK(l, LANE_MAGIC);
	if (l->sm.state != LANE_READING) {
		reading_free(r);
		return;
	}
	if (error < 0 || reply->type != REDIS_ARRAY) {
		reading_free(r);
		lane_refused(l, error, reply);
		return;
	}
	for (size_t i = 0; i < reply->count && r->count < r->most; i++)
		r->elements[r->count++] = arena_str(&r->arena, reply->elements[i].text);
	if (reply->count == PIECE && r->count < r->most) {
		read_piece(r);
		return;
	}
	if (r->count < r->most) {
		reading_free(r);
		lane_break(l, "the in-flight list is shorter than when it was taken");
		return;
	}
	rebuild(l, r);
	reading_free(r);
	lane_opened(l);
}

static void read_piece(struct reading *r)
{
	struct lane *l = r->lane;
	char from[24], to[24];
	const struct str words[] = { STR("LRANGE"), buf_str(&l->fly), STR_NULL, STR_NULL };
	struct str all[ARRAY_SIZE(words)];

	(void) snprintf(from, sizeof(from), "%zu", r->count);
	(void) snprintf(to, sizeof(to), "%zu", r->count + PIECE - 1);
	memcpy(all, words, sizeof(words));
	all[2] = str_c(from);
	all[3] = str_c(to);
	if (redis_send(l->o.acks, all, ARRAY_SIZE(all), on_piece, r) < 0) {
		reading_free(r);
		lane_break(l, "the acknowledging connection was lost");
	}
}

static void begin_reading(struct lane *l, size_t count)
{
	struct reading *r;

	if (count == 0) {
		struct reading none = { .lane = l };

		rebuild(l, &none);
		lane_opened(l);
		return;
	}
	sm_move(&l->sm, LANE_READING);
	r = calloc(1, sizeof(*r));
	must(r != NULL);
	r->lane = l;
	arena_init(&r->arena);
	r->most = count;
	r->elements = malloc(count * sizeof(*r->elements));
	must(r->elements != NULL);
	read_piece(r);
}

static void on_taken(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;

	OBJ_CHECK(l, LANE_MAGIC);
	l->is_renewing = false;
	if (l->sm.state != LANE_TAKING)
		return;
	if (error < 0 || reply->type != REDIS_INTEGER) {
		lane_refused(l, error, reply);
		return;
	}
	if (reply->integer < 0) {
		lane_fenced(l);
		return;
	}
	l->old_token[0] = '\0';
	l->lease = 1;
	l->renewed_at = l->renewal_sent_at;
	must(l->ack_count == 0 && list_is_empty(&l->ops_sent)); /* answered before this */
	begin_reading(l, (size_t) reply->integer);
}

void resync_begin(struct lane *l)
{
	_cleanup_(buf_fini) struct buf old_fly = BUF_INIT;

	/* When the answer to an earlier attempt was lost, the same is asked again. */
	if (l->old_token[0] == '\0') {
		memcpy(l->old_token, l->token, sizeof(l->old_token));
		lane_make_token(l);
	}
	queue_key_fly(&old_fly, l->o.keys, str_c(l->old_token));
	sm_move(&l->sm, LANE_TAKING);
	l->renewal_sent_at = loop_now(l->o.loop);
	{
		const struct str words[] = {
			l->o.keys->workers,  buf_str(&old_fly), buf_str(&l->fly),
			str_c(l->old_token), str_c(l->token),   STR(""),
		};

		if (redis_send_script(l->o.acks, &script_take, 3, words, ARRAY_SIZE(words),
				      on_taken, l) < 0)
			lane_break(l, "the acknowledging connection was lost");
	}
}
