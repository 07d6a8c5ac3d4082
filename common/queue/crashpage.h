/*
 * crashpage.h - a page of memory that a host shares with its supervisor: what it leaves behind when
 * it dies.
 *
 * One byte per flight, set when its body starts: at the host's death the supervisor knows which
 * jobs had begun.  And one counter that moves whenever a fiber is switched to and at each tick of
 * the host's timer: a host in which it stands still has a task that does not yield.
 *
 * A memfd, passed as descriptor 4.  The supervisor trusts nothing in it: a wrong byte costs a wrong
 * guess about who was to blame, no more.
 */
#ifndef QUEUE_CRASHPAGE_H
#define QUEUE_CRASHPAGE_H

#include "base/macros.h"

#define CRASHPAGE_FD 4

struct crashpage {
	int fd; /* the supervisor's, to be passed on; -1 in the host */
	size_t size;
	struct crashpage_view *_view;
};

/* The supervisor's side.  0 or -errno. */
int crashpage_make(struct crashpage *, uint32_t flights) _must_check_;
/* The host's side, from CRASHPAGE_FD, which is closed. */
int crashpage_map(struct crashpage *) _must_check_;
void crashpage_fini(struct crashpage *);

void crashpage_clear(struct crashpage *,
		     uint32_t number); /* the supervisor, before it sends the job */
void crashpage_start(struct crashpage *, uint32_t number); /* the host */
bool crashpage_has_started(const struct crashpage *, uint32_t number);
uint64_t crashpage_beats(const struct crashpage *);
uint64_t *crashpage_beat(struct crashpage *); /* where the host counts */

#endif
