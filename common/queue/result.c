#include "queue/result.h"

#include "base/datetime.h"
#include "base/json.h"
#include "base/world.h"

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

/* What follows the result.  `is_final`: date_done is now. */
static void end(struct json_writer *w, const struct result_about *about, bool is_final)
{
	_cleanup_(buf_fini) struct buf now = BUF_INIT;

	put(w, STR("traceback"), STR_NULL);
	json_put_key(w, STR("children"));
	json_begin_array(w);
	json_end_array(w);
	if (is_final)
		datetime_add_python(&now, now_realtime());
	put(w, STR("date_done"), is_final ? buf_str(&now) : STR_NULL);
	if (!str_is_null(about->group))
		put(w, STR("group_id"), about->group);
	if (!str_is_null(about->parent))
		put(w, STR("parent_id"), about->parent);
	put(w, STR("task_id"), about->id);
	json_end_object(w);
}

static void put_value(struct json_writer *w, struct str value)
{
	json_put_raw(w, str_is_null(value) ? STR("null") : value);
}

void result_add_success(struct buf *out, const struct result_about *about, struct str value)
{
	struct json_writer w;

	begin(&w, out, STR("SUCCESS"));
	put_value(&w, value);
	end(&w, about, true);
}

void result_add_custom(struct buf *out, const struct result_about *about, struct str state,
		       struct str value)
{
	struct json_writer w;

	begin(&w, out, state);
	put_value(&w, value);
	end(&w, about, false);
}

void result_add_exception(struct buf *out, const struct result_about *about,
			  enum result_state state, const struct result_exception *exception,
			  struct str message)
{
	struct json_writer w;

	must(state != RESULT_SUCCESS && state < RESULT_STATES);
	begin(&w, out, str_c(state_names[state]));
	json_begin_object(&w);
	put(&w, STR("exc_type"), str_c(exception->type));
	json_put_key(&w, STR("exc_message"));
	json_begin_array(&w);
	json_put_str(&w, message);
	json_end_array(&w);
	put(&w, STR("exc_module"), str_c(exception->module));
	json_end_object(&w);
	end(&w, about, state != RESULT_RETRY);
}
