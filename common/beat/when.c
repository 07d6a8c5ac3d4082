#include "beat/when.h"

#include <errno.h>

#include "base/datetime.h"
#include "base/error.h"

/* From one 29th of February on a Monday to the next may be forty years. */
#define DAYS_MOST      (50 * 366)
#define MINUTES_OF_DAY (24 * 60)

int when_init(struct when *w, struct str crontab, usec_t every, usec_t anchor, struct str zone)
{
	struct when made = { .every = every, .anchor = anchor };
	int r = 0;

	if (str_is_null(crontab) == (every == 0))
		return fail(-EINVAL, "either a crontab or an interval is needed");
	if (every < 0)
		return fail(-EINVAL, "an interval goes forward");
	if (!str_is_null(crontab))
		r = crontab_parse(crontab, &made.crontab);
	if (r == 0)
		r = zone_open(zone, &made.zone);
	if (r == 0)
		*w = made;
	return r;
}

void when_fini(struct when *w)
{
	w->zone = zone_free(w->zone);
}

static usec_t whole_days(usec_t at)
{
	return (at < 0 ? at - DAY + 1 : at) / DAY;
}

/* The wall-clock time of a minute of that day is planned at the earliest of these that lies behind. */
static usec_t moment_after(const struct when *w, usec_t wall, usec_t after)
{
	bool goes_by_hours = crontab_has_all_hours(&w->crontab);
	usec_t at[2], best = USEC_NEVER;
	unsigned count = zone_moments(w->zone, wall, at);

	if (!goes_by_hours)
		count = 1;
	for (unsigned i = 0; i < count; i++)
		if (at[i] > after)
			best = MIN(best, at[i]);
	return best;
}

/* The first planned time of that day (days since 1970 on the wall) behind `after`. */
static usec_t next_on(const struct when *w, usec_t day, usec_t after)
{
	usec_t offset, best = USEC_NEVER, midnight = day * DAY;
	bool is_even = zone_is_even(w->zone, midnight, &offset);
	usec_t first = is_even ? (after + offset - midnight) / MINUTE : 0;

	for (int i = (int) MIN(MAX(first, 0), MINUTES_OF_DAY); i < MINUTES_OF_DAY; i++) {
		usec_t wall = midnight + i * MINUTE;

		if (!crontab_has_minute(&w->crontab, i / 60, i % 60))
			continue;
		if (!is_even)
			best = MIN(best, moment_after(w, wall, after));
		else if (wall - offset > after)
			return wall - offset;
	}
	return best;
}

static bool has_day(const struct when *w, usec_t day)
{
	struct civil date;

	civil_from_realtime(day * DAY, &date);
	return crontab_has_day(&w->crontab, date.year, date.month, date.day);
}

static usec_t next_of_crontab(const struct when *w, usec_t after)
{
	/* The day before may have times that were put behind midnight. */
	usec_t today = whole_days(zone_wall(w->zone, after)) - 1;

	for (usec_t day = today; day < today + DAYS_MOST; day++) {
		usec_t at = has_day(w, day) ? next_on(w, day, after) : USEC_NEVER;

		if (at == USEC_NEVER)
			continue;
		/* Where clocks are put back over midnight, the next day begins before this one ends. */
		return has_day(w, day + 1) ? MIN(at, next_on(w, day + 1, after)) : at;
	}
	return USEC_NEVER;
}

usec_t when_next(const struct when *w, usec_t after)
{
	if (w->every == 0)
		return next_of_crontab(w, after);
	if (after < w->anchor)
		return w->anchor + w->every;
	return w->anchor + ((after - w->anchor) / w->every + 1) * w->every;
}
