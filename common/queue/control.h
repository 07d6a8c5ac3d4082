/*
 * control.h - Celery's remote control: commands come by publish/subscribe, replies go to a list.
 *
 * A client publishes on `/<db>.celery.pidbox`; whoever is meant (destination, or a pattern of the
 * node's name, or nobody named: everybody) does it and answers by LPUSH to
 * `<oid>.reply.celery.pidbox`, if a client still waits there.  The list is given a time to live, so
 * that a reply which comes too late is no leak.
 *
 * The supervisor does all of it itself, on one fiber, one command after another: what hosts are busy
 * with does not matter.  A command that is not answered within CONTROL_MOST (Redis away) is dropped,
 * as is one that is older than its client's patience (header `expires`), and what exceeds
 * CONTROL_WAITING.
 *
 * What commands leave behind is looked up when a message arrives (control_judge): revoked ids, rates,
 * queues that are not consumed any more.  Revoked ids are kept in Redis as well (ZSET apium:revoked,
 * three days), and nothing is fetched before they have been read: a restart forgets none.
 *
 * There is no authentication in this protocol: whoever may PUBLISH in that Redis is obeyed.
 *
 * Source: celery-wire §3; recordings of Celery 5.7 (tests/golden/celery/control.json).
 */
#ifndef QUEUE_CONTROL_H
#define QUEUE_CONTROL_H

#include "queue/flight.h"
#include "queue/message.h"
#include "queue/task.h"

struct supervisor;
struct control;

#define CONTROL_MOST    (1 * SEC)
#define CONTROL_WAITING 64
#define CONTROL_BYTES   (1 * MIB) /* a longer request is dropped */

/* After the connections and queues of the supervisor. */
int control_open(struct supervisor *, struct control **ret) _must_check_;
/* on_closed when the connection is gone; control_free after that. */
void control_close(struct control *, void (*on_closed)(void *arg), void *arg);
void control_free(struct control *); /* NULL is fine */
/* A fiber's body, for life; its argument is the supervisor. */
int control_keep(void *arg) may_yield;

/* May anything be fetched yet? */
bool control_is_loaded(const struct control *);
/* A place of the supervisor's queues from which nothing is fetched. */
bool control_is_cancelled(const struct control *, size_t queue);
void control_cancel(struct control *, size_t queue, bool is_cancelled);

enum control_verdict { CONTROL_RUN, CONTROL_REVOKED, CONTROL_LATER };
/* For a job that would run now.  LATER: its task's rate is used up; *ret_wait is how long. */
enum control_verdict control_judge(struct control *, const struct task *, const struct message *,
				   usec_t *ret_wait);
/* Limits that were set for this task replace those of its declaration and of the settings. */
void control_limits(const struct control *, const struct task *, usec_t *hard, usec_t *soft);
/* The job was given on to run. */
void control_note(struct control *, const struct task *);

#endif
