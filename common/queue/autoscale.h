/*
 * autoscale.h - slots of the shared hosts that follow the load (APIUM_AUTOSCALE, Celery's
 * --autoscale).
 *
 * Looked at once a second: as many slots as jobs are out, between the two bounds.  They grow at once and
 * shrink when fewer were wanted for 30 s (Celery's AUTOSCALE_KEEPALIVE).  A slot is a fiber, not a
 * process: what a lower bound saves is what the jobs would use, connections above all.  Alone hosts are
 * started as they are needed, with or without this.
 */
#ifndef QUEUE_AUTOSCALE_H
#define QUEUE_AUTOSCALE_H

#include "base/macros.h"

struct supervisor;

struct autoscale {
	unsigned most, least; /* slots of all shared hosts; most 0: off */
	usec_t looked_at;
	usec_t wanted_at; /* when what is there was last wanted */
};

/* Reads the setting.  0, or -E_BAD_SETTING. */
int autoscale_init(struct autoscale *) _must_check_;
bool autoscale_is_on(const struct autoscale *);
/* New bounds; they must be 1 <= least <= most. */
void autoscale_set(struct supervisor *, unsigned most, unsigned least);
/* As often as one likes. */
void autoscale_tick(struct supervisor *);

#endif
