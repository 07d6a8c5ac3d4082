/*
 * signature.h - signatures as JSON, and the messages that they come to.
 *
 * Reading checks all of a signature, nested ones too, so that what was read can be run; at most
 * CANVAS_MOST of them, SIGNATURE_DEPTH deep.  A celery.chunks is read as the group of starmaps that
 * it stands for.
 *
 * signature_apply makes messages: ids and group fields are given as Celery's freeze() gives them, a
 * group that is followed by a step becomes a chord, groups in groups and chains in chains are
 * taken apart.
 *
 * Source of the shapes: recordings of Celery 5.7 (tests/golden/celery/canvas.json, canvas-run.json).
 */
#ifndef QUEUE_SIGNATURE_H
#define QUEUE_SIGNATURE_H

#include "base/json.h"
#include "queue/canvas.h"
#include "queue/message.h"

#define SIGNATURE_DEPTH 40

/* 0, or -EINVAL with the reason.  Slices borrow the tree's text. */
int signature_read(struct arena *, const struct json *, struct signature **ret) _must_check_;
void signature_write(struct json_writer *, const struct signature *);
struct str signature_text(const struct signature *); /* its JSON, in its arena */

/* An option's value as JSON; absent: not set, or null. */
struct str signature_get(const struct signature *, const char *option);
/* The same, decoded; absent: not set, or no text. */
struct str signature_get_text(const struct signature *, const char *option);
int64_t signature_get_i64(const struct signature *, const char *option, int64_t otherwise);

/* More for an option that is a list (link, link_error): a signature's JSON, or an array of them. */
void signature_extend(struct signature *, const char *option, struct str json);

/* How many of a chord's parts it stands for: a chain for its last step, a chord for its body. */
size_t signature_parts(const struct signature *);

/* Gives ids to it and to what is in it, where they have none.  `place` may be NULL. */
struct signature_place {
	struct str id, group; /* absent: a new one; none */
	struct str chord;     /* JSON; absent: none */
	int64_t index;        /* -1: none */
};
void signature_freeze(struct signature *, const struct signature_place *place);

struct signature_use {
	struct arena *arena;
	struct str root_id, parent_id, traceparent; /* absent: the message's own; none */
	bool tells_size; /* chords carry their size in each part (canvas.h: the outbox) */
	/* A message that is ready.  0 or negative, which ends signature_apply. */
	int (*emit)(void *arg, const struct message_new *);
	/* A chord begins: its group, and how many parts it has. */
	int (*begin_chord)(void *arg, struct str group, size_t size); /* NULL: of no interest */
	void *arg;
	/* Filled: what Celery lists as children, "[[id, null], null]" for each. */
	struct buf *children; /* NULL: not wanted */
	size_t count;
};

/*
 * `before`: what is put before the arguments, JSON values with commas between; absent: nothing.
 * `rest`: JSON array, the rest of a chain, reversed; absent: none.  0; -EINVAL with the reason; what
 * emit returned.
 */
int signature_apply(struct signature_use *, struct signature *, struct str before, struct str rest)
	_must_check_;

#endif
