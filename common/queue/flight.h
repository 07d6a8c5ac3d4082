/*
 * flight.h - the jobs that a supervisor holds: one small record each, in a pool of fixed size.
 *
 * No payload: the message stays in Redis.  Only a job that waits for a place in a host keeps its
 * frame here. A record is named by its number and a generation that changes when it is freed, so
 * that a late outcome of a job that is no longer ours finds nobody.
 *
 *           arrived                    sent                 outcome
 *   [FREE] --------> LOOKED_UP / WAITING ----> OUT ------------> DONE       acknowledged by LTRIM
 * or LSET
 *                          |                    |    \
 *                          |                    |     `--------> ENDING     a script decides its
 * end
 *                          `-- the same --------+--------------> ENDING -> FREE, or WAITING again
 * (suspects)
 */
#ifndef QUEUE_FLIGHT_H
#define QUEUE_FLIGHT_H

#include "base/list.h"
#include "base/str.h"

enum flight_state {
	FLIGHT_FREE,
	FLIGHT_LOOKED_UP, /* its receipt or its crashes are being asked for; has its frame */
	FLIGHT_WAITING,   /* for a place in a host; has its frame, is in a line */
	FLIGHT_OUT,       /* at a host */
	FLIGHT_ENDING,    /* a lane operation is due or on its way */
	FLIGHT_DONE,      /* ended without effects; acknowledgement due or on its way */
};

#define FLIGHT_NOWHERE UINT16_MAX /* no lane, no host */

struct flight {
	uint32_t number, generation;
	uint8_t state;   /* enum flight_state */
	bool is_lost;    /* no longer in our list: whatever becomes of it is dropped */
	bool is_suspect; /* runs alone */
	bool is_acked;   /* DONE: the acknowledgement has been sent */
	bool is_outbox;  /* came through job_outbox */
	bool is_counted; /* has entries in the hash of crashes */
	bool wants_result;
	bool is_first; /* delivered for the first time, without eta: its wait is counted */
	uint16_t lane, host, task;
	uint64_t place;    /* in the lane's ring */
	uint64_t identity; /* hash of its id */
	uint32_t next;     /* the pool's and a resync's chains */
	usec_t asked_at;   /* real time of the enqueue; 0: its client does not tell */
	usec_t hard_limit; /* duration; 0: none */
	usec_t took;       /* ended: the body, in usec */
	usec_t sent_at;    /* OUT: monotonic time at which its host got it */
	struct list link;  /* WAITING: the line; DONE and not acked: the lane's list of late ones */
	char *frame;       /* malloc'ed */
	size_t frame_len;
};

struct flights {
	struct flight *at;
	uint32_t count, used;
	uint32_t free;  /* first of the chain of freed ones */
	uint32_t fresh; /* from here on never used: not touched, so that a large pool costs nothing
			 */
};

void flights_init(struct flights *, uint32_t count);
void flights_fini(struct flights *);
struct flight *flight_new(struct flights *); /* NULL: all are in use */
void flight_free(struct flights *, struct flight *);
/* NULL if it was freed since. */
struct flight *flight_find(struct flights *, uint32_t number, uint32_t generation);
void flight_keep_frame(struct flight *, struct str frame);
void flight_drop_frame(struct flight *);

static inline uint32_t flights_left(const struct flights *f)
{
	return f->count - f->used;
}

#endif
