/*
 * body.h - what is inside an envelope: decoded in the host, where the job runs.
 *
 * base64 (or plain text, when body_encoding does not say base64) -> decompressed -> JSON
 * [args, kwargs, embed].  zlib ("application/x-gzip", which is a zlib stream), bz2 and zstd are known;
 * any other compression or content type is refused with its name.  Sizes are bounded before and
 * after.
 */
#ifndef QUEUE_BODY_H
#define QUEUE_BODY_H

#include "base/json.h"
#include "queue/message.h"

#define BODY_MOST (64 * MIB) /* decompressed */

/* By the name that Celery gives a compression; `packed` may be what it is not.  As body_text. */
int body_decompress(struct arena *, struct str name, struct str packed, struct str *ret)
	_must_check_;

/* The body's text, in the arena or a slice of the message.  0, or -EINVAL with the reason. */
int body_text(struct arena *, const struct message *, struct str *ret) _must_check_;

/* What comes after the job (queue/follow.h); NULL where nothing is asked for. */
struct body_embed {
	const struct json *callbacks, *errbacks, *chain; /* arrays that are not empty */
	const struct json *chord;                        /* a signature */
};

struct body {
	const struct json *args;   /* an array */
	const struct json *kwargs; /* an object */
	struct body_embed embed;
	bool has_embed; /* something of it is not NULL */
};

/* 0, or -EINVAL with the reason.  Of the embed only the types are looked at. */
int body_parse(struct arena *, struct str text, struct body *ret) _must_check_;

/*
 * What message_write_note writes, read back: the envelope and the value of its body.  It is a task's
 * but for its headers (`expires` is a number), which message_scan would refuse.  0, or -EINVAL with
 * the reason.
 */
int body_of_note(struct arena *, struct str raw, struct json **ret_envelope, struct json **ret_body)
	_must_check_;

#endif
