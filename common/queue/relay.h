/*
 * relay.h - what sees to it that every row of job_outbox becomes a job, and every ended job's row
 * goes.
 *
 * Runs in every supervisor and gateway, as fibers.
 *
 *   fresh     once a second: rows at least a second old (and not older than the last look, less ten
 * seconds for transactions that commit late).  Nobody pushed them, or they wait in their queue. all
 * slowly for ever, 200 rows a second; and at once, without a pause, at the start, after an outage,
 * and when Redis may have lost data: its run id, its replication id or a queue's epoch key is
 * another than before. deletes   of rows whose jobs have ended, many in one statement.
 *
 * Each row found is asked for in Redis: in the queue's `live` hash it is on its way; with a receipt
 * it has ended (its row is deleted); else it is pushed, under a row lock that no other relay holds
 * (SKIP LOCKED), by a script that asks both once more.  Marker and message were lost together or
 * not at all, so wiping, a lost AOF tail and a failover are one case.  A row that can never be
 * pushed becomes a dead letter.
 *
 * In a queue of APIUM_SHARED_QUEUES Python workers end jobs without our script: there a row ends
 * when the job's result is final.
 */
#ifndef QUEUE_RELAY_H
#define QUEUE_RELAY_H

#include "db/db.h"
#include "redis/redis.h"

struct relay;
struct relay_note;

struct relay_options {
	struct loop *loop;
	struct db *db;
	struct redis *redis;
};

int relay_open(const struct relay_options *, struct relay **ret) _must_check_;
/* Deletes what is due and ends; on_closed when its fibers have ended and it is gone. */
void relay_close(struct relay *, void (*on_closed)(void *arg), void *arg);

/* A job from the outbox is about to end; then it has (its row may go) or has not. */
struct relay_note *relay_note_new(struct relay *, struct str id);
void relay_note_end(struct relay_note *, bool has_ended);

struct relay_stats {
	uint64_t looked, pushed, deleted, refused;
	usec_t worked_at; /* monotonic time of the last look without an error; 0: none yet */
};
void relay_stats(const struct relay *, struct relay_stats *ret);

#endif
