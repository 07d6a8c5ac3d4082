/*
 * datetime.h - dates and times as text, in UTC.
 *
 * The output forms are those of Django REST Framework: microseconds are written only if they are
 * not zero, and UTC is "Z".  Python's isoformat differs in the zone ("+00:00"); both are here.
 */
#ifndef BASE_DATETIME_H
#define BASE_DATETIME_H

#include "base/buf.h"

struct civil {
	int year, month, day, hour, minute, second, microsecond;
};

void civil_from_realtime(usec_t realtime, struct civil *ret);
usec_t civil_to_realtime(const struct civil *); /* must be a valid date */
bool civil_is_valid(const struct civil *);

/* Room for any ISO form of any usec_t. */
#define DATETIME_TEXT 48
/* As datetime_add_drf, into memory of the caller's; not NUL-terminated. */
struct str datetime_drf(usec_t realtime, char text[DATETIME_TEXT]);
void datetime_add_drf(struct buf *, usec_t realtime); /* 2026-01-31T12:00:00.5Z -> …00.500000Z */
void datetime_add_python(struct buf *, usec_t realtime); /* …+00:00 */
void datetime_add_http(struct buf *, usec_t realtime); /* RFC 9110: Sun, 06 Nov 1994 08:49:37 GMT */
void datetime_add_rfc5322(struct buf *, usec_t realtime); /* Sun, 06 Nov 1994 08:49:37 +0000 */

/* ISO 8601 as Python's fromisoformat and DRF take it; no zone means UTC.  0; -EINVAL; -ERANGE when its zone
 * moves it out of the years 1 to 9999. */
int datetime_parse(struct str text, usec_t *ret) _must_check_;
int datetime_parse_http(struct str text, usec_t *ret) _must_check_;
/* PostgreSQL's timestamptz text with TimeZone UTC: "2026-01-31 12:00:00.5+00".  0 or -EINVAL. */
int datetime_parse_pg(struct str text, usec_t *ret) _must_check_;

#endif
