/*
 * worker_words.h - the options of a worker's command line, under the names that `celery worker` has.
 *
 * One table.  A row sets a setting (settings_say: stronger than environment and file), asks for
 * something at the start, needs nothing because it is so here anyway (`-O fair`, `--without-gossip`),
 * or is refused with one sentence that says why and what to do instead.  Nothing is ignored in
 * silence.
 *
 * To add an option: a row in worker_words.c.
 */
#ifndef QUEUE_WORKER_WORDS_H
#define QUEUE_WORKER_WORDS_H

#include "base/str.h"

/* What the command line asks for that is no setting. */
struct worker_start {
	bool purges; /* what waits in the queues is thrown away before anything is fetched */
	const char *excluded; /* queues of APIUM_QUEUES that are left out; NULL: none */
};

/* Before settings_load; argv begins behind the program's name.  0; -ECANCELED: help was asked for and
 * printed; -EINVAL with the sentence as the reason. */
int worker_words_read(int argc, char **argv, struct worker_start *ret) _must_check_;
/* After settings_load: it may have to be called again, then the answer is 1.  -E_BAD_SETTING when no
 * queue is left. */
int worker_words_exclude(const struct worker_start *) _must_check_;
/* The options that are taken, printed or visited (base/option.h). */
void worker_words_print(void);

#endif
