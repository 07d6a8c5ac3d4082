/*
 * signature.c - canvases made here come to the messages that Python Celery really sent.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/error.h"
#include "base/uuid.h"
#include "help.h"
#include "queue/body.h"
#include "queue/signature.h"

#define MOST 16

/* What was emitted, in its order. */
struct sent {
	struct arena *arena;
	struct str messages[MOST];
	size_t count, chords, size;
};

static int emit(void *arg, const struct message_new *m)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct sent *s = arg;

	message_write(&out, m);
	cr_assert_lt(s->count, MOST);
	s->messages[s->count++] = arena_str(s->arena, buf_str(&out));
	return 0;
}

static int begin_chord(void *arg, struct str group, size_t size)
{
	struct sent *s = arg;

	cr_assert_gt(group.len, 0);
	s->chords++;
	s->size = size;
	return 0;
}

static int apply(struct sent *sent, struct signature *s, struct str before, struct str rest)
{
	struct signature_use use = {
		.arena = sent->arena, .emit = emit, .begin_chord = begin_chord, .arg = sent
	};

	return signature_apply(&use, s, before, rest);
}

static struct json *parse(struct arena *a, struct str text)
{
	struct json_error e;
	struct json *tree;

	cr_assert_eq(json_parse(a, text, JSON_PYTHON, 400, &tree, &e), 0, "%s: %.*s", e.sentence,
		     STR_ARG(text));
	return tree;
}

static struct signature *read_text(struct arena *a, const char *text)
{
	struct signature *s;

	cr_assert_eq(signature_read(a, parse(a, str_c(text)), &s), 0, "%s", fail_reason(-EINVAL));
	return s;
}

static const struct json *member(const struct json *object, const char *name)
{
	return json_get(object, str_c(name));
}

static bool is_uuid(struct arena *a, const struct json *v)
{
	struct uuid uuid;

	return v != NULL && v->type == JSON_STRING && uuid_parse(json_text(a, v), &uuid) == 0;
}

/* Equal but for ids, which must be ids on both sides; null and absent are one. */
static void same(struct arena *a, const struct json *ours, const struct json *theirs,
		 const char *at)
{
	if (is_uuid(a, theirs)) {
		cr_assert(is_uuid(a, ours), "%s: no id", at);
		return;
	}
	if (theirs == NULL || theirs->type == JSON_NULL) {
		cr_assert(ours == NULL || ours->type == JSON_NULL, "%s: %.*s, not null", at,
			  STR_ARG(json_raw(ours)));
		return;
	}
	cr_assert_not_null(ours, "%s is missing", at);
	cr_assert_eq(ours->type, theirs->type, "%s: %.*s, not %.*s", at, STR_ARG(json_raw(ours)),
		     STR_ARG(json_raw(theirs)));
	if (theirs->type == JSON_ARRAY) {
		const struct json *o = ours->first;

		cr_assert_eq(ours->count, theirs->count, "%s: %.*s, not %.*s", at,
			     STR_ARG(ours->text), STR_ARG(theirs->text));
		for (const struct json *t = theirs->first; t != NULL; t = t->next, o = o->next)
			same(a, o, t, at);
	} else if (theirs->type == JSON_OBJECT) {
		for (const struct json *t = theirs->first; t != NULL; t = t->next)
			same(a, json_get(ours, t->key), t, arena_c(a, json_key(a, t)));
		for (const struct json *o = ours->first; o != NULL; o = o->next)
			same(a, o, json_get(theirs, o->key), arena_c(a, json_key(a, o)));
	} else {
		cr_assert(str_eq(json_raw(ours), json_raw(theirs)), "%s: %.*s, not %.*s", at,
			  STR_ARG(json_raw(ours)), STR_ARG(json_raw(theirs)));
	}
}

static struct json *record_of(struct arena *a, const char *theme, const char *name)
{
	char path[512];
	struct json *tree;

	(void) snprintf(path, sizeof(path), "%s/celery/%s.json", TEST_GOLDEN, theme);
	tree = parse(a, help_file(a, path));
	for (struct json *r = member(tree, "records")->first; r != NULL; r = r->next)
		if (str_eq_c(json_text(a, member(r, "name")), name))
			return r;
	cr_assert_fail("no record %s", name);
	return NULL;
}

/* Messages that `by` put into a list, in their order. */
static size_t recorded(struct arena *a, const struct json *record, const char *by,
		       const struct json *messages[MOST])
{
	size_t count = 0;

	for (const struct json *c = member(record, "commands")->first; c != NULL; c = c->next) {
		if (!str_eq_c(json_text(a, member(c, "command")), "LPUSH") ||
		    !str_eq_c(json_text(a, member(c, "by")), by))
			continue;
		cr_assert_lt(count, MOST);
		messages[count++] = member(c, "args")->first->next;
	}
	return count;
}

static void same_message(struct arena *a, struct str ours, const struct json *theirs)
{
	static const char *const headers[] = { "task",      "group_index",    "retries",
					       "timelimit", "argsrepr",       "shadow",
					       "group",     "root_id",        "parent_id",
					       "stamps",    "stamped_headers" };
	const struct json *envelope = parse(a, ours), *recorded_envelope = member(theirs, "json");
	struct message m;
	struct str text;

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		same(a, member(member(envelope, "headers"), headers[i]),
		     member(member(recorded_envelope, "headers"), headers[i]), headers[i]);
	same(a, member(member(envelope, "properties"), "priority"),
	     member(member(recorded_envelope, "properties"), "priority"), "priority");
	same(a, member(member(envelope, "properties"), "delivery_info"),
	     member(member(recorded_envelope, "properties"), "delivery_info"), "delivery_info");
	cr_assert_eq(message_scan(ours, &m), 0);
	cr_assert_eq(body_text(a, &m, &text), 0);
	same(a, parse(a, text), member(member(theirs, "body"), "json"), "body");
}

static void same_as_recorded(struct arena *a, const char *name, struct signature *s)
{
	const struct json *theirs[MOST];
	struct sent sent = { .arena = a };
	size_t count = recorded(a, record_of(a, "canvas", name), "producer", theirs);

	signature_freeze(s, NULL);
	cr_assert_eq(apply(&sent, s, STR_NULL, STR_NULL), 0, "%s: %s", name, fail_reason(-EINVAL));
	cr_assert_eq(sent.count, count, "%s: %zu messages, not %zu", name, sent.count, count);
	for (size_t i = 0; i < count; i++)
		same_message(a, sent.messages[i], theirs[i]);
}

static struct signature *add(struct arena *a, const char *args)
{
	return canvas_named(a, STR("diag.add"), str_c(args), STR("{}"));
}

static struct signature *total(struct arena *a)
{
	return canvas_named(a, STR("golden.total"), STR("[]"), STR("{}"));
}

#define LIST(...)                                                                                  \
	(struct signature *[]){ __VA_ARGS__ },                                                     \
		sizeof((struct signature *[]){ __VA_ARGS__ }) / sizeof(struct signature *)

Test(signature, what_is_built_is_what_celery_sends)
{
	struct arena a;

	arena_init(&a);
	same_as_recorded(
		&a, "chain",
		canvas_chain(&a, LIST(add(&a, "[1, 2]"), add(&a, "[10]"), add(&a, "[100]"))));
	same_as_recorded(
		&a, "group",
		canvas_group(&a, LIST(add(&a, "[0, 0]"), add(&a, "[1, 1]"), add(&a, "[2, 2]"))));
	same_as_recorded(&a, "chord",
			 canvas_chord(&a,
				      LIST(add(&a, "[0, 1]"), add(&a, "[1, 1]"), add(&a, "[2, 1]")),
				      total(&a)));
	same_as_recorded(&a, "chord-one", canvas_chord(&a, LIST(add(&a, "[1, 1]")), total(&a)));
	same_as_recorded(&a, "chord-empty", canvas_chord(&a, NULL, 0, total(&a)));
	same_as_recorded(
		&a, "chord-of-chains",
		canvas_chord(&a,
			     LIST(canvas_chain(&a, LIST(add(&a, "[1, 1]"), add(&a, "[2]"))),
				  canvas_chain(&a, LIST(add(&a, "[3, 3]"), add(&a, "[4]")))),
			     total(&a)));
	same_as_recorded(
		&a, "chord-in-chain",
		canvas_chain(&a, LIST(add(&a, "[1, 1]"),
				      canvas_group(&a, LIST(add(&a, "[2]"), add(&a, "[3]"))),
				      total(&a))));
	same_as_recorded(
		&a, "group-of-chains",
		canvas_group(&a, LIST(canvas_chain(&a, LIST(add(&a, "[1, 1]"), add(&a, "[2]"))),
				      canvas_chain(&a, LIST(add(&a, "[3, 3]"), add(&a, "[4]"))))));
	same_as_recorded(
		&a, "chain-of-groups",
		canvas_chain(&a, LIST(canvas_group(&a, LIST(add(&a, "[1, 1]"), add(&a, "[2, 2]"))),
				      canvas_group(&a, LIST(total(&a), total(&a))))));
	arena_fini(&a);
}

Test(signature, errbacks_and_options_are_those_of_celery)
{
	struct signature *errback, *chain, *chord;
	struct arena a;

	arena_init(&a);
	errback = canvas_named(&a, STR("golden.errback"), STR("[]"), STR("{}"));
	chain = canvas_chain(&a, LIST(add(&a, "[1, 2]"), add(&a, "[10]")));
	same_as_recorded(&a, "chain-link-error", canvas_link_error(chain, errback));
	chord = canvas_chord(&a, LIST(add(&a, "[1, 1]"), add(&a, "[2, 2]")), total(&a));
	same_as_recorded(&a, "chord-link-error", canvas_link_error(chord, errback));
	chain = canvas_chain(
		&a, LIST(canvas_set(add(&a, "[1, 2]"), "queue", STR("a")),
			 canvas_set_i64(canvas_immutable(add(&a, "[3, 4]")), "priority", 9),
			 canvas_set_i64(canvas_named(&a, STR("diag.noop"), STR("[]"), STR("{}")),
					"countdown", 3)));
	same_as_recorded(&a, "chain-options", canvas_set_i64(chain, "countdown", 1));
	arena_fini(&a);
}

static const struct json *embed_of(struct arena *a, const struct json *message, const char *name)
{
	return member(member(member(message, "body"), "json")->first->next->next, name);
}

/* The message that a Python worker put behind each step, from the step before. */
Test(signature, a_step_is_what_a_python_worker_publishes)
{
	const struct json *sent_by_worker[MOST], *first[MOST], *chain;
	struct sent sent;
	struct signature *s;
	struct arena a;

	arena_init(&a);
	(void) recorded(&a, record_of(&a, "canvas-run", "chain"), "producer", first);
	cr_assert_eq(recorded(&a, record_of(&a, "canvas-run", "chain"), "worker", sent_by_worker),
		     2);
	chain = embed_of(&a, first[0], "chain");
	sent = (struct sent){ .arena = &a };
	cr_assert_eq(signature_read(&a, chain->first->next, &s), 0);
	cr_assert_eq(
		apply(&sent, s, STR("3"), arena_printf(&a, "[%.*s]", STR_ARG(chain->first->text))),
		0);
	cr_assert_eq(sent.count, 1);
	/* Of the ids only the form is compared. */
	{
		struct str text = sent.messages[0];
		struct message m;

		cr_assert_eq(message_scan(text, &m), 0);
		cr_assert(str_is_null(m.text[MESSAGE_PARENT]));
		cr_assert_eq(body_text(&a, &m, &text), 0);
		same(&a, parse(&a, text), member(member(sent_by_worker[0], "body"), "json"),
		     "body");
	}
	arena_fini(&a);
}

Test(signature, a_chord_in_a_chain_begins_as_pythons_does)
{
	const struct json *sent_by_worker[MOST], *first[MOST];
	struct sent sent;
	struct signature *s;
	struct arena a;

	arena_init(&a);
	(void) recorded(&a, record_of(&a, "chord-run", "chord-in-chain"), "producer", first);
	(void) recorded(&a, record_of(&a, "chord-run", "chord-in-chain"), "worker", sent_by_worker);
	sent = (struct sent){ .arena = &a };
	cr_assert_eq(signature_read(&a, embed_of(&a, first[0], "chain")->first, &s), 0);
	{
		struct signature_use use = { .arena = &a,
					     .root_id = STR("00000000-0000-4000-8000-000000000001"),
					     .parent_id = STR(
						     "00000000-0000-4000-8000-000000000001"),
					     .emit = emit,
					     .begin_chord = begin_chord,
					     .arg = &sent };

		cr_assert_eq(signature_apply(&use, s, STR("2"), STR("[]")), 0);
	}
	cr_assert_eq(sent.count, 2);
	cr_assert_eq(sent.chords, 1);
	cr_assert_eq(sent.size, 2);
	same_message(&a, sent.messages[0], sent_by_worker[0]);
	same_message(&a, sent.messages[1], sent_by_worker[1]);
	arena_fini(&a);
}

Test(signature, what_is_read_is_written_as_it_was)
{
	static const char *const texts[] = {
		"{\"task\": \"t\", \"args\": [1, 2.50], \"kwargs\": {\"a\": 1180591620717411303424}, "
		"\"options\": {\"queue\": \"q\", \"odd\": [null]}, \"subtask_type\": null, \"immutable\": "
		"true}",
		"{\"task\": \"celery.map\", \"args\": [], \"kwargs\": {\"task\": {\"task\": \"t\"}, \"it\": "
		"[1]}, \"options\": {}, \"subtask_type\": \"xmap\", \"immutable\": true}",
	};
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_assert(str_eq_c(signature_text(read_text(&a, texts[i])), texts[i]), "%.*s",
			  STR_ARG(signature_text(read_text(&a, texts[i]))));
	arena_fini(&a);
}

Test(signature, what_cannot_be_run_is_refused)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"task\": 1}",
		"{\"task\": \"\"}",
		"{\"task\": \"t\", \"args\": {}}",
		"{\"task\": \"t\", \"kwargs\": []}",
		"{\"task\": \"t\", \"options\": 1}",
		"{\"task\": \"celery.group\"}",
		"{\"task\": \"celery.group\", \"kwargs\": {\"tasks\": [1]}}",
		"{\"task\": \"celery.chord\", \"kwargs\": {\"header\": []}}",
		"{\"task\": \"celery.chord\", \"kwargs\": {\"body\": {\"task\": \"t\"}}}",
		"{\"task\": \"celery.map\", \"kwargs\": {\"task\": {\"task\": \"t\"}}}",
		"{\"task\": \"celery.chunks\", \"kwargs\": {\"task\": {\"task\": \"t\"}, \"it\": [], \"n\": 0}}",
	};
	struct signature *s;
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(signature_read(&a, parse(&a, str_c(bad[i])), &s), -EINVAL, "%s",
			     bad[i]);
	arena_fini(&a);
}

Test(signature, depth_and_number_are_bounded)
{
	_cleanup_(buf_fini) struct buf deep = BUF_INIT, many = BUF_INIT;
	struct signature *s;
	struct arena a;

	arena_init(&a);
	for (int i = 0; i <= SIGNATURE_DEPTH; i++)
		buf_add_c(&deep, "{\"task\": \"celery.group\", \"kwargs\": {\"tasks\": [");
	buf_add_c(&deep, "{\"task\": \"t\"}");
	for (int i = 0; i <= SIGNATURE_DEPTH; i++)
		buf_add_c(&deep, "]}}");
	cr_assert_eq(signature_read(&a, parse(&a, buf_str(&deep)), &s), -EINVAL);
	buf_add_c(&many, "{\"task\": \"celery.group\", \"kwargs\": {\"tasks\": [{\"task\": \"t\"}");
	for (int i = 0; i < CANVAS_MOST; i++)
		buf_add_c(&many, ", {\"task\": \"t\"}");
	buf_add_c(&many, "]}}");
	cr_assert_eq(signature_read(&a, parse(&a, buf_str(&many)), &s), -EINVAL);
	arena_fini(&a);
}

Test(signature, chunks_are_a_group_of_starmaps)
{
	struct sent sent;
	struct message m;
	struct arena a;
	struct str text;

	arena_init(&a);
	sent = (struct sent){ .arena = &a };
	cr_assert_eq(
		apply(&sent,
		      read_text(
			      &a,
			      "{\"task\": \"celery.chunks\", \"kwargs\": {\"task\": {\"task\": \"t\"}, \"it\": "
			      "[[1], [2], [3]], \"n\": 2}}"),
		      STR("\"ignored\""), STR_NULL),
		0);
	cr_assert_eq(sent.count, 2);
	cr_assert_eq(message_scan(sent.messages[1], &m), 0);
	cr_assert(str_eq_c(m.text[MESSAGE_TASK], "celery.starmap"));
	cr_assert_eq(m.group_index, 1);
	cr_assert_eq(body_text(&a, &m, &text), 0);
	cr_assert(str_starts(text, STR("[[], {\"task\": {\"task\": \"t\"}, \"it\": [[3]]}")),
		  "%.*s", STR_ARG(text));
	arena_fini(&a);
}

Test(signature, a_group_before_a_step_is_a_chord)
{
	struct sent sent;
	struct message m;
	struct arena a;
	struct str text;

	arena_init(&a);
	sent = (struct sent){ .arena = &a };
	/* A group as the step of a chain whose rest goes on. */
	cr_assert_eq(apply(&sent, canvas_group(&a, LIST(add(&a, "[1]"), add(&a, "[2]"))), STR("7"),
			   STR("[{\"task\": \"last\"}, {\"task\": \"body\"}]")),
		     0, "%s", fail_reason(-EINVAL));
	cr_assert_eq(sent.count, 2);
	cr_assert_eq(sent.size, 2);
	cr_assert_eq(message_scan(sent.messages[0], &m), 0);
	cr_assert_eq(body_text(&a, &m, &text), 0);
	cr_assert(str_starts(text, STR("[[7, 1], {}, ")));
	cr_assert_gt(str_find(text, STR("\"chord\": {\"task\": \"body\"")), 0, "%.*s",
		     STR_ARG(text));
	cr_assert_gt(str_find(text, STR("\"chain\": [{\"task\": \"last\"}]")), 0);
	/* An empty group is no step, at the end neither. */
	sent = (struct sent){ .arena = &a };
	cr_assert_eq(apply(&sent,
			   canvas_chain(&a, LIST(canvas_group(&a, NULL, 0), add(&a, "[1, 1]"),
						 canvas_group(&a, NULL, 0))),
			   STR_NULL, STR_NULL),
		     0);
	cr_assert_eq(sent.count, 1);
	cr_assert_eq(message_scan(sent.messages[0], &m), 0);
	cr_assert_eq(body_text(&a, &m, &text), 0);
	cr_assert_gt(str_find(text, STR("\"chain\": null")), 0, "%.*s", STR_ARG(text));
	/* Two groups and a step: one chord is the body of the other. */
	sent = (struct sent){ .arena = &a };
	cr_assert_eq(
		apply(&sent,
		      canvas_chain(&a, LIST(canvas_group(&a, LIST(add(&a, "[1, 1]"))),
					    canvas_group(&a, LIST(add(&a, "[2]"), add(&a, "[3]"))),
					    total(&a))),
		      STR_NULL, STR_NULL),
		0);
	cr_assert_eq(sent.count, 1);
	cr_assert_eq(sent.size, 1);
	arena_fini(&a);
}

static struct str message_of(struct arena *a, struct str raw, struct message *m)
{
	struct str text;

	cr_assert_eq(message_scan(raw, m), 0);
	cr_assert_eq(body_text(a, m, &text), 0);
	return text;
}

/* What is said of a whole is for the parts that it concerns. */
Test(signature, options_of_the_whole_reach_the_parts)
{
	struct signature *callback, *inner, *chord;
	struct sent sent;
	struct message m;
	struct arena a;
	struct str text;

	arena_init(&a);
	callback = canvas_named(&a, STR("after"), STR("[]"), STR("{}"));
	/* A chain in a chain keeps its callbacks at its own last step. */
	inner = canvas_link(
		canvas_chain(&a, LIST(add(&a, "[2]"), canvas_link(add(&a, "[3]"), callback))),
		callback);
	sent = (struct sent){ .arena = &a };
	cr_assert_eq(
		apply(&sent,
		      canvas_chain(&a, LIST(canvas_set(add(&a, "[1, 1]"), "queue", STR("mine")),
					    inner, add(&a, "[4]"))),
		      STR_NULL, STR_NULL),
		0);
	cr_assert_eq(sent.count, 1);
	text = message_of(&a, sent.messages[0], &m);
	text = member(parse(&a, text)->first->next->next, "chain")->first->next->text;
	cr_assert_eq(member(member(parse(&a, text), "options"), "link")->count, 2, "%.*s",
		     STR_ARG(text));

	/* A chord's queue and countdown are its header's, its errback its body's. */
	chord = canvas_chord(&a, LIST(add(&a, "[1, 1]")), total(&a));
	(void) canvas_set_i64(canvas_set(chord, "queue", STR("all")), "countdown", 60);
	(void) canvas_link_error(chord, callback);
	sent = (struct sent){ .arena = &a };
	cr_assert_eq(apply(&sent, chord, STR_NULL, STR_NULL), 0);
	text = message_of(&a, sent.messages[0], &m);
	cr_assert(!str_is_null(m.text[MESSAGE_ETA]));
	cr_assert_gt(str_find(m.raw, STR("\"routing_key\": \"all\"")), 0);
	text = member(parse(&a, text)->first->next->next, "chord")->text;
	cr_assert_gt(str_find(text, STR("\"queue\": \"all\"")), 0, "%.*s", STR_ARG(text));
	cr_assert_eq(str_find(text, STR("countdown")), -1);
	cr_assert_gt(str_find(text, STR("\"link_error\": [{\"task\": \"after\"")), 0);
	arena_fini(&a);
}
