#include "base/datetime.h"

#include <errno.h>
#include <stdio.h>

/* 0001-01-01T00:00:00 and 9999-12-31T23:59:59.999999, Python's datetime.min and max. */
#define TIME_FIRST INT64_C(-62135596800000000)
#define TIME_LAST  INT64_C(253402300799999999)

static const char *const day_names[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

/*
 * Days since 1970-01-01 in the Gregorian calendar, and back.  Years are counted from March, so that
 * the leap day is the last of its year; 146,097 days make 400 years.
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

/* 0: Monday.  1970 began on a Thursday. */
static int weekday_from_monday(int64_t days)
{
	return (int) (days - divide_down(days + 3, 7) * 7 + 3);
}

void civil_from_realtime(usec_t realtime, struct civil *c)
{
	int64_t days = divide_down(realtime, DAY);
	usec_t rest = realtime % DAY + (realtime % DAY < 0 ? DAY : 0);

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

/* Exactly `count` digits and a sign behind them; past both. */
static char *put_number(char *at, int count, int n, char sign)
{
	for (int i = count - 1; i >= 0; i--, n /= 10)
		at[i] = (char) ('0' + n % 10);
	at[count] = sign;
	return at + count + 1;
}

/* By hand: every row that is answered has two of these, and printf costs ten times as much. */
static char *put_iso(char *at, usec_t realtime)
{
	struct civil c;

	civil_from_realtime(realtime, &c);
	if (likely(c.year >= 0 && c.year <= 9999))
		at = put_number(at, 4, c.year, '-');
	else
		at += snprintf(at, DATETIME_TEXT / 2, "%04d-", c.year);
	at = put_number(at, 2, c.month, '-');
	at = put_number(at, 2, c.day, 'T');
	at = put_number(at, 2, c.hour, ':');
	at = put_number(at, 2, c.minute, ':');
	at = put_number(at, 2, c.second, '.');
	if (c.microsecond != 0)
		at = put_number(at, 6, c.microsecond, '.');
	return at - 1; /* without the last sign */
}

static void add_iso(struct buf *b, usec_t realtime, const char *zone)
{
	char text[DATETIME_TEXT];

	buf_add(b, text, (size_t) (put_iso(text, realtime) - text));
	buf_add_c(b, zone);
}

struct str datetime_drf(usec_t realtime, char text[DATETIME_TEXT])
{
	char *end = put_iso(text, realtime);

	*end++ = 'Z';
	return str_make(text, (size_t) (end - text));
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
	int weekday = (weekday_from_monday(divide_down(realtime, DAY)) + 1) % 7;

	civil_from_realtime(realtime, &c);
	buf_printf(b, "%s, %02d %s %04d %02d:%02d:%02d %s", day_names[weekday], c.day,
		   month_names[c.month - 1], c.year, c.hour, c.minute, c.second, zone);
}

void datetime_add_http(struct buf *b, usec_t realtime)
{
	add_mail_form(b, realtime, "GMT");
}

void datetime_add_rfc5322(struct buf *b, usec_t realtime)
{
	add_mail_form(b, realtime, "+0000");
}

/* A place in a text that is read from left to right; a failed step says so and leaves it there. */
struct cursor {
	const char *at, *end;
};

/* Exactly `count` digits. */
static bool take_number(struct cursor *c, int count, int *ret)
{
	int n = 0;

	if (c->end - c->at < count)
		return false;
	for (int i = 0; i < count; i++) {
		if (c->at[i] < '0' || c->at[i] > '9')
			return false;
		n = n * 10 + (c->at[i] - '0');
	}
	c->at += count;
	*ret = n;
	return true;
}

static bool take_char(struct cursor *c, char wanted)
{
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

static bool is_at_end(const struct cursor *c)
{
	return c->at == c->end;
}

/* Any number of digits; what is finer than a microsecond is cut off, as Python does. */
static bool take_fraction(struct cursor *c, int *ret_microsecond)
{
	int n = 0, digits = 0;

	for (; !is_at_end(c) && *c->at >= '0' && *c->at <= '9'; c->at++, digits++)
		if (digits < 6)
			n = n * 10 + (*c->at - '0');
	if (digits == 0)
		return false;
	for (; digits < 6; digits++)
		n *= 10;
	*ret_microsecond = n;
	return true;
}

/* One digit or two. */
static bool take_short_number(struct cursor *c, int *ret)
{
	return take_number(c, 2, ret) || take_number(c, 1, ret);
}

static bool is_digit_next(const struct cursor *c)
{
	return !is_at_end(c) && *c->at >= '0' && *c->at <= '9';
}

/* The day of an ISO week, whose first is the one with 4 January in it. */
static bool from_week(struct civil *to, int week, int weekday)
{
	int64_t fourth = days_from_civil(to->year, 1, 4);
	int64_t next_fourth = days_from_civil(to->year + 1, 1, 4);
	int64_t first = fourth - weekday_from_monday(fourth);
	int64_t next_first = next_fourth - weekday_from_monday(next_fourth);
	int64_t day = first + (week - 1) * 7 + weekday - 1;

	if (week < 1 || weekday < 1 || weekday > 7 || day >= next_first)
		return false;
	civil_from_days(day, to);
	return true;
}

/*
 * YYYY-MM-DD, YYYYMMDD, YYYY-Www[-D], YYYYWww[D].  *ret_is_short: a month or day of one digit,
 * which Django takes if a time follows.
 */
static bool take_date(struct cursor *c, struct civil *to, bool *ret_is_short)
{
	const char *start;
	int week, weekday = 1;
	bool has_hyphens;

	*ret_is_short = false;
	if (!take_number(c, 4, &to->year) || to->year == 0)
		return false;
	has_hyphens = take_char(c, '-');
	if (take_char(c, 'W')) {
		if (!take_number(c, 2, &week))
			return false;
		if (has_hyphens ? take_char(c, '-') : is_digit_next(c))
			if (!take_number(c, 1, &weekday))
				return false;
		return from_week(to, week, weekday);
	}
	if (!has_hyphens)
		return take_number(c, 2, &to->month) && take_number(c, 2, &to->day);
	start = c->at;
	if (!take_short_number(c, &to->month) || !take_char(c, '-') ||
	    !take_short_number(c, &to->day))
		return false;
	*ret_is_short = c->at - start < 5;
	return true;
}

/* H:M[:S[.ffffff]] with one or two digits each, or HH[MM[SS[.ffffff]]]; also a comma before the
 * fraction. */
static bool take_time(struct cursor *c, struct civil *to)
{
	struct cursor start = *c;
	bool has_second = false;

	if (take_short_number(c, &to->hour) && take_char(c, ':')) {
		if (!take_short_number(c, &to->minute))
			return false;
		has_second = take_char(c, ':');
		if (has_second && !take_short_number(c, &to->second))
			return false;
	} else {
		*c = start;
		if (!take_number(c, 2, &to->hour))
			return false;
		if (is_digit_next(c) && !take_number(c, 2, &to->minute))
			return false;
		has_second = is_digit_next(c);
		if (has_second && !take_number(c, 2, &to->second))
			return false;
	}
	if (has_second && (take_char(c, '.') || take_char(c, ',')))
		return take_fraction(c, &to->microsecond);
	return true;
}

/* Z, or ±HH[[:]MM[[:]SS]]; nothing is UTC. */
static bool take_zone(struct cursor *c, usec_t *ret_offset)
{
	int part[3] = { 0, 0, 0 }, sign;

	*ret_offset = 0;
	if (is_at_end(c))
		return true;
	while (take_char(c, ' '))
		;
	if (take_char(c, 'Z'))
		return true;
	sign = take_char(c, '-') ? -1 : take_char(c, '+') ? 1 : 0;
	if (sign == 0 || !take_number(c, 2, &part[0]))
		return false;
	for (int i = 1; i < 3 && !is_at_end(c); i++) {
		(void) take_char(c, ':'); /* it may be left out */
		if (!take_number(c, 2, &part[i]))
			return false;
	}
	if (part[0] > 23 || part[1] > 59 || part[2] > 59)
		return false;
	*ret_offset = sign * (part[0] * HOUR + part[1] * MINUTE + part[2] * SEC);
	return true;
}

static int finish(const struct cursor *c, const struct civil *civil, usec_t offset, usec_t *ret)
{
	if (!is_at_end(c) || !civil_is_valid(civil))
		return -EINVAL;
	usec_t at = civil_to_realtime(civil) - offset;
	if (at < TIME_FIRST || at > TIME_LAST)
		return -ERANGE;
	*ret = at;
	return 0;
}

int datetime_parse(struct str text, usec_t *ret)
{
	struct cursor c = { text.at, text.at + text.len };
	struct civil civil = { 0 };
	usec_t offset = 0;
	bool is_short;

	if (!take_date(&c, &civil, &is_short))
		return -EINVAL;
	if (is_at_end(&c))
		return is_short ? -EINVAL : finish(&c, &civil, 0, ret);
	if (!take_char(&c, 'T') && !take_char(&c, ' '))
		return -EINVAL;
	if (!take_time(&c, &civil) || !take_zone(&c, &offset))
		return -EINVAL;
	return finish(&c, &civil, offset, ret);
}

/* What PostgreSQL writes in its ISO style; BC and infinity are no times of ours. */
int datetime_parse_pg(struct str text, usec_t *ret)
{
	struct cursor c = { text.at, text.at + text.len };
	struct civil civil = { 0 };
	usec_t offset;
	bool is_short;

	if (!take_date(&c, &civil, &is_short) || is_short || !take_char(&c, ' ') ||
	    !take_time(&c, &civil) || is_at_end(&c) || !take_zone(&c, &offset))
		return -EINVAL;
	return finish(&c, &civil, offset, ret);
}

/* One of `count` three-letter names. */
static bool take_name(struct cursor *c, const char *const *names, int count, int *ret)
{
	for (int i = 0; i < count; i++) {
		if (c->end - c->at >= 3 && memcmp(c->at, names[i], 3) == 0) {
			c->at += 3;
			*ret = i;
			return true;
		}
	}
	return false;
}

/* Only the form that RFC 9110 lets senders use; a weekday that does not fit is overlooked. */
int datetime_parse_http(struct str text, usec_t *ret)
{
	struct cursor c = { text.at, text.at + text.len };
	struct civil civil = { 0 };
	int weekday;

	if (!take_name(&c, day_names, 7, &weekday) || !take_char(&c, ',') || !take_char(&c, ' ') ||
	    !take_number(&c, 2, &civil.day) || !take_char(&c, ' ') ||
	    !take_name(&c, month_names, 12, &civil.month) || !take_char(&c, ' ') ||
	    !take_number(&c, 4, &civil.year) || !take_char(&c, ' ') || !take_time(&c, &civil) ||
	    !str_eq(str_make(c.at, (size_t) (c.end - c.at)), STR(" GMT")))
		return -EINVAL;
	civil.month++;
	c.at = c.end;
	return finish(&c, &civil, 0, ret);
}
