#include "loop/sm.h"

#include <signal.h>

#include <criterion/criterion.h>

enum { IDLE, LENT, DRAINING, CLOSED, STATES };

static const struct sm_state states[STATES] = {
	[IDLE] = { "IDLE", SM_TO(LENT) | SM_TO(CLOSED) },
	[LENT] = { "LENT", SM_TO(IDLE) | SM_TO(DRAINING) },
	[DRAINING] = { "DRAINING", SM_TO(IDLE) | SM_TO(CLOSED) },
	[CLOSED] = { "CLOSED", 0 },
};

static int checks;

static void invariant(const struct sm *sm)
{
	checks++;
	cr_assert(sm->state < STATES);
}

Test(sm, moves_by_the_table_and_runs_the_invariant)
{
	struct sm sm;

	sm_init(&sm, "connection", states, STATES, IDLE, invariant);
	cr_assert_str_eq(sm_name(&sm), "IDLE");
	sm_move(&sm, LENT);
	sm_move(&sm, DRAINING);
	sm_move(&sm, CLOSED);
	cr_assert_eq(checks, 3);
	cr_assert_str_eq(sm_name(&sm), "CLOSED");
}

Test(sm, a_move_that_is_not_in_the_table_aborts, .signal = SIGABRT)
{
	struct sm sm;

	sm_init(&sm, "connection", states, STATES, IDLE, NULL);
	sm_move(&sm, DRAINING);
}

Test(sm, soundness_is_reachability_and_known_states)
{
	static const struct sm_state island[] = { { "A", SM_TO(1) },
						  { "B", 0 },
						  { "C", SM_TO(0) } };
	static const struct sm_state beyond[] = { { "A", SM_TO(1) }, { "B", SM_TO(2) } };
	static const struct sm_state nameless[] = { { "A", SM_TO(1) }, { NULL, 0 } };

	cr_assert(sm_table_is_sound(states, STATES, IDLE));
	cr_assert(!sm_table_is_sound(states, STATES, CLOSED));
	cr_assert(!sm_table_is_sound(island, 3, 0));
	cr_assert(sm_table_is_sound(island, 3, 2));
	cr_assert(!sm_table_is_sound(beyond, 2, 0));
	cr_assert(!sm_table_is_sound(nameless, 2, 0));
	cr_assert(!sm_table_is_sound(states, STATES, STATES));
	cr_assert(!sm_table_is_sound(states, 0, 0));
}
