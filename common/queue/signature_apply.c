/*
 * signature_apply.c - what a signature comes to: ids, places in groups and chords, messages.
 */
#include "queue/signature.h"

#include "base/datetime.h"
#include "base/error.h"
#include "base/uuid.h"
#include "base/world.h"

static const struct signature_place nowhere = { .index = -1 };

static struct str new_id(struct arena *arena)
{
	struct uuid uuid = uuid_v4();
	char text[UUID_TEXT + 1];

	uuid_format(&uuid, text);
	return arena_str(arena, str_c(text));
}

static bool has(const struct signature *s, const char *option)
{
	for (const struct signature_option *o = s->options; o != NULL; o = o->next)
		if (str_eq_c(o->name, option))
			return true;
	return false;
}

/* Its id; given if there is none. */
static struct str id_of(struct signature *s, struct str wanted)
{
	struct str id = signature_get_text(s, "task_id");

	if (!str_is_null(id) && id.len > 0 && id.len <= MESSAGE_ID_MOST)
		return id;
	id = str_is_null(wanted) ? new_id(s->arena) : wanted;
	(void) canvas_set(s, "task_id", id);
	return id;
}

static void set_option(struct signature *s, struct str name, struct str json)
{
	(void) canvas_set_json(s, arena_c(s->arena, name), json);
}

/* Not for those that a signature stands for: they have their own, or get them by their place. */
static bool is_own(struct str option)
{
	static const char *const own[] = { "task_id", "group_id",  "group_index", "chord",
					   "chain",   "root_id",   "parent_id",   "reply_to",
					   "link",    "link_error" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (str_eq_c(option, own[i]))
			return true;
	return false;
}

/* Options of the whole go over those of the part, as Celery's apply_async has it; `with_time`: also
 * when it is to start. */
static void spread(const struct signature *from, struct signature *to, bool with_time)
{
	for (const struct signature_option *o = from->options; o != NULL; o = o->next)
		if (!is_own(o->name) &&
		    (with_time || (!str_eq_c(o->name, "countdown") && !str_eq_c(o->name, "eta"))))
			set_option(to, o->name, o->value);
}

/* To whatever of it may fail. */
static void give_errbacks(struct signature *s, struct str errbacks)
{
	if (s->kind == SIGNATURE_CHORD)
		give_errbacks(s->body, errbacks);
	else if (s->kind == SIGNATURE_GROUP)
		for (struct signature *m = s->first; m != NULL; m = m->next)
			give_errbacks(m, errbacks);
	else
		signature_extend(s, "link_error", errbacks);
}

/* What is said of a chain as a whole is for its first step, its last, or each of them.  Once. */
static void hand_down(struct signature *chain)
{
	struct str callbacks = signature_get(chain, "link"),
		   errbacks = signature_get(chain, "link_error");

	if (chain->first == NULL)
		return;
	spread(chain, chain->first, true);
	if (!str_is_null(callbacks)) {
		signature_extend(chain->last->kind == SIGNATURE_CHORD ? chain->last->body
								      : chain->last,
				 "link", callbacks);
		(void) canvas_set_json(chain, "link", STR("null"));
	}
	if (str_is_null(errbacks))
		return;
	for (struct signature *m = chain->first; m != NULL; m = m->next)
		give_errbacks(m, errbacks);
	(void) canvas_set_json(chain, "link_error", STR("null"));
}

/* Groups in the group and chains in the chain take their members' places. */
static void flatten(struct signature *s)
{
	struct signature *rest = s->first, *next;

	s->first = s->last = NULL;
	for (; rest != NULL; rest = next) {
		next = rest->next;
		if (rest->kind == s->kind) {
			flatten(rest);
			if (rest->first == NULL)
				continue;
			if (rest->kind == SIGNATURE_CHAIN)
				hand_down(rest);
			if (s->first == NULL)
				s->first = rest->first;
			else
				s->last->next = rest->first;
			s->last = rest->last;
		} else if (rest->kind != SIGNATURE_CHAIN || rest->first != NULL) {
			rest->next = NULL;
			if (s->first == NULL)
				s->first = rest;
			else
				s->last->next = rest;
			s->last = rest;
		}
	}
	if (s->last != NULL)
		s->last->next = NULL;
}

/* A group that something follows is a chord's header; from the end, so that one chord may be the
 * body of another. */
static void raise_chords(struct signature *chain)
{
	struct signature **steps, *after = NULL;
	size_t count = 0, i = 0;

	flatten(chain);
	for (struct signature *m = chain->first; m != NULL; m = m->next)
		count++;
	steps = arena_alloc(chain->arena, (count + 1) * sizeof(struct signature *));
	for (struct signature *m = chain->first; m != NULL; m = m->next)
		steps[i++] = m;
	chain->last = NULL;
	while (i-- > 0) {
		struct signature *step = steps[i], *body = after;

		/* Nothing to wait for, unless it is all there is. */
		if (step->kind == SIGNATURE_GROUP && step->first == NULL && (body != NULL || i > 0))
			continue;
		if (step->kind == SIGNATURE_GROUP && body != NULL) {
			if (chain->last == body)
				chain->last = NULL;
			after = body->next;
			body->next = NULL;
			steps[i] = canvas_chord(chain->arena, NULL, 0, body);
			steps[i]->header = step;
			step->next = NULL;
			step = steps[i];
		}
		step->next = after;
		after = step;
		if (chain->last == NULL)
			chain->last = step;
	}
	chain->first = after;
}

size_t signature_parts(const struct signature *s)
{
	size_t sum = 0, last = 0, parts;

	switch (s->kind) {
	case SIGNATURE_TASK:
	case SIGNATURE_MAP:
	case SIGNATURE_STARMAP:
		return 1;
	case SIGNATURE_CHORD:
		return signature_parts(s->body);
	case SIGNATURE_GROUP:
	case SIGNATURE_CHAIN:
		break;
	}
	for (const struct signature *m = s->first; m != NULL; m = m->next) {
		parts = signature_parts(m);
		sum += parts;
		last = parts > 0 ? parts : last;
	}
	return s->kind == SIGNATURE_CHAIN ? last : sum;
}

static void put_place(struct signature *s, const struct signature_place *p)
{
	if (!str_is_null(p->group) && !has(s, "group_id"))
		(void) canvas_set(s, "group_id", p->group);
	if (!str_is_null(p->chord))
		(void) canvas_set_json(s, "chord", p->chord);
	if (p->index >= 0)
		(void) canvas_set_i64(s, "group_index", p->index);
}

/* Members of a group with the places of the group's own. */
static void freeze_members(struct signature *group, const struct signature_place *p)
{
	struct signature_place each = *p;

	each.id = STR_NULL;
	each.index = 0;
	for (struct signature *m = group->first; m != NULL; m = m->next, each.index++)
		signature_freeze(m, &each);
}

static void freeze_group(struct signature *s, const struct signature_place *p)
{
	flatten(s);
	(void) id_of(s, p->id);
	put_place(s, p);
	if (!has(s, "root_id"))
		(void) canvas_set_json(s, "root_id", STR("null"));
	if (!has(s, "parent_id"))
		(void) canvas_set_json(s, "parent_id", STR("null"));
	freeze_members(s, p);
}

/* A chain's place is that of its last step, and so is its id. */
static void freeze_chain(struct signature *s, const struct signature_place *p)
{
	struct signature_place last = *p;
	struct str own = signature_get_text(s, "task_id");

	raise_chords(s);
	if (!str_is_null(own))
		last.id = own;
	for (struct signature *m = s->first; m != NULL; m = m->next)
		signature_freeze(m, m == s->last ? &last : &nowhere);
	if (s->last != NULL && s->last->kind == SIGNATURE_TASK)
		(void) id_of(s, id_of(s->last, STR_NULL));
}

void signature_freeze(struct signature *s, const struct signature_place *place)
{
	const struct signature_place *p = place == NULL ? &nowhere : place;

	switch (s->kind) {
	case SIGNATURE_TASK:
	case SIGNATURE_MAP:
	case SIGNATURE_STARMAP:
		(void) id_of(s, p->id);
		if (!has(s, "reply_to"))
			(void) canvas_set(s, "reply_to", new_id(s->arena));
		put_place(s, p);
		return;
	case SIGNATURE_GROUP:
		freeze_group(s, p);
		return;
	case SIGNATURE_CHAIN:
		freeze_chain(s, p);
		return;
	case SIGNATURE_CHORD:
		(void) id_of(s->header, signature_get_text(s, "task_id"));
		freeze_group(s->header, &nowhere);
		(void) id_of(s, id_of(s->header, STR_NULL));
		signature_freeze(s->body, p);
		return;
	}
}

/* Messages. */

/* "[before, …args]"; an immutable signature's are as they are. */
static struct str arguments(const struct signature *s, struct str before)
{
	struct str own = str_trim(str_slice(s->args, 1, s->args.len - 1));

	if (s->is_immutable || str_is_null(before))
		return s->args;
	return arena_printf(s->arena, "[%.*s%s%.*s]", STR_ARG(before), own.len > 0 ? ", " : "",
			    STR_ARG(own));
}

/* A single signature is a list of one. */
static struct str as_list(struct arena *arena, struct str json)
{
	if (str_is_null(json) || json.at[0] == '[')
		return json;
	return arena_printf(arena, "[%.*s]", STR_ARG(json));
}

static struct str embed_of(const struct signature *s, struct str rest)
{
	struct {
		const char *name;
		struct str json;
	} members[] = {
		{ "callbacks", as_list(s->arena, signature_get(s, "link")) },
		{ "errbacks", as_list(s->arena, signature_get(s, "link_error")) },
		{ "chain", rest },
		{ "chord", signature_get(s, "chord") },
	};
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		json_put_key(&w, str_c(members[i].name));
		json_put_raw(&w, str_is_null(members[i].json) ? STR("null") : members[i].json);
	}
	json_end_object(&w);
	return arena_str(s->arena, buf_str(&out));
}

/* Seconds, with a fraction or without, from now on; 0: not set. */
static usec_t in_seconds(const struct signature *s, const char *option)
{
	struct str value = signature_get(s, option);
	double seconds;

	if (str_is_null(value) || str_to_double(value, &seconds) < 0 || !(seconds > 0) ||
	    seconds > 3650.0 * 86400)
		return 0;
	return now_realtime() + (usec_t) (seconds * (double) SEC);
}

static int time_of(const struct signature *s, const char *option, usec_t *ret)
{
	struct str text = signature_get_text(s, option);

	*ret = 0;
	if (str_is_null(text)) {
		*ret = in_seconds(s, option);
		return 0;
	}
	return datetime_parse(text, ret) < 0
		       ? fail(-EINVAL, "option %s of %.*s is no time", option, STR_ARG(s->task))
		       : 0;
}

/* [hard, soft], as a header has it. */
static struct str limits_of(const struct signature *s)
{
	struct str hard = signature_get(s, "time_limit"),
		   soft = signature_get(s, "soft_time_limit");

	if (str_is_null(hard) && str_is_null(soft))
		return STR_NULL;
	return arena_printf(s->arena, "[%.*s, %.*s]",
			    STR_ARG(str_is_null(hard) ? STR("null") : hard),
			    STR_ARG(str_is_null(soft) ? STR("null") : soft));
}

/* Stamps are options whose names `stamped_headers` lists. */
static struct str stamps_of(const struct signature *s, struct str names)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;
	struct json_error e;
	struct json *list;

	if (str_is_null(names) ||
	    json_parse(s->arena, names, JSON_PYTHON, SIGNATURE_DEPTH, &list, &e) < 0 ||
	    list->type != JSON_ARRAY)
		return STR_NULL;
	json_writer_init(&w, &out, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	for (const struct json *name = list->first; name != NULL; name = name->next) {
		struct str key = name->type == JSON_STRING ? json_text(s->arena, name) : STR_NULL;
		struct str value = str_is_null(key) ? STR_NULL
						    : signature_get(s, arena_c(s->arena, key));

		if (str_is_null(value))
			continue;
		json_put_key(&w, key);
		json_put_raw(&w, value);
	}
	json_end_object(&w);
	return arena_str(s->arena, buf_str(&out));
}

/* The queue that is asked for, else where Celery would send it: ours where we declare them. */
static struct str queue_of(const struct signature *s)
{
	struct str queue = signature_get_text(s, "queue"), task = s->task;
	const struct task *known;
	struct json_error e;
	struct json *kwargs;

	if (str_is_null(queue))
		queue = signature_get_text(s, "routing_key");
	if (!str_is_null(queue) && queue.len > 0)
		return queue;
	/* A map goes where its task would go. */
	if ((s->kind == SIGNATURE_MAP || s->kind == SIGNATURE_STARMAP) &&
	    json_parse(s->arena, s->kwargs, JSON_PYTHON, SIGNATURE_DEPTH * 8, &kwargs, &e) == 0) {
		const struct json *name = json_get(json_get(kwargs, STR("task")), STR("task"));

		if (name != NULL && name->type == JSON_STRING)
			task = json_text(s->arena, name);
	}
	known = task_find(task);
	if (known == NULL)
		return STR("celery");
	return known->queue == NULL ? STR("default") : str_c(known->queue);
}

static struct str is_object(struct str json)
{
	return !str_is_null(json) && json.at[0] == '{' ? json : STR_NULL;
}

static void add_child(struct signature_use *u, struct str id)
{
	struct json_writer w;

	if (u->children == NULL)
		return;
	if (u->children->len > 0 && u->children->at[u->children->len - 1] == ']')
		buf_add_c(u->children, ", ");
	buf_add_c(u->children, "[[");
	json_writer_init(&w, u->children, JSON_ESCAPE_ASCII, true);
	json_put_str(&w, id);
	buf_add_c(u->children, ", null], null]");
}

static void begin_children(struct signature_use *u, struct str group)
{
	struct json_writer w;

	if (u->children == NULL)
		return;
	if (u->children->len > 0 && u->children->at[u->children->len - 1] == ']')
		buf_add_c(u->children, ", ");
	buf_add_c(u->children, "[[");
	json_writer_init(&w, u->children, JSON_ESCAPE_ASCII, true);
	json_put_str(&w, group);
	buf_add_c(u->children, ", null], [");
}

static void end_children(struct signature_use *u)
{
	if (u->children != NULL)
		buf_add_c(u->children, "]]");
}

/* What one message of it says beyond what each says. */
struct more {
	struct str before, rest;
};

static int apply_task(struct signature_use *u, struct signature *s, const struct more *more)
{
	struct message_new m;
	struct str stamped = signature_get(s, "stamped_headers");
	usec_t eta = in_seconds(s, "countdown"), expires;
	int r;

	if (++u->count > CANVAS_MOST)
		return fail(-EINVAL, "more than %d messages", CANVAS_MOST);
	r = eta == 0 ? time_of(s, "eta", &eta) : 0;
	if (r == 0)
		r = time_of(s, "expires", &expires);
	if (r < 0)
		return r;
	m = (struct message_new){
		.task = s->task,
		.id = id_of(s, STR_NULL),
		.args = arguments(s, more->before),
		.kwargs = s->kwargs,
		.embed = embed_of(s, more->rest),
		.queue = queue_of(s),
		.group = signature_get_text(s, "group_id"),
		.group_index = signature_get_i64(s, "group_index", -1),
		.root_id = str_is_null(u->root_id) ? signature_get_text(s, "root_id") : u->root_id,
		.parent_id = str_is_null(u->parent_id) ? signature_get_text(s, "parent_id")
						       : u->parent_id,
		.reply_to = signature_get_text(s, "reply_to"),
		.shadow = signature_get_text(s, "shadow"),
		.traceparent = u->traceparent,
		.eta = eta,
		.expires = expires,
		.retries = MAX(signature_get_i64(s, "retries", 0), INT64_C(0)),
		.timelimit = limits_of(s),
		.stamped_headers = stamped,
		.stamps = stamps_of(s, stamped),
		.headers = is_object(signature_get(s, "headers")),
		.priority = (int) MIN(MAX(signature_get_i64(s, "priority", 0), INT64_C(0)),
				      INT64_C(255)),
		.ignores_result = str_eq(signature_get(s, "ignore_result"), STR("true")),
	};
	add_child(u, m.id);
	return u->emit(u->arg, &m);
}

static int apply(struct signature_use *, struct signature *, const struct more *);

static int apply_members(struct signature_use *u, struct signature *group, const struct more *more)
{
	struct buf *children = u->children;
	int r = 0;

	begin_children(u, id_of(group, STR_NULL));
	for (struct signature *m = group->first; m != NULL && r == 0; m = m->next) {
		struct signature *next = m->next;

		r = apply(u, m, more);
		m->next = next; /* a chain takes itself apart */
	}
	end_children(u);
	u->children = children;
	return r;
}

/* A group that a step follows is a chord; the step is the last of the rest. */
static int follow_group(struct signature_use *u, struct signature *group, const struct more *more,
			const struct json *rest)
{
	_cleanup_(buf_fini) struct buf left = BUF_INIT;
	struct signature *chord = canvas_chord(group->arena, NULL, 0, NULL);
	struct more then = *more;
	const struct json *last = rest->first;
	int r;

	buf_add_byte(&left, '[');
	for (; last->next != NULL; last = last->next) {
		if (left.len > 1)
			buf_add_c(&left, ", ");
		buf_add_str(&left, json_raw(last));
	}
	buf_add_byte(&left, ']');
	r = signature_read(group->arena, last, &chord->body);
	if (r < 0)
		return r;
	chord->header = group;
	then.rest = arena_str(group->arena, buf_str(&left));
	return apply(u, chord, &then);
}

static int apply_group(struct signature_use *u, struct signature *s, const struct more *more)
{
	struct signature_place place = { .group = id_of(s, STR_NULL),
					 .chord = signature_get(s, "chord"),
					 .index = -1 };
	struct more each = *more;
	struct json_error e;
	struct json *rest;

	if (!str_is_null(more->rest) && more->rest.len > 2) {
		if (json_parse(s->arena, more->rest, JSON_PYTHON, SIGNATURE_DEPTH * 8, &rest, &e) <
			    0 ||
		    rest->type != JSON_ARRAY)
			return fail(-EINVAL, "the rest of a chain is no array");
		if (rest->first != NULL)
			return follow_group(u, s, more, rest);
	}
	each.rest = STR_NULL;
	flatten(s);
	for (struct signature *m = s->first; m != NULL; m = m->next)
		spread(s, m, true);
	freeze_members(s, &place);
	return apply_members(u, s, &each);
}

/* The rest of the chain in which this one lies comes after its own; both are reversed. */
static struct str join_rest(const struct signature *chain, struct str outer)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct str inner = str_is_null(outer) ? STR("")
					      : str_trim(str_slice(outer, 1, outer.len - 1));
	size_t count = 0, i;
	const struct signature **steps;

	for (const struct signature *m = chain->first->next; m != NULL; m = m->next)
		count++;
	if (count == 0)
		return outer;
	steps = arena_alloc(chain->arena, count * sizeof(struct signature *));
	i = 0;
	for (const struct signature *m = chain->first->next; m != NULL; m = m->next)
		steps[i++] = m;
	buf_add_byte(&out, '[');
	buf_add_str(&out, inner);
	while (i-- > 0) {
		if (out.len > 1)
			buf_add_c(&out, ", ");
		buf_add_str(&out, signature_text(steps[i]));
	}
	buf_add_byte(&out, ']');
	return arena_str(chain->arena, buf_str(&out));
}

static int apply_chain(struct signature_use *u, struct signature *s, const struct more *more)
{
	struct signature_place place = { .id = signature_get_text(s, "task_id"),
					 .group = signature_get_text(s, "group_id"),
					 .chord = signature_get(s, "chord"),
					 .index = signature_get_i64(s, "group_index", -1) };
	struct more first = *more;

	raise_chords(s);
	if (s->first == NULL)
		return 0;
	hand_down(s);
	for (struct signature *m = s->first; m != NULL; m = m->next)
		signature_freeze(m, m == s->last ? &place : &nowhere);
	if (s->is_immutable)
		first.before = STR_NULL;
	first.rest = join_rest(s, more->rest);
	return apply(u, s->first, &first);
}

/* Nobody waits for an empty header: the body runs at once, with no results. */
static int apply_empty_chord(struct signature_use *u, struct signature *s, const struct more *more)
{
	struct more at_once = { .before = STR("[]"), .rest = more->rest };

	return apply(u, s->body, &at_once);
}

/* A chord's callbacks and errbacks are its body's; when it starts, its header does. */
static void give_options(struct signature *chord)
{
	struct str callbacks = signature_get(chord, "link"),
		   errbacks = signature_get(chord, "link_error");

	signature_extend(chord->body, "link", callbacks);
	if (!str_is_null(errbacks))
		signature_extend(chord->body, "link_error", errbacks);
	spread(chord, chord->body, false);
	for (struct signature *m = chord->header->first; m != NULL; m = m->next) {
		spread(chord->header, m, true);
		spread(chord, m, true);
	}
}

static int apply_chord(struct signature_use *u, struct signature *s, const struct more *more)
{
	struct str group;
	struct signature_place header = { .index = -1 };
	struct signature_place body = { .id = STR_NULL,
					.group = signature_get_text(s, "group_id"),
					.chord = signature_get(s, "chord"),
					.index = signature_get_i64(s, "group_index", -1) };
	struct more each = { .before = s->is_immutable ? STR_NULL : more->before };
	size_t parts;
	int r;

	flatten(s->header);
	group = id_of(s->header, signature_get_text(s, "task_id"));
	give_options(s);
	if (!str_is_null(more->rest))
		(void) canvas_set_json(s->body, "chain", more->rest);
	if (!str_is_null(u->root_id))
		(void) canvas_set(s->body, "root_id", u->root_id);
	if (str_is_null(body.group))
		body.group = group;
	signature_freeze(s->body, &body);
	parts = signature_parts(s->header);
	if (parts == 0)
		return apply_empty_chord(u, s, more);
	s->body->chord_size = u->tells_size ? parts : 0;
	header.group = group;
	header.chord = signature_text(s->body);
	freeze_members(s->header, &header);
	r = u->begin_chord == NULL ? 0 : u->begin_chord(u->arg, group, parts);
	return r < 0 ? r : apply_members(u, s->header, &each);
}

static int apply(struct signature_use *u, struct signature *s, const struct more *given)
{
	struct more with = *given, *more = &with;

	if (str_is_null(with.rest))
		with.rest = signature_get(s, "chain");
	switch (s->kind) {
	case SIGNATURE_TASK:
	case SIGNATURE_MAP:
	case SIGNATURE_STARMAP:
		return apply_task(u, s, more);
	case SIGNATURE_GROUP:
		return apply_group(u, s, more);
	case SIGNATURE_CHAIN:
		return apply_chain(u, s, more);
	case SIGNATURE_CHORD:
		return apply_chord(u, s, more);
	}
	return 0;
}

int signature_apply(struct signature_use *u, struct signature *s, struct str before,
		    struct str rest)
{
	const struct more more = { .before = before, .rest = rest };

	return apply(u, s, &more);
}
