#include "queue/ending-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/world.h"
#include "queue/relay.h"
#include "queue/result.h"
#include "queue/step-internal.h"

#define RECEIPT_SECONDS "3600"
#define STORE_AGAIN     (1 * SEC)

struct str ending_ttl(void)
{
	static char seconds[16];

	if (seconds[0] == '\0')
		(void) snprintf(seconds, sizeof(seconds), "%" PRId64, result_ttl());
	return str_c(seconds);
}

void ending_words_init(struct ending_words *w, const struct supervisor *s, const struct flight *f,
		       const struct ending *e)
{
	const struct queue_keys *k = lane_keys(s->lanes[f->lane]);
	struct str id = e->id;

	w->of_id = w->of_key = w->result = (struct buf) BUF_INIT;
	w->now[0] = '\0';
	queue_key_receipt(&w->of_id, k, id);
	queue_key_receipt(&w->of_key, k, str_is_null(e->key) ? id : e->key);
	queue_key_result(&w->result, id);
	if (e->letter != NULL)
		(void) snprintf(w->now, sizeof(w->now), "%" PRId64, now_realtime() / MSEC);
	{
		const struct str keys[ENDING_KEYS] = {
			k->live,
			buf_str(&w->of_id),
			buf_str(&w->of_key),
			buf_str(&w->result),
			k->crash,
			k->dead,
			k->letters,
		};
		const struct str args[ENDING_WORDS] = {
			id,
			f->is_outbox ? STR("1") : STR(""),
			f->is_outbox ? e->receipt : STR(""),
			str_is_null(e->key) ? STR("") : e->receipt,
			STR(RECEIPT_SECONDS),
			e->document,
			ending_ttl(),
			f->is_counted ? STR("1") : STR(""),
			str_c(e->letter == NULL ? "" : e->letter->name),
			e->record,
			str_c(w->now),
		};

		memcpy(w->keys, keys, sizeof(keys));
		memcpy(w->args, args, sizeof(args));
	}
}

void ending_words_fini(struct ending_words *w)
{
	buf_fini(&w->of_id);
	buf_fini(&w->of_key);
	buf_fini(&w->result);
}

static void on_outbox_ended(void *arg, struct flight *f, int error,
			    const struct redis_reply *reply _unused_)
{
	struct relay_note *note = arg;

	(void) f;
	relay_note_end(note, error == 0);
}

static void end_by_script(struct supervisor *s, struct flight *f, const struct ending *e)
{
	_cleanup_(ending_words_fini) struct ending_words w;
	struct relay_note *note = f->is_outbox ? relay_note_new(s->relay, e->id) : NULL;

	ending_words_init(&w, s, f, e);
	lane_run(supervisor_lane(s, f), f, SCRIPT_END, w.keys, ENDING_KEYS, w.args, ENDING_WORDS,
		 note == NULL ? NULL : on_outbox_ended, note);
}

void ending_copy(struct ending *to, struct arena *arena, const struct ending *from)
{
	struct dead_letter *letter = NULL;

	if (from->letter != NULL) {
		letter = arena_new(arena, struct dead_letter);
		*letter = *from->letter; /* of its texts the record has copies */
	}
	*to = (struct ending){ .id = arena_str(arena, from->id),
			       .key = arena_str(arena, from->key),
			       .document = arena_str(arena, from->document),
			       .receipt = arena_str(arena, from->receipt),
			       .letter = letter,
			       .record = arena_str(arena, from->record),
			       .follow = from->follow };
}

static void end_here(struct supervisor *s, struct flight *f, const struct ending *e)
{
	_cleanup_(buf_fini) struct buf result = BUF_INIT;
	struct lane *lane = supervisor_lane(s, f);

	if (f->is_outbox || f->is_counted || !str_is_null(e->key) || e->letter != NULL) {
		end_by_script(s, f, e);
	} else if (e->document.len == 0) {
		lane_done(lane, f);
	} else {
		queue_key_result(&result, e->id);
		lane_run(lane, f, SCRIPT_RESULTS, REDIS_WORDS(buf_str(&result)),
			 REDIS_WORDS(ending_ttl(), e->document), NULL, NULL);
	}
}

/* An end whose result goes to another Redis first: only what is stored may be acknowledged. */
struct storing {
	struct supervisor *s;
	uint32_t number, generation;
	struct arena arena;
	struct ending e;
	struct timer again;
};

static void store(struct storing *w);

static void on_store_again(struct timer *t)
{
	store(container_of(t, struct storing, again));
}

static void on_stored(void *arg, int error, const struct redis_reply *reply)
{
	struct storing *w = arg;
	struct supervisor *s = w->s;
	struct flight *f = flight_find(&s->flights, w->number, w->generation);

	if (f != NULL && error != -ECANCELED && (error < 0 || reply->type == REDIS_ERROR)) {
		timer_start(s->loop, &w->again, loop_now(s->loop) + STORE_AGAIN, on_store_again);
		return;
	}
	if (f != NULL && error == 0) {
		w->e.document = STR("");
		end_here(s, f, &w->e);
		supervisor_pump(s);
	}
	arena_fini(&w->arena);
	free(w);
}

static void store(struct storing *w)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	int r;

	queue_key_result(&key, w->e.id);
	r = redis_send_script(w->s->results, &script_tell, 1,
			      REDIS_WORDS(buf_str(&key), w->e.document, ending_ttl(), STR("1")),
			      on_stored, w);
	if (r < 0)
		on_stored(w, r, NULL);
}

static void store_first(struct supervisor *s, struct flight *f, const struct ending *e)
{
	struct storing *w = calloc(1, sizeof(*w));

	must(w != NULL);
	arena_init(&w->arena);
	w->s = s;
	w->number = f->number;
	w->generation = f->generation;
	ending_copy(&w->e, &w->arena, e);
	f->state = FLIGHT_ENDING;
	store(w);
}

void ending_run(struct supervisor *s, struct flight *f, const struct ending *e)
{
	if (e->follow != NULL)
		step_run(s, f, e);
	else if (s->results != NULL && e->document.len > 0)
		store_first(s, f, e);
	else
		end_here(s, f, e);
}
