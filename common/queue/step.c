#include "queue/step-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/settings.h"
#include "base/log.h"
#include "base/world.h"
#include "queue/relay.h"
#include "queue/signature.h"

#define CLAIM_SECONDS "5"   /* a claim is held for some milliseconds */
#define DONE_SECONDS  "300" /* as Celery: late copies of parts find it */
#define WAIT_LEAST    (50 * MSEC)
#define AGAIN         (1 * SEC)
#define PARTS_AT_ONCE 500
#define TREE_DEPTH    200
#define LEVELS_MOST   SIGNATURE_DEPTH
#define TOKEN_BYTES   16
#define CHORD_KEYS    6
#define STEP_WORDS    9 /* of SCRIPT_STEP, between those of SCRIPT_END and the effects */

static const char *const chord_suffixes[CHORD_KEYS] = { ".j", ".t", ".s", ".d", ".c", "" };

/* What one returned, as JSON. */
struct part {
	struct str id, result;
	struct part *next;
};

struct step {
	struct supervisor *s;
	uint32_t number, generation; /* of the flight */
	struct arena arena;
	struct ending e;
	struct follow follow, settled; /* settled: what ends the chords, after all else */
	struct follow_part part, own;  /* counted next; the job's own */
	size_t own_count;              /* effects that are the job's own */
	char token[2 * TOKEN_BYTES + 1];
	unsigned level; /* chords that have ended by it */
	struct timer again;
	/* READING */
	struct follow_job last;
	struct str body;
	struct part *parts, **parts_end;
	size_t part_bytes;
	struct str tree;    /* the saved group, if there is one: what lies in what */
	struct str trouble; /* why the chord fails; absent: it does not */
	bool is_list;
	size_t read;
	struct relay_note *note;
};

static void step_free(struct step *w)
{
	timer_stop(&w->again);
	follow_fini(&w->follow);
	follow_fini(&w->settled);
	arena_fini(&w->arena);
	free(w);
}

static struct flight *flight_of(struct step *w)
{
	return flight_find(&w->s->flights, w->number, w->generation);
}

/* The words of a script. */

struct words {
	struct str *keys, *args;
	size_t key_count, arg_count;
};

static void add_key(struct words *w, struct str key)
{
	w->keys[w->key_count++] = key;
}

static void add_arg(struct words *w, struct str arg)
{
	w->args[w->arg_count++] = arg;
}

static void words_init(struct words *w, struct arena *arena, size_t keys, size_t args)
{
	*w = (struct words){ .keys = arena_array(arena, struct str, keys),
			     .args = arena_array(arena, struct str, args) };
}

/* Group, member, score, mark, token, claim, size, "1" for a list; for no chord all of it empty. */
static void add_part(struct words *w, struct arena *arena, const struct follow_part *part,
		     const char *token)
{
	struct str index;

	if (str_is_null(part->group)) {
		for (int i = 0; i < CHORD_KEYS; i++)
			add_key(w, STR(""));
		for (int i = 0; i < STEP_WORDS - 1; i++)
			add_arg(w, STR(""));
		return;
	}
	for (int i = 0; i < CHORD_KEYS; i++) {
		_cleanup_(buf_fini) struct buf key = BUF_INIT;

		queue_key_chord(&key, part->group, chord_suffixes[i]);
		add_key(w, arena_str(arena, buf_str(&key)));
	}
	index = part->index < 0 ? STR("+inf") : arena_printf(arena, "%" PRId64, part->index);
	add_arg(w, part->group);
	add_arg(w, part->member);
	add_arg(w, index);
	add_arg(w, arena_printf(arena, "%.*s:%.*s", STR_ARG(part->id), STR_ARG(index)));
	add_arg(w, str_c(token));
	add_arg(w, STR(CLAIM_SECONDS));
	add_arg(w, part->size > 0 ? arena_printf(arena, "%" PRId64, part->size) : STR(""));
	add_arg(w, settings.result_chord_ordered ? STR("") : STR("1"));
}

static bool is_of_the_queue(const struct follow_effect *e)
{
	return e->kind == FOLLOW_PUSH || e->kind == FOLLOW_LATER;
}

enum which { ALL, QUEUES, RESULTS };

static size_t add_effects(struct words *w, const struct follow *f, enum which which)
{
	size_t count = 0;

	for (size_t i = 0; i < f->count; i++) {
		const struct follow_effect *e = &f->effects[i];

		if (which != ALL && is_of_the_queue(e) != (which == QUEUES))
			continue;
		add_key(w, e->key);
		add_arg(w, str_make(&e->kind, 1));
		add_arg(w, e->when);
		add_arg(w, e->payload);
		count++;
	}
	return count;
}

static const struct follow_part no_part;

/* The lane's script.  Without results of its own Redis (`which` QUEUES) it neither counts nor
 * stores. */
static void send_script(struct supervisor *s, struct flight *f, const struct ending *e,
			const struct follow_part *part, const struct follow *settled,
			const char *token, lane_on_done *on_done, void *arg)
{
	enum which which = s->results == NULL ? ALL : QUEUES;
	_cleanup_(ending_words_fini) struct ending_words end;
	_cleanup_(arena_fini) struct arena arena;
	size_t most = e->follow->count + (settled == NULL ? 0 : settled->count), count, at;
	struct words w;

	arena_init(&arena);
	words_init(&w, &arena, ENDING_KEYS + CHORD_KEYS + most,
		   ENDING_WORDS + STEP_WORDS + 3 * most);
	ending_words_init(&end, s, f, e);
	for (int i = 0; i < ENDING_KEYS; i++)
		add_key(&w, end.keys[i]);
	for (int i = 0; i < ENDING_WORDS; i++)
		add_arg(&w, end.args[i]);
	at = w.arg_count++;
	add_part(&w, &arena, which == ALL ? part : &no_part, token);
	count = add_effects(&w, e->follow, which);
	if (settled != NULL)
		count += add_effects(&w, settled, which);
	w.args[at] = arena_printf(&arena, "%zu", count);
	lane_run(supervisor_lane(s, f), f, SCRIPT_STEP, w.keys, w.key_count, w.args, w.arg_count,
		 on_done, arg);
}

/* The machine. */

static void step_go(struct step *w);

static void on_again(struct timer *t)
{
	struct step *w = container_of(t, struct step, again);
	struct supervisor *s = w->s;

	step_go(w);
	supervisor_pump(s);
}

static void later(struct step *w, usec_t wait)
{
	timer_start(w->s->loop, &w->again, loop_now(w->s->loop) + wait, on_again);
}

/* Only what the job itself asks for is left; it is counted anew. */
static void start_over(struct step *w)
{
	w->follow.count = w->own_count;
	w->settled.count = 0;
	w->part = w->own;
	w->level = 0;
}

static void add_key_effect(struct follow *f, enum follow_kind kind, struct str group,
			   const char *suffix, const char *when, const char *payload)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT;

	queue_key_chord(&key, group, suffix);
	follow_add(f, kind, buf_str(&key), str_c(when), str_c(payload));
}

static void settle(struct step *w, bool has_failed)
{
	struct str group = w->part.group;

	add_key_effect(&w->follow, FOLLOW_CHECK, group, ".c", "", w->token);
	add_key_effect(&w->settled, FOLLOW_DROP, group, ".s", "", "");
	for (int i = 0; i < 4 && !has_failed; i++)
		add_key_effect(&w->settled, FOLLOW_DROP, group, chord_suffixes[i], "", "");
	add_key_effect(&w->settled, FOLLOW_SET, group, ".c", DONE_SECONDS, "done");
}

/* [[id, parent], null] or [[id, parent], [those, …]]: a result, or an array of them.  False: a result
 * is not there. */
static bool put_tree(struct json_writer *json, struct arena *arena, const struct map *results,
		     const struct json *node)
{
	const struct json *id, *members;
	struct part *part;

	if (node->type != JSON_ARRAY || node->count != 2 || node->first->type != JSON_ARRAY ||
	    node->first->count == 0)
		return false;
	id = node->first->first;
	members = node->first->next;
	if (members->type != JSON_ARRAY) {
		part = id->type == JSON_STRING ? map_find(results, json_text(arena, id)) : NULL;
		if (part == NULL)
			return false;
		json_put_raw(json, part->result);
		return true;
	}
	json_begin_array(json);
	for (const struct json *m = members->first; m != NULL; m = m->next)
		if (!put_tree(json, arena, results, m))
			return false;
	json_end_array(json);
	return true;
}

/* A header in which a chain ends with a group was saved by its producer: its results lie in arrays of
 * their own. */
static bool arrange(struct step *w, struct buf *out)
{
	const struct json *root;
	struct json_writer json;
	struct json_error e;
	struct json *tree;
	struct map results;
	bool is_whole;

	if (str_is_null(w->tree) ||
	    json_parse(&w->arena, w->tree, JSON_PYTHON, TREE_DEPTH, &tree, &e) < 0)
		return false;
	root = json_get(tree, STR("result"));
	if (root == NULL)
		return false;
	map_init(&results);
	for (struct part *part = w->parts; part != NULL; part = part->next)
		(void) map_put(&results, part->id, part);
	json_writer_init(&json, out, JSON_ESCAPE_ASCII, true);
	is_whole = put_tree(&json, &w->arena, &results, root);
	map_fini(&results);
	if (!is_whole)
		buf_clear(out);
	return is_whole;
}

/* A JSON array, in the order of the header. */
static struct str results_of(struct step *w)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	if (!arrange(w, &out)) {
		buf_add_byte(&out, '[');
		for (const struct part *part = w->parts; part != NULL; part = part->next) {
			if (part != w->parts)
				buf_add_c(&out, ", ");
			buf_add_str(&out, part->result);
		}
		buf_add_byte(&out, ']');
	}
	return arena_str(&w->arena, buf_str(&out));
}

/* All parts are known: the body, or what its failure leads to. */
static void end_chord(struct step *w)
{
	struct follow_failure failure = { .state = RESULT_FAILURE,
					  .exception = &result_chord_error };
	size_t before = w->follow.count;
	int r = 0;

	w->follow.part = no_part;
	if (str_is_null(w->trouble)) {
		r = follow_chord(&w->follow, &w->last, w->body, results_of(w));
		if (r < 0)
			w->trouble = arena_printf(&w->arena, "Callback error: %s", fail_reason(r));
	}
	if (!str_is_null(w->trouble)) {
		w->follow.count = before;
		failure.message = utf8_repair(&w->arena, w->trouble);
		log_event(LOG_WARN, "a chord has failed", LOG_STR("reason", failure.message),
			  LOG_STR("group", w->part.group));
		r = follow_chord_failure(&w->follow, &w->last, w->body, &failure);
		if (r < 0)
			log_warn("… and its body cannot be told: %s", fail_reason(r));
	}
	settle(w, !str_is_null(w->trouble));
	w->part = w->follow.part;
	if (++w->level > LEVELS_MOST) {
		log_warn("chords lie more than %d deep, the outer ones wait for ever", LEVELS_MOST);
		w->part = no_part;
	}
	step_go(w);
}

/* "ValueError('boom', 42)" */
static struct str exception_repr(struct arena *arena, const struct json *e)
{
	const struct json *type = json_get(e, STR("exc_type")),
			  *args = json_get(e, STR("exc_message"));
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	if (type == NULL || type->type != JSON_STRING)
		return message_repr(arena, json_raw(e));
	buf_add_str(&out, json_text(arena, type));
	buf_add_byte(&out, '(');
	if (args != NULL && args->type != JSON_ARRAY)
		buf_add_str(&out, message_repr(arena, json_raw(args)));
	else
		for (const struct json *v = args == NULL ? NULL : args->first; v != NULL;
		     v = v->next) {
			if (v != args->first)
				buf_add_c(&out, ", ");
			buf_add_str(&out, message_repr(arena, json_raw(v)));
		}
	buf_add_byte(&out, ')');
	return arena_str(arena, buf_str(&out));
}

/* [1, id, state, result] */
static void take_part(struct step *w, struct str member)
{
	const struct json *id, *state, *result;
	struct json_error e;
	struct json *tree;
	struct str text = arena_str(&w->arena, member), name;
	struct part *part;

	if (!str_is_null(w->trouble))
		return;
	w->part_bytes += member.len;
	if (w->part_bytes > CANVAS_BYTES) {
		w->trouble = arena_printf(&w->arena, "the results have more than %zu MiB",
					  CANVAS_BYTES / MIB);
		return;
	}
	if (json_parse(&w->arena, text, JSON_PYTHON, 200, &tree, &e) < 0 ||
	    tree->type != JSON_ARRAY || tree->count != 4) {
		w->trouble = STR("a part's result is not what it must be");
		return;
	}
	id = tree->first->next;
	state = id->next;
	result = state->next;
	name = state->type == JSON_STRING ? state->text : STR("");
	if (str_eq(name, STR("FAILURE")) || str_eq(name, STR("REVOKED"))) {
		w->trouble = arena_printf(&w->arena, "Dependency %.*s raised %.*s",
					  STR_ARG(json_text(&w->arena, id)),
					  STR_ARG(exception_repr(&w->arena, result)));
		return;
	}
	part = arena_new(&w->arena, struct part);
	part->id = id->type == JSON_STRING ? json_text(&w->arena, id) : STR("");
	part->result = json_raw(result);
	*w->parts_end = part;
	w->parts_end = &part->next;
}

static void read_parts(struct step *w);

static void on_parts(void *arg, int error, const struct redis_reply *reply)
{
	struct step *w = arg;
	struct supervisor *s = w->s;

	if (flight_of(w) == NULL || error == -ECANCELED) {
		step_free(w);
		return;
	}
	if (error < 0 || reply->type != REDIS_ARRAY) {
		start_over(w);
		later(w, AGAIN);
		return;
	}
	for (size_t i = 0; i < reply->count; i++)
		take_part(w, reply->elements[i].text);
	w->read += reply->count;
	if (reply->count == PARTS_AT_ONCE && str_is_null(w->trouble))
		read_parts(w);
	else
		end_chord(w);
	supervisor_pump(s);
}

static void read_parts(struct step *w)
{
	struct supervisor *s = w->s;
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	char from[24], to[24];
	int r;

	queue_key_chord(&key, w->part.group, ".j");
	(void) snprintf(from, sizeof(from), "%zu", w->read);
	(void) snprintf(to, sizeof(to), "%zu", w->read + PARTS_AT_ONCE - 1);
	r = redis_send(s->results != NULL ? s->results : s->general,
		       REDIS_WORDS(w->is_list ? STR("LRANGE") : STR("ZRANGE"), buf_str(&key),
				   str_c(from), str_c(to)),
		       on_parts, w);
	if (r == 0)
		return;
	start_over(w);
	later(w, AGAIN);
}

static void on_tree(void *arg, int error, const struct redis_reply *reply)
{
	struct step *w = arg;

	if (flight_of(w) == NULL || error == -ECANCELED) {
		step_free(w);
		return;
	}
	if (error == 0 && reply->type == REDIS_TEXT)
		w->tree = arena_str(&w->arena, reply->text);
	read_parts(w);
}

static void read_tree(struct step *w)
{
	struct supervisor *s = w->s;
	_cleanup_(buf_fini) struct buf key = BUF_INIT;

	queue_key_chord(&key, w->part.group, "");
	if (redis_send(s->results != NULL ? s->results : s->general,
		       REDIS_WORDS(STR("GET"), buf_str(&key)), on_tree, w) == 0)
		return;
	start_over(w);
	later(w, AGAIN);
}

static void on_message(void *arg, struct flight *f, int error, const struct redis_reply *reply)
{
	struct step *w = arg;
	struct message m;
	struct body body;
	struct str raw, text;

	(void) f;
	if (error < 0) {
		step_free(w);
		return;
	}
	raw = arena_str(&w->arena, reply->text);
	must(message_open(&w->arena, &raw, &m) == 0); /* it was understood when it came */
	w->last = (struct follow_job){
		.id = message_text(&w->arena, &m, MESSAGE_ID),
		.root_id = message_text(&w->arena, &m, MESSAGE_ROOT),
		.traceparent = message_text(&w->arena, &m, MESSAGE_TRACEPARENT),
	};
	w->body = w->part.body;
	if (str_is_null(w->body) && body_text(&w->arena, &m, &text) == 0 &&
	    body_parse(&w->arena, text, &body) == 0 && body.embed.chord != NULL)
		w->body = body.embed.chord->text;
	read_tree(w);
}

/* The chord is complete, or it is another's. */
static void go_on(struct step *w, struct flight *f, const struct redis_reply *reply)
{
	int64_t what = reply->count == 3 ? reply->elements[0].integer : -1;

	if (what == 0) {
		usec_t wait = MAX(reply->elements[1].integer, INT64_C(0)) * MSEC;

		later(w, MAX(wait, WAIT_LEAST));
	} else if (what == 1) {
		w->is_list = reply->elements[2].integer != 0;
		w->read = 0;
		w->trouble = STR_NULL;
		w->tree = STR_NULL;
		w->parts = NULL;
		w->parts_end = &w->parts;
		w->part_bytes = 0;
		lane_read(supervisor_lane(w->s, f), f, on_message, w);
	} else {
		start_over(w);
		later(w, WAIT_LEAST);
	}
}

static void on_forgotten(void *arg _unused_, int error, const struct redis_reply *reply _unused_)
{
	if (error < 0)
		log_debug("a chord's keys are left to expire, ignoring");
}

static int send_results(struct step *w, const struct follow *f, struct str document,
			const struct follow_part *part, redis_on_reply *on_reply, void *arg)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	_cleanup_(arena_fini) struct arena arena;
	struct str *all;
	struct words words;
	size_t at;

	arena_init(&arena);
	words_init(&words, &arena, 1 + CHORD_KEYS + f->count, 2 + STEP_WORDS + 3 * f->count);
	queue_key_result(&key, w->e.id);
	add_key(&words, buf_str(&key));
	add_arg(&words, document);
	add_arg(&words, ending_ttl());
	at = words.arg_count++;
	add_part(&words, &arena, part, w->token);
	words.args[at] = arena_printf(&arena, "%zu", add_effects(&words, f, RESULTS));
	all = arena_array(&arena, struct str, words.key_count + words.arg_count);
	memcpy(all, words.keys, words.key_count * sizeof(*all));
	memcpy(all + words.key_count, words.args, words.arg_count * sizeof(*all));
	return redis_send_script(w->s->results, &script_results_step, words.key_count, all,
				 words.key_count + words.arg_count, on_reply, arg);
}

static void on_done(void *arg, struct flight *f, int error, const struct redis_reply *reply)
{
	struct step *w = arg;
	bool has_ended = error == 0 && reply->type == REDIS_INTEGER;

	if (w->note != NULL)
		relay_note_end(w->note, has_ended);
	w->note = NULL;
	if (error == 0 && !has_ended) {
		go_on(w, f, reply);
		return;
	}
	if (has_ended && w->s->results != NULL && w->settled.count > 0 &&
	    send_results(w, &w->settled, STR(""), &no_part, on_forgotten, NULL) < 0)
		on_forgotten(NULL, -E_UNAVAILABLE, NULL);
	step_free(w);
}

static void send_step(struct step *w, struct flight *f)
{
	if (f->is_outbox)
		w->note = relay_note_new(w->s->relay, w->e.id);
	send_script(w->s, f, &w->e, &w->part, &w->settled, w->token, on_done, w);
}

static void on_results(void *arg, int error, const struct redis_reply *reply)
{
	struct step *w = arg;
	struct flight *f = flight_of(w);

	if (f == NULL || error == -ECANCELED) {
		step_free(w);
	} else if (error < 0 || reply->type == REDIS_ERROR) {
		later(w, AGAIN);
	} else if (reply->type == REDIS_ARRAY) {
		go_on(w, f, reply);
		supervisor_pump(w->s);
	} else {
		w->e.document = STR("");
		send_step(w, f);
		supervisor_pump(w->s);
	}
}

static void step_go(struct step *w)
{
	struct flight *f = flight_of(w);
	int r;

	if (f == NULL) {
		step_free(w);
		return;
	}
	if (w->s->results == NULL) {
		send_step(w, f);
		return;
	}
	r = send_results(w, &w->follow, w->e.document, &w->part, on_results, w);
	if (r < 0)
		later(w, AGAIN);
}

static void on_plain_done(void *arg, struct flight *f, int error,
			  const struct redis_reply *reply _unused_)
{
	struct relay_note *note = arg;

	(void) f;
	relay_note_end(note, error == 0);
}

static void make_token(char token[2 * TOKEN_BYTES + 1])
{
	unsigned char bytes[TOKEN_BYTES];

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void) snprintf(token + 2 * i, 3, "%02x", bytes[i]);
}

static struct step *step_new(struct supervisor *s, struct flight *f, const struct ending *e)
{
	struct step *w = calloc(1, sizeof(*w));

	must(w != NULL);
	arena_init(&w->arena);
	w->s = s;
	f->state = FLIGHT_ENDING; /* one that has only arrived is not found before */
	w->number = f->number;
	w->generation = f->generation;
	ending_copy(&w->e, &w->arena, e);
	follow_init(&w->follow, &w->arena, &s->book);
	follow_init(&w->settled, &w->arena, &s->book);
	for (size_t i = 0; i < e->follow->count; i++) {
		const struct follow_effect *x = &e->follow->effects[i];

		follow_add(&w->follow, (enum follow_kind) x->kind, x->key, x->when, x->payload);
	}
	w->own_count = w->follow.count;
	w->own = e->follow->part;
	w->own.group = arena_str(&w->arena, w->own.group);
	w->own.member = arena_str(&w->arena, w->own.member);
	w->own.id = arena_str(&w->arena, w->own.id);
	w->own.body = arena_str(&w->arena, w->own.body);
	w->part = w->own;
	w->e.follow = &w->follow;
	make_token(w->token);
	return w;
}

void step_run(struct supervisor *s, struct flight *f, const struct ending *e)
{
	struct relay_note *note;

	if (!str_is_null(e->follow->part.group) || s->results != NULL) {
		step_go(step_new(s, f, e));
		return;
	}
	note = f->is_outbox ? relay_note_new(s->relay, e->id) : NULL;
	send_script(s, f, e, &no_part, NULL, "", note == NULL ? NULL : on_plain_done, note);
}
