#include "loop/sm.h"

#include "base/log.h"

void sm_init(struct sm *sm, const char *object, const struct sm_state *states, unsigned count,
	     unsigned first, void (*invariant)(const struct sm *))
{
	must(first < count && count <= 32);
	*sm = (struct sm){
		.states = states,
		.count = count,
		.state = first,
		.object = object,
		.invariant = invariant,
	};
}

void sm_move(struct sm *sm, unsigned to)
{
	must(to < sm->count);
	if ((sm->states[sm->state].next & SM_TO(to)) == 0) {
		log_error("%s may not go from %s to %s", sm->object, sm_name(sm),
			  sm->states[to].name);
		must_not_reach("a state machine left its table");
	}
	log_debug("%s: %s -> %s", sm->object, sm_name(sm), sm->states[to].name);
	sm->state = to;
	if (sm->invariant != NULL)
		sm->invariant(sm);
}

const char *sm_name(const struct sm *sm)
{
	return sm->states[sm->state].name;
}

bool sm_table_is_sound(const struct sm_state *states, unsigned count, unsigned first)
{
	uint32_t all = count == 32 ? UINT32_MAX : SM_TO(count) - 1, reached, before;

	if (count == 0 || count > 32 || first >= count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (states[i].name == NULL || (states[i].next & ~all) != 0)
			return false;
	reached = SM_TO(first);
	do {
		before = reached;
		for (unsigned i = 0; i < count; i++)
			if (reached & SM_TO(i))
				reached |= states[i].next;
	} while (reached != before);
	return reached == all;
}
