/*
 * sm.h - declared state machines for objects that live below the waterline.
 *
 * A state is a row: its name and the states that may follow.  sm_move asserts the table, traces at
 * debug level, and runs the object's invariant.  A state that means "is in that list" is entered
 * and left in the one function that moves the node.
 */
#ifndef LOOP_SM_H
#define LOOP_SM_H

#include "base/macros.h"

struct sm_state {
	const char *name;
	uint32_t next; /* bit n: may move to state n */
};

struct sm {
	const struct sm_state *states;
	unsigned count;
	unsigned state;
	const char *object;                   /* for traces: "db connection", … */
	void (*invariant)(const struct sm *); /* may be NULL */
};

#define SM_TO(state) (UINT32_C(1) << (state))

void sm_init(struct sm *, const char *object, const struct sm_state *, unsigned count,
	     unsigned first, void (*invariant)(const struct sm *));
void sm_move(struct sm *, unsigned to);
const char *sm_name(const struct sm *);
/* Every state reachable from the first, every `next` within the table: for unit tests. */
bool sm_table_is_sound(const struct sm_state *, unsigned count, unsigned first);

#endif
