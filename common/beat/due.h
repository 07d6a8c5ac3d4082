/*
 * due.h - what becomes of the planned times that have come, by the policy for missed ones.
 *
 * A planned time is missed when it is looked at more than a minute late (DUE_LATE: longer than it
 * takes until another process leads), or when the next one has come as well.
 *
 *   skip   missed ones are not run
 *   one    of all that have come, the last one is run
 *   all    every one is run
 *
 * and none that is later than the starting deadline (0: however late).
 *
 * Pure: asks no clock.  The same plan follows from the same numbers, whoever makes it.
 */
#ifndef BEAT_DUE_H
#define BEAT_DUE_H

#include "beat/when.h"

enum missed { MISSED_ONE, MISSED_SKIP, MISSED_ALL, MISSED_POLICIES };
extern const char *const missed_names[MISSED_POLICIES]; /* "one", … */
/* 0, or -EINVAL with a sentence. */
int missed_parse(struct str word, enum missed *ret) _must_check_;

#define DUE_LATE  MINUTE
#define DUE_STEPS 32   /* most steps of one plan */
#define DUE_WALK  1000 /* most planned times of one plan */

/* A planned time to run, or several behind each other that are not. */
struct due_step {
	usec_t planned; /* the last of them */
	bool is_run;
	int times;
};

struct due_plan {
	struct due_step steps[DUE_STEPS];
	size_t count;
	usec_t next; /* the first planned time that the plan does not speak of; it may have come too */
};

void due_plan(const struct when *, enum missed, usec_t starting_deadline, usec_t next, usec_t now,
	      struct due_plan *ret);

#endif
