#include "queue/canvas_tasks.h"

#include "base/error.h"
#include "queue/host-internal.h"
#include "queue/signature.h"

#define QUEUE      "celery" /* where Celery sends what it knows no better place for */
#define DEPTH_MOST 200

static int parse(struct arena *arena, struct str text, struct json **ret)
{
	struct json_error e;

	if (json_parse(arena, text, JSON_PYTHON, DEPTH_MOST, ret, &e) < 0)
		return fail(-E_DROPPED, "%s", e.sentence);
	return 0;
}

/* Map. */

struct map_arguments {
	struct str task, it;
};

static const struct task_argument map_rows[] = {
	{ .name = "task",
	  .type = TASK_JSON,
	  .offset = offsetof(struct map_arguments, task),
	  .help = "signature of the task" },
	{ .name = "it",
	  .type = TASK_JSON,
	  .offset = offsetof(struct map_arguments, it),
	  .help = "the items" },
};

static int open_map(struct job *job, const struct map_arguments *a, const struct task_body **ret,
		    const struct json **ret_items)
{
	const struct task_body *body;
	struct signature *s;
	struct json *tree, *items;
	int r = parse(&job->arena, a->task, &tree);

	if (r == 0)
		r = parse(&job->arena, a->it, &items);
	if (r == 0 && items->type != JSON_ARRAY)
		r = fail(-E_DROPPED, "\"it\" is no array");
	if (r == 0 && signature_read(&job->arena, tree, &s) < 0)
		r = fail(-E_DROPPED, "%s", arena_c(&job->arena, str_c(fail_reason(-EINVAL))));
	if (r < 0)
		return r;
	body = host_body(job->_host, s->task);
	if (body == NULL || body->body == NULL)
		return fail(-E_DEAD, "unknown task %.*s", STR_ARG(s->task));
	*ret = body;
	*ret_items = items;
	return 0;
}

/* An item as the task's positional arguments. */
static int run_item(struct job *job, const struct task_body *body, const struct json *args)
{
	static const struct json none = { .type = JSON_OBJECT, .text = STR_INIT("{}") };
	void *arguments = arena_zalloc(&job->arena, body->task->arguments_size + 1);
	int r;

	job->result_json = STR_NULL;
	job->arguments_json = args->text;
	job->kwargs_json = none.text;
	r = task_bind(&job->arena, body->task, args, &none, arguments);
	return r < 0 ? r : body->body(job, arguments);
}

static int run_items(struct job *job, const struct map_arguments *a, bool is_star)
{
	_cleanup_(buf_fini) struct buf results = BUF_INIT;
	const struct task *own = job->task;
	const struct task_body *body = NULL;
	const struct json *items = NULL;
	struct str key = job->key, args = job->arguments_json, kwargs = job->kwargs_json;
	int r = open_map(job, a, &body, &items), index = 0;

	if (r < 0)
		return r;
	buf_add_byte(&results, '[');
	job->task = body->task;
	for (const struct json *item = items->first; item != NULL && r == 0; item = item->next) {
		struct json only = *item, one = { .type = JSON_ARRAY, .count = 1, .first = &only };

		only.next = NULL;
		one.text = arena_printf(&job->arena, "[%.*s]", STR_ARG(json_raw(item)));
		job->key = arena_printf(&job->arena, "%.*s:%d", STR_ARG(key), index++);
		if (is_star && item->type != JSON_ARRAY)
			r = fail(-E_DROPPED, "item %d is no array", index - 1);
		else
			r = run_item(job, body, is_star ? item : &one);
		if (index > 1)
			buf_add_c(&results, ", ");
		buf_add_str(&results,
			    str_is_null(job->result_json) ? STR("null") : job->result_json);
	}
	job->task = own;
	job->key = key;
	job->arguments_json = args;
	job->kwargs_json = kwargs;
	if (r < 0)
		return r;
	buf_add_byte(&results, ']');
	return job_return_json(job, buf_str(&results));
}

static int run_map(struct job *job, const void *arguments)
{
	return run_items(job, arguments, false);
}

static int run_starmap(struct job *job, const void *arguments)
{
	return run_items(job, arguments, true);
}

/* Canvases that were sent as jobs. */

static int run_canvas(struct job *job, const void *arguments)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct signature *s;
	struct json *tree;
	struct json_writer w;
	int r;

	(void) arguments;
	json_writer_init(&w, &text, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	json_put_key(&w, STR("task"));
	json_put_c(&w, job->task->name);
	json_put_key(&w, STR("kwargs"));
	json_put_raw(&w, job->kwargs_json);
	json_end_object(&w);
	r = parse(&job->arena, arena_str(&job->arena, buf_str(&text)), &tree);
	if (r == 0 && signature_read(&job->arena, tree, &s) < 0)
		r = fail(-E_DROPPED, "%s", arena_c(&job->arena, str_c(fail_reason(-EINVAL))));
	if (r < 0)
		return r;
	host_follow(job, s);
	return 0;
}

static int run_accumulate(struct job *job, const void *arguments)
{
	const struct json *index, *v;
	struct json *args, *kwargs;
	int64_t n;
	int r = parse(&job->arena, job->arguments_json, &args);

	(void) arguments;
	if (r == 0)
		r = parse(&job->arena, job->kwargs_json, &kwargs);
	if (r < 0)
		return r;
	index = json_get(kwargs, STR("index"));
	if (index == NULL || index->type == JSON_NULL)
		return job_return_json(job, job->arguments_json);
	if (json_to_i64(index, &n) < 0 || n < 0 || n >= args->count)
		return fail(-E_DROPPED, "there is no argument of that index");
	for (v = args->first; n > 0; n--)
		v = v->next;
	return job_return_json(job, json_raw(v));
}

/* clang-format off */
#define MAP(name_, task_, help_)                                                                   \
	static const struct task name_ = {                                                         \
		.name = task_, .help = help_, .queue = QUEUE, .where = TASK_ALONE,                 \
		.durability = TASK_FAST, .retry = TASK_RETRY_USUAL,                                \
		TASK_TAKES(map_rows, struct map_arguments),                                        \
	};
#define CANVAS(name_, task_, help_)                                                                \
	static const struct task name_ = {                                                         \
		.name = task_, .help = help_, .queue = QUEUE, .where = TASK_SHARED,                \
		.durability = TASK_FAST, .retry = TASK_RETRY_USUAL, .ignores_arguments = true,     \
	};
/* clang-format on */

MAP(map_task, "celery.map", "Runs a task once for each item.")
MAP(starmap_task, "celery.starmap", "The same with an array of arguments for each.")
CANVAS(group_task, "celery.group", "Publishes the members of a group.")
CANVAS(chain_task, "celery.chain", "Publishes the first step of a chain.")
CANVAS(chord_task, "celery.chord", "Publishes the header of a chord.")
CANVAS(chunks_task, "celery.chunks", "Publishes a group of starmaps.")
CANVAS(accumulate_task, "celery.accumulate", "Returns its arguments.")

const struct task_body canvas_tasks[] = {
	{ &map_task, run_map },
	{ &starmap_task, run_starmap },
	{ &group_task, run_canvas },
	{ &chain_task, run_canvas },
	{ &chord_task, run_canvas },
	{ &chunks_task, run_canvas },
	{ &accumulate_task, run_accumulate },
};
const size_t canvas_task_count = ARRAY_SIZE(canvas_tasks);
