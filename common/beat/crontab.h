/*
 * crontab.h - five fields that say at which minutes something is planned, with Celery's meaning.
 *
 *     minute 0-59   hour 0-23   day of the month 1-31   month 1-12   day of the week 0-6, Sunday is 0
 *
 * A field is a list of parts separated by commas: `*`, a number, a range `a-b` (one that ends below
 * where it begins goes round: `22-2`, `fri-mon`), and a range or `*` with a step behind `/`.  Months
 * and days of the week may be named, in English, by three letters or in full, in any case.  As in
 * Celery, and unlike in cron(8), a day must fit the day of the month AND the day of the week.
 *
 * Where this is stricter than Celery: a month's name is no hour, and nothing may follow a part.  A
 * day that no named month has (`0 0 30 2 *`) is refused, as there.
 *
 * Source: celery/schedules.py, class crontab_parser.
 */
#ifndef BEAT_CRONTAB_H
#define BEAT_CRONTAB_H

#include "base/str.h"

/* Bit n stands for the number n. */
struct crontab {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays;
};

#define CRONTAB_MOST 200 /* bytes of the text */

/* 0, or -EINVAL with a sentence that names the field: "hour: 24 is not from 0 to 23". */
int crontab_parse(struct str text, struct crontab *ret) _must_check_;
bool crontab_has_minute(const struct crontab *, int hour, int minute);
/* `month` from 1; the date must be a valid one. */
bool crontab_has_day(const struct crontab *, int year, int month, int day);
/* Every hour of the day is named: then it is planned by the hours that really pass (beat/when.h). */
bool crontab_has_all_hours(const struct crontab *);

#endif
