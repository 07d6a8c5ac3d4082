/*
 * message.h - Celery's envelope (task protocol 2): read in one pass, written in Python's shape.
 *
 * Reading.  message_scan walks the envelope once and notes where the few things lie that it takes
 * to start a job; it allocates nothing and costs about a third of a microsecond for 850 bytes.  The
 * body stays what it was: base64 text that only the host decodes (queue/body.h).  The scanner
 * checks structure (brackets, strings, members, the end) and the texts it notes, not every number it steps over: a message
 * whose unused parts are not quite JSON runs.  It never recurses, so depth costs nothing.
 *
 * Every text is a slice of the input, between its quotes, escapes as they are; `escaped` says for
 * which ones message_text has work to do.  null and a missing member are the same: the absent str.
 * Of two members with one name the last wins.
 *
 * Protocol 1 (everything inside the body) has no "task" header; message_from_v1 turns it into
 * protocol 2.
 *
 * Headers of ours: apium_at (when the job was asked for, ms since 1970), apium_key (idempotency key), apium_outbox (true: came through job_outbox),
 * apium_history (array of failed attempts), traceparent (W3C).  `redelivered` is kombu's own word
 * for a message that was delivered before.
 *
 * Source of the shape: recordings of Celery 5.7 (tests/golden/celery/producer.json).
 */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "queue/repr.h"

enum message_field {
	MESSAGE_BODY,
	MESSAGE_CONTENT_TYPE,
	MESSAGE_TASK,
	MESSAGE_ID,
	MESSAGE_ETA,
	MESSAGE_EXPIRES,
	MESSAGE_GROUP,
	MESSAGE_ROOT,
	MESSAGE_PARENT,
	MESSAGE_KEY,
	MESSAGE_TRACEPARENT,
	MESSAGE_COMPRESSION,
	MESSAGE_BODY_ENCODING,
	MESSAGE_TEXTS,
};

struct message {
	struct str raw;
	struct str text[MESSAGE_TEXTS];
	uint32_t escaped;     /* bit n: text[n] has a backslash in it */
	struct str timelimit; /* raw JSON: [hard, soft] in seconds or null; absent if not sent */
	struct str history;   /* raw JSON array; absent if there is none */
	int64_t retries;      /* at least 0 */
	int64_t group_index;  /* -1: none */
	int64_t priority;
	usec_t at; /* real time of the enqueue; 0: not told */
	bool ignores_result, is_outbox, is_redelivered;
};

/* Ids and keys become parts of Redis keys and log lines. */
#define MESSAGE_ID_MOST 255
/* A larger one is a dead letter without being read: frames and buffers stay bounded. */
#define MESSAGE_MOST    (64 * MIB)

/* 0, or -EINVAL with the reason: not an object, torn, a text member that is no text. */
int message_scan(struct str raw, struct message *ret) _must_check_;
/* The value of a text: escapes resolved (into the arena), else the slice itself.  Absent stays
 * absent. */
struct str message_text(struct arena *, const struct message *, enum message_field);
/* [hard, soft] in microseconds, 0 where null or not sent. */
void message_limits(const struct message *, usec_t *ret_hard, usec_t *ret_soft);

/* The same job in protocol 2, which message_scan takes.  0, or -EINVAL when the body is no job
 * either. */
int message_from_v1(struct arena *, const struct message *, struct str *ret_raw) _must_check_;

/* Scans a message of either protocol; *raw becomes the text that was scanned.  0 or -EINVAL. */
int message_open(struct arena *, struct str *raw, struct message *ret) _must_check_;

/* What of a message changes when it is delivered again.  Everything else keeps its bytes and its
 * order. */
struct message_change {
	int64_t retries;     /* -1: as it is */
	bool is_redelivered; /* true: says so; false: as it is */
	struct str history;  /* one JSON object, appended to apium_history (the last 10 are kept);
				absent: none */
};
/* clang-format off */
#define MESSAGE_CHANGE_NONE { .retries = -1 }
/* clang-format on */
/* Appends the changed message.  0, or -EINVAL with the reason (the message is no valid JSON). */
int message_rewrite(struct arena *, struct str raw, const struct message_change *, struct buf *out)
	_must_check_;

/* A message to be sent. */
struct message_new {
	struct str task, id;
	struct str args;                  /* JSON array, checked by the caller; absent: [] */
	struct str kwargs;                /* JSON object, checked by the caller */
	struct str queue;                 /* for delivery_info */
	struct str exchange, routing_key; /* absent: none, the queue */
	struct str key;                   /* absent: none */
	struct str root_id;               /* absent: the id */
	struct str parent_id;             /* absent: none */
	struct str traceparent;           /* absent: none */
	usec_t at;                        /* real time of the enqueue; 0: now */
	usec_t eta, expires;              /* real time; 0: none */
	usec_t expires_in;    /* the same as it was asked for, from now on; 0: a time was */
	struct str timelimit; /* JSON, [hard, soft]; absent: none */
	int priority;
	bool ignores_result, is_outbox;
	bool is_foreign; /* nobody here knows the task: its results are for its worker to decide */
	/* Of a canvas; zeroed: an ordinary job. */
	struct str embed;    /* JSON object, what comes after it; absent: nothing */
	struct str group;    /* absent: none */
	int64_t group_index; /* with a group; -1: none */
	int64_t retries;
	struct str shadow, reply_to;
	struct str stamped_headers, stamps; /* JSON array, object; absent: none */
	struct str headers;                 /* JSON object of further headers; absent: none */
	struct str properties;              /* the same of properties */
	struct str argsrepr, kwargsrepr; /* what is shown of the arguments; absent: what they are */
};
void message_write(struct buf *out, const struct message_new *);

/* What is said rather than asked for: an event, a command of remote control, a reply. */
struct message_note {
	struct str body, headers; /* JSON */
	struct str exchange, routing_key;
	bool is_kept; /* delivery_mode 2, as commands have it; else 1 */
};
void message_write_note(struct buf *out, const struct message_note *);

#endif
