#include "queue/signature.h"

#include <inttypes.h>

#include "base/error.h"

/* Celery's names. */
static const struct {
	const char *task, *subtask_type;
} kinds[] = {
	[SIGNATURE_TASK] = { NULL, NULL },
	[SIGNATURE_MAP] = { "celery.map", "xmap" },
	[SIGNATURE_STARMAP] = { "celery.starmap", "xstarmap" },
	[SIGNATURE_GROUP] = { "celery.group", "group" },
	[SIGNATURE_CHAIN] = { "celery.chain", "chain" },
	[SIGNATURE_CHORD] = { "celery.chord", "chord" },
};
#define CHUNKS "celery.chunks"

static struct signature *make(struct arena *arena, enum signature_kind kind)
{
	struct signature *s = arena_new(arena, struct signature);

	*s = (struct signature){ .kind = kind,
				 .arena = arena,
				 .task = str_c(kinds[kind].task),
				 .args = STR("[]"),
				 .kwargs = STR("{}"),
				 .is_immutable = kind == SIGNATURE_MAP ||
						 kind == SIGNATURE_STARMAP };
	return s;
}

static void append(struct signature *list, struct signature *member)
{
	member->next = NULL;
	if (list->first == NULL)
		list->first = member;
	else
		list->last->next = member;
	list->last = member;
}

/* Building. */

struct signature *canvas_named(struct arena *arena, struct str task, struct str args,
			       struct str kwargs)
{
	struct signature *s = make(arena, SIGNATURE_TASK);

	s->task = arena_str(arena, task);
	s->args = arena_str(arena, args);
	s->kwargs = arena_str(arena, kwargs);
	return s;
}

struct signature *canvas_task(struct arena *arena, const struct task *task, struct str kwargs)
{
	return canvas_named(arena, str_c(task->name), STR("[]"), kwargs);
}

static struct signature *list_of(struct arena *arena, enum signature_kind kind,
				 struct signature *const *members, size_t count)
{
	struct signature *s = make(arena, kind);

	for (size_t i = 0; i < count; i++)
		append(s, members[i]);
	return s;
}

struct signature *canvas_chain(struct arena *arena, struct signature *const *steps, size_t count)
{
	return list_of(arena, SIGNATURE_CHAIN, steps, count);
}

struct signature *canvas_group(struct arena *arena, struct signature *const *members, size_t count)
{
	return list_of(arena, SIGNATURE_GROUP, members, count);
}

struct signature *canvas_chord(struct arena *arena, struct signature *const *parts, size_t count,
			       struct signature *body)
{
	struct signature *s = make(arena, SIGNATURE_CHORD);

	s->header = canvas_group(arena, parts, count);
	s->body = body;
	return s;
}

/* `task` and `items` are JSON. */
static struct signature *map_of(struct arena *arena, enum signature_kind kind, struct str task,
				struct str items)
{
	struct signature *s = make(arena, kind);

	s->kwargs = arena_printf(arena, "{\"task\": %.*s, \"it\": %.*s}", STR_ARG(task),
				 STR_ARG(items));
	return s;
}

struct signature *canvas_map(struct arena *arena, const struct task *task, struct str items)
{
	struct signature *each = canvas_task(arena, task, STR("{}"));

	return map_of(arena, SIGNATURE_MAP, signature_text(each), items);
}

struct signature *canvas_starmap(struct arena *arena, const struct task *task, struct str items)
{
	struct signature *each = canvas_task(arena, task, STR("{}"));

	return map_of(arena, SIGNATURE_STARMAP, signature_text(each), items);
}

/* A group has no arguments: its members have. */
struct signature *canvas_immutable(struct signature *s)
{
	s->is_immutable = s->kind != SIGNATURE_GROUP;
	for (struct signature *m = s->first; m != NULL && s->kind == SIGNATURE_GROUP; m = m->next)
		(void) canvas_immutable(m);
	return s;
}

struct signature *canvas_set_json(struct signature *s, const char *option, struct str json)
{
	struct signature_option **at = &s->options;

	while (*at != NULL && !str_eq_c((*at)->name, option))
		at = &(*at)->next;
	if (*at == NULL) {
		*at = arena_new(s->arena, struct signature_option);
		(*at)->name = arena_str(s->arena, str_c(option));
	}
	(*at)->value = arena_str(s->arena, json);
	return s;
}

struct signature *canvas_set(struct signature *s, const char *option, struct str text)
{
	_cleanup_(buf_fini) struct buf json = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &json, JSON_ESCAPE_ASCII, true);
	json_put_str(&w, text);
	return canvas_set_json(s, option, buf_str(&json));
}

struct signature *canvas_set_i64(struct signature *s, const char *option, int64_t value)
{
	return canvas_set_json(s, option, arena_printf(s->arena, "%" PRId64, value));
}

/* What stands between the brackets of a list; Celery also writes a single one without them. */
static struct str inside(struct str list)
{
	if (str_is_null(list) || list.at[0] != '[')
		return str_is_null(list) ? STR("") : list;
	return str_trim(str_slice(list, 1, list.len - 1));
}

void signature_extend(struct signature *s, const char *option, struct str json)
{
	struct str old = inside(signature_get(s, option)), more = inside(json);

	if (more.len > 0)
		(void) canvas_set_json(s, option,
				       arena_printf(s->arena, "[%.*s%s%.*s]", STR_ARG(old),
						    old.len > 0 ? ", " : "", STR_ARG(more)));
}

/* A chord's result is its body's, a group's nobody's: Celery links its first member, with nothing
 * put before the callback's arguments. */
struct signature *canvas_link(struct signature *s, struct signature *callback)
{
	if (s->kind == SIGNATURE_CHORD) {
		(void) canvas_link(s->body, callback);
	} else if (s->kind == SIGNATURE_GROUP) {
		if (s->first != NULL)
			(void) canvas_link(s->first, canvas_immutable(callback));
	} else {
		signature_extend(s, "link", signature_text(callback));
	}
	return s;
}

/* Any member of a group may fail.  A chain gives it to each of its steps when it begins. */
struct signature *canvas_link_error(struct signature *s, struct signature *errback)
{
	if (s->kind == SIGNATURE_CHORD) {
		(void) canvas_link_error(s->body, errback);
	} else if (s->kind == SIGNATURE_GROUP) {
		for (struct signature *m = s->first; m != NULL; m = m->next)
			(void) canvas_link_error(m, errback);
	} else {
		signature_extend(s, "link_error", signature_text(errback));
	}
	return s;
}

/* Options. */

struct str signature_get(const struct signature *s, const char *option)
{
	for (const struct signature_option *o = s->options; o != NULL; o = o->next)
		if (str_eq_c(o->name, option))
			return str_eq(o->value, STR("null")) ? STR_NULL : o->value;
	return STR_NULL;
}

static struct json *get_json(const struct signature *s, const char *option)
{
	struct str value = signature_get(s, option);
	struct json_error e;
	struct json *tree;

	if (str_is_null(value) ||
	    json_parse(s->arena, value, JSON_PYTHON, SIGNATURE_DEPTH * 8, &tree, &e) < 0)
		return NULL;
	return tree;
}

struct str signature_get_text(const struct signature *s, const char *option)
{
	const struct json *v = get_json(s, option);

	return v == NULL || v->type != JSON_STRING ? STR_NULL : json_text(s->arena, v);
}

int64_t signature_get_i64(const struct signature *s, const char *option, int64_t otherwise)
{
	const struct json *v = get_json(s, option);
	int64_t n;

	if (v == NULL || v->type != JSON_NUMBER || json_to_i64(v, &n) < 0)
		return otherwise;
	return n;
}

/* Writing. */

static void put_members(struct json_writer *w, const struct signature *s)
{
	json_begin_array(w);
	for (const struct signature *m = s->first; m != NULL; m = m->next)
		signature_write(w, m);
	json_end_array(w);
}

static void put_kwargs(struct json_writer *w, const struct signature *s)
{
	switch (s->kind) {
	case SIGNATURE_TASK:
	case SIGNATURE_MAP:
	case SIGNATURE_STARMAP:
		json_put_raw(w, s->kwargs);
		return;
	case SIGNATURE_GROUP:
	case SIGNATURE_CHAIN:
		json_begin_object(w);
		json_put_key(w, STR("tasks"));
		put_members(w, s);
		json_end_object(w);
		return;
	case SIGNATURE_CHORD:
		json_begin_object(w);
		json_put_key(w, STR("kwargs"));
		json_put_raw(w, STR("{}"));
		json_put_key(w, STR("header"));
		signature_write(w, s->header);
		json_put_key(w, STR("body"));
		signature_write(w, s->body);
		json_end_object(w);
		return;
	}
}

void signature_write(struct json_writer *w, const struct signature *s)
{
	json_begin_object(w);
	json_put_key(w, STR("task"));
	json_put_str(w, s->task);
	json_put_key(w, STR("args"));
	json_put_raw(w, s->args);
	json_put_key(w, STR("kwargs"));
	put_kwargs(w, s);
	json_put_key(w, STR("options"));
	json_begin_object(w);
	for (const struct signature_option *o = s->options; o != NULL; o = o->next) {
		json_put_key(w, o->name);
		json_put_raw(w, o->value);
	}
	json_end_object(w);
	json_put_key(w, STR("subtask_type"));
	json_put_str(w, str_c(kinds[s->kind].subtask_type));
	json_put_key(w, STR("immutable"));
	json_put_bool(w, s->is_immutable);
	if (s->chord_size > 0) {
		json_put_key(w, STR("chord_size"));
		json_put_i64(w, (int64_t) s->chord_size);
	}
	json_end_object(w);
}

struct str signature_text(const struct signature *s)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_ESCAPE_ASCII, true);
	signature_write(&w, s);
	return arena_str(s->arena, buf_str(&out));
}

/* Reading. */

struct reading {
	struct arena *arena;
	size_t count;
	unsigned depth;
};

static int read_one(struct reading *, const struct json *, struct signature **ret);

static int read_members(struct reading *r, const struct json *list, struct signature *into)
{
	struct signature *member;
	int result;

	if (list == NULL || list->type != JSON_ARRAY)
		return fail(-EINVAL, "a signature's tasks are no array");
	for (const struct json *m = list->first; m != NULL; m = m->next) {
		result = read_one(r, m, &member);
		if (result < 0)
			return result;
		append(into, member);
	}
	return 0;
}

/* The header is a group's signature or, as older clients write it, an array. */
static int read_chord(struct reading *r, const struct json *kwargs, struct signature *s)
{
	const struct json *header = json_get(kwargs, STR("header")),
			  *body = json_get(kwargs, STR("body"));
	int result;

	if (body == NULL || body->type != JSON_OBJECT)
		return fail(-EINVAL, "a chord has no body");
	if (header != NULL && header->type == JSON_OBJECT) {
		result = read_one(r, header, &s->header);
		if (result == 0 && s->header->kind != SIGNATURE_GROUP)
			s->header = canvas_group(r->arena, &s->header, 1);
	} else {
		s->header = make(r->arena, SIGNATURE_GROUP);
		result = read_members(r, header, s->header);
	}
	return result < 0 ? result : read_one(r, body, &s->body);
}

static int read_map(struct reading *r, const struct json *kwargs, struct signature *s)
{
	const struct json *task = json_get(kwargs, STR("task")), *it = json_get(kwargs, STR("it"));
	struct signature *each;

	if (it == NULL || it->type != JSON_ARRAY)
		return fail(-EINVAL, "%.*s has no \"it\" that is an array", STR_ARG(s->task));
	s->kwargs = kwargs->text;
	return task == NULL ? fail(-EINVAL, "%.*s has no \"task\"", STR_ARG(s->task))
			    : read_one(r, task, &each);
}

/* As the group of starmaps that it stands for. */
static int read_chunks(struct reading *r, const struct json *kwargs, struct signature *s)
{
	const struct json *task = json_get(kwargs, STR("task")), *it = json_get(kwargs, STR("it")),
			  *each = json_get(kwargs, STR("n"));
	int64_t n;

	if (task == NULL || task->type != JSON_OBJECT || it == NULL || it->type != JSON_ARRAY ||
	    each == NULL || json_to_i64(each, &n) < 0 || n < 1)
		return fail(-EINVAL, CHUNKS " without \"task\", \"it\" and \"n\"");
	for (const struct json *item = it->first; item != NULL;) {
		_cleanup_(buf_fini) struct buf items = BUF_INIT;

		buf_add_byte(&items, '[');
		for (int64_t i = 0; i < n && item != NULL; i++, item = item->next) {
			if (i > 0)
				buf_add_c(&items, ", ");
			buf_add_str(&items, json_raw(item));
		}
		buf_add_byte(&items, ']');
		if (++r->count > CANVAS_MOST)
			return fail(-EINVAL, "more than %d signatures", CANVAS_MOST);
		append(s, map_of(r->arena, SIGNATURE_STARMAP, task->text, buf_str(&items)));
	}
	return 0;
}

static enum signature_kind kind_of(struct str task, const struct json *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].task != NULL && (str_eq_c(task, kinds[i].task) ||
					      (type != NULL && type->type == JSON_STRING &&
					       str_eq_c(type->text, kinds[i].subtask_type))))
			return (enum signature_kind) i;
	return SIGNATURE_TASK;
}

static int read_inside(struct reading *r, const struct json *kwargs, bool is_chunks,
		       struct signature *s)
{
	if (is_chunks)
		return read_chunks(r, kwargs, s);
	switch (s->kind) {
	case SIGNATURE_MAP:
	case SIGNATURE_STARMAP:
		return read_map(r, kwargs, s);
	case SIGNATURE_GROUP:
	case SIGNATURE_CHAIN:
		return read_members(r, json_get(kwargs, STR("tasks")), s);
	case SIGNATURE_CHORD:
		return read_chord(r, kwargs, s);
	case SIGNATURE_TASK:
		break;
	}
	return 0;
}

static int read_options(struct reading *r, const struct json *options, struct signature *s)
{
	struct signature_option **at = &s->options;

	if (options == NULL || options->type == JSON_NULL)
		return 0;
	if (options->type != JSON_OBJECT)
		return fail(-EINVAL, "a signature's options are no object");
	for (const struct json *o = options->first; o != NULL; o = o->next) {
		*at = arena_new(r->arena, struct signature_option);
		(*at)->name = json_key(r->arena, o);
		(*at)->value = json_raw(o);
		at = &(*at)->next;
	}
	return 0;
}

static int check_type(const struct json *v, enum json_type type, const char *what)
{
	if (v == NULL || v->type == JSON_NULL || v->type == type)
		return 0;
	return fail(-EINVAL, "a signature's %s are of another type", what);
}

static int read_object(struct reading *r, const struct json *v, struct signature **ret)
{
	const struct json *task = json_get(v, STR("task")), *args = json_get(v, STR("args")),
			  *kwargs = json_get(v, STR("kwargs")),
			  *immutable = json_get(v, STR("immutable"));
	struct signature *s;
	struct str name;
	bool is_chunks;
	int result;

	if (task == NULL || task->type != JSON_STRING || task->text.len == 0 ||
	    task->text.len > MESSAGE_ID_MOST)
		return fail(-EINVAL, "a signature names no task");
	result = check_type(args, JSON_ARRAY, "args");
	if (result == 0)
		result = check_type(kwargs, JSON_OBJECT, "kwargs");
	if (result < 0)
		return result;
	name = json_text(r->arena, task);
	is_chunks = str_eq_c(name, CHUNKS);
	s = make(r->arena,
		 is_chunks ? SIGNATURE_GROUP : kind_of(name, json_get(v, STR("subtask_type"))));
	if (s->kind == SIGNATURE_TASK) {
		s->task = name;
		if (kwargs != NULL && kwargs->type == JSON_OBJECT)
			s->kwargs = kwargs->text;
	}
	if (args != NULL && args->type == JSON_ARRAY)
		s->args = args->text;
	s->is_immutable = s->is_immutable || json_is_true(immutable);
	result = read_options(r, json_get(v, STR("options")), s);
	if (result == 0)
		result = read_inside(r, kwargs, is_chunks, s);
	if (result == 0)
		*ret = s;
	return result;
}

static int read_one(struct reading *r, const struct json *v, struct signature **ret)
{
	int result;

	if (v->type != JSON_OBJECT)
		return fail(-EINVAL, "a signature is no object");
	if (++r->count > CANVAS_MOST)
		return fail(-EINVAL, "more than %d signatures", CANVAS_MOST);
	if (r->depth == SIGNATURE_DEPTH)
		return fail(-EINVAL, "signatures lie more than %d deep", SIGNATURE_DEPTH);
	r->depth++;
	result = read_object(r, v, ret);
	r->depth--;
	return result;
}

int signature_read(struct arena *arena, const struct json *v, struct signature **ret)
{
	struct reading r = { .arena = arena };

	return read_one(&r, v, ret);
}
