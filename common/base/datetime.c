#include "base/datetime.h"

#include <errno.h>

static const char *const day_names[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/*
 * Days since 1970-01-01 in the Gregorian calendar, and back.  Years are counted from March, so that the
 * leap day is the last of its year; 146,097 days make 400 years.
 */
static int64_t days_from_civil(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static void civil_from_days(int64_t days, struct civil *c)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			       day_of_era / 146096) /
			      365;
	int64_t day_of_year = day_of_era -
			      (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;

	c->day = (int) (day_of_year - (153 * month + 2) / 5 + 1);
	c->month = (int) (month < 10 ? month + 3 : month - 9);
	c->year = (int) (year_of_era + era * 400 + (c->month <= 2));
}

static int64_t divide_down(int64_t a, int64_t by)
{
	return a / by - (a % by < 0);
}

void civil_from_realtime(usec_t realtime, struct civil *c)
{
	int64_t days = divide_down(realtime, DAY);
	usec_t rest = realtime - days * DAY;

	civil_from_days(days, c);
	c->hour = (int) (rest / HOUR);
	c->minute = (int) (rest % HOUR / MINUTE);
	c->second = (int) (rest % MINUTE / SEC);
	c->microsecond = (int) (rest % SEC);
}

usec_t civil_to_realtime(const struct civil *c)
{
	must(civil_is_valid(c));
	return days_from_civil(c->year, c->month, c->day) * DAY + c->hour * HOUR +
	       c->minute * MINUTE + c->second * SEC + c->microsecond;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && is_leap);
}

bool civil_is_valid(const struct civil *c)
{
	return c->year >= 1 && c->year <= 9999 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
	       c->day <= days_in_month(c->year, c->month) && c->hour >= 0 && c->hour < 24 &&
	       c->minute >= 0 && c->minute < 60 && c->second >= 0 && c->second < 60 &&
	       c->microsecond >= 0 && c->microsecond < 1000000;
}

static void add_iso(struct buf *b, usec_t realtime, const char *zone)
{
	struct civil c;

	civil_from_realtime(realtime, &c);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d", c.year, c.month, c.day, c.hour, c.minute,
		   c.second);
	if (c.microsecond != 0)
		buf_printf(b, ".%06d", c.microsecond);
	buf_add_c(b, zone);
}

void datetime_add_drf(struct buf *b, usec_t realtime)
{
	add_iso(b, realtime, "Z");
}

void datetime_add_python(struct buf *b, usec_t realtime)
{
	add_iso(b, realtime, "+00:00");
}

static void add_mail_form(struct buf *b, usec_t realtime, const char *zone)
{
	struct civil c;
	int64_t weekday = (divide_down(realtime, DAY) + 4) % 7; /* 1970 began on a Thursday */

	civil_from_realtime(realtime, &c);
	buf_printf(b, "%s, %02d %s %04d %02d:%02d:%02d %s",
		   day_names[weekday < 0 ? weekday + 7 : weekday], c.day, month_names[c.month - 1],
		   c.year, c.hour, c.minute, c.second, zone);
}

void datetime_add_http(struct buf *b, usec_t realtime)
{
	add_mail_form(b, realtime, "GMT");
}

void datetime_add_rfc5322(struct buf *b, usec_t realtime)
{
	add_mail_form(b, realtime, "+0000");
}
