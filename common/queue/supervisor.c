#include "queue/supervisor-internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "http/exporter.h"
#include "queue/consumer.h"
#include "queue/gauges.h"
#include "queue/health.h"
#include "queue/push.h"
#include "queue/relay.h"
#include "queue/schedule.h"
#include "queue/sweep.h"
#include "queue/tally.h"
#include "queue/whoami.h"

#define TICK       (100 * MSEC)
/* An idle lane asks for this many at a time: more would only slow the wake-up. */
#define IDLE_BATCH 8
/* After what was cut off has been given back: for the answers to come, before it is left to a
 * sweep. */
#define LEAVE_MOST (5 * SEC)
/* Records beyond what hosts may hold: batches under way, ends under way, what was found in a
 * resync. */
#define SPARE      65536

/* clang-format off */
static const struct sm_state states[SUPERVISOR_STATES] = {
	[SUPERVISOR_RUNNING]  = { "running",  SM_TO(SUPERVISOR_DRAINING) },
	[SUPERVISOR_DRAINING] = { "draining", SM_TO(SUPERVISOR_LEAVING) },
	[SUPERVISOR_LEAVING]  = { "leaving",  SM_TO(SUPERVISOR_CLOSING) },
	[SUPERVISOR_CLOSING]  = { "closing",  0 },
};
/* clang-format on */

struct lane *supervisor_lane(struct supervisor *s, const struct flight *f)
{
	must(f->lane < s->lane_count && s->lanes[f->lane] != NULL);
	return s->lanes[f->lane];
}

/* Fetching. */

/* What lanes have asked for.  Those that wait at an empty list do not count: there are as many as
 * lists, more, perhaps, than there is room, and each must wait.  So each of them may bring a few
 * jobs too many. */
static unsigned asked(const struct supervisor *s)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i] != NULL && !lane_is_dry(s->lanes[i]))
			sum += lane_asked(s->lanes[i]);
	return sum;
}

/* Strict priority: a list is asked only while those above it were found empty. */
static bool is_its_turn(const struct supervisor *s, unsigned queue, int step)
{
	for (int above = 0; above < step; above++) {
		const struct lane *lane =
			s->lanes[queue * (unsigned) queue_steps() + (unsigned) above];

		if (lane_is_open(lane) && !lane_is_dry(lane))
			return false;
	}
	return true;
}

static unsigned fetch_lane(struct supervisor *s, unsigned number, unsigned room)
{
	struct lane *lane = s->lanes[number];

	if (lane == NULL || control_is_cancelled(s->control, number / (unsigned) queue_steps()) ||
	    !lane_may_fetch(lane) ||
	    !is_its_turn(s, number / (unsigned) queue_steps(), lane_step(lane)))
		return 0;
	if (s->is_fed_alone[number] && crew_is_short_of_alone(s->crew))
		return 0;
	if (lane_is_dry(lane)) {
		(void) lane_fetch(lane, MIN(MAX(room / s->lane_count, 1u), (unsigned) IDLE_BATCH));
		return 0;
	}
	/* Small batches are dear: a lane at work waits until a good part of the room is free. */
	if (room < s->quantum && lane_asked(lane) > 0)
		return 0;
	return lane_fetch(lane, MIN(room, (unsigned) LANE_BATCH));
}

static void fetch(struct supervisor *s)
{
	unsigned room = crew_room(s->crew), out = asked(s);

	if (supervisor_is_stopping(s) || !control_is_loaded(s->control) || room <= out ||
	    flights_left(&s->flights) < SPARE / 2)
		return;
	room -= out;
	s->turn++;
	for (int step = 0; step < queue_steps(); step++)
		for (unsigned i = 0; i < s->queue_count && room > 0; i++) {
			unsigned queue = (unsigned) ((i + s->turn) % s->queue_count);
			unsigned n;

			do {
				n = fetch_lane(s,
					       queue * (unsigned) queue_steps() + (unsigned) step,
					       room);
				room -= MIN(n, room);
			} while (n == LANE_BATCH && room > 0);
		}
}

void supervisor_pump(struct supervisor *s)
{
	if (s->sm.state == SUPERVISOR_CLOSING)
		return;
	if (!s->is_crew_gone)
		crew_flush(s->crew);
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i] != NULL)
			lane_flush(s->lanes[i]);
	redis_flush(s->acks);
	if (!s->is_crew_gone)
		fetch(s);
}

/* What lanes and hosts have to say. */

static void on_message(void *arg, struct lane *lane, struct flight *f, int scanned,
		       const struct message *m)
{
	arrive(arg, lane, f, scanned, m);
}

static void on_lost(void *arg, struct lane *lane, struct flight *f)
{
	struct supervisor *s = arg;

	(void) lane;
	series_add_own(s->losses[f->lane / (unsigned) queue_steps()], 1);
	if (!s->is_crew_gone)
		crew_forget(s->crew, f);
}

static void on_lane_progress(void *arg, struct lane *lane)
{
	(void) lane;
	supervisor_pump(arg);
}

const struct lane_callbacks supervisor_lane_callbacks = {
	.on_message = on_message,
	.on_lost = on_lost,
	.on_progress = on_lane_progress,
};

static void on_outcome(void *arg, struct flight *f, enum link_state state, struct str payload)
{
	fate_outcome(arg, f, state, payload);
}

static void on_death(void *arg, struct flight *f, enum crew_end end, const char *how)
{
	fate_death(arg, f, end, how);
}

static void on_told(void *arg _unused_, int error, const struct redis_reply *reply)
{
	if (error < 0 || reply->type == REDIS_ERROR)
		log_debug("a job's progress was lost, ignoring");
}

void supervisor_tell(struct supervisor *s, struct str id, struct str document)
{
	struct redis *redis = s->results != NULL ? s->results : s->general;
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	char ttl[16];

	(void) snprintf(ttl, sizeof(ttl), "%" PRId64, result_ttl());
	queue_key_result(&key, id);
	if (redis_send_script(redis, &script_tell, 1,
			      REDIS_WORDS(buf_str(&key), document, str_c(ttl), STR("")), on_told,
			      NULL) < 0)
		log_debug("a job's progress could not be told, ignoring");
}

static void on_progress(void *arg, struct str payload)
{
	struct str texts[2];

	if (link_unpack(&payload, texts, ARRAY_SIZE(texts)) == 0)
		supervisor_tell(arg, texts[0], texts[1]);
}

static void on_started(void *arg, struct flight *f, struct str payload)
{
	struct str texts[2];

	struct supervisor *s = arg;

	if (f->is_lost || link_unpack(&payload, texts, ARRAY_SIZE(texts)) < 0)
		return;
	if (!str_is_null(texts[1]))
		supervisor_tell(s, texts[0], texts[1]);
	if (s->events.is_on)
		events_started(s, texts[0]);
}

static void on_suspect(void *arg, struct flight *f, struct str frame)
{
	_cleanup_(arena_fini) struct arena arena;
	struct link_job job;
	struct message m;

	arena_init(&arena);
	must(link_take_job(frame, &job, &m) == 0); /* our own frame */
	fate_suspect(arg, f, message_text(&arena, &m, MESSAGE_ID));
}

struct pushing {
	struct supervisor *s;
	unsigned host;
	struct link_pushed answer;
};

static void on_pushed(void *arg, int error, const struct redis_reply *reply)
{
	struct pushing *p = arg;

	if (error == 0 && reply->type == REDIS_ERROR)
		error = -E_REDIS;
	p->answer.result = error;
	if (error < 0)
		log_debug("a task's push failed: %s", error_sentence(error));
	if (p->answer.request != 0 && !p->s->is_crew_gone)
		crew_pushed(p->s->crew, p->host, &p->answer);
	free(p);
}

/* WAIT is for those who want an answer. */
static enum task_durability how_to_push(const struct supervisor *s, const struct link_push *head)
{
	if (head->durability == TASK_WAITED && (head->request == 0 || s->waited == NULL))
		return TASK_FAST;
	return (enum task_durability) head->durability;
}

static void on_push(void *arg, unsigned host, struct str payload)
{
	struct supervisor *s = arg;
	struct pushing *p = calloc(1, sizeof(*p));
	struct link_push head;
	struct str texts[4];
	struct push push;
	int r;

	must(p != NULL);
	p->s = s;
	p->host = host;
	r = link_take(&payload, &head, sizeof(head));
	if (r == 0)
		r = link_unpack(&payload, texts, ARRAY_SIZE(texts));
	if (r == 0) {
		p->answer.request = head.request;
		push = (struct push){ .id = texts[1],
				      .message = texts[2],
				      .durability = how_to_push(s, &head),
				      .priority = head.priority,
				      .eta = head.eta,
				      .chord = texts[3],
				      .chord_size = head.chord_size };
		r = queue_book_find(&s->book, texts[0], &push.keys);
	}
	if (r == 0)
		r = push_send(push.durability == TASK_WAITED ? s->waited : s->general, &push,
			      on_pushed, p);
	if (r < 0)
		on_pushed(p, r, NULL);
}

static void on_host_ready(void *arg, unsigned host)
{
	consumers_tell(arg, host);
}

static void on_crew_chunk(void *arg)
{
	supervisor_pump(arg);
}

static const struct crew_callbacks crew_callbacks = {
	.on_outcome = on_outcome,
	.on_death = on_death,
	.on_progress = on_progress,
	.on_started = on_started,
	.on_push = on_push,
	.on_suspect = on_suspect,
	.on_ready = on_host_ready,
	.on_chunk = on_crew_chunk,
};

/* Connections. */

static void tell_lanes(struct supervisor *s, bool is_ready)
{
	s->has_acks = is_ready;
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i] != NULL)
			lane_acks_changed(s->lanes[i], is_ready);
}

static void on_scripts(void *arg, int error)
{
	if (error < 0)
		log_warn("scripts could not be loaded: %s", fail_reason(error));
	else
		tell_lanes(arg, true);
}

static void on_acks_state(void *arg, uint64_t generation)
{
	struct supervisor *s = arg;

	if (generation == 0)
		tell_lanes(s, false);
	else if (scripts_load(s->acks, on_scripts, s) < 0)
		log_debug("the connection was lost again");
}

static void on_general_state(void *arg, uint64_t generation)
{
	struct supervisor *s = arg;

	if (generation == 0)
		return;
	consumers_bind(s);
	if (!supervisor_is_stopping(s))
		events_worker(s, EVENTS_ONLINE);
}

static bool has_waited_task(void)
{
	for (size_t i = 0; i < task_count(); i++)
		if (task_at(i)->durability == TASK_WAITED)
			return true;
	return false;
}

static int open_connections(struct supervisor *s)
{
	struct redis_options acks = {
		.url = settings.redis_url, .name = "apium-acks", .on_state = on_acks_state, .arg = s
	};
	struct redis_options general = { .url = settings.redis_url,
					 .name = "apium-supervisor",
					 .on_state = on_general_state,
					 .arg = s };
	struct redis_options waited = { .url = settings.redis_url, .name = "apium-waited" };
	struct redis_options results = { .url = settings.result_url, .name = "apium-results" };
	struct db_options db = {
		.url = settings.database_url,
		.shared = 1,
		.exclusive = 2, /* the relay's transaction, and deletes beside it */
		.is_prepared = settings.db_prepare,
		.application = s->program->name,
	};
	int r = redis_open(s->loop, &acks, &s->acks);

	if (r == 0)
		r = redis_open(s->loop, &general, &s->general);
	if (r == 0 && has_waited_task())
		r = redis_open(s->loop, &waited, &s->waited);
	if (r == 0 && settings.result_url[0] != '\0')
		r = redis_open(s->loop, &results, &s->results);
	if (r == 0)
		r = db_open(s->loop, &db, &s->db);
	return r;
}

/* Fibers for life. */

static void on_keeper_end(void *arg, int result)
{
	struct supervisor *s = arg;

	(void) result; /* cancelled: there is no other way out */
	s->keepers_left--;
}

static int keep(struct supervisor *s, const char *name, int (*body)(void *))
{
	struct fiber *f = fiber_start(s->loop, name, loop_now(s->loop) + FIBER_NO_LIMIT, body, s);

	if (f == NULL)
		return fail(-ENOMEM, "no stack for a fiber");
	must(s->keeper_count < ARRAY_SIZE(s->keepers));
	s->keepers[s->keeper_count++] = f;
	s->keepers_left++;
	fiber_detach(f, on_keeper_end, s);
	return 0;
}

/* The end. */

static void on_part_closed(void *arg)
{
	struct supervisor *s = arg;

	if (--s->closings == 0)
		loop_stop(s->loop);
}

void supervisor_lane_dropped(void *arg)
{
	struct supervisor *s = arg;

	s->lanes_dropped--;
	if (s->is_closed)
		on_part_closed(s);
}

static void close_lanes(struct supervisor *s)
{
	for (unsigned i = 0; i < s->lane_count; i++) {
		if (s->lanes[i] == NULL)
			continue;
		s->closings++;
		lane_close(s->lanes[i], on_part_closed, s);
	}
	s->lane_count = 0;
}

/* The fibers have ended.  The shared connection first: that ends what the lanes still wait for. */
static void close_all(struct supervisor *s)
{
	timer_stop(&s->tick);
	s->closings = 1;
	if (s->results != NULL) {
		s->closings++;
		redis_close(s->results, on_part_closed, s);
	}
	if (s->waited != NULL) {
		s->closings++;
		redis_close(s->waited, on_part_closed, s);
	}
	s->closings += 5 + s->lanes_dropped;
	control_close(s->control, on_part_closed, s);
	exporter_close(s->exporter, on_part_closed, s);
	redis_close(s->general, on_part_closed, s);
	redis_close(s->acks, on_part_closed, s);
	close_lanes(s);
	db_close(s->db, on_part_closed, s);
	on_part_closed(s);
}

static void on_relay_closed(void *arg)
{
	struct supervisor *s = arg;

	s->relay = NULL;
}

static void begin_closing(struct supervisor *s)
{
	events_close_down(s);
	redis_flush(s->general);
	sm_move(&s->sm, SUPERVISOR_CLOSING);
	for (unsigned i = 0; i < s->keeper_count; i++)
		fiber_cancel(s->keepers[i]);
	relay_close(s->relay, on_relay_closed, s);
	uv_close((uv_handle_t *) &s->terminate, NULL);
	uv_close((uv_handle_t *) &s->interrupt, NULL);
	uv_close((uv_handle_t *) &s->hangup, NULL);
}

static void on_lane_left(void *arg)
{
	struct supervisor *s = arg;

	s->lanes_left--;
}

static void on_crew_closed(void *arg)
{
	struct supervisor *s = arg;

	s->is_crew_gone = true;
	supervisor_pump(s);
}

/* Nothing fetched, nothing asked for: does any lane still hold a message? */
static bool is_empty_handed(struct supervisor *s)
{
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i] != NULL &&
		    (!lane_is_quiet(s->lanes[i]) || lane_held(s->lanes[i]) > 0))
			return false;
	return true;
}

static void leave(struct supervisor *s)
{
	s->has_left = true;
	s->lanes_left = 1; /* ours: until all have been told */
	for (unsigned i = 0; i < s->lane_count; i++) {
		if (s->lanes[i] == NULL)
			continue;
		s->lanes_left++;
		lane_leave(s->lanes[i], on_lane_left, s);
	}
	on_lane_left(s);
}

static void cut_off(struct supervisor *s)
{
	unsigned out = crew_out(s->crew);

	if (out > 0)
		log_warn("%u jobs still run: cut off and given back", out);
	sm_move(&s->sm, SUPERVISOR_LEAVING);
	s->leave_at = loop_now(s->loop) + LEAVE_MOST;
	crew_close(s->crew, out > 0, on_crew_closed, s);
}

static void stop_lanes(struct supervisor *s)
{
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i] != NULL && !lane_is_quiet(s->lanes[i]))
			lane_stop(s->lanes[i]);
}

static bool are_quiet(struct supervisor *s)
{
	for (unsigned i = 0; i < s->lane_count; i++)
		if (s->lanes[i] != NULL && !lane_is_quiet(s->lanes[i]))
			return false;
	return true;
}

/* One step further towards the end, if it can be taken. */
static void step_down(struct supervisor *s)
{
	usec_t now = loop_now(s->loop);

	if (s->sm.state == SUPERVISOR_DRAINING) {
		stop_lanes(s);
		if (now >= s->leave_at || (crew_out(s->crew) == 0 && are_quiet(s)))
			cut_off(s);
	} else if (s->sm.state == SUPERVISOR_LEAVING) {
		stop_lanes(s);
		if (s->is_crew_gone && !s->has_left && (is_empty_handed(s) || now >= s->leave_at))
			leave(s);
		if (s->has_left && (s->lanes_left == 0 || now >= s->leave_at + LEAVE_MOST))
			begin_closing(s);
	} else if (s->sm.state == SUPERVISOR_CLOSING && !s->is_closed && s->keepers_left == 0 &&
		   s->relay == NULL) {
		s->is_closed = true;
		close_all(s);
	}
}

static void give_back_waiting(struct supervisor *s)
{
	for (uint32_t i = 0; i < s->flights.fresh; i++)
		if (s->flights.at[i].state == FLIGHT_WAITING)
			fate_release(s, &s->flights.at[i]);
}

static void drain(struct supervisor *s)
{
	log_info("draining: %u jobs run, up to %lld s", crew_out(s->crew),
		 (long long) (settings.grace / SEC));
	sm_move(&s->sm, SUPERVISOR_DRAINING);
	s->leave_at = loop_now(s->loop) + settings.grace;
	give_back_waiting(s);
	stop_lanes(s);
	supervisor_pump(s);
}

void supervisor_drain(struct supervisor *s)
{
	if (s->sm.state == SUPERVISOR_RUNNING)
		drain(s);
	step_down(s);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct supervisor *s = signal->data;

	(void) number;
	if (s->sm.state == SUPERVISOR_RUNNING) {
		drain(s);
	} else if (s->sm.state == SUPERVISOR_DRAINING) {
		log_warn("told twice: not waiting any longer");
		s->leave_at = loop_now(s->loop);
	}
	step_down(s);
}

static void on_hangup(uv_signal_t *signal, int number)
{
	struct supervisor *s = signal->data;

	(void) number;
	settings_on_hangup();
	redis_reload_tls();
	if (!s->is_crew_gone)
		crew_signal(s->crew, SIGHUP);
}

/* Life. */

static void on_tick(struct timer *t)
{
	struct supervisor *s = container_of(t, struct supervisor, tick);
	usec_t now = loop_now(s->loop);

	if (!s->is_closed)
		timer_start(s->loop, &s->tick, now + TICK, on_tick);
	if (now - s->renewed_at >= LANE_RENEWAL && s->sm.state != SUPERVISOR_CLOSING) {
		s->renewed_at = now;
		for (unsigned i = 0; i < s->lane_count; i++)
			if (s->lanes[i] != NULL)
				lane_renew(s->lanes[i]);
	}
	consumers_tick(s);
	autoscale_tick(s);
	events_tick(s);
	health_write(s);
	tally_tick();
	supervisor_pump(s);
	step_down(s);
}

static int watch_signal(struct supervisor *s, uv_signal_t *signal, int number,
			void (*on)(uv_signal_t *, int))
{
	int r = uv_signal_init(loop_uv(s->loop), signal);

	signal->data = s;
	return r < 0 ? r : uv_signal_start(signal, on, number);
}

static void say_connections(struct supervisor *s)
{
	int64_t shared = settings.hosts * (settings.db_shared + settings.db_exclusive);
	int64_t alone = settings.processes * 2;

	(void) s;
	log_event(LOG_INFO, "database connections at most", LOG_INT("sum", shared + alone + 3),
		  LOG_INT("shared_hosts", shared), LOG_INT("alone_hosts", alone),
		  LOG_INT("supervisor", 3));
}

static int start(struct supervisor *s)
{
	struct crew_options crew = {
		.flights = &s->flights,
		.shared = (unsigned) settings.hosts,
		.alone = (unsigned) MAX(settings.processes, (int64_t) 1),
		.slots = (unsigned) settings.concurrency,
		.jobs_most = settings.max_tasks_per_child,
		.memory_most = settings.max_memory_per_child,
		.callbacks = &crew_callbacks,
		.arg = s,
	};
	int r = autoscale_init(&s->autoscale);

	if (r < 0)
		return r;
	if (autoscale_is_on(&s->autoscale))
		crew.slots = (s->autoscale.least + crew.shared - 1) / crew.shared;

	s->quantum = MAX(MIN(2 * crew.slots, (unsigned) LANE_BATCH) / 4, 1u);
	flights_init(&s->flights, crew_most(&crew) + SPARE);
	queue_book_init(&s->book);
	r = consumers_read(s);
	if (r == 0)
		r = loop_new(&s->loop);
	if (r < 0)
		return r;
	crew.loop = s->loop;
	events_open(s);
	tally_open(s->loop);
	gauges_open(s);
	r = exporter_open(s->loop, settings.metrics_listen, s->program->name, &s->exporter);
	if (r == 0)
		r = open_connections(s);
	if (r == 0)
		r = crew_open(&crew, &s->crew);
	if (r == 0)
		r = control_open(s, &s->control);
	if (r == 0)
		r = consumers_open(s);
	if (r == 0)
		r = relay_open(&(struct relay_options){ .loop = s->loop,
							.db = s->db,
							.redis = s->general },
			       &s->relay);
	if (r == 0)
		r = keep(s, "schedule", schedule_keep);
	if (r == 0)
		r = keep(s, "sweep", sweep_keep);
	if (r == 0)
		r = keep(s, "control", control_keep);
	if (r == 0 && s->exporter != NULL)
		r = keep(s, "gauges", gauges_keep);
	if (r == 0)
		r = watch_signal(s, &s->terminate, SIGTERM, on_signal);
	if (r == 0)
		r = watch_signal(s, &s->interrupt, SIGINT, on_signal);
	if (r == 0)
		r = watch_signal(s, &s->hangup, SIGHUP, on_hangup);
	if (r == 0)
		r = fiber_report_on_signal(s->loop);
	if (r < 0)
		return r;
	s->renewed_at = loop_now(s->loop);
	timer_start(s->loop, &s->tick, s->renewed_at + TICK, on_tick);
	say_connections(s);
	log_info("worker %s consumes %s", s->worker, settings.queues);
	return 0;
}

static void free_flights(struct supervisor *s)
{
	for (uint32_t i = 0; i < s->flights.fresh; i++)
		if (s->flights.at[i].state != FLIGHT_FREE)
			flight_free(&s->flights, &s->flights.at[i]);
	flights_fini(&s->flights);
}

int supervisor_main(const struct worker_program *program, const struct worker_start *how)
{
	struct supervisor s = { .magic = SUPERVISOR_MAGIC,
				.program = program,
				.is_purging = how->purges };
	int r;

	arena_init(&s.arena);
	sm_init(&s.sm, "supervisor", states, SUPERVISOR_STATES, SUPERVISOR_RUNNING, NULL);
	r = whoami(s.worker);
	if (r == 0)
		r = start(&s);
	if (r < 0) {
		/* Half-built parts are left to the end of the process, which is now: nobody else
		 * looks for them. */
		log_error("the worker cannot start: %s", fail_reason(r));
		_exit(EXIT_FAILURE);
	}
	r = loop_run(s.loop);
	if (r < 0) {
		log_error("the loop broke: %s", error_sentence(r));
		return EXIT_FAILURE;
	}
	gauges_close(&s);
	tally_close();
	control_free(s.control);
	events_close(&s);
	free_flights(&s);
	free(s.lanes);
	free(s.is_fed_alone);
	queue_book_fini(&s.book);
	arena_fini(&s.arena);
	loop_free(s.loop);
	log_info("worker has ended");
	return EXIT_SUCCESS;
}
