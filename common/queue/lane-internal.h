/*
 * lane-internal.h - what lane.c (life, fetch), lane_ack.c (acknowledge) and lane_resync.c share.
 */
#ifndef QUEUE_LANE_INTERNAL_H
#define QUEUE_LANE_INTERNAL_H

#include "base/buf.h"
#include "loop/sm.h"
#include "queue/lane.h"

#define LANE_MAGIC   UINT32_C(0x6c616e65)
#define LANE_BATCHES 4 /* outstanding at once */
#define LANE_BLANK   UINT32_MAX

enum lane_state {
	LANE_WAITING,
	LANE_JOINING,
	LANE_TAKING,
	LANE_READING,
	LANE_OPEN,
	LANE_LEAVING,
	LANE_LEFT,
	LANE_STATES,
};

struct lane_batch {
	unsigned asked, left, got; /* `left`: replies; a pipeline's last one is the lease's */
	bool is_script;            /* one reply with all messages */
	uint64_t epoch;
};

struct lane_ack {
	unsigned left;   /* replies */
	uint64_t head;   /* what the prefix reached with it */
	unsigned late;   /* flights acknowledged out of order */
	bool is_refused; /* … but not, for lack of memory */
	size_t need;
};

/* A power of two; grows.  Ids wait in it in the order in which they were sent. */
struct lane_line {
	uint32_t *at;
	size_t cap, first, count;
};

struct lane {
	uint32_t magic;
	struct lane_options o;
	char label[QUEUE_NAME_MOST + 4]; /* "default/3", for logs */
	struct redis *fetch;
	struct sm sm;
	bool has_acks, has_list, is_stopping, is_closing;
	int64_t client; /* of the fetch connection, for CLIENT UNBLOCK; 0: not known yet */
	void (*on_end)(void *arg);
	void *on_end_arg;

	unsigned incarnation;
	uint64_t epoch; /* grows with each loss; answers to older batches are ignored */
	char token[96];
	char old_token[96]; /* whose list is being taken; "": none.  Kept until that is known to
			       have happened */
	struct buf fly;     /* key */
	struct buf block, moves,
		touch; /* commands, ready to be sent; `moves` holds LANE_BATCH - 1 */
	size_t move_len;
	int64_t lease;     /* the counter we know of */
	usec_t renewed_at; /* when the renewal was sent that Redis confirmed last */
	usec_t renewal_sent_at;
	bool is_renewing;
	struct timer retry; /* after Redis refused: out of memory, say */

	struct lane_batch batches[LANE_BATCHES];
	unsigned batch_first, batch_count, asked;
	bool is_dry;
	usec_t polled_at;
	usec_t full_at; /* Redis last refused to move for lack of memory; 0: never */

	/* The ring: places [head, tail) are in the list; [confirmed, head) are on their way out of
	 * it. */
	uint32_t *ring;
	size_t ring_cap;
	uint64_t confirmed, head, tail;
	size_t blanks; /* '' in [head, tail) */

	struct list late; /* flights finished out of order, not acknowledged yet */
	size_t late_count;
	struct lane_line late_sent;
	struct lane_ack acks[8]; /* flushes under way */
	unsigned ack_first, ack_count;
	struct list ops, ops_sent;
	struct buf scratch;
	bool wants_room; /* hold everything back until nothing is under way, then close up */

	uint64_t read_at, read_end; /* READING */
};

static inline uint32_t *lane_at(struct lane *l, uint64_t place)
{
	return &l->ring[place & (l->ring_cap - 1)];
}

/* lane.c */
void lane_break(struct lane *, const char *why); /* -> WAITING, and on from there */
void lane_fenced(struct lane *);                 /* somebody took the list */
void lane_advance(struct lane *);                /* WAITING: if it can, goes on */
void lane_opened(struct lane *);
/* Was it refused because Redis is out of memory?  Then nothing was done and nothing is lost, only
 * this way of doing it is closed: lane_is_full for the next seconds. */
bool lane_was_full(struct lane *, int error);
bool lane_is_full(const struct lane *);
/* What an unexpected reply means: breaks or fences the lane. */
void lane_refused(struct lane *, int error, const struct redis_reply *);
void lane_make_token(struct lane *);
/* At the end of the ring: a new flight, one that was there before, a ''. */
struct flight *lane_append(struct lane *, uint64_t identity);
void lane_put(struct lane *, struct flight *);
void lane_put_blank(struct lane *);

/* lane_ack.c */
void ack_init(struct lane *);
void ack_fini(struct lane *);
void ack_lost(struct lane *);                      /* nothing that was sent will be answered */
void ack_drop_ops(struct lane *, struct flight *); /* its operations end with -E_LOST */

/* lane_resync.c */
void resync_begin(struct lane *);
/* The flight's message is gone. */
void resync_lose(struct lane *, struct flight *);

#endif
