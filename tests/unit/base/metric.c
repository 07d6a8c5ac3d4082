#include "base/metric.h"

#include <pthread.h>
#include <stdio.h>

#include <criterion/criterion.h>

static bool says(const char *line)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	metric_render(&text);
	return strstr(text.at, line) != NULL;
}

Test(metric, the_table_is_sound)
{
	cr_assert_eq(metric_check(), 0);
}

Test(metric, plain_ones_are_reached_by_name)
{
	cr_assert(says("\napium_sql_statements_total 0\n"));
	metric_add(METRIC_sql_statements, 3);
	cr_assert(says("# TYPE apium_sql_statements_total counter\n"
		       "apium_sql_statements_total 3\n"));
	metric_set(METRIC_process_start, 1500 * MSEC);
	cr_assert(says("\nprocess_start_time_seconds 1.500000\n"));
	metric_set(METRIC_outbox_worked, -SEC);
	cr_assert(says("\napium_outbox_relay_age_seconds -1.000000\n"));
}

Test(metric, a_series_is_made_once)
{
	struct metric_series *a = metric_series(METRIC_task_started, METRIC_VALUES("a"));

	cr_assert_eq(a, metric_series(METRIC_task_started, METRIC_VALUES("a")));
	cr_assert_neq(a, metric_series(METRIC_task_started, METRIC_VALUES("b")));
	series_add_own(a, 2);
	cr_assert(says("\napium_task_started_total{task=\"a\"} 2\n"));
	cr_assert(says("\napium_task_started_total{task=\"b\"} 0\n"));
}

Test(metric, one_without_series_is_not_shown)
{
	cr_assert(!says("apium_queue_waiting"));
}

Test(metric, values_are_escaped)
{
	(void) metric_series(METRIC_queue_waiting, METRIC_VALUES("a\"b\\c\nd"));
	cr_assert(says("\napium_queue_waiting{queue=\"a\\\"b\\\\c\\nd\"} 0\n"));
}

Test(metric, a_histogram_adds_up)
{
	struct metric_series *s = metric_series(METRIC_task_run, METRIC_VALUES("a"));

	series_observe(s, 1 * MSEC);
	series_observe_own(s, 1001);
	series_observe(s, 2 * HOUR);
	series_observe_own(s, -5);
	cr_assert(says("\napium_task_run_seconds_bucket{task=\"a\",le=\"0.001\"} 2\n"));
	cr_assert(says("\napium_task_run_seconds_bucket{task=\"a\",le=\"0.0025\"} 3\n"));
	cr_assert(says("\napium_task_run_seconds_bucket{task=\"a\",le=\"1800\"} 3\n"));
	cr_assert(says("\napium_task_run_seconds_bucket{task=\"a\",le=\"+Inf\"} 4\n"));
	cr_assert(says("\napium_task_run_seconds_sum{task=\"a\"} 7200.002001\n"));
	cr_assert(says("\napium_task_run_seconds_count{task=\"a\"} 4\n"));
}

Test(metric, memory_is_bounded)
{
	struct metric_series *last = NULL;
	char name[16];

	for (int i = 0; i < METRIC_SERIES_MOST + 2; i++) {
		(void) snprintf(name, sizeof(name), "%d", i);
		last = metric_series(METRIC_queue_dead, METRIC_VALUES(name));
	}
	series_set(last, 7);
	cr_assert(says("\napium_queue_dead_letters{queue=\"other\"} 7\n"));
	cr_assert(!says("{queue=\"4097\"}"));
	cr_assert_eq(last, metric_series(METRIC_queue_dead, METRIC_VALUES("beyond")));
}

static void *count(void *arg)
{
	for (int i = 0; i < 50000; i++) {
		series_add(arg, 1);
		metric_add(METRIC_redis_commands, 1);
	}
	return NULL;
}

Test(metric, threads_share_a_series)
{
	struct metric_series *s = metric_series(METRIC_task_started, METRIC_VALUES("t"));
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count, s), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(s->value, 200000);
	cr_assert(says("\napium_redis_commands_total 200000\n"));
}

static void collect(struct metric_collector *c)
{
	(void) c;
	metric_set(METRIC_fibers, 42);
}

Test(metric, collectors_run_before)
{
	struct metric_collector c = { .run = collect };

	metric_collector_add(&c);
	cr_assert(says("\napium_fibers 42\n"));
	metric_collector_remove(&c);
	metric_set(METRIC_fibers, 1);
	cr_assert(says("\napium_fibers 1\n"));
}
