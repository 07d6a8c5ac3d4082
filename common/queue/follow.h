/*
 * follow.h - what comes after a job, from its message and its end to the effects of one script.
 *
 * In a host when the job has succeeded, in the supervisor when it has failed or its chord is
 * complete.  Effects name Redis keys and are carried out in their order by the script that
 * acknowledges the job (SCRIPT_STEP, queue/scripts.h).
 *
 *   success   callbacks, then the next step of the chain, then the job counts as a part of its
 *             chord
 *   failure   FAILURE for the steps that will not run, the last one first; errbacks; the part of a
 *             chord is counted as failed: the job's own, or that of the chain's last step; if that
 *             is a group, all of its members.  A revoked job ends the rest as revoked, and calls no
 *             errbacks
 *
 * Source: recordings of Celery 5.7 (tests/golden/celery/canvas-run.json, chord-run.json).
 */
#ifndef QUEUE_FOLLOW_H
#define QUEUE_FOLLOW_H

#include "queue/body.h"
#include "queue/keys.h"
#include "queue/result.h"

struct signature;

enum follow_kind {
	FOLLOW_PUSH = 'p',   /* LPUSH key payload */
	FOLLOW_LATER = 'l',  /* ZADD key when payload */
	FOLLOW_RESULT = 'r', /* a job's document, published, unless a better one is there */
	FOLLOW_SET = 's',    /* SET key payload EX when */
	FOLLOW_DROP = 'd',   /* DEL key */
	FOLLOW_PART =
		'm', /* a part of the chord with this `.j`, beside the job's: score, mark, member */
	FOLLOW_CHECK = 'c', /* the key holds payload, else nothing at all is done */
};

struct follow_effect {
	char kind; /* enum follow_kind */
	struct str key, when, payload;
};

/* A part of a chord that has ended. */
struct follow_part {
	struct str group;  /* absent: of no chord */
	struct str member; /* JSON, what `.j` gets */
	struct str id;
	struct str body; /* the chord's, a signature; absent: in the job's own message */
	int64_t index;   /* -1: none */
	int64_t size;    /* of the chord, if its messages tell; 0: they do not */
};

struct follow {
	struct arena *arena;
	struct follow_effect *effects;
	size_t count, cap, bytes;
	struct follow_part part;
	struct buf children; /* for the result's document; "[[id, null], null], …" */
	struct queue_book *book;
};

void follow_init(struct follow *, struct arena *, struct queue_book *);
void follow_fini(struct follow *);

/* The job that something follows.  Values, not JSON. */
struct follow_job {
	struct str id, group, root_id, traceparent;
	int64_t group_index;
};

/* All of `embed` can be run: 0, or -EINVAL with the reason. */
int follow_check(struct arena *, const struct body_embed *) _must_check_;
/* `value` is JSON.  0, or -EINVAL with the reason (too much follows). */
int follow_success(struct follow *, const struct follow_job *, const struct body_embed *,
		   struct str value) _must_check_;
/* A job's body asked for these signatures, as celery.group and its like do: JSON. */
int follow_signature(struct follow *, const struct follow_job *, struct signature *) _must_check_;

struct follow_failure {
	enum result_state state; /* FAILURE or REVOKED */
	const struct result_exception *exception;
	struct str message; /* the exception's argument, UTF-8 */
};
int follow_failure(struct follow *, const struct follow_job *, const struct body_embed *,
		   const struct follow_failure *) _must_check_;

/* The chord's body, with what its parts returned: `results` is a JSON array.  `last`: the part that
 * completed it. */
int follow_chord(struct follow *, const struct follow_job *last, struct str body,
		 struct str results) _must_check_;
/* … or what happens instead of it. */
int follow_chord_failure(struct follow *, const struct follow_job *last, struct str body,
			 const struct follow_failure *) _must_check_;

/* To a frame and back. */
void follow_pack(struct buf *out, const struct follow *);
int follow_unpack(struct follow *, struct str packed) _must_check_;

void follow_add(struct follow *, enum follow_kind, struct str key, struct str when,
		struct str payload);

#endif
