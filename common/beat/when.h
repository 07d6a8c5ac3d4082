/*
 * when.h - when something is planned: at the minutes of a crontab on the wall clocks of a zone, or
 * every so many seconds from an anchor.
 *
 * Where clocks change (DST):
 *
 *   a crontab that names hours (`30 2 * * *`)  each wall-clock time is planned once a day.  One that is
 *       skipped is planned as if clocks had not been put forward yet: 02:30 at 03:30.  One that comes
 *       twice is planned the first time.
 *   a crontab of all hours (`30 * * * *`)      goes by the hours that really pass: nothing for an hour
 *       that is skipped, one more for an hour that comes twice.
 *   an interval                                does not look at the wall.
 *
 * Pure: asks no clock.
 */
#ifndef BEAT_WHEN_H
#define BEAT_WHEN_H

#include "beat/crontab.h"
#include "beat/zone.h"

struct when {
	struct crontab crontab; /* when `every` is 0 */
	struct zone *zone;      /* likewise; owned */
	usec_t every, anchor;   /* planned are anchor + every, anchor + 2 every, … */
};

/* clang-format off */
#define WHEN_INIT { .zone = NULL }
/* clang-format on */

/* Exactly one of `crontab` (absent: none) and `every` (0: none).  0, or -EINVAL with a sentence. */
int when_init(struct when *, struct str crontab, usec_t every, usec_t anchor, struct str zone)
	_must_check_;
void when_fini(struct when *); /* usable as a cleanup */

/* The first planned time behind that one; USEC_NEVER: none within fifty years. */
usec_t when_next(const struct when *, usec_t after);

#endif
