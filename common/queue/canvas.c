/*
 * canvas.c - asking for a canvas: its first messages, each as a row or a push of its own.
 */
#include "queue/canvas.h"

#include "base/error.h"
#include "base/log.h"
#include "base/uuid.h"
#include "base/world.h"
#include "queue/enqueue-internal.h"
#include "queue/outbox.h"
#include "queue/signature.h"

struct asked {
	struct message_new message;
	struct str chord; /* the chord that began last; its size is told with each */
	int64_t chord_size;
	struct asked *next;
};

struct asking {
	struct arena *arena;
	struct asked *first, **end;
	struct str chord;
	int64_t chord_size;
	size_t bytes;
};

static int emit(void *arg, const struct message_new *m)
{
	struct asking *a = arg;
	struct asked *one = arena_new(a->arena, struct asked);
	struct uuid uuid;

	a->bytes += m->args.len + m->kwargs.len + m->embed.len;
	if (a->bytes > CANVAS_BYTES)
		return fail(-E_DROPPED, "the canvas has more than %zu MiB", CANVAS_BYTES / MIB);
	if (uuid_parse(m->id, &uuid) < 0)
		return fail(-E_DROPPED, "the id is no UUID");
	*one = (struct asked){ .message = *m, .chord = a->chord, .chord_size = a->chord_size };
	*a->end = one;
	a->end = &one->next;
	return 0;
}

static int begin_chord(void *arg, struct str group, size_t size)
{
	struct asking *a = arg;

	a->chord = group;
	a->chord_size = (int64_t) size;
	return 0;
}

/* The id whose result is the whole's. */
static struct str result_of(const struct signature *s)
{
	if (s->kind == SIGNATURE_CHORD)
		return result_of(s->body);
	if (s->kind == SIGNATURE_CHAIN)
		return s->last == NULL ? STR_NULL : result_of(s->last);
	return signature_get_text(s, "task_id");
}

static enum task_durability durability_of(const struct asked *a)
{
	const struct task *task = task_find(a->message.task);

	return task == NULL ? TASK_OUTBOX : task->durability;
}

static int ask_one(struct producer *p, struct db_tx *tx, struct arena *arena, const struct asked *a,
		   struct enqueued **ret)
{
	const struct message_new *m = &a->message;
	struct outbox_row row = {
		.id = m->id,
		.task = m->task,
		.kwargs = m->kwargs,
		.queue = m->queue,
		.root_id = m->root_id,
		.parent_id = m->parent_id,
		.traceparent = m->traceparent,
		.canvas = outbox_canvas(arena, m, a->chord, a->chord_size),
		.eta = m->eta,
		.priority = MIN(m->priority, 9),
	};

	return enqueue_row(p, tx, arena, &row, durability_of(a), ret);
}

static int ask_all(struct producer *p, struct db_tx *tx, struct arena *arena,
		   const struct asked *first, struct enqueued **ret)
{
	struct enqueued *all = NULL, **end = &all;
	int r = 0;

	for (const struct asked *a = first; a != NULL && r == 0; a = a->next) {
		r = ask_one(p, tx, arena, a, end);
		if (r == 0)
			end = &(*end)->next;
	}
	if (r == 0)
		*ret = all;
	return r;
}

/* In a transaction of its own, so that it is asked for whole or not at all. */
static int ask_alone(struct producer *p, struct arena *arena, const struct asked *first,
		     struct enqueued **ret)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct enqueued *all;
	int r = db_begin(enqueue_db(p), &tx);

	if (r == 0)
		r = ask_all(p, &tx, arena, first, &all);
	if (r == 0)
		r = db_commit(&tx);
	if (r < 0)
		return r;
	enqueue_push(p, all);
	*ret = all;
	return 0;
}

static bool has_row(const struct asked *first)
{
	for (const struct asked *a = first; a != NULL; a = a->next)
		if (durability_of(a) == TASK_OUTBOX)
			return true;
	return false;
}

int canvas_enqueue(struct producer *p, struct db_tx *tx, struct arena *arena, struct signature *s,
		   struct enqueued **ret_enqueued, struct str *ret_id)
{
	struct asking asking = { .arena = arena };
	struct signature_use use = { .arena = arena,
				     .tells_size = true,
				     .emit = emit,
				     .begin_chord = begin_chord,
				     .arg = &asking };
	struct enqueued *all = NULL;
	int r;

	asking.end = &asking.first;
	signature_freeze(s, NULL);
	r = signature_apply(&use, s, STR_NULL, STR_NULL);
	if (r == -EINVAL)
		r = fail(-E_DROPPED, "%s", arena_c(arena, str_c(fail_reason(r))));
	if (r == 0 && asking.first == NULL)
		r = fail(-E_DROPPED, "the canvas is empty");
	if (r < 0)
		return r;
	if (tx == NULL && asking.first->next != NULL && has_row(asking.first))
		r = ask_alone(p, arena, asking.first, &all);
	else
		r = ask_all(p, tx, arena, asking.first, &all);
	if (r < 0)
		return r;
	*ret_enqueued = all;
	*ret_id = result_of(s);
	return 0;
}
