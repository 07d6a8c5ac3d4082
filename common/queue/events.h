/*
 * events.h - what the worker tells whoever watches: Celery's events (celery-wire §3.2; recordings of
 * Celery 5.7).
 *
 * worker-online, worker-heartbeat (each two seconds) and worker-offline always; those of tasks when
 * they were asked for (APIUM_TASK_EVENTS, or the command enable_events).  Fire and forget: a PUBLISH
 * on `/<db>.celeryev/<type>`; what nobody listens to is gone.
 *
 * Task events are gathered for EVENTS_WAIT and go out together as one message on `task.multi`, as
 * Celery's own worker sends them, so a thousand jobs cost a PUBLISH or two.  While they are off the
 * job path pays for one comparison.
 *
 * `clock` is Lamport's: it grows with each event, and jumps ahead of what a command brings.
 */
#ifndef QUEUE_EVENTS_H
#define QUEUE_EVENTS_H

#include "queue/message.h"

struct supervisor;
struct result_exception;

#define EVENTS_WAIT (500 * MSEC)
#define EVENTS_BEAT (2 * SEC)

struct events {
	bool is_on; /* task events */
	int64_t clock;
	uint64_t processed; /* jobs that hosts were given */
	struct buf channel; /* "/0.celeryev/": the beginning of each channel */
	struct buf batch;   /* objects, with commas between them */
	usec_t batch_since, beat_at;
};

void events_open(struct supervisor *);
void events_close(struct supervisor *);
/* From the supervisor's tick: sends what is due. */
void events_tick(struct supervisor *);

enum events_worker { EVENTS_ONLINE, EVENTS_HEARTBEAT, EVENTS_OFFLINE };
void events_worker(struct supervisor *, enum events_worker);
/* What was gathered, then worker-offline; nothing comes after it. */
void events_close_down(struct supervisor *);
/* The command `heartbeat`: one without figures. */
void events_bare_heartbeat(struct supervisor *);

/* Of tasks; to be called only while is_on.  Ids and values are text, not JSON, but for `value`. */
void events_received(struct supervisor *, const struct message *);
void events_started(struct supervisor *, struct str id);
void events_succeeded(struct supervisor *, struct str id, struct str value, usec_t took);
enum events_end { EVENTS_FAILED, EVENTS_RETRIED };
void events_failed(struct supervisor *, enum events_end, struct str id,
		   const struct result_exception *, struct str reason);
void events_revoked(struct supervisor *, struct str id, bool is_terminated, bool is_expired);

#endif
