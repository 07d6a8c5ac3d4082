/*
 * supervisor-internal.h - what the files of the supervisor share.
 */
#ifndef QUEUE_SUPERVISOR_INTERNAL_H
#define QUEUE_SUPERVISOR_INTERNAL_H

#include "base/metric.h"
#include "loop/sm.h"
#include "queue/autoscale.h"
#include "queue/control.h"
#include "queue/crew.h"
#include "queue/events.h"
#include "queue/lane.h"
#include "queue/result.h"
#include "queue/supervisor.h"
#include "queue/whoami.h"

#define SUPERVISOR_MAGIC UINT32_C(0x73757065)

enum supervisor_state {
	SUPERVISOR_RUNNING,
	SUPERVISOR_DRAINING,
	SUPERVISOR_LEAVING,
	SUPERVISOR_CLOSING,
	SUPERVISOR_STATES,
};

struct supervisor {
	uint32_t magic;
	const struct worker_program *program;
	struct loop *loop;
	struct sm sm;
	struct arena arena;       /* names and keys, for life */
	char worker[WHOAMI_MOST]; /* begins every token of ours; unique to this process */

	struct redis *acks;    /* lanes only */
	struct redis *general; /* everything else: scripts that may be repeated, pushes, progress */
	struct redis *waited;  /* pushes with WAIT; NULL: no task needs it */
	struct redis *results; /* NULL: results lie beside the queues */
	struct db *db;

	/* Those that are consumed, by place (queue/consumer.h): first those of APIUM_QUEUES. */
	struct queue_keys *queues;
	size_t queue_count, own_queues, queue_room;
	unsigned queues_added;  /* ever */
	struct queue_book book; /* those that are pushed to */
	struct lane **lanes;    /* [place * queue_steps() + step]; NULL: nobody has the place */
	bool *is_fed_alone;     /* the lane's last message was one for an alone host */
	unsigned lane_count, turn;
	struct queue_keys unknown_to; /* for tasks that are not known; queue absent: dead letters */

	struct flights flights;
	struct crew *crew;

	struct timer tick;
	usec_t renewed_at, health_at;
	usec_t leave_at;        /* DRAINING: the end of the grace; LEAVING: of all patience */
	unsigned lanes_left;    /* still to leave or to close */
	unsigned lanes_dropped; /* of cancelled queues, on their way out */
	bool has_acks;          /* the connection for acknowledgements is ready */
	bool is_crew_gone, has_left, is_closed;
	unsigned closings;
	unsigned quantum; /* the least that is fetched while more is under way */

	struct fiber *keepers[4]; /* fibers for life */
	unsigned keeper_count, keepers_left;
	struct waiter *schedule_waiter; /* of schedule.c's fiber */
	usec_t schedule_due;
	struct relay *relay;
	struct events events;
	struct control *control;
	struct autoscale autoscale;
	bool is_purging;           /* what waits is thrown away first */
	struct exporter *exporter; /* NULL: nothing listens */
	struct gauges *gauges;
	struct metric_series **losses; /* by queue */
	uv_signal_t terminate, interrupt, hangup;
};

/* supervisor.c */
static inline bool supervisor_is_stopping(const struct supervisor *s)
{
	return s->sm.state != SUPERVISOR_RUNNING;
}
/* As SIGTERM does, if nothing has yet. */
void supervisor_drain(struct supervisor *);
struct lane *supervisor_lane(struct supervisor *, const struct flight *);
extern const struct lane_callbacks supervisor_lane_callbacks;
/* A lane of a cancelled queue has been closed; the argument is the supervisor. */
void supervisor_lane_dropped(void *arg);
/* Something moved: fetches, sends, acknowledges as far as it goes. */
void supervisor_pump(struct supervisor *);
/* Stores and tells a state of a job that is not its end; lost if Redis is away. */
void supervisor_tell(struct supervisor *, struct str id, struct str document);

/* arrive.c */
void arrive(struct supervisor *, struct lane *, struct flight *, int scanned,
	    const struct message *);
/* A job that died with its host runs again, alone. */
void arrive_again(struct supervisor *, struct flight *, const struct message *, unsigned deaths);

/* fate.c */
void fate_outcome(struct supervisor *, struct flight *, enum link_state, struct str payload);
void fate_death(struct supervisor *, struct flight *, enum crew_end, const char *how);
/* It is sent to run alone; it has not killed anybody: should all of us die now, it is, or is not, to
 * blame. */
void fate_suspect(struct supervisor *, struct flight *, struct str id);
void fate_acquit(struct supervisor *, struct flight *, struct str id);
/* Back to where it came from, unchanged. */
void fate_release(struct supervisor *, struct flight *);
/* To the dead letters; `m` NULL: nothing of the message is known but its bytes. */
void fate_bury(struct supervisor *, struct flight *, const struct message *m, int64_t attempts,
	       const struct result_exception *, const char *reason);
void fate_forward(struct supervisor *, struct flight *);
void fate_schedule(struct supervisor *, struct flight *, const struct message *, usec_t eta);
enum fate_revocation { FATE_REVOKED, FATE_EXPIRED, FATE_TERMINATED };
void fate_revoke(struct supervisor *, struct flight *, const struct message *,
		 enum fate_revocation);
/* It ended before, with this value. */
void fate_repeat(struct supervisor *, struct flight *, const struct message *, struct str value);

#endif
