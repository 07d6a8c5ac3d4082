#include "queue/lane-internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"

/* How long BLMOVE waits: also how often an idle lane proves that it polls. */
#define BLOCK_SECONDS "5"
/* Without a confirmed renewal for this long nothing is fetched: others call us dead after 15 s. */
#define LEASE_FRESH   (10 * SEC)
/* After Redis was found out of memory: fetched by a script for this long, then in the usual way. */
#define FULL_FOR      (5 * SEC)
/* Between two resyncs, so that a lasting refusal is not a storm. */
#define RETRY_WAIT    (1 * SEC)

/* clang-format off */
static const struct sm_state states[LANE_STATES] = {
	[LANE_WAITING] = { "waiting", SM_TO(LANE_JOINING) | SM_TO(LANE_TAKING) | SM_TO(LANE_LEFT) },
	[LANE_JOINING] = { "joining", SM_TO(LANE_OPEN) | SM_TO(LANE_WAITING) },
	[LANE_TAKING]  = { "taking",  SM_TO(LANE_READING) | SM_TO(LANE_OPEN) | SM_TO(LANE_WAITING) },
	[LANE_READING] = { "reading", SM_TO(LANE_OPEN) | SM_TO(LANE_WAITING) },
	[LANE_OPEN]    = { "open",    SM_TO(LANE_WAITING) | SM_TO(LANE_LEAVING) },
	[LANE_LEAVING] = { "leaving", SM_TO(LANE_LEFT) },
	[LANE_LEFT]    = { "left",    0 },
};
/* clang-format on */

static void lane_invariant(const struct sm *sm)
{
	const struct lane *l = container_of(sm, struct lane, sm);

	must(l->confirmed <= l->head && l->head <= l->tail);
	must(l->tail - l->confirmed <= l->ring_cap);
	must(sm->state != LANE_OPEN || l->has_list);
}

/* Commands that are the same each time are formatted once per token. */
static void format_commands(struct lane *l)
{
	struct str list = l->o.keys->lists[l->o.step], fly = buf_str(&l->fly);
	const struct str block[] = { STR("BLMOVE"), list,         fly,
				     STR("RIGHT"),  STR("RIGHT"), STR(BLOCK_SECONDS) };
	const struct str move[] = { STR("LMOVE"), list, fly, STR("RIGHT"), STR("RIGHT") };
	const struct str touch[] = { STR("HSETNX"), l->o.keys->workers, str_c(l->token), STR("1") };

	buf_clear(&l->block);
	buf_clear(&l->moves);
	buf_clear(&l->touch);
	redis_format(&l->block, block, ARRAY_SIZE(block));
	redis_format(&l->moves, move, ARRAY_SIZE(move));
	l->move_len = l->moves.len;
	for (int i = 2; i < LANE_BATCH; i++)
		redis_format(&l->moves, move, ARRAY_SIZE(move));
	redis_format(&l->touch, touch, ARRAY_SIZE(touch));
}

void lane_make_token(struct lane *l)
{
	_cleanup_(buf_fini) struct buf token = BUF_INIT;

	buf_printf(&token, "%s.%u.%d", l->o.worker, ++l->incarnation, l->o.step);
	must(token.len < sizeof(l->token));
	memcpy(l->token, token.at, token.len + 1);
	buf_clear(&l->fly);
	queue_key_fly(&l->fly, l->o.keys, str_c(l->token));
	format_commands(l);
}

uint64_t lane_identity(const struct message *m)
{
	struct str s = m->text[MESSAGE_ID];
	uint64_t h, word;

	if (str_is_null(s))
		s = str_slice(m->raw, 0, 256);
	h = m->raw.len == 0 ? 0 : UINT64_C(0x9e3779b97f4a7c15) * (s.len + 1);
	for (; s.len >= sizeof(word); s = str_slice(s, sizeof(word), s.len)) {
		memcpy(&word, s.at, sizeof(word));
		h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, s.at, s.len);
	h = (h ^ word) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 29;
}

/* The ring. */

static void ring_grow(struct lane *l)
{
	size_t cap = l->ring_cap * 2;
	uint32_t *ring = malloc(cap * sizeof(*ring));

	must(ring != NULL);
	for (uint64_t p = l->confirmed; p < l->tail; p++)
		ring[p & (cap - 1)] = *lane_at(l, p);
	free(l->ring);
	l->ring = ring;
	l->ring_cap = cap;
}

static uint32_t *ring_next(struct lane *l)
{
	if (l->tail - l->confirmed == l->ring_cap)
		ring_grow(l);
	return lane_at(l, l->tail++);
}

void lane_put_blank(struct lane *l)
{
	*ring_next(l) = LANE_BLANK;
	l->blanks++;
}

void lane_put(struct lane *l, struct flight *flight)
{
	flight->place = l->tail;
	*ring_next(l) = flight->number;
}

struct flight *lane_append(struct lane *l, uint64_t identity)
{
	struct flight *flight = flight_new(l->o.flights);

	must(flight != NULL); /* the owner asks for no more than there is room for */
	flight->lane = l->o.number;
	flight->identity = identity;
	lane_put(l, flight);
	return flight;
}

/* Life. */

static void join_answered(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;

	l->is_renewing = false;
	if (l->sm.state != LANE_JOINING)
		return;
	if (error < 0 || reply->type != REDIS_INTEGER || reply->integer == 0) {
		lane_refused(l, error, reply);
		return;
	}
	l->lease = reply->integer;
	l->renewed_at = l->renewal_sent_at;
	lane_opened(l);
}

static bool send_lease(struct lane *l, redis_on_reply *on_reply)
{
	const struct str words[] = { l->o.keys->workers, buf_str(&l->fly), str_c(l->token) };

	if (redis_send_script(l->o.acks, &script_lease, 2, words, ARRAY_SIZE(words), on_reply, l) <
	    0)
		return false;
	l->is_renewing = true;
	l->renewal_sent_at = loop_now(l->o.loop);
	return true;
}

static void join(struct lane *l)
{
	sm_move(&l->sm, LANE_JOINING);
	l->confirmed = l->head = l->tail = 0;
	l->blanks = 0;
	lane_make_token(l);
	l->has_list = true;
	if (!send_lease(l, join_answered))
		lane_break(l, "the lease could not be asked for");
}

void lane_opened(struct lane *l)
{
	sm_move(&l->sm, LANE_OPEN);
	l->is_dry = true; /* until it is known better, one small batch */
	log_debug("lane %s opens as %s", l->label, l->token);
	lane_flush(l);
	if (l->sm.state == LANE_OPEN)
		l->o.callbacks->on_progress(l->o.arg, l);
}

void lane_advance(struct lane *l)
{
	if (l->sm.state != LANE_WAITING || l->is_closing || !l->has_acks ||
	    !redis_is_ready(l->fetch) || l->retry.loop != NULL)
		return;
	if (l->has_list)
		resync_begin(l);
	else
		join(l);
}

static void on_retry(struct timer *t)
{
	lane_advance(container_of(t, struct lane, retry));
}

void lane_break(struct lane *l, const char *why)
{
	if (l->sm.state == LANE_WAITING || l->sm.state >= LANE_LEAVING)
		return;
	log_info("lane %s: %s, resyncing", l->label, why);
	l->epoch++;
	sm_move(&l->sm, LANE_WAITING);
	/* The connections' return moves it on; when they are there, it was a refusal: not at once
	 * again. */
	if (l->has_acks && redis_is_ready(l->fetch))
		timer_start(l->o.loop, &l->retry, loop_now(l->o.loop) + RETRY_WAIT, on_retry);
}

void lane_fenced(struct lane *l)
{
	struct flights *f = l->o.flights;

	log_warn("lane %s: its lease was taken away, dropping what is in hand", l->label);
	l->epoch++;
	l->has_list = false;
	l->old_token[0] = '\0';
	if (l->sm.state != LANE_WAITING)
		sm_move(&l->sm, LANE_WAITING);
	for (uint32_t i = 0; i < f->fresh; i++)
		if (f->at[i].state != FLIGHT_FREE && f->at[i].lane == l->o.number &&
		    !f->at[i].is_lost)
			resync_lose(l, &f->at[i]);
	ack_lost(l);
	l->confirmed = l->head = l->tail = 0;
	l->blanks = 0;
	timer_start(l->o.loop, &l->retry, loop_now(l->o.loop) + RETRY_WAIT, on_retry);
}

static void on_reloaded(void *arg _unused_, int error)
{
	if (error < 0)
		log_warn("scripts could not be loaded: %s, ignoring", fail_reason(error));
}

void lane_refused(struct lane *l, int error, const struct redis_reply *reply)
{
	struct str text;

	if (l->is_closing)
		return; /* the shared connection may be gone already */
	if (error < 0) {
		/* A lost connection says so itself, after its last answer. */
		if (l->has_acks && redis_is_ready(l->o.acks) && redis_is_ready(l->fetch))
			lane_break(l, fail_reason(error));
		return;
	}
	text = reply->type == REDIS_ERROR ? reply->text : STR("an answer of another kind");
	if (str_find(text, STR("WRONGTYPE")) >= 0) {
		lane_fenced(l);
		return;
	}
	/* Somebody flushed the scripts.  Loaded in the same order in which they are missed. */
	if (str_starts(text, STR("NOSCRIPT")) && scripts_load(l->o.acks, on_reloaded, NULL) < 0)
		log_warn("scripts could not be loaded, ignoring: the connection is gone");
	{
		char why[200];

		(void) snprintf(why, sizeof(why), "%.*s", STR_ARG(text));
		lane_break(l, why);
	}
}

/* Fetch. */

static void take_message(struct lane *l, struct str raw)
{
	struct message m;
	int scanned = message_scan(raw, &m);
	struct flight *flight;

	if (scanned < 0)
		m = (struct message){ .raw = raw };
	flight = lane_append(l, lane_identity(&m));
	l->o.callbacks->on_message(l->o.arg, l, flight, scanned, &m);
}

bool lane_is_full(const struct lane *l)
{
	return l->full_at != 0 && loop_now(l->o.loop) - l->full_at < FULL_FOR;
}

bool lane_was_full(struct lane *l, int error)
{
	if (error >= 0 || !redis_is_ready(l->fetch) ||
	    str_find(str_c(fail_reason(error)), STR(": OOM ")) < 0)
		return false;
	if (l->full_at == 0 || loop_now(l->o.loop) - l->full_at > 2 * FULL_FOR)
		log_warn("lane %s: Redis is out of memory, draining it by script", l->label);
	l->full_at = loop_now(l->o.loop);
	return true;
}

static void take_answer(struct lane *l, struct lane_batch *b, int error,
			const struct redis_reply *reply)
{
	if (lane_was_full(l, error))
		return;
	if (error < 0 || reply->type == REDIS_ERROR) {
		lane_refused(l, error, reply);
		return;
	}
	if (reply->type == REDIS_TEXT) {
		b->got++;
		take_message(l, reply->text);
	} else if (reply->type == REDIS_ARRAY) {
		b->got = (unsigned) reply->count;
		for (size_t i = 0; i < reply->count && l->sm.state == LANE_OPEN; i++)
			take_message(l, reply->elements[i].text);
	} else if (reply->type == REDIS_INTEGER && reply->integer == 1) {
		lane_break(l, "the lease is gone: Redis lost its data");
	}
}

static void on_fetched(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;
	struct lane_batch *b = &l->batches[l->batch_first];

	OBJ_CHECK(l, LANE_MAGIC);
	must(l->batch_count > 0 && b->left > 0);
	b->left--;
	if (b->is_script)
		l->asked -= b->asked;
	else if (b->left > 0)
		l->asked--;
	if (b->epoch == l->epoch)
		take_answer(l, b, error, reply);
	if (b->left > 0)
		return;
	l->batch_first = (l->batch_first + 1) % LANE_BATCHES;
	l->batch_count--;
	if (b->epoch != l->epoch || (error < 0 && !lane_was_full(l, error)))
		return;
	l->polled_at = loop_now(l->o.loop);
	l->is_dry = b->got < b->asked;
}

static void on_fetch_chunk(void *arg)
{
	struct lane *l = arg;

	l->o.callbacks->on_progress(l->o.arg, l);
}

bool lane_may_fetch(const struct lane *l)
{
	return l->sm.state == LANE_OPEN && !l->is_stopping && l->batch_count < LANE_BATCHES &&
	       (l->batch_count == 0 || !l->is_dry) &&
	       loop_now(l->o.loop) - l->renewed_at < LEASE_FRESH;
}

/* While Redis is out of memory: one script instead, which does not wait. */
static unsigned fetch_by_script(struct lane *l, struct lane_batch *b, unsigned n)
{
	char number[16];

	(void) snprintf(number, sizeof(number), "%u", n);
	if (redis_send(l->fetch,
		       REDIS_WORDS(STR("EVALSHA"), scripts_hash(SCRIPT_MOVE), STR("3"),
				   lane_list(l), buf_str(&l->fly), l->o.keys->workers,
				   str_c(l->token), str_c(number)),
		       on_fetched, l) < 0)
		return 0;
	b->is_script = true;
	b->left = 1;
	l->batch_count++;
	l->asked += n;
	return n;
}

unsigned lane_fetch(struct lane *l, unsigned n)
{
	struct lane_batch *b;
	int r;

	if (!lane_may_fetch(l) || n == 0)
		return 0;
	n = MIN(n, LANE_BATCH);
	b = &l->batches[(l->batch_first + l->batch_count) % LANE_BATCHES];
	*b = (struct lane_batch){ .asked = n, .left = n + 1, .epoch = l->epoch };
	if (lane_is_full(l))
		return fetch_by_script(l, b, n);
	r = redis_send_raw(l->fetch, buf_str(&l->block), 1, on_fetched, l);
	if (r < 0)
		return 0; /* just lost; its state change follows */
	if (n > 1)
		r = redis_send_raw(l->fetch, str_make(l->moves.at, (n - 1) * l->move_len), n - 1,
				   on_fetched, l);
	if (r == 0)
		r = redis_send_raw(l->fetch, buf_str(&l->touch), 1, on_fetched, l);
	must(r == 0); /* one of three cannot fail: the room was there for the first */
	l->batch_count++;
	l->asked += n;
	redis_flush(l->fetch);
	return n;
}

unsigned lane_asked(const struct lane *l)
{
	return l->asked;
}

bool lane_is_dry(const struct lane *l)
{
	return l->is_dry;
}

/* Renewal. */

static void on_renewed(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;

	OBJ_CHECK(l, LANE_MAGIC);
	l->is_renewing = false;
	if (l->sm.state != LANE_OPEN)
		return;
	if (error < 0 || reply->type != REDIS_INTEGER) {
		lane_refused(l, error, reply);
	} else if (reply->integer == 0) {
		lane_fenced(l);
	} else if (reply->integer != l->lease + 1) {
		lane_break(l, "the lease began anew: Redis lost its data");
	} else {
		l->lease = reply->integer;
		l->renewed_at = l->renewal_sent_at;
		l->o.callbacks->on_progress(l->o.arg, l);
	}
}

void lane_renew(struct lane *l)
{
	if (l->sm.state == LANE_OPEN && !l->is_renewing)
		(void) send_lease(l, on_renewed); /* not ready: its loss is on its way to us */
}

/* The end. */

void lane_stop(struct lane *l)
{
	char client[24];

	l->is_stopping = true;
	if (l->batch_count == 0 || l->client == 0 || !redis_is_ready(l->o.acks))
		return;
	(void) snprintf(client, sizeof(client), "%lld", (long long) l->client);
	/* Ends the wait as its timeout would.  Not heard (it did not wait yet): asked again by the
	 * owner. */
	if (redis_send(l->o.acks, REDIS_WORDS(STR("CLIENT"), STR("UNBLOCK"), str_c(client)), NULL,
		       NULL) < 0)
		log_debug("lane %s: could not be unblocked, ignoring", l->label);
}

bool lane_is_quiet(const struct lane *l)
{
	return l->is_stopping && l->batch_count == 0;
}

bool lane_may_leave(const struct lane *l)
{
	return l->sm.state == LANE_OPEN && lane_is_quiet(l) && lane_held(l) == 0 &&
	       !l->is_renewing && l->ack_count == 0 && list_is_empty(&l->ops) &&
	       list_is_empty(&l->ops_sent);
}

static void left(struct lane *l)
{
	void (*on_end)(void *) = l->on_end;

	sm_move(&l->sm, LANE_LEFT);
	l->on_end = NULL;
	on_end(l->on_end_arg);
}

static void on_leave_answered(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;

	if (l->sm.state != LANE_LEAVING)
		return;
	if (error < 0 || reply->type != REDIS_INTEGER || reply->integer != 0)
		log_warn("lane %s could not give up its lease, ignoring: a sweep will", l->label);
	left(l);
}

void lane_leave(struct lane *l, void (*on_left)(void *), void *arg)
{
	const struct str words[] = { l->o.keys->workers, buf_str(&l->fly), str_c(l->token) };

	must(l->on_end == NULL);
	l->on_end = on_left;
	l->on_end_arg = arg;
	if (l->sm.state != LANE_OPEN) {
		/* Away from Redis: what is there stays under a lease that nobody renews. */
		if (l->sm.state != LANE_WAITING)
			sm_move(&l->sm, LANE_WAITING);
		left(l);
		return;
	}
	sm_move(&l->sm, LANE_LEAVING);
	if (redis_send_script(l->o.acks, &script_leave, 2, words, ARRAY_SIZE(words),
			      on_leave_answered, l) < 0)
		left(l);
}

/* The connections. */

static void on_client_id(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;

	if (error == 0 && reply->type == REDIS_INTEGER)
		l->client = reply->integer;
}

static void on_fetch_state(void *arg, uint64_t generation)
{
	struct lane *l = arg;

	OBJ_CHECK(l, LANE_MAGIC);
	l->client = 0;
	if (generation == 0) {
		must(l->batch_count == 0);
		lane_break(l, "the fetching connection was lost");
		return;
	}
	if (redis_send(l->fetch, REDIS_WORDS(STR("CLIENT"), STR("ID")), on_client_id, l) < 0)
		return; /* lost again already; the next state says so */
	lane_advance(l);
}

void lane_acks_changed(struct lane *l, bool is_ready)
{
	l->has_acks = is_ready;
	if (!is_ready)
		lane_break(l, "the acknowledging connection was lost");
	else
		lane_advance(l);
}

int lane_open(const struct lane_options *o, struct lane **ret)
{
	struct lane *l = calloc(1, sizeof(*l));
	struct redis_options options = { .url = o->url, .on_state = on_fetch_state, .arg = l };
	char name[QUEUE_NAME_MOST + 32];
	int r;

	must(l != NULL);
	l->magic = LANE_MAGIC;
	l->o = *o;
	l->incarnation = o->incarnation;
	sm_init(&l->sm, "lane", states, LANE_STATES, LANE_WAITING, lane_invariant);
	buf_init(&l->fly);
	buf_init(&l->block);
	buf_init(&l->moves);
	buf_init(&l->touch);
	l->ring_cap = 256;
	l->ring = malloc(l->ring_cap * sizeof(*l->ring));
	must(l->ring != NULL);
	ack_init(l);
	(void) snprintf(l->label, sizeof(l->label), "%.*s/%d", STR_ARG(o->keys->queue),
			queue_step_priority(o->step));
	(void) snprintf(name, sizeof(name), "apium-worker:%s", l->label);
	options.name = name;
	r = redis_open(o->loop, &options, &l->fetch);
	if (r < 0) {
		ack_fini(l);
		free(l->ring);
		free(l);
		return r;
	}
	redis_on_chunk(l->fetch, on_fetch_chunk, l);
	*ret = l;
	return 0;
}

static void on_fetch_closed(void *arg)
{
	struct lane *l = arg;
	void (*on_end)(void *) = l->on_end;
	void *on_end_arg = l->on_end_arg;

	ack_fini(l);
	buf_fini(&l->fly);
	buf_fini(&l->block);
	buf_fini(&l->moves);
	buf_fini(&l->touch);
	free(l->ring);
	l->magic = 0;
	free(l);
	if (on_end != NULL)
		on_end(on_end_arg);
}

void lane_close(struct lane *l, void (*on_closed)(void *), void *arg)
{
	OBJ_CHECK(l, LANE_MAGIC);
	must(!l->is_closing);
	l->is_closing = true;
	timer_stop(&l->retry);
	l->on_end = on_closed;
	l->on_end_arg = arg;
	redis_close(l->fetch, on_fetch_closed, l);
}

const struct queue_keys *lane_keys(const struct lane *l)
{
	return l->o.keys;
}

int lane_step(const struct lane *l)
{
	return l->o.step;
}

uint16_t lane_number(const struct lane *l)
{
	return l->o.number;
}

struct str lane_list(const struct lane *l)
{
	return l->o.keys->lists[l->o.step];
}

struct str lane_token(const struct lane *l)
{
	return str_c(l->token);
}

bool lane_has_token(const struct lane *l, struct str token)
{
	return str_eq_c(token, l->token) ||
	       (l->old_token[0] != '\0' && str_eq_c(token, l->old_token));
}

bool lane_is_open(const struct lane *l)
{
	return l->sm.state == LANE_OPEN;
}

size_t lane_held(const struct lane *l)
{
	return (size_t) (l->tail - l->confirmed);
}

usec_t lane_polled_at(const struct lane *l)
{
	return l->polled_at;
}
