#include "queue/autoscale.h"

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "queue/supervisor-internal.h"

#define LOOK     (1 * SEC)
#define PATIENCE (30 * SEC)
#define MOST     4000

/* Celery takes the two in any order, and one alone as the larger. */
int autoscale_init(struct autoscale *a)
{
	struct str rest = str_c(settings.autoscale), first;
	uint64_t one, other = 1;

	*a = (struct autoscale){ 0 };
	if (settings.autoscale[0] == '\0')
		return 0;
	(void) str_cut(&rest, ',', &first);
	if (str_to_u64(str_trim(first), &one) < 0 ||
	    (!str_is_null(rest) && str_to_u64(str_trim(rest), &other) < 0) || MAX(one, other) < 1 ||
	    MAX(one, other) > MOST)
		return fail(-E_BAD_SETTING,
			    "APIUM_AUTOSCALE: \"%s\" is not two numbers up to %d, such as 10,2",
			    settings.autoscale, MOST);
	a->most = (unsigned) MAX(one, other);
	a->least = (unsigned) MAX(MIN(one, other), UINT64_C(1));
	return 0;
}

bool autoscale_is_on(const struct autoscale *a)
{
	return a->most > 0;
}

static void scale_to(struct supervisor *s, unsigned slots)
{
	unsigned hosts = (unsigned) settings.hosts;

	log_debug("autoscale: %u slots", slots);
	crew_set_slots(s->crew, (slots + hosts - 1) / hosts);
	supervisor_pump(s);
}

void autoscale_set(struct supervisor *s, unsigned most, unsigned least)
{
	unsigned slots = crew_slots(s->crew);

	must(1 <= least && least <= most);
	s->autoscale.most = most;
	s->autoscale.least = least;
	if (slots < least || slots > most)
		scale_to(s, MIN(MAX(slots, least), most));
}

void autoscale_tick(struct supervisor *s)
{
	struct autoscale *a = &s->autoscale;
	usec_t now = loop_now(s->loop);
	unsigned slots, wanted;

	if (!autoscale_is_on(a) || supervisor_is_stopping(s) || now - a->looked_at < LOOK)
		return;
	a->looked_at = now;
	slots = crew_slots(s->crew);
	wanted = MIN(MAX(crew_shared_load(s->crew), a->least), a->most);
	if (wanted >= slots)
		a->wanted_at = now;
	if (wanted > slots || (wanted < slots && now - a->wanted_at >= PATIENCE))
		scale_to(s, wanted);
}
