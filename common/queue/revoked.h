/*
 * revoked.h - the ids that must not run any more.
 *
 * Bounded as Celery's set is: the oldest goes when there are REVOKED_MOST, and each after
 * REVOKED_FOR.  Not known here: who revoked, and whether the job exists.
 */
#ifndef QUEUE_REVOKED_H
#define QUEUE_REVOKED_H

#include "base/list.h"
#include "base/map.h"

#define REVOKED_MOST 50000
#define REVOKED_FOR  (3 * HOUR)

struct revoked {
	struct map _by_id;
	struct list _oldest_first;
};

void revoked_init(struct revoked *);
void revoked_fini(struct revoked *);
/* `now` is monotonic time. */
void revoked_add(struct revoked *, struct str id, usec_t now);
bool revoked_has(struct revoked *, struct str id, usec_t now);
size_t revoked_count(const struct revoked *);
/* Each id, the oldest first. */
void revoked_visit(const struct revoked *, void (*visit)(void *arg, struct str id), void *arg);

#endif
