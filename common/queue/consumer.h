/*
 * consumer.h - which queues a supervisor consumes: those of APIUM_QUEUES for life, and those that
 * remote control adds (add_consumer) until it takes them away again (cancel_consumer).
 *
 * Each has a place, by which lanes, flights and hosts name it; a place of a queue that was taken away
 * is given to another once its four lanes have left: nothing is fetched any more, what was in hand has
 * ended, the leases are given up.  A queue of APIUM_QUEUES that is cancelled keeps its lanes and only
 * stops to fetch.
 *
 * Bounds: LINK_QUEUES_ADDED of them at once, QUEUE_BOOK_MOST different names in a worker's life.
 */
#ifndef QUEUE_CONSUMER_H
#define QUEUE_CONSUMER_H

#include "base/str.h"

struct supervisor;

/* APIUM_QUEUES and APIUM_UNKNOWN_TO.  0 or -E_BAD_SETTING. */
int consumers_read(struct supervisor *) _must_check_;
/* Opens their lanes; after the connections. */
int consumers_open(struct supervisor *) _must_check_;
/* kombu's bindings of all that are there. */
void consumers_bind(struct supervisor *);

/* The place of a queue, also of one that does not fetch just now; queue_count: it is not consumed. */
size_t consumer_find(const struct supervisor *, struct str name);
bool consumer_is_there(const struct supervisor *, size_t place); /* false: nobody has this place */
/* 0; -E_BAD_SETTING (no name of a queue), -E_CONFLICT (too many, or the worker ends), or what
 * lane_open says. */
int consumer_add(struct supervisor *, struct str name) _must_check_;
void consumer_cancel(struct supervisor *, size_t place);
/* Fetches again; false if it did anyway. */
bool consumer_resume(struct supervisor *, size_t place);
/* Takes cancelled ones a step further away. */
void consumers_tick(struct supervisor *);
/* A host learns of those it was not started with. */
void consumers_tell(struct supervisor *, unsigned host);

#endif
