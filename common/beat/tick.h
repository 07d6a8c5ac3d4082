/*
 * tick.h - a planned time is decided once: its row in beat_tick, the job's row in job_outbox and the
 * schedule's next time commit together.
 *
 * A tick's id follows from the schedule's id and the planned time, and is the primary key.  So
 * whoever decides it a second time (two leaders, a leader that died and one that came after, a clock
 * that went back) meets the row and does nothing.  The job has the same id, and the key
 * "beat:<id>"; it is kept as `outbox` whatever its task's declaration says, so that from the commit
 * on it is a job like any other, whatever becomes of Redis.
 *
 * A schedule's last run has ended when job_outbox has no row of it any more.  That row goes when the
 * job has succeeded, was dropped or revoked, or is a dead letter; a moment later than the end, because many are
 * deleted at once (a tenth of a second; in a queue of APIUM_SHARED_QUEUES, when its result is final
 * and the relay has seen it).  So `overlap = skip` may leave out a run that would just have been
 * possible, and never runs two of the same schedule at once; but runs that somebody asked for are
 * not held up.
 *
 * "Now" is the database's clock.  When it goes back, planning begins anew behind now, and what was decided
 * of the time that comes a second time is known by its ticks.  APIUM_BEAT_HISTORY ticks of each schedule are
 * kept: that far the knowledge reaches.
 */
#ifndef BEAT_TICK_H
#define BEAT_TICK_H

#include "beat/lease.h"
#include "beat/periodic.h"
#include "queue/enqueue.h"

struct ticker {
	struct db *db;
	struct producer *producer;
	struct lease *lease;
};

/* At start: every outcome is told of, from zero, so that a rate sees the first of a kind. */
void tick_tell_outcomes(void);

/* Decides what has come of one schedule.  1: something was decided, and there may be more at once; 0: nothing (it is
 * gone, paused, or somebody has its row); -E_LOST: somebody else leads; -EINVAL: the row cannot be understood; or what
 * the database said.  Yields. */
int tick_decide(struct ticker *, struct arena *, struct str schedule_id) may_yield _must_check_;
/* A row that cannot be understood is looked at again in a minute.  Yields. */
int tick_postpone(struct db *, struct arena *, struct str schedule_id) may_yield _must_check_;

/* A run that somebody asks for, now, whatever is planned and whatever still runs; also of a paused one.  Within the
 * caller's transaction; *ret_job is for enqueue_push after the commit.  -E_DROPPED: its arguments do not fit.
 * Yields. */
int tick_ask(struct producer *, struct db_tx *, struct arena *, const struct periodic *,
	     struct enqueued **ret_job) may_yield _must_check_;

/* Schedules that have something to decide, the longest due first, and when to look again (a duration). */
int tick_look(struct db *, struct arena *, struct str **ret_ids, size_t *ret_count,
	      usec_t *ret_wait) may_yield _must_check_;
#define TICK_LOOK 50 /* most schedules of one look */

/* Ticks of a schedule, the newest first. */
struct tick {
	struct str planned_at, decided_at, outcome, job, note;
	int64_t times;
};
int tick_history(struct db *, struct arena *, struct str schedule_id, int64_t most,
		 struct tick **ret, size_t *ret_count) may_yield _must_check_;

#endif
