/*
 * supervisor-internal.h - what the files of the supervisor share.
 */
#ifndef QUEUE_SUPERVISOR_INTERNAL_H
#define QUEUE_SUPERVISOR_INTERNAL_H

#include "queue/crew.h"
#include "queue/lane.h"
#include "queue/supervisor.h"

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
	struct arena arena; /* names and keys, for life */
	char worker[64];    /* begins every token of ours; unique to this process */

	struct redis *acks;    /* lanes only */
	struct redis *general; /* everything else: scripts that may be repeated, pushes, progress */
	struct redis *results; /* NULL: results lie beside the queues */
	struct db *db;

	struct queue_keys *queues;
	size_t queue_count;
	struct lane **lanes; /* [queue * QUEUE_STEPS + step]; NULL once closed */
	bool *is_fed_alone;  /* the lane's last message was one for an alone host */
	unsigned lane_count, turn;
	struct str unknown_to; /* list for tasks that are not known; absent: dead letters */

	struct flights flights;
	struct crew *crew;

	struct timer tick;
	usec_t renewed_at;
	usec_t leave_at;       /* DRAINING: the end of the grace; LEAVING: of all patience */
	unsigned lanes_left;   /* still to leave or to close */
	bool is_crew_gone;
	unsigned closings;

	struct fiber *keepers[8]; /* fibers for life; NULL: ended */
	unsigned keeper_count;
	struct relay *relay;
	struct flush news; /* lanes and crew, once per turn */
};

/* supervisor.c */
static inline bool supervisor_is_stopping(const struct supervisor *s)
{
	return s->sm.state != SUPERVISOR_RUNNING;
}
struct lane *supervisor_lane(struct supervisor *, const struct flight *);
/* Something moved: fetches, sends, acknowledges as far as it goes. */
void supervisor_pump(struct supervisor *);
void supervisor_keep(struct supervisor *, const char *name, int (*body)(void *));

/* arrive.c */
void arrive(struct supervisor *, struct lane *, struct flight *, int scanned, const struct message *);
/* A job that died with its host runs again, alone. */
void arrive_again(struct supervisor *, struct flight *, const struct message *, unsigned deaths);

/* fate.c */
void fate_outcome(struct supervisor *, struct flight *, enum link_state, struct str payload);
void fate_death(struct supervisor *, struct flight *, enum crew_end, const char *how);
/* Back to where it came from, unchanged. */
void fate_release(struct supervisor *, struct flight *);
void fate_bury(struct supervisor *, struct flight *, const struct message *, int64_t attempts,
	       const char *reason);
void fate_forward(struct supervisor *, struct flight *);
void fate_schedule(struct supervisor *, struct flight *, const struct message *, usec_t eta);
void fate_expire(struct supervisor *, struct flight *, const struct message *);
/* It ended before, with this value. */
void fate_repeat(struct supervisor *, struct flight *, const struct message *, struct str value);

/* schedule.c: a fiber body (arg: the supervisor), and a hint that something is due in this many ms. */
int schedule_keep(void *arg);
/* sweep.c */
int sweep_keep(void *arg);

#endif
