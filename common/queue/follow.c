#include "queue/follow.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/hostlink.h"
#include "queue/schedule.h"
#include "queue/signature.h"

#define DEPTH_MOST (SIGNATURE_DEPTH * 8)

void follow_init(struct follow *f, struct arena *arena, struct queue_book *book)
{
	*f = (struct follow){ .arena = arena, .book = book };
	buf_init(&f->children);
}

void follow_fini(struct follow *f)
{
	buf_fini(&f->children);
}

void follow_add(struct follow *f, enum follow_kind kind, struct str key, struct str when,
		struct str payload)
{
	if (f->count == f->cap) {
		size_t cap = f->cap == 0 ? 8 : f->cap * 2;
		struct follow_effect *at = arena_alloc(f->arena, cap * sizeof(*at));

		if (f->count > 0)
			memcpy(at, f->effects, f->count * sizeof(*at));
		f->effects = at;
		f->cap = cap;
	}
	f->bytes += payload.len;
	f->effects[f->count++] = (struct follow_effect){ .kind = (char) kind,
							 .key = arena_str(f->arena, key),
							 .when = arena_str(f->arena, when),
							 .payload = arena_str(f->arena, payload) };
}

/* Messages. */

/* Ours to move when it is due; for another's the message says when, to whoever takes it. */
static bool is_consumed(struct str queue)
{
	struct str rest = str_c(settings.queues), item;

	while (settings_next_item(&rest, &item))
		if (str_eq(item, queue))
			return true;
	return false;
}

static int emit(void *arg, const struct message_new *m)
{
	_cleanup_(buf_fini) struct buf message = BUF_INIT, member = BUF_INIT;
	struct follow *f = arg;
	const struct queue_keys *keys;
	int step = queue_step(m->priority), r = queue_book_find(f->book, m->queue, &keys);
	char due[24];

	if (r < 0)
		return fail_in(-EINVAL, "task %.*s", STR_ARG(m->task));
	message_write(&message, m);
	if (f->bytes + message.len > CANVAS_BYTES)
		return fail(-EINVAL, "more than %zu MiB", CANVAS_BYTES / MIB);
	if (m->eta <= now_realtime() || !is_consumed(m->queue)) {
		follow_add(f, FOLLOW_PUSH, keys->lists[step], STR(""), buf_str(&message));
		return 0;
	}
	(void) snprintf(due, sizeof(due), "%" PRId64, (m->eta + MSEC - 1) / MSEC);
	schedule_member(&member, step, buf_str(&message));
	follow_add(f, FOLLOW_LATER, keys->schedule, str_c(due), buf_str(&member));
	return 0;
}

static int begin_chord(void *arg, struct str group, size_t size)
{
	_cleanup_(buf_fini) struct buf claim = BUF_INIT, parts = BUF_INIT;
	struct follow *f = arg;
	char count[24], ttl[24];

	queue_key_chord(&claim, group, ".c");
	queue_key_chord(&parts, group, ".s");
	(void) snprintf(count, sizeof(count), "%zu", size);
	(void) snprintf(ttl, sizeof(ttl), "%" PRId64, result_ttl());
	follow_add(f, FOLLOW_DROP, buf_str(&claim), STR(""), STR(""));
	follow_add(f, FOLLOW_SET, buf_str(&parts), str_c(ttl), str_c(count));
	return 0;
}

static struct str root_of(const struct follow_job *job)
{
	return str_is_null(job->root_id) ? job->id : job->root_id;
}

static struct signature_use use_of(struct follow *f, const struct follow_job *job)
{
	return (struct signature_use){ .arena = f->arena,
				       .root_id = root_of(job),
				       .parent_id = job->id,
				       .traceparent = job->traceparent,
				       .emit = emit,
				       .begin_chord = begin_chord,
				       .arg = f,
				       .children = &f->children };
}

/* Several callbacks go as one group, but for groups, which go by themselves; as Celery sends
 * them.  One goes alone, `is_group` or not. */
static int apply_list(struct follow *f, struct signature_use *u, const struct json *list,
		      struct str before, bool is_group)
{
	struct signature *all = canvas_group(f->arena, NULL, 0), *one;
	int r;

	for (const struct json *v = list->first; v != NULL; v = v->next) {
		r = signature_read(f->arena, v, &one);
		if (r == 0 && !is_group && (list->count == 1 || one->kind == SIGNATURE_GROUP)) {
			r = signature_apply(u, one, before, STR_NULL);
		} else if (r == 0) {
			if (all->first == NULL)
				all->first = one;
			else
				all->last->next = one;
			all->last = one;
		}
		if (r < 0)
			return r;
	}
	return all->first == NULL ? 0 : signature_apply(u, all, before, STR_NULL);
}

/* JSON array of all but the last. */
static struct str rest_of(struct arena *arena, const struct json *chain)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	buf_add_byte(&out, '[');
	for (const struct json *v = chain->first; v->next != NULL; v = v->next) {
		if (out.len > 1)
			buf_add_c(&out, ", ");
		buf_add_str(&out, json_raw(v));
	}
	buf_add_byte(&out, ']');
	return arena_str(arena, buf_str(&out));
}

static const struct json *last_of(const struct json *list)
{
	const struct json *last = list->first;

	while (last->next != NULL)
		last = last->next;
	return last;
}

/* For the script to take apart: the length of the mark, the mark, the member. */
static void add_part(struct follow *f, struct str group, struct str id, int64_t index,
		     struct str member)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT, payload = BUF_INIT;
	struct str score = index < 0 ? STR("+inf") : arena_printf(f->arena, "%" PRId64, index);

	queue_key_chord(&key, group, ".j");
	buf_printf(&payload, "%zu:%.*s:%.*s%.*s", id.len + 1 + score.len, STR_ARG(id),
		   STR_ARG(score), STR_ARG(member));
	follow_add(f, FOLLOW_PART, buf_str(&key), score, buf_str(&payload));
}

/* The part that a job is of its chord, which has ended with this state and result (JSON). */
static void set_part(struct follow *f, struct str group, struct str id, int64_t index,
		     const char *state, struct str result, const struct json *chord,
		     struct str body)
{
	_cleanup_(buf_fini) struct buf member = BUF_INIT;
	const struct json *size = json_get(chord, STR("chord_size"));
	struct json_writer w;

	if (str_is_null(group) || str_is_null(id))
		return; /* as Celery: a part of nothing */
	if (!str_is_null(f->part.group) && !str_eq(f->part.group, group)) {
		log_warn("job %.*s ends parts of two chords: one of them waits for ever",
			 STR_ARG(id));
		return;
	}
	json_writer_init(&w, &member, JSON_ESCAPE_ASCII, true);
	json_begin_array(&w);
	json_put_i64(&w, 1);
	json_put_str(&w, id);
	json_put_c(&w, state);
	json_put_raw(&w, result);
	json_end_array(&w);
	if (!str_is_null(f->part.group)) {
		add_part(f, group, id, index, buf_str(&member));
		return;
	}
	f->part = (struct follow_part){ .group = arena_str(f->arena, group),
					.id = arena_str(f->arena, id),
					.member = arena_str(f->arena, buf_str(&member)),
					.body = body,
					.index = index };
	if (size != NULL && (json_to_i64(size, &f->part.size) < 0 || f->part.size < 0))
		f->part.size = 0;
}

static int check_list(struct arena *arena, const struct json *list)
{
	struct signature *s;
	int r = 0;

	for (const struct json *v = list == NULL ? NULL : list->first; v != NULL && r == 0;
	     v = v->next)
		r = signature_read(arena, v, &s);
	return r;
}

int follow_check(struct arena *arena, const struct body_embed *e)
{
	struct signature *s;
	int r = check_list(arena, e->callbacks);

	if (r == 0)
		r = check_list(arena, e->errbacks);
	if (r == 0)
		r = check_list(arena, e->chain);
	if (r == 0 && e->chord != NULL)
		r = signature_read(arena, e->chord, &s);
	return r;
}

int follow_success(struct follow *f, const struct follow_job *job, const struct body_embed *e,
		   struct str value)
{
	struct signature_use u = use_of(f, job);
	struct str result = str_is_null(value) ? STR("null") : value;
	struct signature *next;
	int r = 0;

	if (e->callbacks != NULL)
		r = apply_list(f, &u, e->callbacks, result, false);
	if (r == 0 && e->chain != NULL) {
		r = signature_read(f->arena, last_of(e->chain), &next);
		if (r == 0)
			r = signature_apply(&u, next, result, rest_of(f->arena, e->chain));
	}
	if (r == 0 && e->chord != NULL)
		set_part(f, job->group, job->id, job->group_index,
			 result_state_name(RESULT_SUCCESS), result, e->chord, STR_NULL);
	return r;
}

int follow_signature(struct follow *f, const struct follow_job *job, struct signature *s)
{
	struct signature_use u = use_of(f, job);

	return signature_apply(&u, s, STR_NULL, STR_NULL);
}

/* Failure. */

static struct str exception_json(struct arena *arena, const struct follow_failure *failure)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_ESCAPE_ASCII, true);
	result_put_exception(&w, failure->exception, failure->message);
	return arena_str(arena, buf_str(&out));
}

static void fail_id(struct follow *f, struct str id, struct str group,
		    const struct follow_failure *failure)
{
	_cleanup_(buf_fini) struct buf document = BUF_INIT, key = BUF_INIT;
	struct result_about about = { .id = id, .group = group };

	if (str_is_null(id))
		return;
	result_add_exception(&document, &about, failure->state, failure->exception,
			     failure->message);
	queue_key_result(&key, id);
	follow_add(f, FOLLOW_RESULT, buf_str(&key), STR(""), buf_str(&document));
}

/* JSON of an option; NULL: not set. */
static const struct json *option_json(struct arena *arena, const struct signature *s,
				      const char *option)
{
	struct str text = signature_get(s, option);
	struct json_error e;
	struct json *tree;

	if (str_is_null(text) || json_parse(arena, text, JSON_PYTHON, DEPTH_MOST, &tree, &e) < 0)
		return NULL;
	return tree;
}

static int call_errbacks(struct follow *f, const struct follow_job *job, const struct json *list)
{
	_cleanup_(buf_fini) struct buf id = BUF_INIT;
	struct signature_use u = use_of(f, job);
	struct json single;
	struct json_writer w;

	if (list == NULL || list->count == 0)
		return 0;
	if (list->type == JSON_OBJECT) {
		struct json *one = arena_new(f->arena, struct json);

		*one = *list;
		one->next = NULL;
		single = (struct json){ .type = JSON_ARRAY, .count = 1, .first = one };
		list = &single;
	}
	json_writer_init(&w, &id, JSON_ESCAPE_ASCII, true);
	json_put_str(&w, job->id);
	u.children = NULL;
	return apply_list(f, &u, list, arena_str(f->arena, buf_str(&id)), true);
}

/* Jobs that will not run: they end as the one before them did, and so do those that would have
 * come after them. */
static int fail_signature(struct follow *f, const struct signature *s, bool calls_errbacks,
			  const struct follow_failure *failure)
{
	struct str id = signature_get_text(s, "task_id"), group = signature_get_text(s, "group_id");
	const struct json *chain = option_json(f->arena, s, "chain"),
			  *chord = option_json(f->arena, s, "chord");
	struct signature *after;
	int r = 0;

	fail_id(f, id, group, failure);
	for (const struct signature *m = s->first; m != NULL && r == 0; m = m->next)
		r = fail_signature(f, m, calls_errbacks, failure);
	if (r == 0 && s->body != NULL)
		r = fail_signature(f, s->body, calls_errbacks, failure);
	for (const struct json *v = chain == NULL ? NULL : chain->first; v != NULL && r == 0;
	     v = v->next) {
		r = signature_read(f->arena, v, &after);
		if (r == 0)
			r = fail_signature(f, after, false, failure);
	}
	if (r == 0 && calls_errbacks && !str_is_null(id) && failure->state == RESULT_FAILURE)
		r = call_errbacks(f, &(struct follow_job){ .id = id },
				  option_json(f->arena, s, "link_error"));
	if (r < 0 || chord == NULL || s->kind == SIGNATURE_GROUP || s->kind == SIGNATURE_CHAIN)
		return r;
	set_part(f, group, id, signature_get_i64(s, "group_index", -1),
		 result_state_name(failure->state), exception_json(f->arena, failure), chord,
		 chord->text);
	return 0;
}

int follow_failure(struct follow *f, const struct follow_job *job, const struct body_embed *e,
		   const struct follow_failure *failure)
{
	struct signature *step;
	int r = 0;

	if (e->chord != NULL)
		set_part(f, job->group, job->id, job->group_index,
			 result_state_name(failure->state), exception_json(f->arena, failure),
			 e->chord, STR_NULL);
	for (const struct json *v = e->chain == NULL ? NULL : e->chain->first; v != NULL && r == 0;
	     v = v->next) {
		r = signature_read(f->arena, v, &step);
		if (r == 0)
			r = fail_signature(f, step, false, failure);
	}
	if (r == 0 && e->errbacks != NULL && failure->state == RESULT_FAILURE)
		r = call_errbacks(f, job, e->errbacks);
	return r;
}

/* Chords. */

static int read_text(struct arena *arena, struct str text, struct signature **ret)
{
	struct json_error e;
	struct json *tree;

	if (json_parse(arena, text, JSON_PYTHON, DEPTH_MOST, &tree, &e) < 0)
		return fail(-EINVAL, "the chord's body: %s", e.sentence);
	return signature_read(arena, tree, ret);
}

int follow_chord(struct follow *f, const struct follow_job *last, struct str body,
		 struct str results)
{
	struct signature_use u = use_of(f, last);
	struct signature *s;
	struct str root;
	int r = read_text(f->arena, body, &s);

	if (r < 0)
		return r;
	root = signature_get_text(s, "root_id");
	if (!str_is_null(root))
		u.root_id = root;
	u.children = NULL;
	return signature_apply(&u, s, results, STR_NULL);
}

int follow_chord_failure(struct follow *f, const struct follow_job *last, struct str body,
			 const struct follow_failure *failure)
{
	struct signature *s;
	int r = read_text(f->arena, body, &s);

	(void) last;
	return r < 0 ? r : fail_signature(f, s, true, failure);
}

/* Frames. */

struct packed {
	uint64_t count;
	int64_t index, size;
};
#define PART_TEXTS   4
#define EFFECT_TEXTS 4

void follow_pack(struct buf *out, const struct follow *f)
{
	const struct packed head = { .count = f->count,
				     .index = f->part.index,
				     .size = f->part.size };
	const struct str part[PART_TEXTS] = { f->part.group, f->part.member, f->part.id,
					      f->part.body };

	buf_add(out, &head, sizeof(head));
	link_pack(out, part, PART_TEXTS);
	for (size_t i = 0; i < f->count; i++) {
		const struct follow_effect *e = &f->effects[i];
		const struct str texts[EFFECT_TEXTS] = { str_make(&e->kind, 1), e->key, e->when,
							 e->payload };

		link_pack(out, texts, EFFECT_TEXTS);
	}
}

int follow_unpack(struct follow *f, struct str packed)
{
	struct packed head;
	struct str part[PART_TEXTS], texts[EFFECT_TEXTS];
	int r = link_take(&packed, &head, sizeof(head));

	if (r == 0)
		r = link_unpack(&packed, part, PART_TEXTS);
	for (uint64_t i = 0; i < head.count && r == 0; i++) {
		r = link_unpack(&packed, texts, EFFECT_TEXTS);
		if (r == 0 && texts[0].len != 1)
			r = fail(-EPROTO, "an effect without a kind");
		if (r == 0)
			follow_add(f, (enum follow_kind) texts[0].at[0], texts[1], texts[2],
				   texts[3]);
	}
	if (r < 0)
		return r;
	f->part = (struct follow_part){ .group = arena_str(f->arena, part[0]),
					.member = arena_str(f->arena, part[1]),
					.id = arena_str(f->arena, part[2]),
					.body = arena_str(f->arena, part[3]),
					.index = head.index,
					.size = head.size };
	return 0;
}
