#include "queue/task_schema.h"

static void put_text(struct json_writer *w, const char *key, const char *value)
{
	json_put_key(w, str_c(key));
	json_put_c(w, value);
}

static void put_argument(struct json_writer *w, const struct task_argument *a)
{
	static const char *const types[] = {
		[TASK_TEXT] = "\"string\"",  [TASK_INT] = "\"integer\"", [TASK_REAL] = "\"number\"",
		[TASK_FLAG] = "\"boolean\"", [TASK_JSON] = NULL,         [TASK_ANY] = NULL,
	};

	json_put_key(w, str_c(a->name));
	json_begin_object(w);
	if (a->type == TASK_TEXT && a->is_optional) {
		json_put_key(w, STR("type"));
		json_put_raw(w, STR("[\"string\",\"null\"]"));
	} else if (types[a->type] != NULL) {
		json_put_key(w, STR("type"));
		json_put_raw(w, str_c(types[a->type]));
	}
	put_text(w, "description", a->help);
	if (a->is_optional) {
		json_put_key(w, STR("default"));
		json_put_raw(w, str_c(a->usual));
	}
	json_end_object(w);
}

static void put_arguments(struct json_writer *w, const struct task *t)
{
	bool takes_all = t->ignores_arguments ||
			 (t->argument_count == 1 && t->arguments[0].type == TASK_ANY);

	json_put_key(w, STR("properties"));
	json_begin_object(w);
	for (size_t i = 0; i < t->argument_count && !takes_all; i++)
		put_argument(w, &t->arguments[i]);
	json_end_object(w);
	json_put_key(w, STR("required"));
	json_begin_array(w);
	for (size_t i = 0; i < t->argument_count && !takes_all; i++)
		if (!t->arguments[i].is_optional)
			json_put_c(w, t->arguments[i].name);
	json_end_array(w);
	json_put_key(w, STR("additionalProperties"));
	json_put_bool(w, takes_all);
}

static void put_task(struct json_writer *w, const struct task *t)
{
	json_put_key(w, str_c(t->name));
	json_begin_object(w);
	put_text(w, "description", t->help);
	put_text(w, "type", "object");
	put_arguments(w, t);
	put_text(w, "x-queue", t->queue == NULL ? "default" : t->queue);
	put_text(w, "x-durability", task_durability_names[t->durability]);
	json_put_key(w, STR("x-retries"));
	if (t->retry.times < 0)
		json_put_null(w); /* no bound */
	else
		json_put_i64(w, t->retry.times);
	json_put_key(w, STR("x-time-limit"));
	if (t->time_limit == 0)
		json_put_null(w); /* the setting's */
	else
		json_put_i64(w, t->time_limit / SEC);
	json_end_object(w);
}

void task_schema_add(struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	put_text(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
	put_text(&w, "title", "Keyword arguments of tasks");
	json_put_key(&w, STR("$defs"));
	json_begin_object(&w);
	for (size_t i = 0; i < task_count(); i++)
		put_task(&w, task_at(i));
	json_end_object(&w);
	json_end_object(&w);
}
