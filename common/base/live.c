#include "base/live.h"

#include <stdatomic.h>

static _Atomic int64_t counts[LIVE_COUNT];

static const char *const names[LIVE_COUNT] = {
#define X(name) [LIVE_##name] = #name,
	LIVE_COUNTERS(X)
#undef X
};

void live_add(enum live_counter c, int by)
{
	must(c < LIVE_COUNT);
	atomic_fetch_add_explicit(&counts[c], by, memory_order_relaxed);
}

int64_t live_get(enum live_counter c)
{
	must(c < LIVE_COUNT);
	return atomic_load_explicit(&counts[c], memory_order_relaxed);
}

const char *live_name(enum live_counter c)
{
	must(c < LIVE_COUNT);
	return names[c];
}
