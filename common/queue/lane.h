/*
 * lane.h - one list of a queue, fetched and acknowledged by one worker: the fast path, and what
 * happens when it breaks.
 *
 * Taking.  On a connection of its own the lane sends, in one write, BLMOVE and n-1 times LMOVE from
 * the list to its in-flight list `apium:{queue}:fly:<token>`: it blocks when idle and batches when
 * loaded.  Each batch ends with HSETNX of its lease, so that after a FLUSHALL no in-flight list is
 * ever without one.
 *
 * Acknowledging.  The ring mirrors the in-flight list: place k is element k - head.  A finished
 * prefix goes by LTRIM, one out of order by LSET '', both followed by LLEN, which must not be less
 * than what the ring holds. An end with effects (result, retry, dead letter …) is a lane operation:
 * a script whose first words are the fence.  Acknowledgements of all lanes share one connection,
 * whose order is what makes places right.  A prefix never runs over a place whose script is not
 * confirmed.  When more than 1,000 '' have gathered behind a long job, LREM removes them and the
 * ring closes up.
 *
 * States:
 *                 both connections ready             lease taken
 *   [WAITING] ----------------------------> JOINING ------------> OPEN --------> LEAVING --> LEFT
 *       ^  \                                                       | |  lane_leave
 *       |   \  had a list      TAKE       LRANGE                   | |
 *       |    `---------------> TAKING ---> READING --------------->' |
 *       |                        | fenced     |                      |
 *       `------------------------+------------+----------------------'
 *                  a connection lost, the list too short, the lease gone
 *
 * Resync (TAKING, READING): nothing is ever sent twice.  Under a new token the lane takes its own
 * old list by the script that takes dead workers' lists, reads it whole and compares: known and
 * finished: acknowledged; known and running: kept; unknown: run; known but not there: Redis lost
 * it, or has it acknowledged already. When the list was taken by somebody else (fenced), everything
 * in hand is his: outcomes are dropped.
 *
 * Callback code on the loop's stack; never yields.
 */
#ifndef QUEUE_LANE_H
#define QUEUE_LANE_H

#include "queue/flight.h"
#include "queue/keys.h"
#include "queue/message.h"
#include "queue/scripts.h"

struct lane;
struct lane_op;

#define LANE_BATCH 64 /* most jobs in one batch */

struct lane_callbacks {
	/*
	 * A message came: `flight` is new (its lane, place and identity are set) and now the
	 * owner's to move on. `scanned` is 0, or the negative error of message_scan (then only
	 * message->raw is there).  The message is valid during the call only.
	 */
	void (*on_message)(void *arg, struct lane *, struct flight *, int scanned,
			   const struct message *message);
	/* The flight's message is no longer ours; its is_lost is set.  OUT and LOOKED_UP ones stay
	 * with the owner until their outcome; the lane frees the others after the call. */
	void (*on_lost)(void *arg, struct lane *, struct flight *);
	/* After the messages of one read, and when the lane opens: time to send jobs on and to
	 * fetch. */
	void (*on_progress)(void *arg, struct lane *);
};

struct lane_options {
	struct loop *loop;
	const char *url;
	struct redis *acks; /* shared by all lanes; the owner's */
	const struct queue_keys *keys;
	int step;
	uint16_t number;    /* written into its flights */
	const char *worker; /* begins its tokens; unique to this process */
	unsigned
		incarnation; /* tokens are numbered from here on; another for each life of a list */
	struct flights *flights;
	const struct lane_callbacks *callbacks;
	void *arg;
};

int lane_open(const struct lane_options *, struct lane **ret) _must_check_;
/* Its flights must have been freed, and the shared connection closed before (that ends what it
 * still has to answer).  on_closed runs when its own connection is gone. */
void lane_close(struct lane *, void (*on_closed)(void *arg), void *arg);

/* The shared connection became ready with all scripts loaded (true), or was lost. */
void lane_acks_changed(struct lane *, bool is_ready);

/* Asks for up to n jobs; the number asked for, 0 when the lane is not open or is full of
 * batches. */
unsigned lane_fetch(struct lane *, unsigned n);
unsigned lane_asked(const struct lane *); /* asked for, not answered yet */
bool lane_is_dry(const struct lane *);    /* the last answer was short: the list was empty then */
bool lane_may_fetch(const struct lane *);

/* The job ended without effects. */
void lane_done(struct lane *, struct flight *);
/* Acknowledges what is finished, sends operations that wait.  To be called after each chunk of
 * outcomes. */
void lane_flush(struct lane *);

/*
 * An operation on one flight's message.  `keys` and `args` are what follows the in-flight list and
 * the place; copied.  on_done is called once: 0 with the reply; -E_LOST when the message is no
 * longer ours (the flight is about to be freed).  Connections that break in between are the lane's
 * business: it resyncs and sends again, which is safe because each operation is atomic with the
 * acknowledgement or repeatable.
 */
typedef void lane_on_done(void *arg, struct flight *, int error, const struct redis_reply *);
void lane_run(struct lane *, struct flight *, enum lane_script, const struct str *keys,
	      size_t key_count, const struct str *args, size_t arg_count, lane_on_done *,
	      void *arg);
/* Reads the message (LINDEX); the reply is TEXT. */
void lane_read(struct lane *, struct flight *, lane_on_done *, void *arg);

/* Renews the lease; to be called every LANE_RENEWAL. */
#define LANE_RENEWAL (2 * SEC)
void lane_renew(struct lane *);

/* No more fetching: the blocked command is ended, what still arrives comes through on_message. */
void lane_stop(struct lane *);
bool lane_is_quiet(const struct lane *); /* stopped, and nothing asked for is unanswered */
/* Stopped and open, and nothing is held or unanswered: it may leave and then be closed while the
 * shared connection goes on. */
bool lane_may_leave(const struct lane *);
/* When nothing is held any more: gives up the lease.  on_left is called when that is known, or
 * cannot be (Redis away): then a sweep will do it. */
void lane_leave(struct lane *, void (*on_left)(void *arg), void *arg);

/* A hash of the message's id (of its beginning, if it has none): flight.identity. */
uint64_t lane_identity(const struct message *);

const struct queue_keys *lane_keys(const struct lane *);
int lane_step(const struct lane *);
uint16_t lane_number(const struct lane *);
struct str lane_list(const struct lane *);
struct str lane_token(const struct lane *);
bool lane_has_token(const struct lane *,
		    struct str token); /* the present one, or one being taken over */
bool lane_is_open(const struct lane *);
size_t lane_held(const struct lane *); /* messages in its in-flight list, finished ones too */
usec_t
lane_polled_at(const struct lane *); /* monotonic time of the last successful answer; 0: none yet */

#endif
