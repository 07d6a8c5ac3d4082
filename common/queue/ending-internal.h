/*
 * ending-internal.h - the last step of a job's life: whatever it writes, by one script with its
 * acknowledgement.
 *
 * A plain end is an LTRIM or LSET, a result shares a script with others, the rest is SCRIPT_END;
 * what follows the job (queue/follow.h) makes it SCRIPT_STEP (queue/step-internal.h).  With results in
 * another Redis, that one is written first: only what is stored may be acknowledged.
 */
#ifndef QUEUE_ENDING_INTERNAL_H
#define QUEUE_ENDING_INTERNAL_H

#include "queue/dead.h"
#include "queue/follow.h"
#include "queue/supervisor-internal.h"

/* All that an end writes.  Absent texts: not that. */
struct ending {
	struct str id, key;
	struct str document; /* the result's */
	struct str receipt;
	const struct dead_letter *letter;
	struct str record;
	const struct follow *follow; /* NULL: nothing */
};

void ending_run(struct supervisor *, struct flight *, const struct ending *);

/* For queue/step.c. */
#define ENDING_KEYS  7
#define ENDING_WORDS 11
struct ending_words {
	struct str keys[ENDING_KEYS], args[ENDING_WORDS];
	struct buf of_id, of_key, result;
	char now[24];
};
void ending_words_init(struct ending_words *, const struct supervisor *, const struct flight *,
		       const struct ending *);
void ending_words_fini(struct ending_words *);
/* Into the arena. */
void ending_copy(struct ending *to, struct arena *, const struct ending *from);
struct str ending_ttl(void); /* of a result */

#endif
