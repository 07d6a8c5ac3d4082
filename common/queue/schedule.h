/*
 * schedule.h - jobs whose time has not come: a sorted set per queue, by due time in Redis's own
 * clock.
 *
 * A member is "<step>:<unique>:<message>": the step says to which list it goes, the unique part
 * keeps two messages of the same bytes apart.  A fiber of every supervisor moves what is due (32 at
 * a time) to the right end of its list: its wait is over, so it is the next to be taken.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "base/buf.h"

struct supervisor;

void schedule_member(struct buf *out, int step, struct str message);

/* The fiber's body; `arg` is the supervisor. */
int schedule_keep(void *arg);
/* Something of this queue is due in `wait`: sooner, perhaps, than the fiber knows. */
void schedule_hint(struct supervisor *, size_t queue, usec_t wait);

#endif
