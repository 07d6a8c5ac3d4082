/*
 * live.h - counters of objects that exist, asserted by tests.
 *
 * LIVE(arenas) and its like are bumped by constructors and destructors; a test's fini asserts that
 * every counter is where it was.  This catches what LeakSanitizer cannot see (objects still
 * reachable).
 */
#ifndef BASE_LIVE_H
#define BASE_LIVE_H

#include "base/macros.h"

#define LIVE_COUNTERS(X)                                                                           \
	X(arenas)                                                                                  \
	X(fibers)                                                                                  \
	X(timers)                                                                                  \
	X(requests)                                                                                \
	X(db_results)                                                                              \
	X(db_lent)                                                                                 \
	X(redis_calls)                                                                             \
	X(processes)                                                                               \
	X(jobs)

enum live_counter {
#define X(name) LIVE_##name,
	LIVE_COUNTERS(X)
#undef X
		LIVE_COUNT
};

void live_add(enum live_counter, int by); /* atomic: threads share the counters */
int64_t live_get(enum live_counter);
const char *live_name(enum live_counter);

#endif
