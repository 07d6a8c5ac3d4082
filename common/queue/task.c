#include "queue/task.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/map.h"

#define MOST_TASKS UINT16_MAX
#define DEPTH_MOST 16 /* of a default */

static const struct task **tasks;
static size_t count;
static struct map by_name;

const char *const task_durability_names[TASK_DURABILITIES] = { "outbox", "waited", "fast" };

static int check_argument(const struct task *t, size_t i)
{
	const struct task_argument *a = &t->arguments[i];
	_cleanup_(arena_fini) struct arena arena;
	struct json_error e;
	struct json *tree;

	arena_init(&arena);
	if (a->help == NULL || a->help[0] == '\0')
		return fail(-E_BAD_SETTING, "task %s: argument %s has no help", t->name, a->name);
	if (a->type == TASK_ANY && t->argument_count != 1)
		return fail(-E_BAD_SETTING, "task %s: an argument that takes all must be the only",
			    t->name);
	if (a->is_optional &&
	    json_parse(&arena, str_c(a->usual), JSON_PYTHON, DEPTH_MOST, &tree, &e) < 0)
		return fail(-E_BAD_SETTING, "task %s: the default of %s is no JSON", t->name,
			    a->name);
	if (!a->is_optional && i > 0 && t->arguments[i - 1].is_optional)
		return fail(-E_BAD_SETTING, "task %s: %s has no default, the one before it has",
			    t->name, a->name);
	for (size_t k = 0; k < i; k++)
		if (strcmp(a->name, t->arguments[k].name) == 0)
			return fail(-E_BAD_SETTING, "task %s: two arguments %s", t->name, a->name);
	return 0;
}

static int check(const struct task *t)
{
	int r;

	if (t->name == NULL || t->name[0] == '\0')
		return fail(-E_BAD_SETTING, "a task without a name");
	if (t->help == NULL || t->help[0] == '\0')
		return fail(-E_BAD_SETTING, "task %s has no help", t->name);
	if (t->retry.times > 0 && t->retry.first > t->retry.most)
		return fail(-E_BAD_SETTING, "task %s: its first wait is longer than its longest",
			    t->name);
	if (t->soft_time_limit != 0 && t->time_limit != 0 && t->soft_time_limit > t->time_limit)
		return fail(-E_BAD_SETTING, "task %s: its soft time limit comes after the hard one",
			    t->name);
	if (t->ignores_arguments && t->argument_count > 0)
		return fail(-E_BAD_SETTING, "task %s has arguments and ignores them", t->name);
	for (size_t i = 0; i < t->argument_count; i++) {
		r = check_argument(t, i);
		if (r < 0)
			return r;
	}
	return 0;
}

int task_register(const struct task *const *more, size_t more_count)
{
	int r;

	if (tasks == NULL)
		map_init(&by_name);
	must(count + more_count < MOST_TASKS);
	tasks = realloc(tasks, (count + more_count + 1) * sizeof(*tasks));
	must(tasks != NULL);
	for (size_t i = 0; i < more_count; i++) {
		r = check(more[i]);
		if (r < 0)
			return r;
		if (map_find(&by_name, str_c(more[i]->name)) != NULL)
			return fail(-E_BAD_SETTING, "two tasks are called %s", more[i]->name);
		tasks[count] = more[i];
		/* The value is the place, so that number and task are one step away. */
		(void) map_put(&by_name, str_c(more[i]->name), &tasks[count]);
		count++;
	}
	/* The table may have moved: its places in the map follow. */
	for (size_t i = 0; i < count; i++)
		(void) map_put(&by_name, str_c(tasks[i]->name), &tasks[i]);
	return 0;
}

const struct task *task_find(struct str name)
{
	const struct task **place = count == 0 ? NULL : map_find(&by_name, name);

	return place == NULL ? NULL : *place;
}

size_t task_count(void)
{
	return count;
}

const struct task *task_at(size_t number)
{
	must(number < count);
	return tasks[number];
}

size_t task_number(const struct task *t)
{
	const struct task **place = map_find(&by_name, str_c(t->name));

	must(place != NULL && *place == t);
	return (size_t) (place - tasks);
}

/* Arguments in. */

static const char *const type_names[] = {
	[TASK_TEXT] = "text",          [TASK_INT] = "a whole number", [TASK_REAL] = "a number",
	[TASK_FLAG] = "true or false", [TASK_JSON] = "JSON",          [TASK_ANY] = "JSON",
};

static int set(struct arena *arena, const struct task *t, const struct task_argument *a,
	       const struct json *value, void *to)
{
	void *member = (char *) to + a->offset;
	bool is_right = true;

	switch (a->type) {
	case TASK_TEXT:
		is_right = value->type == JSON_STRING ||
			   (value->type == JSON_NULL && a->is_optional);
		if (is_right)
			*(struct str *) member = value->type == JSON_NULL ? STR_NULL
									  : json_text(arena, value);
		break;
	case TASK_INT:
		is_right = value->type == JSON_NUMBER && json_to_i64(value, member) == 0;
		break;
	case TASK_REAL:
		is_right = value->type == JSON_NUMBER && json_to_double(value, member) == 0;
		break;
	case TASK_FLAG:
		is_right = value->type == JSON_TRUE || value->type == JSON_FALSE;
		*(bool *) member = value->type == JSON_TRUE;
		break;
	case TASK_JSON:
	case TASK_ANY:
		*(struct str *) member = value->type == JSON_STRING
						 ? str_make(value->text.at - 1, value->text.len + 2)
						 : value->text;
		break;
	}
	if (!is_right)
		return fail(-E_DROPPED, "%s() argument '%s' must be %s", t->name, a->name,
			    type_names[a->type]);
	return 0;
}

static int set_usual(struct arena *arena, const struct task *t, const struct task_argument *a,
		     void *to)
{
	struct json_error e;
	struct json *value;
	int r = json_parse(arena, str_c(a->usual), JSON_PYTHON, DEPTH_MOST, &value, &e);

	must(r == 0); /* checked at registration */
	return set(arena, t, a, value, to);
}

/* Python's list of names: 'a', 'b', and 'c'. */
static int missing(const struct task *t, const bool *is_set)
{
	_cleanup_(buf_fini) struct buf names = BUF_INIT;
	size_t left = 0, total;

	for (size_t i = 0; i < t->argument_count; i++)
		left += !is_set[i] && !t->arguments[i].is_optional;
	total = left;
	for (size_t i = 0; i < t->argument_count; i++) {
		if (is_set[i] || t->arguments[i].is_optional)
			continue;
		left--;
		if (names.len > 0)
			buf_add_c(&names, left > 0 ? ", " : total > 2 ? ", and " : " and ");
		buf_printf(&names, "'%s'", t->arguments[i].name);
	}
	return fail(-E_DROPPED, "%s() missing %zu required argument%s: %s", t->name, total,
		    total == 1 ? "" : "s", names.at);
}

static int bind_positional(struct arena *arena, const struct task *t, const struct json *args,
			   bool *is_set, void *to)
{
	size_t i = 0;
	int r;

	if (args->count > t->argument_count)
		return fail(-E_DROPPED,
			    "%s() takes %zu positional argument%s but %" PRIu32 " %s given",
			    t->name, t->argument_count, t->argument_count == 1 ? "" : "s",
			    args->count, args->count == 1 ? "was" : "were");
	for (const struct json *v = args->first; v != NULL; v = v->next, i++) {
		r = set(arena, t, &t->arguments[i], v, to);
		if (r < 0)
			return r;
		is_set[i] = true;
	}
	return 0;
}

static int bind_named(struct arena *arena, const struct task *t, const struct json *kwargs,
		      bool *is_set, void *to)
{
	uint32_t positional = 0;
	int r;

	while (positional < t->argument_count && is_set[positional])
		positional++;
	for (const struct json *v = kwargs->first; v != NULL; v = v->next) {
		struct str name = json_key(arena, v);
		size_t i = 0;

		while (i < t->argument_count && !str_eq_c(name, t->arguments[i].name))
			i++;
		if (i == t->argument_count)
			return fail(-E_DROPPED, "%s() got an unexpected keyword argument '%.*s'",
				    t->name, STR_ARG(str_slice(name, 0, 100)));
		if (i < positional)
			return fail(-E_DROPPED, "%s() got multiple values for argument '%s'",
				    t->name, t->arguments[i].name);
		r = set(arena, t, &t->arguments[i], v, to);
		if (r < 0)
			return r;
		is_set[i] = true;
	}
	return 0;
}

int task_bind(struct arena *arena, const struct task *t, const struct json *args,
	      const struct json *kwargs, void *ret_arguments)
{
	bool *is_set;
	int r;

	if (t->ignores_arguments)
		return 0;
	is_set = arena_array(arena, bool, t->argument_count + 1);
	if (t->argument_count == 1 && t->arguments[0].type == TASK_ANY) {
		if (args->count > 0)
			return fail(-E_DROPPED, "%s() takes keyword arguments only", t->name);
		return set(arena, t, &t->arguments[0], kwargs, ret_arguments);
	}
	r = bind_positional(arena, t, args, is_set, ret_arguments);
	if (r == 0)
		r = bind_named(arena, t, kwargs, is_set, ret_arguments);
	if (r < 0)
		return r;
	for (size_t i = 0; i < t->argument_count; i++) {
		if (is_set[i])
			continue;
		if (!t->arguments[i].is_optional)
			return missing(t, is_set);
		r = set_usual(arena, t, &t->arguments[i], ret_arguments);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Arguments out. */

static void put(struct json_writer *w, const struct task_argument *a, const void *arguments)
{
	const void *member = (const char *) arguments + a->offset;

	switch (a->type) {
	case TASK_TEXT:
		json_put_str(w, *(const struct str *) member);
		break;
	case TASK_INT:
		json_put_i64(w, *(const int64_t *) member);
		break;
	case TASK_REAL:
		json_put_double(w, *(const double *) member);
		break;
	case TASK_FLAG:
		json_put_bool(w, *(const bool *) member);
		break;
	case TASK_JSON:
	case TASK_ANY:
		json_put_raw(w, *(const struct str *) member);
		break;
	}
}

void task_kwargs(struct json_writer *w, const struct task *t, const void *arguments)
{
	if (t->argument_count == 1 && t->arguments[0].type == TASK_ANY) {
		put(w, &t->arguments[0], arguments);
		return;
	}
	json_begin_object(w);
	for (size_t i = 0; i < t->argument_count; i++) {
		json_put_key(w, str_c(t->arguments[i].name));
		put(w, &t->arguments[i], arguments);
	}
	json_end_object(w);
}
