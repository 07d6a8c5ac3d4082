/*
 * repr.h - JSON values as Python shows them: for headers, events and the operator's terminal.
 *
 * `message_repr` is Celery's saferepr (celery/utils/saferepr.py) to the letter: containers below the
 * third level are `[...]`, and the whole is cut at 1024 characters, with what is open closed behind the
 * cut.  It is for people only: a text that is no JSON is "...".  `repr_add` is Python's own repr,
 * uncut.
 */
#ifndef QUEUE_REPR_H
#define QUEUE_REPR_H

#include "base/arena.h"
#include "base/buf.h"

struct json;

struct str message_repr(struct arena *, struct str json);
/* An array, shown as the tuple that a Python producer makes of it: "(2, 3)", "(2,)", "()". */
struct str message_repr_args(struct arena *, struct str json);

void repr_add(struct buf *out, struct arena *, const struct json *);

#endif
