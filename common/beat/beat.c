#include "beat/beat.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crash.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/settings.h"
#include "beat/tick.h"
#include "http/exporter.h"
#include "queue/enqueue.h"
#include "queue/health.h"
#include "redis/redis.h"

#define LOOK_PERIOD  (1 * SEC)
#define LOOK_MOST    MINUTE
#define GIVE_UP_MOST (2 * SEC)
/* Of the health file: how long ago the last look may be. */
#define LOOK_FRESH   (15 * SEC)

struct beat {
	const struct beat_program *program;
	struct loop *loop;
	struct db *db;
	struct redis *redis;
	struct producer *producer;
	struct exporter *exporter;
	struct metric_collector collector;
	struct lease lease;
	struct ticker ticker;
	bool is_leading;  /* declarations are rows, since the lease is ours */
	usec_t looked_at; /* monotonic; 0: not yet */
	struct fiber *fiber;
	struct timer health;
	uv_signal_t signals[3]; /* SIGTERM, SIGINT, SIGHUP */
	unsigned closing;
};

/* Looking. */

static int decide_one(struct beat *b, struct arena *arena, struct str id)
{
	int r = tick_decide(&b->ticker, arena, id);

	/* Its own fault: the others must not wait for it. */
	if (r != -EINVAL && r != -E_SQL)
		return r;
	log_warn("schedule %.*s cannot be decided: %s, trying again in a minute", STR_ARG(id),
		 fail_reason(r));
	return tick_postpone(b->db, arena, id);
}

/* As the leader.  *ret_wait is 0 when there may be more at once. */
static int work(struct beat *b, struct arena *arena, usec_t *ret_wait)
{
	bool is_busy = false;
	struct str *ids;
	size_t count;
	int r = tick_look(b->db, arena, &ids, &count, ret_wait);

	for (size_t i = 0; i < count && r >= 0; i++) {
		r = decide_one(b, arena, ids[i]);
		is_busy |= r > 0;
	}
	if (is_busy)
		*ret_wait = 0;
	return MIN(r, 0);
}

static void set_leading(struct beat *b, bool is_leading)
{
	if (b->is_leading == is_leading)
		return;
	b->is_leading = is_leading;
	metric_set(METRIC_beat_leader, is_leading);
	if (is_leading)
		log_info("leading, term %" PRId64, b->lease.term);
	else
		log_info("not leading any more");
}

static int look(struct beat *b, usec_t *ret_wait)
{
	_cleanup_(arena_fini) struct arena arena;
	FIBER_DEADLINE(LOOK_MOST);
	int r;

	arena_init(&arena);
	*ret_wait = MIN(LOOK_PERIOD, b->lease.hold / 3);
	r = lease_keep(&b->lease, b->db, &arena);
	if (r == 0 && b->lease.is_held && !b->is_leading)
		r = periodic_declare(b->db, &arena, b->program->schedules,
				     b->program->schedule_count);
	if (r < 0)
		return r;
	set_leading(b, b->lease.is_held);
	if (b->is_leading) {
		usec_t wait = LOOK_PERIOD;

		r = work(b, &arena, &wait);
		*ret_wait = MIN(*ret_wait, wait);
	}
	if (r == -E_LOST) {
		set_leading(b, false);
		r = 0;
	}
	return r;
}

static int keep_looking(void *arg)
{
	struct beat *b = arg;
	bool was_well = true;
	int r;

	do {
		usec_t wait = LOOK_PERIOD;

		r = look(b, &wait);
		if (r == 0)
			b->looked_at = loop_now(b->loop);
		else if (r != -ECANCELED && was_well)
			log_warn("schedules cannot be looked after: %s, trying again",
				 fail_reason(r));
		was_well = r == 0;
		r = was_well ? fiber_sleep(wait) : fiber_sleep(LOOK_PERIOD);
	} while (r == 0);
	return r;
}

/* The fiber is cancelled: the one thing left is to let another lead. */
static int run(void *arg)
{
	_cleanup_(arena_fini) struct arena arena;
	struct beat *b = arg;
	int r = keep_looking(b);

	arena_init(&arena);
	FIBER_SHIELD(GIVE_UP_MOST);
	if (lease_release(&b->lease, b->db, &arena) < 0)
		log_debug("the lease could not be given up, ignoring: it ends by itself");
	set_leading(b, false);
	return r;
}

/* Health and metrics. */

static usec_t looked_ago(const struct beat *b)
{
	return b->looked_at == 0 ? -1 : loop_now(b->loop) - b->looked_at;
}

static void write_health(struct timer *t)
{
	struct beat *b = container_of(t, struct beat, health);
	char line[128];

	(void) snprintf(line, sizeof(line), "{\"looked_ms\": %" PRId64 ", \"state\": \"%s\"}",
			b->looked_at == 0 ? -1 : looked_ago(b) / MSEC,
			b->is_leading ? "leading" : "waiting");
	health_put(line);
	timer_start(b->loop, t, loop_now(b->loop) + LOOK_PERIOD, write_health);
}

static void collect(struct metric_collector *c)
{
	const struct beat *b = container_of(c, struct beat, collector);

	metric_set(METRIC_beat_looked, b->looked_at == 0 ? -SEC : looked_ago(b));
}

/* Life. */

static void on_part_closed(void *arg)
{
	struct beat *b = arg;

	if (--b->closing == 0)
		loop_stop(b->loop);
}

static void on_producer_closed(void *arg)
{
	struct beat *b = arg;

	db_close(b->db, on_part_closed, b);
	redis_close(b->redis, on_part_closed, b);
	exporter_close(b->exporter, on_part_closed, b);
}

static void on_fiber_end(void *arg, int result)
{
	struct beat *b = arg;

	(void) result; /* cancelled: there is no other way out */
	timer_stop(&b->health);
	for (size_t i = 0; i < ARRAY_SIZE(b->signals); i++)
		uv_close((uv_handle_t *) &b->signals[i], NULL);
	metric_collector_remove(&b->collector);
	redis_flush(b->redis);
	b->closing = 3;
	producer_close(b->producer, on_producer_closed, b);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct beat *b = signal->data;

	if (number == SIGHUP) {
		settings_on_hangup();
		redis_reload_tls();
		return;
	}
	log_info("%s: ending", strsignal(number));
	fiber_cancel(b->fiber);
}

static int watch_signals(struct beat *b)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++) {
		r = uv_signal_init(loop_uv(b->loop), &b->signals[i]);
		b->signals[i].data = b;
		if (r == 0)
			r = uv_signal_start(&b->signals[i], on_signal, numbers[i]);
	}
	return r;
}

static int open_stores(struct beat *b)
{
	const struct db_options db = { .url = settings.database_url,
				       .shared = 1,
				       .exclusive = 1,
				       .is_prepared = settings.db_prepare,
				       .application = b->program->name };
	const struct redis_options redis = { .url = settings.redis_url, .name = b->program->name };
	int r;

	r = db_open(b->loop, &db, &b->db);
	if (r == 0)
		r = redis_open(b->loop, &redis, &b->redis);
	if (r < 0)
		return r;
	const struct producer_options producer = { .loop = b->loop,
						   .db = b->db,
						   .redis = b->redis };
	return producer_new(&producer, &b->producer);
}

static int start(struct beat *b)
{
	int r = loop_new(&b->loop);

	if (r == 0)
		r = open_stores(b);
	if (r == 0)
		r = exporter_open(b->loop, settings.metrics_listen, b->program->name, &b->exporter);
	if (r == 0)
		r = watch_signals(b);
	if (r == 0)
		r = fiber_report_on_signal(b->loop);
	if (r < 0)
		return r;
	lease_init(&b->lease, settings.beat_lease);
	b->ticker = (struct ticker){ .db = b->db, .producer = b->producer, .lease = &b->lease };
	b->collector.run = collect;
	metric_collector_add(&b->collector);
	tick_tell_outcomes();
	b->fiber = fiber_start(b->loop, "beat", loop_now(b->loop) + FIBER_NO_LIMIT, run, b);
	must(b->fiber != NULL); /* the first of the process */
	fiber_detach(b->fiber, on_fiber_end, b);
	write_health(&b->health);
	log_info("beat %s: %zu schedules in code", b->lease.holder, b->program->schedule_count);
	return 0;
}

static int serve(const struct beat_program *program)
{
	struct beat b = { .program = program };
	int r = start(&b);

	if (r < 0) {
		/* Half-built parts are left to the end of the process, which is now. */
		log_error("beat cannot start: %s", fail_reason(r));
		return EXIT_FAILURE;
	}
	r = loop_run(b.loop);
	must(r == 0);
	b.loop = loop_free(b.loop);
	log_info("beat has ended");
	return EXIT_SUCCESS;
}

static int prepare(const struct beat_program *p)
{
	int r = task_register(p->tasks, p->task_count);

	if (r == 0 && p->prepare != NULL)
		r = p->prepare();
	return r < 0 ? r : schedules_check(p->schedules, p->schedule_count);
}

static int usage(const struct beat_program *p, const char *word)
{
	fprintf(stderr,
		"%s: takes no argument but health and --version; its settings are environment "
		"variables (`apium settings`), not %s\n",
		p->name, word);
	return 2;
}

int beat_main(int argc, char **argv, const struct beat_program *p)
{
	bool is_question = argc > 1 && strcmp(argv[1], "health") == 0;
	int r;

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("%s %s\n", p->name, p->version);
		return EXIT_SUCCESS;
	}
	if (argc > 1 && !is_question)
		return usage(p, argv[1]);
	crash_setup(p->name);
	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* OpenSSL writes without MSG_NOSIGNAL */
	log_setup(LOG_INFO, false, p->name);
	health_settings();
	r = settings_load();
	if (r == 0 && is_question)
		return health_judge("looked_ms", LOOK_FRESH, "PostgreSQL has not answered lately");
	if (r == 0) {
		log_setup(log_level_from_name(settings.log_level),
			  strcmp(settings.log_format, "json") == 0, p->name);
		r = prepare(p);
	}
	if (r < 0) {
		log_error("%s", fail_reason(r));
		return EXIT_FAILURE;
	}
	return serve(p);
}
