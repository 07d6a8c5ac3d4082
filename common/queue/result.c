#include "queue/result.h"

#include "base/datetime.h"
#include "base/error.h"
#include "base/json.h"
#include "base/settings.h"
#include "base/world.h"
#include "queue/body.h"
#include "queue/node.h"

/* A larger body is not decoded for what only people read. */
#define DECODED_MOST (1 * MIB)

static const char *const state_names[RESULT_STATES] = {
	[RESULT_SUCCESS] = "SUCCESS",
	[RESULT_FAILURE] = "FAILURE",
	[RESULT_RETRY] = "RETRY",
	[RESULT_REVOKED] = "REVOKED",
};

const struct result_exception result_job_error = { "JobError", "apium" };
const struct result_exception result_not_registered = { "NotRegistered", "celery.exceptions" };
const struct result_exception result_revoked = { "TaskRevokedError", "celery.exceptions" };
const struct result_exception result_time_limit = { "TimeLimitExceeded", "billiard.exceptions" };
const struct result_exception result_soft_time_limit = { "SoftTimeLimitExceeded",
							 "billiard.exceptions" };
const struct result_exception result_worker_lost = { "WorkerLostError", "billiard.exceptions" };
const struct result_exception result_rejected = { "JobDropped", "apium" };
const struct result_exception result_chord_error = { "ChordError", "celery.exceptions" };

/* "\0celery-compressed\0" <compression> "\0" <what it made of the JSON> */
#define COMPRESSED "\0celery-compressed\0"

int result_text(struct arena *arena, struct str stored, struct str *ret)
{
	const struct str mark = STR(COMPRESSED);
	struct str rest = stored, name;

	if (!str_starts(stored, mark)) {
		*ret = stored;
		return 0;
	}
	rest = str_slice(stored, mark.len, stored.len);
	(void) str_cut(&rest, '\0', &name);
	return body_decompress(arena, name, str_is_null(rest) ? STR("") : rest, ret);
}

int64_t result_ttl(void)
{
	return settings.result_expires == 0 ? 86400
					    : MAX(settings.result_expires / SEC, INT64_C(1));
}

static void put(struct json_writer *w, struct str key, struct str value)
{
	json_put_key(w, key);
	json_put_str(w, value);
}

static void begin(struct json_writer *w, struct buf *out, struct str state)
{
	json_writer_init(w, out, JSON_ESCAPE_ASCII, true);
	json_begin_object(w);
	put(w, STR("status"), state);
	json_put_key(w, STR("result"));
}

static void put_value(struct json_writer *w, struct str value)
{
	json_put_raw(w, str_is_null(value) ? STR("null") : value);
}

static void put_more(struct json_writer *w, const struct result_more *more)
{
	put(w, STR("name"), more->name);
	json_put_key(w, STR("args"));
	put_value(w, more->args_json);
	json_put_key(w, STR("kwargs"));
	put_value(w, more->kwargs_json);
	put(w, STR("worker"), node_name());
	json_put_key(w, STR("retries"));
	json_put_i64(w, more->retries);
	put(w, STR("queue"), more->queue);
}

/* What follows the result.  `is_final`: date_done is now. */
static void end(struct json_writer *w, const struct result_about *about, struct str traceback,
		bool is_final)
{
	_cleanup_(buf_fini) struct buf now = BUF_INIT;

	put(w, STR("traceback"), traceback);
	json_put_key(w, STR("children"));
	json_put_raw(w, str_is_null(about->children) ? STR("[]") : about->children);
	if (is_final)
		datetime_add_python(&now, now_realtime());
	put(w, STR("date_done"), is_final ? buf_str(&now) : STR_NULL);
	if (!str_is_null(about->group))
		put(w, STR("group_id"), about->group);
	if (!str_is_null(about->parent))
		put(w, STR("parent_id"), about->parent);
	if (about->more != NULL)
		put_more(w, about->more);
	put(w, STR("task_id"), about->id);
	json_end_object(w);
}

void result_add_success(struct buf *out, const struct result_about *about, struct str value)
{
	struct json_writer w;

	begin(&w, out, STR("SUCCESS"));
	put_value(&w, value);
	end(&w, about, STR_NULL, true);
}

void result_add_started(struct buf *out, const struct result_about *about, int64_t pid)
{
	_cleanup_(buf_fini) struct buf value = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &value, JSON_ESCAPE_ASCII, true);
	json_begin_object(&w);
	json_put_key(&w, STR("pid"));
	json_put_i64(&w, pid);
	put(&w, STR("hostname"), node_name());
	json_end_object(&w);
	result_add_custom(out, about, STR("STARTED"), buf_str(&value));
}

void result_add_custom(struct buf *out, const struct result_about *about, struct str state,
		       struct str value)
{
	struct json_writer w;

	begin(&w, out, state);
	put_value(&w, value);
	end(&w, about, STR_NULL, false);
}

void result_put_exception(struct json_writer *w, const struct result_exception *exception,
			  struct str message)
{
	json_begin_object(w);
	put(w, STR("exc_type"), str_c(exception->type));
	json_put_key(w, STR("exc_message"));
	json_begin_array(w);
	json_put_str(w, message);
	json_end_array(w);
	put(w, STR("exc_module"), str_c(exception->module));
	json_end_object(w);
}

const char *result_state_name(enum result_state state)
{
	must(state < RESULT_STATES);
	return state_names[state];
}

void result_add_exception(struct buf *out, const struct result_about *about,
			  enum result_state state, const struct result_exception *exception,
			  struct str message)
{
	_cleanup_(buf_fini) struct buf traceback = BUF_INIT;
	struct json_writer w;

	must(state != RESULT_SUCCESS && state < RESULT_STATES);
	begin(&w, out, str_c(state_names[state]));
	result_put_exception(&w, exception, message);
	if (state != RESULT_REVOKED && exception != &result_not_registered)
		buf_printf(&traceback, "Traceback (most recent call last):\n%s.%s: %.*s\n",
			   exception->module, exception->type, STR_ARG(message));
	end(&w, about, traceback.len == 0 ? STR_NULL : buf_str(&traceback), state != RESULT_RETRY);
}

static struct result_more *more_of(struct arena *arena, const struct message *m, struct str queue)
{
	struct result_more *more = arena_new(arena, struct result_more);
	struct body body;
	struct str text;

	*more = (struct result_more){ .name = message_text(arena, m, MESSAGE_TASK),
				      .queue = queue,
				      .retries = m->retries };
	if (m->text[MESSAGE_BODY].len > DECODED_MOST)
		return more;
	if (body_text(arena, m, &text) == 0 && body_parse(arena, text, &body) == 0) {
		more->args_json = body.args->text;
		more->kwargs_json = body.kwargs->text;
	} else {
		fail_clear(); /* it is why the job failed, and has been said */
	}
	return more;
}

void result_about_message(struct arena *arena, const struct message *m, struct str queue,
			  struct result_about *ret)
{
	*ret = (struct result_about){
		.id = message_text(arena, m, MESSAGE_ID),
		.group = message_text(arena, m, MESSAGE_GROUP),
		.parent = message_text(arena, m, MESSAGE_PARENT),
		.more = settings.result_extended ? more_of(arena, m, queue) : NULL,
	};
}
