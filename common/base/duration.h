/*
 * duration.h - lengths of time as text, in the forms of Django's DurationField.
 *
 * Written: "3 08:32:01.000123": days only when they are not 0, a fraction only when it is not 0; a negative one
 * has negative days and a time of the day, as Python's timedelta keeps it ("-1 23:00:00").
 * Read: "[D ][[HH:]MM:]SS[.f]" with a sign before the time, ISO 8601 ("P1DT2H"), PostgreSQL's own
 * ("1 day 02:00:00").  Source: django/utils/dateparse.py, drf-wire §6.
 */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include "base/buf.h"

/* 0; -EINVAL (none of the forms), -ERANGE (more than 999,999,999 days, or than usec_t holds). */
int duration_parse(struct str text, usec_t *ret) _must_check_;
void duration_add(struct buf *, usec_t);

#endif
