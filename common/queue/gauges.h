/*
 * gauges.h - how much lies in each queue, for /metrics.
 *
 * What this worker holds is asked at each scrape; what lies in Redis is asked every five seconds, by
 * a fiber of the supervisor, and only where somebody may scrape it.
 */
#ifndef QUEUE_GAUGES_H
#define QUEUE_GAUGES_H

#include "base/macros.h"

struct supervisor;

void gauges_open(struct supervisor *); /* after the queues are known */
void gauges_close(struct supervisor *);
/* A queue has come to this place, or left it: its lanes are gone. */
void gauges_add(struct supervisor *, size_t place);
void gauges_drop(struct supervisor *, size_t place);
/* The body of a fiber for life; its argument is the supervisor. */
int gauges_keep(void *supervisor) may_yield;

#endif
