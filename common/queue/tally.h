/*
 * tally.h - what a supervisor counts of its jobs, task by task, for /metrics.
 *
 * On the job path: additions into series that are found by the task's number, by the supervisor's
 * one thread, and no question to the clock: the time is the loop's own, so latencies are exact to a
 * loop turn.
 */
#ifndef QUEUE_TALLY_H
#define QUEUE_TALLY_H

#include "queue/flight.h"
#include "queue/hostlink.h"
#include "queue/task.h"

enum tally_outcome {
	TALLY_SUCCESS,
	TALLY_RETRY,
	TALLY_DROPPED,
	TALLY_DEAD,
	TALLY_REVOKED,
	TALLY_OUTCOMES
};

/* Makes the series of every registered task, so that what never happened shows as 0.  Without it
 * nothing is counted. */
void tally_open(struct loop *);
void tally_close(void);
/* Now and then: how far real time is from the loop's. */
void tally_tick(void);

/* Handed to a host. */
void tally_started(const struct flight *);
/* A host's word: how long the body took; its end, if it is one (failures are decided later). */
void tally_outcome(const struct flight *, const struct link_outcome *);
/* `task` NULL: one that is not known here. */
void tally_ended(const struct task *, enum tally_outcome, const struct flight *);
void tally_crashed(const struct flight *);

#endif
