#include "queue/tally.h"

#include <stdlib.h>

#include "base/metric.h"
#include "base/world.h"

struct tally {
	struct metric_series *started, *crashes, *ended[TALLY_OUTCOMES];
	struct metric_series *wait, *run, *latency;
};

static struct tally *tallies; /* by the task's number; the last one: unknown tasks */
static size_t count;
static struct loop *clock_loop;
static usec_t clock_offset; /* from the loop's time to real time */

static void make(struct tally *t, const char *name)
{
	static const char *const outcomes[TALLY_OUTCOMES] = { "success", "retry", "dropped", "dead",
							      "revoked" };

	t->started = metric_series(METRIC_task_started, METRIC_VALUES(name));
	t->crashes = metric_series(METRIC_task_crashes, METRIC_VALUES(name));
	t->wait = metric_series(METRIC_task_wait, METRIC_VALUES(name));
	t->run = metric_series(METRIC_task_run, METRIC_VALUES(name));
	t->latency = metric_series(METRIC_task_latency, METRIC_VALUES(name));
	for (size_t i = 0; i < TALLY_OUTCOMES; i++)
		t->ended[i] = metric_series(METRIC_task_ended, METRIC_VALUES(name, outcomes[i]));
}

void tally_open(struct loop *loop)
{
	must(tallies == NULL);
	clock_loop = loop;
	tally_tick();
	count = task_count();
	tallies = calloc(count + 1, sizeof(*tallies));
	must(tallies != NULL);
	for (size_t i = 0; i < count; i++)
		make(&tallies[i], task_at(i)->name);
	make(&tallies[count], "unknown");
}

void tally_close(void)
{
	free(tallies);
	tallies = NULL;
}

void tally_tick(void)
{
	clock_offset = now_realtime() - now_monotonic();
}

static usec_t age(const struct flight *f)
{
	return loop_now(clock_loop) + clock_offset - f->asked_at;
}

static void ended(struct tally *t, enum tally_outcome outcome, const struct flight *f)
{
	series_add_own(t->ended[outcome], 1);
	if (outcome != TALLY_RETRY && f->asked_at != 0)
		series_observe_own(t->latency, age(f));
}

void tally_started(const struct flight *f)
{
	struct tally *t;

	if (tallies == NULL)
		return;
	t = &tallies[f->task];
	series_add_own(t->started, 1);
	if (f->is_first && f->asked_at != 0)
		series_observe_own(t->wait, age(f));
}

void tally_outcome(const struct flight *f, const struct link_outcome *o)
{
	struct tally *t;

	if (tallies == NULL || f->is_lost)
		return;
	t = &tallies[f->task];
	series_observe_own(t->run, o->took);
	if (o->state != LINK_FAILED)
		ended(t, o->is_dropped ? TALLY_DROPPED : TALLY_SUCCESS, f);
}

void tally_ended(const struct task *task, enum tally_outcome outcome, const struct flight *f)
{
	if (tallies != NULL)
		ended(&tallies[task == NULL ? count : task_number(task)], outcome, f);
}

void tally_crashed(const struct flight *f)
{
	if (tallies != NULL)
		series_add_own(tallies[f->task].crashes, 1);
}
