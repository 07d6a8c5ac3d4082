/*
 * event.h - what happens to rows, told by the name of the table to whoever wants to know.
 *
 * A listener is called after the COMMIT, behind the resource's own hooks, on the request's fiber and before
 * the answer, once for each row, also of a bulk operation.  It cannot fail the request: what goes wrong it
 * logs.  A process that dies between COMMIT and call tells nobody; what must not be lost is a job written
 * with the row (change_enqueue).
 *
 * Rows that hand-written SQL changes are not told of, nor those that a foreign key takes along.
 *
 * To add a listener: call one of these before resource_routes, which refuses a table that no resource has.
 */
#ifndef RESOURCE_EVENT_H
#define RESOURCE_EVENT_H

#include "resource/resource.h"

/* The row as it was written; of a removal, as it was before. */
typedef void event_listener(struct request *, const struct row *) may_yield;

void on_created(const char *table, event_listener *);
void on_changed(const char *table, event_listener *);
void on_deleted(const char *table, event_listener *);

enum event { EVENT_CREATED, EVENT_CHANGED, EVENT_DELETED };

/* For the engine.  Yields if a listener does. */
void event_tell(struct request *, enum event, const struct row *) may_yield;
/* 0, or -EINVAL with a sentence that names a table which none of these resources has, nor one of an earlier
 * call. */
int event_check(const struct resource *const *, size_t count) _must_check_;

#endif
