/*
 * hostlink.h - what a supervisor and a host say to each other: frames of loop/channel.h on the
 * socketpair, numbers in the machine's own order (both ends are this program).
 *
 *   supervisor -> host   JOB          a job to run: the head below, its texts, the body as it came
 *                        PUSHED       the answer to a PUSH that asked for one
 *                        REVOKE       a job is not to start, or to end
 *                        SLOTS        how many jobs run at once from now on (a u32)
 *                        QUEUE        a place in the list of queues (a u32) means this name now
 *   host -> supervisor   READY        once: jobs may come
 *                        OUTCOMES      what became of jobs, many at once: one outcome after another
 *                        STARTED       a job has begun to run, if that was asked for
 *                        STATE         a state of the job's own while it runs (progress)
 *                        PUSH          a message to be pushed for a task's body
 *
 * A job is named by the number and generation of its flight.  Several texts in one piece are
 * "packed": a u32 length each (LINK_ABSENT: none) followed by their bytes, one after another.
 */
#ifndef QUEUE_HOSTLINK_H
#define QUEUE_HOSTLINK_H

#include "loop/channel.h"
#include "queue/message.h"

enum link_kind {
	LINK_JOB = 1,
	LINK_PUSHED,
	LINK_REVOKE,
	LINK_SLOTS,
	LINK_QUEUE,
	LINK_READY,
	LINK_OUTCOMES,
	LINK_STARTED,
	LINK_STATE,
	LINK_PUSH
};

/* Places beyond those of APIUM_QUEUES: for queues that remote control adds. */
#define LINK_QUEUES_ADDED 64
#define LINK_ABSENT       UINT32_MAX
/* The largest frame: a message, and what it takes around it. */
#define LINK_MOST         (MESSAGE_MOST + 1 * MIB)

enum link_job_flags {
	LINK_WANTS_RESULT = 1, /* a result document is to be stored */
	LINK_WANTS_ID = 2,     /* the end is a script: it needs id, key and value */
	LINK_HAS_KEY = 4,
	LINK_WANTS_START = 8, /* STARTED is to be sent */
};

struct link_job {
	uint32_t number, generation;
	uint16_t task, flags,
		queue;   /* queue: place in the list of queues that both ends were given */
	uint16_t deaths; /* deliveries that ended with a dead process */
	uint32_t retries;
	int32_t group_index;              /* -1: none */
	uint32_t escaped;                 /* as in struct message */
	int64_t hard_limit, soft_limit;   /* durations in usec; 0: none */
	uint32_t text_len[MESSAGE_TEXTS]; /* in the order of enum message_field; LINK_ABSENT */
};

/* The texts of a message that a host needs; the others stay where they are. */
void link_add_job(struct buf *out, const struct link_job *, const struct message *);
/* Fills `m` with slices of the payload.  0 or -EPROTO. */
int link_take_job(struct str payload, struct link_job *, struct message *m) _must_check_;

/* STARTED: which job; then packed: id, and the document of the state if it is to be stored. */
struct link_name {
	uint32_t number, generation;
};

/* A job that has not started ends as revoked; one that runs is cut off if `is_terminated`. */
struct link_revoke {
	struct link_name name;
	uint32_t is_terminated;
};

enum link_state {
	LINK_DONE,   /* nothing follows: a plain acknowledgement is enough */
	LINK_ENDED,  /* packed: id, key, document, value (for the receipt), what follows
			(queue/follow.h; absent: nothing) */
	LINK_FAILED, /* struct link_failure, then packed: reason */
};

struct link_outcome {
	uint32_t number, generation;
	int64_t took; /* the body, in usec */
	uint16_t state;
	uint16_t is_dropped; /* DONE, ENDED: the body has dropped the job and given a result */
	uint32_t len;        /* of what follows */
};

enum link_failure_kind {
	LINK_FAILED_ERROR,
	LINK_FAILED_BODY,       /* the message could not be decoded: dead at once */
	LINK_FAILED_FOLLOW,     /* done, but what follows it cannot be published: dead at once */
	LINK_FAILED_SOFT,       /* its soft time limit */
	LINK_FAILED_HARD,       /* its hard time limit */
	LINK_FAILED_REVOKED,    /* told not to start */
	LINK_FAILED_TERMINATED, /* told to end */
};

struct link_failure {
	uint32_t kind;
	uint32_t verdict; /* enum error_task */
	uint32_t attempt;
	int32_t retry_times;
	int64_t retry_first, retry_most;
	int64_t limit; /* of the time limit that was passed, in usec */
};

/* struct link_push, then packed: queue, id, message, group of the chord that begins (absent: none). */
struct link_push {
	uint32_t request;    /* 0: no answer wanted */
	uint32_t durability; /* enum task_durability */
	int64_t eta;         /* real time; 0: now */
	int32_t priority;
	int64_t chord_size; /* 0: no chord begins */
};

struct link_pushed {
	uint32_t request;
	int32_t result;
};

void link_pack(struct buf *out, const struct str *texts, size_t count);
/* Takes `count` texts off the front of *from.  0 or -EPROTO. */
int link_unpack(struct str *from, struct str *texts, size_t count) _must_check_;
/* Takes `len` plain bytes off the front. */
int link_take(struct str *from, void *to, size_t len) _must_check_;

#endif
