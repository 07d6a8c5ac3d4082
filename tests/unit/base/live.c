#include "base/live.h"

#include <pthread.h>

#include <criterion/criterion.h>

static void *count(void *arg)
{
	for (int i = 0; i < 100000; i++)
		live_add(LIVE_jobs, 1);
	return NULL;
}

Test(live, threads_share_the_counters)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(live_get(LIVE_jobs), 400000);
	cr_assert_eq(live_get(LIVE_fibers), 0);
	cr_assert_str_eq(live_name(LIVE_jobs), "jobs");
}
