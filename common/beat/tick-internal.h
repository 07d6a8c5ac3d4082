/*
 * tick-internal.h - what tick.c asks of periodic.c and nobody else may.
 */
#ifndef BEAT_TICK_INTERNAL_H
#define BEAT_TICK_INTERNAL_H

#include "beat/periodic.h"

/* The row, locked until the transaction ends: 1; 0 when it is gone, paused, or somebody else has it. */
int periodic_take(struct db_tx *, struct arena *, struct str id, struct periodic *ret)
	may_yield _must_check_;

#endif
