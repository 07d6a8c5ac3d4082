/*
 * crew.c - birth, feeding, watching and death of hosts.
 *
 * Long, but better whole: one state machine over one struct, of which each part reads and writes
 * what the others keep.
 */
#include "queue/crew.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/world.h"
#include "loop/process.h"
#include "loop/sm.h"
#include "queue/crashpage.h"
#include "queue/tally.h"

#define CREDIT_MOST    256
#define SHORT_JOB      (1 * MSEC)
#define WINDOW         (20 * MSEC)
#define WATCH          (250 * MSEC)
/* A beat that stands still for this long means a task that does not yield. */
#define STUCK          (2 * SEC)
/* What a host gets beyond a hard time limit, to report it itself. */
#define LIMIT_SLACK    (500 * MSEC)
/* A host that lived for this long was healthy; the next one starts at once. */
#define HEALTHY        (1 * SEC)
#define RESPAWN_FIRST  (100 * MSEC)
#define RESPAWN_MOST   (5 * SEC)
/* Bytes that a host has not taken yet, beyond which it gets no more jobs. */
#define PENDING_MOST   (8 * MIB)
/* After the exit, for the channel's end to come; and for hosts to end by themselves. */
#define END_PATIENCE   (1 * SEC)
#define CLOSE_PATIENCE (2 * SEC)

enum host_state { HOST_ABSENT, HOST_STARTING, HOST_READY, HOST_DYING, HOST_STATES };

/* clang-format off */
static const struct sm_state states[HOST_STATES] = {
	[HOST_ABSENT]   = { "absent",   SM_TO(HOST_STARTING) },
	[HOST_STARTING] = { "starting", SM_TO(HOST_READY) | SM_TO(HOST_DYING) },
	[HOST_READY]    = { "ready",    SM_TO(HOST_DYING) },
	[HOST_DYING]    = { "dying",    SM_TO(HOST_ABSENT) },
};
/* clang-format on */

enum kill_reason { KILL_NONE, KILL_STUCK, KILL_LIMIT, KILL_REVOKED, KILL_CLOSE, KILL_WORN };

struct host {
	struct crew *crew;
	unsigned number;
	bool is_alone;
	struct sm sm;
	struct process process;
	struct channel *channel;
	struct crashpage page;
	unsigned out, credit;
	unsigned started_slots; /* what it was told when it was started */

	usec_t started_at;
	unsigned failures;
	struct timer timer; /* respawn; or patience with its end */
	bool has_exited, has_ended;
	int exit_code, signal;
	enum kill_reason killed_for;

	uint64_t beats;
	usec_t beat_at;
	bool is_watched; /* alone: its job's task is a shared one */
	usec_t limit_at; /* alone: when its job has had its time; USEC_NEVER */
	int64_t ended;   /* alone: jobs since it was started */
	bool is_worn;    /* alone: to be replaced */

	usec_t window_at; /* of the credit's measurement */
	unsigned window_done, window_out;
};

struct crew {
	struct crew_options o;
	struct host *hosts; /* shared ones first */
	unsigned count;
	struct list shared_line, alone_line; /* flights that wait */
	unsigned shared_waiting, alone_waiting;
	struct timer watch;
	usec_t watched_at;
	struct buf scratch;
	bool is_closing;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

static unsigned base_credit(const struct host *h)
{
	return h->is_alone ? 1 : 2 * h->crew->o.slots;
}

static void host_start(struct host *h);
static void feed(struct crew *c);

static void check_closed(struct crew *c)
{
	if (!c->is_closing || c->on_closed == NULL)
		return;
	for (unsigned i = 0; i < c->count; i++)
		if (c->hosts[i].sm.state != HOST_ABSENT)
			return;
	{
		void (*on_closed)(void *) = c->on_closed;
		void *arg = c->on_closed_arg;

		timer_stop(&c->watch);
		buf_fini(&c->scratch);
		free(c->hosts);
		free(c);
		on_closed(arg);
	}
}

/* Death. */

static void describe(const struct host *h, char *to, size_t size)
{
	if (h->killed_for == KILL_STUCK)
		(void) snprintf(to, size, "SIGKILL, no yield for %d s", (int) (STUCK / SEC));
	else if (h->signal != 0 && sigabbrev_np(h->signal) != NULL)
		(void) snprintf(to, size, "SIG%s", sigabbrev_np(h->signal));
	else if (h->signal != 0)
		(void) snprintf(to, size, "signal %d", h->signal);
	else
		(void) snprintf(to, size, "exit status %d", h->exit_code);
}

static bool is_out_to(const struct flight *f, const struct host *h)
{
	return f->state == FLIGHT_OUT && f->host == h->number;
}

/* Told to end, with no job in hand. */
static bool is_orderly(const struct host *h)
{
	return h->killed_for == KILL_CLOSE || h->killed_for == KILL_WORN;
}

static enum crew_end judge(const struct host *h, const struct flight *f, unsigned started)
{
	if (is_orderly(h) || !crashpage_has_started(&h->page, f->number))
		return CREW_UNSTARTED;
	if (h->killed_for == KILL_LIMIT)
		return CREW_TIMED_OUT;
	if (h->killed_for == KILL_REVOKED)
		return CREW_TERMINATED;
	return started == 1 ? CREW_GUILTY : CREW_SUSPECT;
}

static void bury_jobs(struct host *h)
{
	struct flights *f = h->crew->o.flights;
	unsigned started = 0, out = 0;
	char how[64];

	describe(h, how, sizeof(how));
	for (uint32_t i = 0; i < f->fresh; i++) {
		if (!is_out_to(&f->at[i], h))
			continue;
		out++;
		started += crashpage_has_started(&h->page, i);
	}
	if (out > 0 || !is_orderly(h))
		log_warn("host %u ended (%s): %u jobs were out, %u had started", h->number, how,
			 out, started);
	if (!is_orderly(h))
		metric_add(METRIC_host_deaths, 1);
	for (uint32_t i = 0; i < f->fresh && h->out > 0; i++) {
		enum crew_end end;

		if (!is_out_to(&f->at[i], h))
			continue;
		end = judge(h, &f->at[i], started);
		f->at[i].host = FLIGHT_NOWHERE;
		h->out--;
		h->crew->o.callbacks->on_death(h->crew->o.arg, &f->at[i], end, how);
	}
	h->out = 0;
}

static void on_respawn(struct timer *t)
{
	struct host *h = container_of(t, struct host, timer);

	if (h->sm.state == HOST_ABSENT && !h->crew->is_closing)
		host_start(h);
}

static void finish_death(struct host *h)
{
	struct crew *c = h->crew;
	usec_t now = loop_now(c->o.loop), wait = 0;

	if (!h->has_exited || !h->has_ended)
		return;
	timer_stop(&h->timer);
	if (h->channel != NULL)
		channel_close(h->channel, NULL);
	h->channel = NULL;
	sm_move(&h->sm, HOST_ABSENT);
	bury_jobs(h);
	crashpage_fini(&h->page);
	h->failures = now - h->started_at >= HEALTHY || h->killed_for == KILL_WORN
			      ? 0
			      : h->failures + 1;
	if (h->failures > 0)
		wait = MIN(RESPAWN_MOST, RESPAWN_FIRST << MIN(h->failures - 1, 10u));
	if (c->is_closing) {
		check_closed(c);
		return;
	}
	/* A shared one at once; an alone one when it is needed. */
	timer_start(c->o.loop, &h->timer, now + wait, on_respawn);
	c->o.callbacks->on_chunk(c->o.arg);
}

static void on_patience_over(struct timer *t)
{
	struct host *h = container_of(t, struct host, timer);

	if (!h->has_exited) {
		process_kill(&h->process, SIGKILL);
		return;
	}
	/* Somebody else holds the other end open; what the host wrote has been read by now. */
	h->has_ended = true;
	finish_death(h);
}

static void die(struct host *h)
{
	if (h->sm.state == HOST_STARTING || h->sm.state == HOST_READY)
		sm_move(&h->sm, HOST_DYING);
	timer_start(h->crew->o.loop, &h->timer, loop_now(h->crew->o.loop) + END_PATIENCE,
		    on_patience_over);
	finish_death(h);
}

static void on_exit_seen(struct process *p, int exit_code, int signal)
{
	struct host *h = p->arg;

	h->has_exited = true;
	h->exit_code = exit_code;
	h->signal = signal;
	die(h);
}

static void kill_host(struct host *h, enum kill_reason why)
{
	if (h->sm.state != HOST_STARTING && h->sm.state != HOST_READY)
		return;
	h->killed_for = why;
	process_kill(&h->process, SIGKILL);
}

/* Replacement. */

static void on_close_patience(struct timer *t)
{
	struct host *h = container_of(t, struct host, timer);

	if (!h->has_exited) {
		log_warn("host %u does not end, killing it", h->number);
		process_kill(&h->process, SIGKILL);
	}
}

/* It ends when its channel does. */
static void let_end(struct host *h, enum kill_reason why)
{
	struct loop *loop = h->crew->o.loop;

	must(h->out == 0);
	h->killed_for = why;
	sm_move(&h->sm, HOST_DYING);
	channel_close(h->channel, NULL);
	h->channel = NULL;
	h->has_ended = true;
	timer_start(loop, &h->timer, loop_now(loop) + CLOSE_PATIENCE, on_close_patience);
}

/* After each job of an alone host: has it run enough of them, or grown too large? */
static void note_wear(struct host *h)
{
	const struct crew_options *o = &h->crew->o;
	int64_t memory = 0;

	h->ended++;
	if (o->memory_most > 0)
		memory = process_memory(h->process.pid);
	h->is_worn = (o->jobs_most > 0 && h->ended >= o->jobs_most) || memory > o->memory_most;
	if (h->is_worn)
		log_info("host %u is replaced after %lld jobs", h->number, (long long) h->ended);
}

/* Frames from a host. */

static void note_done(struct host *h)
{
	must(h->out > 0);
	h->out--;
	h->window_done++;
	h->limit_at = USEC_NEVER;
	if (h->is_alone)
		note_wear(h);
}

static int take_outcomes(struct host *h, struct str payload)
{
	struct crew *c = h->crew;
	struct link_outcome o;
	struct flight *f;

	while (payload.len > 0) {
		struct str rest;

		if (link_take(&payload, &o, sizeof(o)) < 0 || payload.len < o.len)
			return fail(-EPROTO, "outcomes are torn");
		rest = str_slice(payload, 0, o.len);
		payload = str_slice(payload, o.len, payload.len);
		f = flight_find(c->o.flights, o.number, o.generation);
		if (f == NULL || !is_out_to(f, h))
			return fail(-EPROTO, "an outcome of a job that is not there");
		note_done(h);
		f->host = FLIGHT_NOWHERE;
		f->took = o.took;
		tally_outcome(f, &o);
		c->o.callbacks->on_outcome(c->o.arg, f, (enum link_state) o.state, rest);
	}
	return 0;
}

static int take_progress(struct host *h, struct str payload)
{
	struct link_outcome head;

	if (link_take(&payload, &head, sizeof(head)) < 0)
		return fail(-EPROTO, "a state is torn");
	if (flight_find(h->crew->o.flights, head.number, head.generation) != NULL)
		h->crew->o.callbacks->on_progress(h->crew->o.arg, payload);
	return 0;
}

static int take_started(struct host *h, struct str payload)
{
	struct link_name name;
	struct flight *f;

	if (link_take(&payload, &name, sizeof(name)) < 0)
		return fail(-EPROTO, "a start is torn");
	f = flight_find(h->crew->o.flights, name.number, name.generation);
	if (f != NULL)
		h->crew->o.callbacks->on_started(h->crew->o.arg, f, payload);
	return 0;
}

static void send_slots(struct host *h)
{
	uint32_t slots = h->crew->o.slots;

	channel_send(h->channel, LINK_SLOTS, str_make(&slots, sizeof(slots)), STR_NULL);
}

static int take_ready(struct host *h)
{
	if (h->sm.state != HOST_STARTING)
		return fail(-EPROTO, "ready twice");
	sm_move(&h->sm, HOST_READY);
	h->credit = base_credit(h);
	if (!h->is_alone && h->started_slots != h->crew->o.slots)
		send_slots(h);
	h->crew->o.callbacks->on_ready(h->crew->o.arg, h->number);
	log_debug("host %u is ready", h->number);
	return 0;
}

static void on_frame(void *arg, uint8_t kind, struct str payload)
{
	struct host *h = arg;
	int r = 0;

	if (kind == LINK_OUTCOMES)
		r = take_outcomes(h, payload);
	else if (kind == LINK_STATE)
		r = take_progress(h, payload);
	else if (kind == LINK_STARTED)
		r = take_started(h, payload);
	else if (kind == LINK_PUSH)
		h->crew->o.callbacks->on_push(h->crew->o.arg, h->number, payload);
	else if (kind == LINK_READY)
		r = take_ready(h);
	else
		r = fail(-EPROTO, "a frame of kind %d", kind);
	if (r < 0) {
		/* Its memory is not to be trusted, so neither is anything else it says. */
		log_error("host %u is not understood: %s", h->number, fail_reason(r));
		kill_host(h, KILL_NONE);
	}
}

/* How long do jobs last?  By Little's law, from what was out and what has ended. */
static void measure(struct host *h)
{
	usec_t now = loop_now(h->crew->o.loop), took = now - h->window_at;
	unsigned running = MIN(h->window_out, h->crew->o.slots);
	unsigned base = base_credit(h);

	if (h->is_alone || took < WINDOW || h->window_done == 0)
		return;
	if (took * running / h->window_done < SHORT_JOB)
		h->credit = MAX(base, MIN(h->credit * 2, (unsigned) CREDIT_MOST));
	else
		h->credit = base;
	h->window_at = now;
	h->window_done = 0;
	h->window_out = h->out;
}

static void on_chunk(void *arg)
{
	struct host *h = arg;

	measure(h);
	if (h->is_worn && h->sm.state == HOST_READY && h->killed_for == KILL_NONE)
		let_end(h, KILL_WORN);
	feed(h->crew);
	h->crew->o.callbacks->on_chunk(h->crew->o.arg);
}

static void on_end(void *arg, int error)
{
	struct host *h = arg;

	h->has_ended = true;
	if (error < 0)
		log_warn("the channel of host %u broke: %s", h->number, error_sentence(error));
	if (!h->has_exited)
		process_kill(&h->process, SIGKILL); /* without its channel it is of no use */
	die(h);
}

static const struct channel_callbacks channel_callbacks = {
	.on_frame = on_frame,
	.on_chunk = on_chunk,
	.on_end = on_end,
};

/* Birth. */

static int spawn(struct host *h)
{
	struct crew *c = h->crew;
	char slots[16];
	const char *argv[] = { "apium-worker", "host", slots, NULL };
	int r = crashpage_make(&h->page, c->o.flights->count), fd;

	if (r < 0)
		return fail(r, "no memory to share with a host");
	fd = h->page.fd;
	h->started_slots = h->is_alone ? 1 : c->o.slots;
	(void) snprintf(slots, sizeof(slots), "%u", h->started_slots);
	r = process_start(
		c->o.loop, &h->process,
		&(struct process_options){
			.file = "/proc/self/exe", .argv = argv, .more_fds = &fd, .more_count = 1 },
		on_exit_seen, h);
	if (r < 0) {
		crashpage_fini(&h->page);
		return fail(r, "a host cannot be started: %s", error_sentence(r));
	}
	r = channel_open(c->o.loop, h->process.channel, LINK_MOST, &channel_callbacks, h,
			 &h->channel);
	must(r == 0); /* a fresh socket that nobody watches */
	h->process.channel = -1;
	return 0;
}

static void host_start(struct host *h)
{
	struct crew *c = h->crew;
	usec_t now = loop_now(c->o.loop);
	int r;

	h->has_exited = h->has_ended = false;
	h->killed_for = KILL_NONE;
	h->out = h->credit = 0;
	h->window_at = h->beat_at = h->started_at = now;
	h->window_done = h->window_out = 0;
	h->beats = 0;
	h->limit_at = USEC_NEVER;
	h->ended = 0;
	h->is_worn = false;
	r = spawn(h);
	if (r < 0) {
		log_error("%s, trying again", fail_reason(r));
		timer_start(c->o.loop, &h->timer, now + RESPAWN_MOST, on_respawn);
		return;
	}
	sm_move(&h->sm, HOST_STARTING);
}

/* Feeding. */

static struct host *best_shared(struct crew *c)
{
	struct host *best = NULL;

	for (unsigned i = 0; i < c->o.shared; i++) {
		struct host *h = &c->hosts[i];

		if (h->sm.state != HOST_READY || h->killed_for != KILL_NONE ||
		    h->out >= h->credit || channel_pending(h->channel) > PENDING_MOST)
			continue;
		if (best == NULL || h->out < best->out)
			best = h;
	}
	return best;
}

static struct host *idle_alone(struct crew *c)
{
	for (unsigned i = c->o.shared; i < c->count; i++) {
		struct host *h = &c->hosts[i];

		if (h->sm.state == HOST_READY && h->killed_for == KILL_NONE && h->out == 0 &&
		    !h->is_worn)
			return h;
	}
	return NULL;
}

/* One more alone host, if more jobs wait than are about to be ready. */
static void want_alone(struct crew *c)
{
	unsigned starting = 0;

	for (unsigned i = c->o.shared; i < c->count; i++)
		starting += c->hosts[i].sm.state == HOST_STARTING;
	for (unsigned i = c->o.shared; i < c->count && starting < c->alone_waiting; i++) {
		struct host *h = &c->hosts[i];

		if (h->sm.state != HOST_ABSENT || h->timer.loop != NULL)
			continue;
		host_start(h);
		starting++;
	}
}

static void note_sent(struct host *h, struct flight *f, const struct task *task)
{
	usec_t now = loop_now(h->crew->o.loop);

	if (h->out == 0) {
		h->window_at = now; /* idle time is nobody's */
		h->window_done = h->window_out = 0;
		h->beat_at = now;
	}
	f->state = FLIGHT_OUT;
	f->host = (uint16_t) h->number;
	f->sent_at = now;
	tally_started(f);
	h->out++;
	h->window_out = MAX(h->window_out, h->out);
	if (h->is_alone) {
		h->is_watched = task->where == TASK_SHARED;
		h->limit_at = f->hard_limit > 0 ? now + f->hard_limit + LIMIT_SLACK : USEC_NEVER;
	}
}

static void send_kept(struct host *h, struct flight *f)
{
	struct str frame = str_make(f->frame, f->frame_len);

	if (f->is_suspect)
		h->crew->o.callbacks->on_suspect(h->crew->o.arg, f, frame);
	crashpage_clear(&h->page, f->number);
	channel_send(h->channel, LINK_JOB, frame, STR_NULL);
	flight_drop_frame(f);
	note_sent(h, f, task_at(f->task));
}

static void feed(struct crew *c)
{
	struct host *h;

	if (c->is_closing)
		return;
	while (c->shared_waiting > 0 && (h = best_shared(c)) != NULL) {
		c->shared_waiting--;
		send_kept(h, list_entry(list_pop(&c->shared_line), struct flight, link));
	}
	while (c->alone_waiting > 0 && (h = idle_alone(c)) != NULL) {
		c->alone_waiting--;
		send_kept(h, list_entry(list_pop(&c->alone_line), struct flight, link));
	}
	if (c->alone_waiting > 0)
		want_alone(c);
}

static bool runs_alone(const struct flight *f, const struct task *task)
{
	return f->is_suspect || task->where == TASK_ALONE;
}

void crew_offer(struct crew *c, struct flight *f, const struct task *task,
		const struct link_job *job, const struct message *m)
{
	bool is_alone = runs_alone(f, task);
	struct host *h;

	must(list_is_empty(&f->link) && !f->is_lost);
	f->task = job->task;
	f->hard_limit = job->hard_limit;
	/* The usual case: straight into the buffer of a host's channel. */
	if (!is_alone && c->shared_waiting == 0 && (h = best_shared(c)) != NULL) {
		crashpage_clear(&h->page, f->number);
		link_add_job(channel_frame_begin(h->channel, LINK_JOB), job, m);
		channel_frame_end(h->channel);
		note_sent(h, f, task);
		return;
	}
	buf_clear(&c->scratch);
	link_add_job(&c->scratch, job, m);
	flight_drop_frame(f);
	flight_keep_frame(f, buf_str(&c->scratch));
	if (c->scratch.cap > MIB)
		buf_fini(&c->scratch);
	f->state = FLIGHT_WAITING;
	list_append(is_alone ? &c->alone_line : &c->shared_line, &f->link);
	if (is_alone)
		c->alone_waiting++;
	else
		c->shared_waiting++;
	feed(c);
}

void crew_forget(struct crew *c, struct flight *f)
{
	if (f->state != FLIGHT_WAITING || list_is_empty(&f->link))
		return;
	list_remove(&f->link);
	if (runs_alone(f, task_at(f->task)))
		c->alone_waiting--;
	else
		c->shared_waiting--;
}

unsigned crew_room(const struct crew *c)
{
	unsigned room = 0, taken = c->shared_waiting;

	for (unsigned i = 0; i < c->o.shared; i++)
		if (c->hosts[i].sm.state == HOST_READY && c->hosts[i].credit > c->hosts[i].out)
			room += c->hosts[i].credit - c->hosts[i].out;
	return room > taken ? room - taken : 0;
}

unsigned crew_out(const struct crew *c)
{
	unsigned out = 0;

	for (unsigned i = 0; i < c->count; i++)
		out += c->hosts[i].out;
	return out;
}

unsigned crew_alone_waiting(const struct crew *c)
{
	return c->alone_waiting;
}

bool crew_is_short_of_alone(const struct crew *c)
{
	return c->alone_waiting > 2 * c->o.alone;
}

unsigned crew_most(const struct crew_options *o)
{
	return o->shared * MAX(2 * o->slots, (unsigned) CREDIT_MOST) + 4 * o->alone;
}

void crew_flush(struct crew *c)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->hosts[i].sm.state == HOST_READY)
			channel_flush(c->hosts[i].channel);
}

void crew_signal(struct crew *c, int number)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->hosts[i].sm.state == HOST_READY)
			process_kill(&c->hosts[i].process, number);
}

void crew_pushed(struct crew *c, unsigned host, const struct link_pushed *answer)
{
	must(host < c->count);
	if (c->hosts[host].sm.state == HOST_READY)
		channel_send(c->hosts[host].channel, LINK_PUSHED, str_make(answer, sizeof(*answer)),
			     STR_NULL);
}

void crew_tell_queue(struct crew *c, unsigned host, unsigned place, struct str name)
{
	uint32_t number = place;

	must(host < c->count);
	if (c->hosts[host].sm.state == HOST_READY)
		channel_send(c->hosts[host].channel, LINK_QUEUE, str_make(&number, sizeof(number)),
			     name);
}

unsigned crew_hosts(const struct crew *c)
{
	return c->count;
}

/* What remote control asks for. */

/* Its outcome may have come while what becomes of it is still being decided: then it is nowhere. */
static bool is_at_host(const struct crew *c, const struct flight *f)
{
	return f->state == FLIGHT_OUT && f->host < c->count;
}

void crew_revoke(struct crew *c, struct flight *f, bool is_terminated)
{
	struct link_revoke revoke = { .name = { f->number, f->generation },
				      .is_terminated = is_terminated };
	struct host *h;

	if (!is_at_host(c, f))
		return;
	h = &c->hosts[f->host];
	if (h->is_alone && is_terminated && crashpage_has_started(&h->page, f->number))
		kill_host(h, KILL_REVOKED);
	else if (h->sm.state == HOST_READY)
		channel_send(h->channel, LINK_REVOKE, str_make(&revoke, sizeof(revoke)), STR_NULL);
}

void crew_set_slots(struct crew *c, unsigned slots)
{
	c->o.slots = MAX(slots, 1u);
	for (unsigned i = 0; i < c->o.shared; i++)
		if (c->hosts[i].sm.state == HOST_READY) {
			c->hosts[i].credit = base_credit(&c->hosts[i]);
			send_slots(&c->hosts[i]);
		}
	feed(c);
}

unsigned crew_slots(const struct crew *c)
{
	return c->o.shared * c->o.slots;
}

unsigned crew_shared_load(const struct crew *c)
{
	unsigned load = c->shared_waiting;

	for (unsigned i = 0; i < c->o.shared; i++)
		load += c->hosts[i].out;
	return load;
}

unsigned crew_running(const struct crew *c)
{
	const struct flights *f = c->o.flights;
	unsigned n = 0;

	for (uint32_t i = 0; i < f->fresh; i++)
		n += crew_has_started(c, &f->at[i]);
	return n;
}

bool crew_has_started(const struct crew *c, const struct flight *f)
{
	return is_at_host(c, f) && crashpage_has_started(&c->hosts[f->host].page, f->number);
}

int crew_pid_of(const struct crew *c, const struct flight *f)
{
	return is_at_host(c, f) ? c->hosts[f->host].process.pid : 0;
}

size_t crew_pids(const struct crew *c, int *pids, size_t most)
{
	size_t n = 0;

	for (unsigned i = 0; i < c->count && n < most; i++)
		if (c->hosts[i].sm.state == HOST_READY)
			pids[n++] = c->hosts[i].process.pid;
	return n;
}

/* The watch. */

static void watch_host(struct host *h, usec_t now, bool was_away)
{
	uint64_t beats;

	if (h->sm.state != HOST_READY)
		return;
	beats = crashpage_beats(&h->page);
	if (beats != h->beats || was_away) {
		h->beats = beats;
		h->beat_at = now;
	}
	if (now >= h->limit_at && h->out > 0) {
		log_warn("host %u passed a hard time limit, killing it", h->number);
		kill_host(h, KILL_LIMIT);
	} else if (now - h->beat_at > STUCK && h->out > 0 && (!h->is_alone || h->is_watched)) {
		log_warn("host %u has a task that does not yield, killing it", h->number);
		kill_host(h, KILL_STUCK);
	}
}

static void on_watch(struct timer *t)
{
	struct crew *c = container_of(t, struct crew, watch);
	usec_t now = loop_now(c->o.loop);
	bool was_away = now - c->watched_at > 3 * WATCH;

	c->watched_at = now;
	timer_start(c->o.loop, &c->watch, now + WATCH, on_watch);
	for (unsigned i = 0; i < c->count; i++)
		watch_host(&c->hosts[i], now, was_away);
}

/* Life. */

int crew_open(const struct crew_options *o, struct crew **ret)
{
	struct crew *c = calloc(1, sizeof(*c));

	must(c != NULL && o->shared > 0 && o->slots > 0);
	c->o = *o;
	c->count = o->shared + o->alone;
	must(c->count < FLIGHT_NOWHERE);
	c->hosts = calloc(c->count, sizeof(*c->hosts));
	must(c->hosts != NULL);
	list_init(&c->shared_line);
	list_init(&c->alone_line);
	buf_init(&c->scratch);
	for (unsigned i = 0; i < c->count; i++) {
		struct host *h = &c->hosts[i];

		h->crew = c;
		h->number = i;
		h->is_alone = i >= o->shared;
		h->page.fd = -1;
		sm_init(&h->sm, "host", states, HOST_STATES, HOST_ABSENT, NULL);
	}
	for (unsigned i = 0; i < o->shared; i++)
		host_start(&c->hosts[i]);
	c->watched_at = loop_now(o->loop);
	timer_start(o->loop, &c->watch, c->watched_at + WATCH, on_watch);
	*ret = c;
	return 0;
}

static void close_host(struct host *h, bool is_forced)
{
	struct loop *loop = h->crew->o.loop;

	timer_stop(&h->timer);
	if (h->sm.state == HOST_ABSENT)
		return;
	if (is_forced || h->sm.state == HOST_DYING) {
		h->killed_for = KILL_CLOSE;
		process_kill(&h->process, SIGKILL);
		if (h->has_exited) /* its channel's end is what is awaited */
			timer_start(loop, &h->timer, loop_now(loop) + END_PATIENCE,
				    on_patience_over);
		return;
	}
	let_end(h, KILL_CLOSE);
}

void crew_close(struct crew *c, bool is_forced, void (*on_closed)(void *), void *arg)
{
	must(!c->is_closing && on_closed != NULL);
	c->is_closing = true;
	for (unsigned i = 0; i < c->count; i++)
		close_host(&c->hosts[i], is_forced);
	c->on_closed = on_closed;
	c->on_closed_arg = arg;
	check_closed(c);
}
