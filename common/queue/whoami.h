/*
 * whoami.h - the name under which a worker process takes jobs, and whether another such name still
 * lives.
 *
 * "<place>.<pid>.<start>": the place is a hash of the machine's boot and the process-number
 * namespace, so that two processes with one place can look each other up in /proc; the start (clock
 * ticks since boot) tells a process from a later one with its number.  A token (queue/lane.h)
 * begins with it.
 */
#ifndef QUEUE_WHOAMI_H
#define QUEUE_WHOAMI_H

#include "base/str.h"

#define WHOAMI_MOST 64

/* 0 or negative (no /proc). */
int whoami(char name[WHOAMI_MOST]) _must_check_;
/* False only when it is known: the same place, and no such process.  `token` may go on after the
 * name. */
bool whoami_may_live(struct str token);

#endif
