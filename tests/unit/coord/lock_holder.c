/*
 * lock_holder.c - takes a lock and holds it until its standard input ends, for a test with Python on the
 * other side: lock-holder URL NAME WAIT_MS.  Says "held FENCE" or "refused: reason".
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "coord/lock.h"
#include "loop/offload.h"

struct job {
	char **arguments;
	struct redis *redis;
};

static int wait_for_end(void *arg)
{
	char byte;

	(void) arg;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

static int hold(void *arg)
{
	struct job *job = arg;
	const struct lock_options options = { .name = str_c(job->arguments[2]),
					      .hold = SEC,
					      .wait = atoi(job->arguments[3]) * MSEC };
	_cleanup_(lock_releasep) struct lock *l = NULL;
	int r = lock_take(job->redis, &options, &l);

	if (r < 0) {
		printf("refused: %s\n", fail_reason(r));
		return 0;
	}
	printf("held %lu\n", (unsigned long) lock_fence(l));
	fflush(stdout);
	return offload(offload_files(), wait_for_end, NULL);
}

static void on_end(void *arg, int result)
{
	struct job *job = arg;

	(void) result;
	redis_flush(job->redis); /* the release */
	redis_close(job->redis, NULL, NULL);
}

int main(int argc, char **argv)
{
	struct job job = { .arguments = argv };
	struct loop *loop;
	int r;

	must(argc == 4);
	must(loop_new(&loop) == 0);
	must(redis_open(loop, &(struct redis_options){ .url = argv[1] }, &job.redis) == 0);
	fiber_detach(fiber_start(loop, "holder", loop_now(loop) + MINUTE, hold, &job), on_end,
		     &job);
	r = loop_run(loop);
	loop_free(loop);
	return r < 0;
}
