#include "beat/due.h"

#include <errno.h>

#include "base/error.h"

const char *const missed_names[MISSED_POLICIES] = { "one", "skip", "all" };

int missed_parse(struct str word, enum missed *ret)
{
	for (int i = 0; i < MISSED_POLICIES; i++) {
		if (!str_eq_c(word, missed_names[i]))
			continue;
		*ret = (enum missed) i;
		return 0;
	}
	return fail(-EINVAL, "missed is one of one, skip, all, not %.*s",
		    STR_ARG(str_slice(word, 0, 40)));
}

static bool is_run(enum missed missed, usec_t deadline, usec_t late, bool is_last)
{
	if (deadline > 0 && late > deadline)
		return false;
	if (missed == MISSED_ALL)
		return true;
	return is_last && (missed == MISSED_ONE || late <= DUE_LATE);
}

void due_plan(const struct when *w, enum missed missed, usec_t starting_deadline, usec_t next,
	      usec_t now, struct due_plan *ret)
{
	struct due_plan plan = { .next = next };

	for (int walked = 0; plan.next <= now && walked < DUE_WALK; walked++) {
		usec_t planned = plan.next, following = when_next(w, planned);
		bool runs = is_run(missed, starting_deadline, now - planned, following > now);
		struct due_step *last = plan.count > 0 ? &plan.steps[plan.count - 1] : NULL;

		if (!runs && last != NULL && !last->is_run) {
			last->planned = planned;
			last->times++;
		} else if (plan.count == DUE_STEPS) {
			break;
		} else {
			plan.steps[plan.count++] = (struct due_step){ planned, runs, 1 };
		}
		plan.next = following;
	}
	*ret = plan;
}
