/*
 * supervisor.h - the worker's first process: it fetches, hands out, acknowledges, and runs no task.
 *
 *   lanes (queue/lane.h)   one per queue and priority step, each with a fetching connection
 *   crew  (queue/crew.h)   the host processes
 *   arrive.c               what is done with a message that came
 *   fate.c                 what is done with a job that ended
 *   sweep.c, schedule.c, relay.c   fibers: dead workers' lists, waiting jobs, the outbox
 *
 *   RUNNING --SIGTERM--> DRAINING --all ended, or the grace is over, or a second signal--> LEAVING
 * --> CLOSING
 *
 * DRAINING: nothing is fetched, what waits for a host is given back at once, what runs may end.
 * LEAVING: what still ran is killed and given back as it was; acknowledgements are awaited; leases
 * are given up.  Then the loop ends and the exit status is 0.
 */
#ifndef QUEUE_SUPERVISOR_H
#define QUEUE_SUPERVISOR_H

#include "queue/worker.h"
#include "queue/worker_words.h"

/* The role's main.  Returns the exit status. */
int supervisor_main(const struct worker_program *, const struct worker_start *);

#endif
