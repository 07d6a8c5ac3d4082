#include "queue/host-internal.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/error.h"
#include "base/live.h"
#include "base/settings.h"
#include "base/world.h"
#include "loop/process.h"
#include "queue/body.h"
#include "queue/crashpage.h"
#include "queue/enqueue-internal.h"
#include "queue/follow.h"
#include "queue/host.h"
#include "queue/result.h"
#include "redis/redis.h"

/* Outcomes wait for the end of the loop turn, but not longer than this. */
#define OUTCOMES_WAIT (1 * MSEC)
#define BEAT          (250 * MSEC)
/* Text of the children that a result tells of: a body may ask for any number of jobs. */
#define CHILDREN_MOST (64 * KIB)
/* Every wait has a deadline: that of a job without limits. */

struct host {
	struct loop *loop;
	const struct worker_program *program;
	const struct task_body *bodies;
	size_t body_count;
	struct channel *channel;
	struct crashpage page;
	struct db *db;
	struct redis *redis;
	struct producer *producer;
	void *application;
	unsigned slots, running;
	struct list waiting; /* jobs that were sent ahead */
	struct list active;  /* jobs that have a fiber */
	struct arena queues_arena;
	struct str *queues;
	size_t queue_count, own_queues, queue_room; /* behind its own: those that were added */
	struct queue_book book;                     /* queues of what follows jobs */
	struct buf outcomes;
	usec_t outcomes_since;
	struct flush flush;
	struct timer beat;
	struct list pushes; /* waiters of pushes that want an answer, by number */
	uint32_t pushed;
	uv_signal_t hangup;
};

struct host_job {
	struct job job;
	struct host *host;
	struct list link;
	struct link_job head;
	struct message message;
	struct fiber *fiber;
	struct timer soft, hard;
	bool has_passed_hard, is_terminated;
	struct buf children; /* "[[id, null], null], …" of the jobs that the body has asked for */
	const struct body_embed *embed; /* NULL: nothing follows, as for nearly all */
	struct signature *asked;        /* what the body wants to follow besides; NULL: nothing */
	usec_t started, soft_at;
	struct log_context log;
};

/* A push whose answer a fiber awaits; lies on its stack. */
struct host_push_wait {
	struct list link;
	uint32_t request;
	struct waiter *waiter;
};

/* Outcomes. */

static void send_outcomes(struct host *h)
{
	if (h->outcomes.len == 0)
		return;
	channel_send(h->channel, LINK_OUTCOMES, buf_str(&h->outcomes), STR_NULL);
	buf_clear(&h->outcomes);
	channel_flush(h->channel);
}

static void on_flush(struct flush *f)
{
	send_outcomes(container_of(f, struct host, flush));
}

/* Returns where the length goes: known when what follows has been written. */
static size_t begin_outcome(struct host_job *hj, enum link_state state)
{
	struct host *h = hj->host;
	usec_t now = now_monotonic();
	struct link_outcome head = { .number = hj->head.number,
				     .generation = hj->head.generation,
				     .took = now - hj->started,
				     .state = state,
				     .is_dropped = hj->job.has_dropped };

	if (h->outcomes.len == 0)
		h->outcomes_since = now;
	buf_add(&h->outcomes, &head, sizeof(head));
	return h->outcomes.len;
}

static void end_outcome(struct host *h, size_t begun)
{
	uint32_t len = (uint32_t) (h->outcomes.len - begun);

	memcpy(h->outcomes.at + begun - sizeof(len), &len, sizeof(len));
	static_assert(offsetof(struct link_outcome, len) + sizeof(len) ==
			      sizeof(struct link_outcome),
		      "the length is the head's end");
	if (now_monotonic() - h->outcomes_since > OUTCOMES_WAIT || h->outcomes.len > MIB)
		send_outcomes(h);
	else
		flush_later(h->loop, &h->flush);
}

static struct result_about about_of(struct host_job *hj)
{
	struct arena *arena = &hj->job.arena;
	struct result_about about = {
		.id = hj->job.id,
		.group = message_text(arena, &hj->message, MESSAGE_GROUP),
		.parent = hj->job.parent_id,
	};

	if (hj->children.len > 0)
		about.children = arena_printf(arena, "[%s]", hj->children.at);
	if (settings.result_extended) {
		struct result_more *more = arena_new(arena, struct result_more);

		*more = (struct result_more){ .name = str_c(hj->job.task->name),
					      .args_json = hj->job.arguments_json,
					      .kwargs_json = hj->job.kwargs_json,
					      .queue = hj->job.queue,
					      .retries = hj->job.retries };
		about.more = more;
	}
	return about;
}

static void report_start(struct host_job *hj)
{
	_cleanup_(buf_fini) struct buf document = BUF_INIT, payload = BUF_INIT;
	struct link_name name = { .number = hj->head.number, .generation = hj->head.generation };
	struct str texts[2] = { hj->job.id, STR_NULL };
	struct result_about about;

	if (settings.track_started && (hj->head.flags & LINK_WANTS_RESULT) != 0) {
		about = about_of(hj);
		result_add_started(&document, &about, getpid());
		texts[1] = buf_str(&document);
	}
	link_pack(&payload, texts, ARRAY_SIZE(texts));
	channel_send(hj->host->channel, LINK_STARTED, str_make(&name, sizeof(name)),
		     buf_str(&payload));
}

static void report_failure(struct host_job *hj, enum link_failure_kind kind, int error);

/* Of what comes after the job: a child of its own part of the trace. */
static struct str trace_of(struct host_job *hj, char text[TRACE_TEXT + 1])
{
	struct trace child;

	if (hj->log.trace.id[0] == '\0')
		return hj->job.traceparent;
	trace_child(&hj->log.trace, &child);
	trace_format(&child, text);
	return str_c(text);
}

/* What follows, packed.  It is made before the result's document, which names it. */
static int add_follow(struct host_job *hj, struct str value, struct buf *out)
{
	struct arena *a = &hj->job.arena;
	char traceparent[TRACE_TEXT + 1];
	const struct follow_job job = { .id = hj->job.id,
					.group = message_text(a, &hj->message, MESSAGE_GROUP),
					.root_id = hj->job.root_id,
					.traceparent = trace_of(hj, traceparent),
					.group_index = hj->head.group_index };
	struct follow follow;
	int r = 0;

	follow_init(&follow, a, &hj->host->book);
	if (hj->asked != NULL)
		r = follow_signature(&follow, &job, hj->asked);
	if (r == 0 && hj->embed != NULL)
		r = follow_success(&follow, &job, hj->embed, value);
	if (r == 0) {
		follow_pack(out, &follow);
		if (follow.children.len > 0 && hj->children.len > 0)
			buf_add_c(&hj->children, ", ");
		buf_add_str(&hj->children, buf_str(&follow.children));
	}
	follow_fini(&follow);
	return r;
}

static void report_end(struct host_job *hj, struct str value)
{
	_cleanup_(buf_fini) struct buf document = BUF_INIT, follow = BUF_INIT;
	struct str texts[5] = { hj->job.id, STR_NULL, STR_NULL, STR_NULL, STR_NULL };
	size_t begun;

	if (hj->embed != NULL || hj->asked != NULL) {
		int r = add_follow(hj, value, &follow);

		if (r < 0) {
			report_failure(hj, LINK_FAILED_FOLLOW, r);
			return;
		}
		texts[4] = buf_str(&follow);
	} else if ((hj->head.flags & (LINK_WANTS_RESULT | LINK_WANTS_ID)) == 0) {
		end_outcome(hj->host, begin_outcome(hj, LINK_DONE));
		return;
	}
	if (hj->head.flags & LINK_WANTS_RESULT) {
		struct result_about about = about_of(hj);

		result_add_success(&document, &about, value);
		texts[2] = buf_str(&document);
	}
	if (hj->head.flags & LINK_WANTS_ID) {
		texts[1] = hj->head.flags & LINK_HAS_KEY ? hj->job.key : STR_NULL;
		texts[3] = str_is_null(value) ? STR("null") : value;
	}
	begun = begin_outcome(hj, LINK_ENDED);
	link_pack(&hj->host->outcomes, texts, ARRAY_SIZE(texts));
	end_outcome(hj->host, begun);
}

static void report_failure(struct host_job *hj, enum link_failure_kind kind, int error)
{
	struct str reason = str_c(fail_reason(error));
	struct link_failure f = {
		.kind = kind,
		.verdict = error_task(error),
		.attempt = (uint32_t) hj->job.attempt,
		.retry_times = hj->job.retry.times,
		.retry_first = hj->job.retry.first,
		.retry_most = hj->job.retry.most,
		.limit = kind == LINK_FAILED_HARD ? hj->head.hard_limit : hj->head.soft_limit,
	};
	size_t begun = begin_outcome(hj, LINK_FAILED);

	buf_add(&hj->host->outcomes, &f, sizeof(f));
	link_pack(&hj->host->outcomes, &reason, 1);
	end_outcome(hj->host, begun);
}

static void report(struct host_job *hj, int r)
{
	if (r >= 0)
		report_end(hj, hj->job.result_json);
	else if (r == -E_DROPPED && hj->job.has_dropped && !str_is_null(hj->job.drop_result_json))
		report_end(hj, hj->job.drop_result_json);
	else if (hj->is_terminated)
		report_failure(hj, LINK_FAILED_TERMINATED, -E_REVOKED);
	else if (hj->has_passed_hard)
		report_failure(hj, LINK_FAILED_HARD, -E_DEADLINE);
	else if (r == -ETIMEDOUT && now_monotonic() >= hj->soft_at) /* its timer may be due yet */
		report_failure(hj, LINK_FAILED_SOFT, -E_SOFT_TIME_LIMIT);
	else
		report_failure(hj, LINK_FAILED_ERROR, r);
}

void host_progress(struct job *job, struct str value)
{
	struct host_job *hj = container_of(job, struct host_job, job);
	_cleanup_(buf_fini) struct buf document = BUF_INIT, payload = BUF_INIT;
	struct result_about about = about_of(hj);
	struct link_outcome head = { .number = hj->head.number, .generation = hj->head.generation };
	struct str texts[2];

	if ((hj->head.flags & LINK_WANTS_RESULT) == 0)
		return;
	result_add_custom(&document, &about, STR("PROGRESS"), value);
	texts[0] = job->id;
	texts[1] = buf_str(&document);
	link_pack(&payload, texts, ARRAY_SIZE(texts));
	channel_send(hj->host->channel, LINK_STATE, str_make(&head, sizeof(head)),
		     buf_str(&payload));
}

/* Running. */

static void on_soft(struct timer *t)
{
	container_of(t, struct host_job, soft)->job.soft_limit_passed = true;
	/* The fiber's own deadline is the same moment: its waits end by themselves. */
}

static void on_hard(struct timer *t)
{
	struct host_job *hj = container_of(t, struct host_job, hard);

	hj->has_passed_hard = true;
	fiber_cancel(hj->fiber);
}

/* -EINVAL: undecodable. */
static int open_body(struct host_job *hj, struct body *ret)
{
	struct str text;
	int r = body_text(&hj->job.arena, &hj->message, &text);

	return r < 0 ? r : body_parse(&hj->job.arena, text, ret);
}

static void open_job(struct host_job *hj)
{
	struct arena *a = &hj->job.arena;
	const struct message *m = &hj->message;
	struct host *h = hj->host;
	struct job *job = &hj->job;

	job->magic = JOB_MAGIC;
	job->task = h->bodies[hj->head.task].task;
	job->id = message_text(a, m, MESSAGE_ID);
	job->key = hj->head.flags & LINK_HAS_KEY ? message_text(a, m, MESSAGE_KEY) : job->id;
	job->queue = h->queues[hj->head.queue];
	job->retries = (int) hj->head.retries;
	job->attempt = (int) hj->head.retries + hj->head.deaths + 1;
	job->root_id = message_text(a, m, MESSAGE_ROOT);
	job->parent_id = message_text(a, m, MESSAGE_PARENT);
	job->traceparent = message_text(a, m, MESSAGE_TRACEPARENT);
	job->db = h->db;
	job->redis = h->redis;
	job->producer = h->producer;
	job->application = h->application;
	job->retry = job->task->retry;
	job->_host = h;
}

static int run(void *arg)
{
	struct host_job *hj = arg;
	struct host *h = hj->host;
	struct job *job = &hj->job;
	struct trace parent;
	struct body body;
	void *arguments;
	int r;

	crashpage_start(&h->page, hj->head.number);
	hj->started = now_monotonic();
	open_job(hj);
	if (hj->head.flags & LINK_WANTS_START)
		report_start(hj);
	hj->log.what = "job";
	hj->log.name_as = "task";
	if (!str_is_null(job->traceparent) && trace_parse(job->traceparent, &parent) == 0)
		trace_child(&parent, &hj->log.trace);
	memcpy(hj->log.id, job->id.at, MIN(job->id.len, sizeof(hj->log.id) - 1));
	memcpy(hj->log.name, job->task->name, strnlen(job->task->name, sizeof(hj->log.name) - 1));
	fiber_set_log_context(fiber_current(), &hj->log);
	r = open_body(hj, &body);
	if (r < 0) {
		report_failure(hj, LINK_FAILED_BODY, r);
		return 0;
	}
	if (body.has_embed) {
		r = follow_check(&job->arena, &body.embed);
		if (r < 0) {
			report_failure(hj, LINK_FAILED_BODY, r);
			return 0;
		}
		hj->embed = &body.embed;
	}
	job->arguments_json = body.args->text;
	job->kwargs_json = body.kwargs->text;
	arguments = arena_zalloc(&job->arena, job->task->arguments_size + 1);
	r = task_bind(&job->arena, job->task, body.args, body.kwargs, arguments);
	if (r == 0)
		r = h->bodies[hj->head.task].body(job, arguments);
	if (log_is_on(LOG_DEBUG))
		log_event(LOG_DEBUG, "job ended", LOG_INT("attempt", job->attempt),
			  LOG_INT("us", now_monotonic() - hj->started),
			  LOG_STR("error", r < 0 ? str_c(error_name(r)) : STR("none")));
	report(hj, r);
	return 0;
}

static void start_next(struct host *h);

static void on_job_end(void *arg, int result _unused_)
{
	struct host_job *hj = arg;
	struct host *h = hj->host;
	struct arena arena = hj->job.arena; /* the job lies in it */

	timer_stop(&hj->soft);
	timer_stop(&hj->hard);
	list_remove(&hj->link);
	buf_fini(&hj->children);
	hj->job.magic = 0;
	live_add(LIVE_jobs, -1);
	arena_fini(&arena);
	h->running--;
	start_next(h);
}

static bool start(struct host *h, struct host_job *hj)
{
	/* Not the loop's time: that is from before it slept, and a short limit would be over already. */
	usec_t now = now_monotonic(), soft = hj->head.soft_limit, hard = hj->head.hard_limit;
	const char *name = h->bodies[hj->head.task].task->name;

	hj->fiber = fiber_start(h->loop, name, now + (soft > 0 ? soft : FIBER_NO_LIMIT), run, hj);
	if (hj->fiber == NULL)
		return false; /* no stack left; the next end gives one back */
	fiber_detach(hj->fiber, on_job_end, hj);
	h->running++;
	hj->soft_at = soft > 0 ? now + soft : USEC_NEVER;
	if (soft > 0)
		timer_start(h->loop, &hj->soft, hj->soft_at, on_soft);
	if (hard > 0)
		timer_start(h->loop, &hj->hard, now + hard, on_hard);
	return true;
}

static void start_next(struct host *h)
{
	while (h->running < h->slots && !list_is_empty(&h->waiting)) {
		struct host_job *hj = list_entry(list_first(&h->waiting), struct host_job, link);

		if (!start(h, hj))
			return;
		list_remove(&hj->link);
		list_append(&h->active, &hj->link);
	}
}

/* Frames. */

static int take_job(struct host *h, struct str payload)
{
	struct arena arena;
	struct host_job *hj;
	int r;

	arena_init(&arena);
	hj = arena_new(&arena, struct host_job);
	r = link_take_job(arena_str(&arena, payload), &hj->head, &hj->message);
	if (r == 0 && (hj->head.task >= h->body_count || hj->head.queue >= h->queue_count))
		r = fail(-EPROTO, "a job of a task or queue that is not known here");
	if (r < 0) {
		arena_fini(&arena);
		return r;
	}
	hj->job.arena = arena;
	hj->host = h;
	buf_init(&hj->children);
	list_init(&hj->link);
	live_add(LIVE_jobs, 1);
	list_append(&h->waiting, &hj->link);
	return 0;
}

static int take_pushed(struct host *h, struct str payload)
{
	struct link_pushed answer;
	int r = link_take(&payload, &answer, sizeof(answer));

	if (r < 0)
		return r;
	list_for_each (node, &h->pushes) {
		struct host_push_wait *w = list_entry(node, struct host_push_wait, link);

		if (w->request != answer.request)
			continue;
		list_remove(&w->link);
		fiber_wake(w->waiter, answer.result);
	}
	return 0;
}

static struct host_job *find_job(struct list *jobs, const struct link_name *name)
{
	list_for_each (node, jobs) {
		struct host_job *hj = list_entry(node, struct host_job, link);

		if (hj->head.number == name->number && hj->head.generation == name->generation)
			return hj;
	}
	return NULL;
}

/* One that waits never gets a fiber; one that runs meets -ECANCELED at its next wait. */
static int take_revoke(struct host *h, struct str payload)
{
	struct link_revoke revoke;
	struct host_job *hj;
	int r = link_take(&payload, &revoke, sizeof(revoke));

	if (r < 0)
		return r;
	hj = find_job(&h->waiting, &revoke.name);
	if (hj != NULL) {
		struct arena arena;

		list_remove(&hj->link);
		hj->started = now_monotonic();
		open_job(hj);
		report_failure(hj, LINK_FAILED_REVOKED, -E_REVOKED);
		arena = hj->job.arena;
		live_add(LIVE_jobs, -1);
		buf_fini(&hj->children);
		arena_fini(&arena);
		return 0;
	}
	hj = find_job(&h->active, &revoke.name);
	if (hj != NULL && revoke.is_terminated) {
		hj->is_terminated = true;
		fiber_cancel(hj->fiber);
	}
	return 0; /* it may have ended meanwhile */
}

static int take_slots(struct host *h, struct str payload)
{
	uint32_t slots;
	int r = link_take(&payload, &slots, sizeof(slots));

	if (r == 0)
		h->slots = MAX(slots, 1u);
	return r;
}

/* Jobs of the name that had this place before have all ended. */
static int take_queue(struct host *h, struct str payload)
{
	uint32_t place;
	int r = link_take(&payload, &place, sizeof(place));
	char *name;

	if (r == 0 && place >= h->queue_room)
		r = fail(-EPROTO, "a queue at a place that is not there");
	if (r < 0)
		return r;
	if (place >= h->own_queues)
		free((char *) h->queues[place].at);
	name = strndup(payload.at, payload.len);
	must(name != NULL);
	h->queues[place] = str_make(name, payload.len);
	h->queue_count = MAX(h->queue_count, (size_t) place + 1);
	return 0;
}

static void on_frame(void *arg, uint8_t kind, struct str payload)
{
	struct host *h = arg;
	int r = kind == LINK_JOB      ? take_job(h, payload)
		: kind == LINK_PUSHED ? take_pushed(h, payload)
		: kind == LINK_REVOKE ? take_revoke(h, payload)
		: kind == LINK_SLOTS  ? take_slots(h, payload)
		: kind == LINK_QUEUE  ? take_queue(h, payload)
				      : fail(-EPROTO, "a frame of kind %d", kind);

	/* Nothing that comes after can be trusted; the supervisor starts another. */
	if (r < 0) {
		log_error("the supervisor is not understood: %s", fail_reason(r));
		_exit(EXIT_FAILURE);
	}
}

static void on_chunk(void *arg)
{
	start_next(arg);
}

static void on_end(void *arg _unused_, int error _unused_)
{
	/* The jobs in hand are somebody else's by now: each further step would only be done
	 * twice. */
	_exit(EXIT_SUCCESS);
}

static const struct channel_callbacks callbacks = {
	.on_frame = on_frame,
	.on_chunk = on_chunk,
	.on_end = on_end,
};

/* Whose body runs just now; NULL: none, or a fiber that a body has started. */
static struct host_job *job_now(struct host *h)
{
	list_for_each (node, &h->active) {
		struct host_job *hj = list_entry(node, struct host_job, link);

		if (hj->fiber == fiber_current())
			return hj;
	}
	return NULL;
}

const struct job *host_job_now(struct host *h)
{
	struct host_job *hj = job_now(h);

	return hj == NULL ? NULL : &hj->job;
}

const struct task_body *host_body(struct host *h, struct str task)
{
	for (size_t i = 0; i < h->body_count; i++)
		if (str_eq_c(task, h->bodies[i].task->name))
			return &h->bodies[i];
	return NULL;
}

void host_follow(struct job *job, struct signature *s)
{
	container_of(job, struct host_job, job)->asked = s;
}

void host_push(struct host *h, struct link_push *head, const struct push *push)
{
	_cleanup_(buf_fini) struct buf texts = BUF_INIT;
	const struct str all[] = { push->keys->queue, push->id, push->message, push->chord };
	struct host_job *parent = job_now(h);

	if (parent != NULL && (parent->head.flags & LINK_WANTS_RESULT) != 0 &&
	    parent->children.len < CHILDREN_MOST)
		buf_printf(&parent->children, "%s[[\"%.*s\", null], null]",
			   parent->children.len > 0 ? ", " : "", STR_ARG(push->id));
	link_pack(&texts, all, ARRAY_SIZE(all));
	channel_send(h->channel, LINK_PUSH, str_make(head, sizeof(*head)), buf_str(&texts));
}

int host_push_waited(struct host *h, struct link_push *head, const struct push *push)
{
	struct waiter waiter;
	struct host_push_wait w = { .waiter = &waiter };
	int r;

	waiter_init(&waiter);
	list_init(&w.link);
	if (++h->pushed == 0)
		h->pushed = 1; /* 0 means that no answer is wanted */
	head->request = w.request = h->pushed;
	list_append(&h->pushes, &w.link);
	host_push(h, head, push);
	r = fiber_park(&waiter, "push");
	list_remove(&w.link);
	return r;
}

/* Life. */

static void on_beat(struct timer *t)
{
	struct host *h = container_of(t, struct host, beat);

	__atomic_fetch_add(crashpage_beat(&h->page), 1, __ATOMIC_RELAXED);
	timer_start(h->loop, &h->beat, loop_now(h->loop) + BEAT, on_beat);
}

static int open_queues(struct host *h)
{
	struct str rest = str_c(settings.queues), item;

	arena_init(&h->queues_arena);
	h->queues = arena_array(&h->queues_arena, struct str, rest.len + 1 + LINK_QUEUES_ADDED);
	while (settings_next_item(&rest, &item))
		h->queues[h->queue_count++] = arena_str(&h->queues_arena, item);
	h->own_queues = h->queue_count;
	h->queue_room = h->queue_count + LINK_QUEUES_ADDED;
	return h->queue_count > 0 ? 0 : fail(-E_BAD_SETTING, "APIUM_QUEUES is empty");
}

static int open_pools(struct host *h)
{
	bool is_alone = h->slots == 1;
	struct db_options db = {
		.url = settings.database_url,
		.shared = is_alone ? 1 : (unsigned) settings.db_shared,
		.exclusive = is_alone ? 1 : (unsigned) settings.db_exclusive,
		.is_prepared = settings.db_prepare,
		.application = h->program->name,
	};
	struct redis_options redis = { .url = settings.redis_url, .name = "apium-host" };
	int r = db_open(h->loop, &db, &h->db);

	return r < 0 ? r : redis_open(h->loop, &redis, &h->redis);
}

static void on_hangup(uv_signal_t *signal, int number)
{
	(void) signal;
	(void) number;
	settings_on_hangup();
	redis_reload_tls();
}

/* The supervisor sends it when it was told itself; not before READY. */
static int watch_hangup(struct host *h)
{
	int r = uv_signal_init(loop_uv(h->loop), &h->hangup);

	return r < 0 ? r : uv_signal_start(&h->hangup, on_hangup, SIGHUP);
}

static int host_start(struct host *h)
{
	int r;

	r = crashpage_map(&h->page);
	if (r < 0)
		return fail(r, "the crash page cannot be mapped");
	r = worker_tasks(h->program, &h->bodies, &h->body_count);
	if (r == 0)
		r = open_queues(h);
	if (r == 0)
		r = loop_new(&h->loop);
	if (r == 0)
		r = open_pools(h);
	if (r == 0)
		r = producer_new_in_host(h->loop, h->db, h, &h->producer);
	if (r == 0)
		r = channel_open(h->loop, PROCESS_CHANNEL_FD, LINK_MOST, &callbacks, h,
				 &h->channel);
	if (r < 0)
		return r;
	if (h->program->host_open != NULL) {
		struct worker_host about = { .loop = h->loop,
					     .db = h->db,
					     .redis = h->redis,
					     .producer = h->producer,
					     .slots = h->slots };

		r = h->program->host_open(&about, &h->application);
		if (r < 0)
			return r;
	}
	flush_init(&h->flush, on_flush);
	r = watch_hangup(h);
	if (r < 0)
		return fail(r, "SIGHUP cannot be watched: %s", error_sentence(r));
	fiber_count_switches(h->loop, crashpage_beat(&h->page));
	on_beat(&h->beat);
	channel_send(h->channel, LINK_READY, STR_NULL, STR_NULL);
	return fiber_report_on_signal(h->loop);
}

int host_main(const struct worker_program *program, int argc, char **argv)
{
	struct host h = { .program = program };
	int64_t slots;
	int r;

	process_child_setup();
	/* A host that computes does not see the channel's end: it must not outlive its supervisor.
	 * Signals to the whole group (Ctrl-C) are the supervisor's to act upon. */
	must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	must(signal(SIGTERM, SIG_IGN) != SIG_ERR && signal(SIGINT, SIG_IGN) != SIG_ERR);
	/* What the bodies start must not hold the channel open. */
	must(fcntl(PROCESS_CHANNEL_FD, F_SETFD, FD_CLOEXEC) == 0 || errno == EBADF);
	if (argc != 2 || str_to_i64(str_c(argv[1]), &slots) < 0 || slots < 1) {
		log_error("a host is started by its supervisor only");
		return EXIT_FAILURE;
	}
	h.slots = (unsigned) slots;
	list_init(&h.waiting);
	list_init(&h.active);
	list_init(&h.pushes);
	buf_init(&h.outcomes);
	queue_book_init(&h.book);
	r = host_start(&h);
	if (r == 0)
		r = loop_run(h.loop);
	log_error("the host cannot work: %s", fail_reason(r));
	return EXIT_FAILURE; /* it ends in on_end, never here */
}
