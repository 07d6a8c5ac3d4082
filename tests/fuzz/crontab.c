#include "fuzz.h"

#include "beat/when.h"

/* Whatever is taken names something in every field, and comes again. */
void fuzz_crontab(struct str input)
{
	_cleanup_(when_fini) struct when w = WHEN_INIT;
	usec_t after = 1774742400 * SEC; /* an hour before clocks are put forward */

	if (when_init(&w, input, 0, 0, STR("Europe/Berlin")) < 0)
		return;
	must(w.crontab.minutes != 0 && w.crontab.minutes >> 60 == 0);
	must(w.crontab.hours != 0 && w.crontab.hours >> 24 == 0);
	must(w.crontab.days != 0 && (w.crontab.days & 1) == 0);
	must(w.crontab.months != 0 && w.crontab.months >> 13 == 0 && (w.crontab.months & 1) == 0);
	must(w.crontab.weekdays != 0 && w.crontab.weekdays >> 7 == 0);
	for (int i = 0; i < 3; i++) {
		usec_t next = when_next(&w, after);

		must(next > after && next != USEC_NEVER && next % MINUTE == 0);
		after = next;
	}
}
