/*
 * keys.h - the name of every Redis key of a queue, in one place.
 *
 *   <queue>, <queue>\x06\x163, …6, …9      LIST  what waits, by priority step; Celery's own lists,
 *                                                of other names with APIUM_PRIORITY_STEPS and _SEPARATOR
 *   apium:{<queue>}:fly:<token>            LIST  in flight: taken by one lane of one worker
 * (queue/lane.h);
 *                                                '' is a job that finished before an older one.
 *                                                STRING: it was taken away from that lane
 *   apium:{<queue>}:workers                HASH  token -> lease counter (queue/lease.h)
 *   apium:{<queue>}:schedule               ZSET  step:unique:message, by due time in ms
 * (queue/schedule.h) apium:{<queue>}:crash                  HASH  id -> deliveries that ended with
 * a dead process; id + ":alone"
 *                                                -> those that ran alone; id + ":in" -> token it
 * runs alone under apium:{<queue>}:dead                   ZSET  letter -> ms of its death
 * (queue/dead.h) apium:{<queue>}:letters                HASH  letter -> record; letter + ":raw" ->
 * the message's own bytes apium:{<queue>}:live                   HASH  id -> 1: outbox jobs that
 * Redis holds (queue/outbox.h) apium:{<queue>}:receipt:<key>          STRING how a job ended, for
 * an hour apium:{<queue>}:epoch                  STRING random; gone or another: Redis lost its
 * data celery-task-meta-<id>                  STRING result (queue/result.h)
 *   celery-taskset-meta-<group>.j .t .s .d .c       a chord's (queue/step-internal.h)
 *
 * APIUM_KEY_PREFIX stands before the lists' names and inside the braces of the other keys (kombu's
 * global_keyprefix), APIUM_RESULT_PREFIX before those of results.
 *
 * A queue whose name carries a hash tag of its own ("{img}.thumbs") has keys without braces around
 * it, so that all of a queue lies in one slot of a cluster either way.
 */
#ifndef QUEUE_KEYS_H
#define QUEUE_KEYS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

/*
 * Priority 0 is the most urgent; 0-2, 3-5, 6-8 and 9 share a list each, unless APIUM_PRIORITY_STEPS
 * says otherwise (Celery's transport options priority_steps and sep).  As many as there are is the
 * same while a process lives.
 */
enum { QUEUE_STEPS_MOST = 10 };
int queue_steps(void);
int queue_step(int64_t priority);
int queue_step_priority(int step); /* 0, 3, 6, 9 */

#define QUEUE_NAME_MOST 200

/* Texts are NUL-terminated and live as long as the arena they were made in. */
struct queue_keys {
	struct str queue;
	struct str prefix;                  /* "apium:{default}:" */
	struct str lists[QUEUE_STEPS_MOST]; /* the first queue_steps() of them */
	struct str workers, schedule, crash, dead, letters, live, epoch;
};

/* 0, or -E_BAD_SETTING: empty, too long, or with control characters; or the steps are none. */
int queue_keys_init(struct queue_keys *, struct arena *, struct str queue) _must_check_;

/*
 * The keys of any queue, by name, made once each: for those who push to queues that they do not
 * consume.  Names come from rows and options, so their number is bounded: -E_BAD_SETTING beyond
 * QUEUE_BOOK_MOST.
 */
#define QUEUE_BOOK_MOST 1024
struct queue_book {
	struct arena _arena;
	struct map _by_name;
};
void queue_book_init(struct queue_book *);
void queue_book_fini(struct queue_book *);
int queue_book_find(struct queue_book *, struct str name, const struct queue_keys **ret)
	_must_check_;

/* These append to a buf. */
void queue_key_fly(struct buf *, const struct queue_keys *, struct str token);
void queue_key_receipt(struct buf *, const struct queue_keys *, struct str key);
void queue_key_result(struct buf *, struct str id);
/* A chord's, by its group: ".j" its parts, ".s" how many, ".t" … beyond that, ".d" which are
 * counted, ".c" who publishes its body, "" its saved group (queue/step-internal.h). */
void queue_key_chord(struct buf *, struct str group, const char *suffix);
/* A key or channel of the broker's own, behind APIUM_KEY_PREFIX. */
void queue_key_broker(struct buf *, const char *name);
/* What kombu keeps of a plain queue in a set of bindings, `set` being the beginning of its key:
 * "_kombu.binding." and "_kombu.binding_permanent.". */
void queue_binding(struct buf *key, struct buf *member, const char *set, struct str queue);
/* A member of such a set: routing key, pattern and queue, with the separator between them. */
void queue_binding_member(struct buf *, struct str routing_key, struct str queue);
bool queue_binding_read(struct str member, struct str *ret_routing_key, struct str *ret_queue);

#endif
