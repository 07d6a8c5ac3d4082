/*
 * zone.h - a time zone with its rules: which moments a wall clock there shows, and when.
 *
 * The rules are those of the system's tz database, read by GLib each time a zone is opened, so that
 * new rules need no restart.
 *
 * A wall-clock time is a usec_t too: microseconds since 1970 as if the wall showed UTC.
 */
#ifndef BEAT_ZONE_H
#define BEAT_ZONE_H

#include "base/str.h"

struct zone;

#define ZONE_MOST 64 /* bytes of a name */

/* "Europe/Berlin", "UTC", "+05:30".  0, or -EINVAL with a sentence. */
int zone_open(struct str name, struct zone **ret) _must_check_;
struct zone *zone_free(struct zone *); /* NULL is fine; returns NULL */

usec_t zone_wall(const struct zone *, usec_t at);
/*
 * The moments at which the wall shows that time, the earlier one first: two where clocks are put
 * back, none where they are put forward.  Where there is none, ret[0] is the moment at which it would
 * show it if it had not been put forward: 02:30 that is skipped is 03:30 (RFC 5545, 3.3.5).
 */
unsigned zone_moments(const struct zone *, usec_t wall, usec_t ret[2]);
/* Whether the offset stays the same from a day before `wall` to two days behind it; then *ret is it. */
bool zone_is_even(const struct zone *, usec_t wall, usec_t *ret);

#endif
