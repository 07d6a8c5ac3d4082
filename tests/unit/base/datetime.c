#include "base/datetime.h"

#include <errno.h>
#include <time.h>

#include <criterion/criterion.h>

Test(datetime, civil_agrees_with_gmtime_over_thousands_of_years)
{
	for (int64_t t = -62135596800; t < 253402300800; t += 86400 * 11 + 12345) {
		struct civil c;
		struct tm tm;
		time_t seconds = t;

		civil_from_realtime(t * SEC + 7, &c);
		cr_assert_not_null(gmtime_r(&seconds, &tm));
		cr_assert(c.year == tm.tm_year + 1900 && c.month == tm.tm_mon + 1 &&
			  c.day == tm.tm_mday);
		cr_assert(c.hour == tm.tm_hour && c.minute == tm.tm_min && c.second == tm.tm_sec);
		cr_assert_eq(c.microsecond, 7);
		cr_assert(civil_is_valid(&c));
		cr_assert_eq(civil_to_realtime(&c), t * SEC + 7);
	}
}

Test(datetime, output_forms)
{
	static const struct {
		usec_t at;
		const char *drf, *python, *http, *mail;
	} rows[] = {
		{ 784111777 * SEC, "1994-11-06T08:49:37Z", "1994-11-06T08:49:37+00:00",
		  "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +0000" },
		{ 784111777 * SEC + 500000, "1994-11-06T08:49:37.500000Z",
		  "1994-11-06T08:49:37.500000+00:00", "Sun, 06 Nov 1994 08:49:37 GMT",
		  "Sun, 06 Nov 1994 08:49:37 +0000" },
		{ 0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00",
		  "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 +0000" },
		{ -1, "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999+00:00",
		  "Wed, 31 Dec 1969 23:59:59 GMT", "Wed, 31 Dec 1969 23:59:59 +0000" },
		/* Beyond what Python has: a client may say any number of seconds. */
		{ 253402300800 * SEC, "10000-01-01T00:00:00Z", "10000-01-01T00:00:00+00:00",
		  "Sat, 01 Jan 10000 00:00:00 GMT", "Sat, 01 Jan 10000 00:00:00 +0000" },
		{ INT64_MIN, "-290308-12-21T19:59:05.224192Z",
		  "-290308-12-21T19:59:05.224192+00:00", "Sun, 21 Dec -290308 19:59:05 GMT",
		  "Sun, 21 Dec -290308 19:59:05 +0000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(buf_fini) struct buf drf = BUF_INIT, python = BUF_INIT, http = BUF_INIT,
					       mail = BUF_INIT;

		char text[DATETIME_TEXT];

		datetime_add_drf(&drf, rows[i].at);
		cr_assert(str_eq(datetime_drf(rows[i].at, text), buf_str(&drf)));
		datetime_add_python(&python, rows[i].at);
		datetime_add_http(&http, rows[i].at);
		datetime_add_rfc5322(&mail, rows[i].at);
		cr_assert_str_eq(drf.at, rows[i].drf);
		cr_assert_str_eq(python.at, rows[i].python);
		cr_assert_str_eq(http.at, rows[i].http);
		cr_assert_str_eq(mail.at, rows[i].mail);
	}
}

/* Every row was tried with CPython 3.11 or stands in the notes on DRF; NULL: refused. */
static const char *const parse_rows[][2] = {
	{ "2024-01-31T10:20:30Z", "2024-01-31T10:20:30Z" },
	{ "2024-01-31 10:20:30", "2024-01-31T10:20:30Z" },
	{ "2024-01-31T10:20", "2024-01-31T10:20:00Z" },
	{ "2024-01-31T10", "2024-01-31T10:00:00Z" },
	{ "2024-01-31", "2024-01-31T00:00:00Z" },
	{ "20240131", "2024-01-31T00:00:00Z" },
	{ "20240131T102030", "2024-01-31T10:20:30Z" },
	{ "2024-01-31T1020Z", "2024-01-31T10:20:00Z" },
	{ "2024-W05", "2024-01-29T00:00:00Z" },
	{ "2024-W05-3", "2024-01-31T00:00:00Z" },
	{ "2024W053T10", "2024-01-31T10:00:00Z" },
	{ "2020-W53-7", "2021-01-03T00:00:00Z" },
	{ "1969-W01-1", "1968-12-30T00:00:00Z" },
	{ "2024-1-5 9:05", "2024-01-05T09:05:00Z" },
	{ "2024-01-31T10:20:30.5", "2024-01-31T10:20:30.500000Z" },
	{ "2024-01-31T10:20:30,5Z", "2024-01-31T10:20:30.500000Z" },
	{ "2024-01-31T10:20:30.1234567890123", "2024-01-31T10:20:30.123456Z" },
	{ "2024-01-31T10:20:30+01", "2024-01-31T09:20:30Z" },
	{ "2024-01-31T10:20:30-0130", "2024-01-31T11:50:30Z" },
	{ "2024-01-31T10:20:30+01:30", "2024-01-31T08:50:30Z" },
	{ "2024-01-31T10:20:30 +01:30", "2024-01-31T08:50:30Z" },
	{ "2024-01-31T10:20:30+01:00:30", "2024-01-31T09:20:00Z" },
	{ "2024-02-29", "2024-02-29T00:00:00Z" },
	{ "", NULL },
	{ "abc", NULL },
	{ "1706696430", NULL },
	{ "2023-02-29", NULL },
	{ "2024-13-01", NULL },
	{ "0000-01-01", NULL },
	{ "2024-060", NULL },
	{ "2024-W53-1", NULL },
	{ "2024-W05-0", NULL },
	{ "2024-1-5", NULL },
	{ "2024-01-31T", NULL },
	{ "2024-01-31t10:20", NULL },
	{ "2024-01-31T10:20z", NULL },
	{ "2024-01-31T24:00", NULL },
	{ "2024-01-31T10:60", NULL },
	{ "2024-01-31T10:20:30.", NULL },
	{ "2024-01-31T10:20:30+", NULL },
	{ "2024-01-31T10:20:30+24:00", NULL },
	{ "2024-01-31T10:20:30Z ", NULL },
	{ " 2024-01-31", NULL },
	{ "2024-01-31T10:20:30Zx", NULL },
};

Test(datetime, reads_what_python_and_drf_read)
{
	for (size_t i = 0; i < ARRAY_SIZE(parse_rows); i++) {
		const char *text = parse_rows[i][0], *expected = parse_rows[i][1];
		_cleanup_(buf_fini) struct buf b = BUF_INIT;
		usec_t at = 0;
		int r = datetime_parse(str_c(text), &at);

		cr_assert_eq(r, expected == NULL ? -EINVAL : 0, "\"%s\"", text);
		if (expected == NULL)
			continue;
		datetime_add_drf(&b, at);
		cr_assert_str_eq(b.at, expected, "\"%s\"", text);
	}
}

Test(datetime, no_prefix_of_a_text_is_read_beyond_its_end)
{
	struct str text = STR("2024-01-31T10:20:30.123456+01:00:30");

	for (size_t len = 0; len <= text.len; len++) {
		/* A copy of just this size, so that ASan sees a byte too many. */
		_cleanup_(buf_fini) struct buf b = BUF_INIT;
		usec_t at;

		buf_add(&b, text.at, len);
		(void) !datetime_parse(buf_str(&b), &at);
		(void) !datetime_parse_pg(buf_str(&b), &at);
		(void) !datetime_parse_http(buf_str(&b), &at);
	}
}

Test(datetime, reads_http_and_postgresql)
{
	usec_t at = 0;

	cr_assert_eq(datetime_parse_http(STR("Sun, 06 Nov 1994 08:49:37 GMT"), &at), 0);
	cr_assert_eq(at, 784111777 * SEC);
	cr_assert_eq(datetime_parse_http(STR("Sunday, 06-Nov-94 08:49:37 GMT"), &at), -EINVAL);
	cr_assert_eq(datetime_parse_http(STR("Sun, 06 Nov 1994 08:49:37"), &at), -EINVAL);
	cr_assert_eq(datetime_parse_http(STR("Sun, 31 Feb 1994 08:49:37 GMT"), &at), -EINVAL);
	cr_assert_eq(datetime_parse_pg(STR("2026-01-31 12:00:00.5+00"), &at), 0);
	cr_assert_eq(at, 1769860800 * SEC + 500000);
	cr_assert_eq(datetime_parse_pg(STR("2026-01-31 12:00:00+00"), &at), 0);
	cr_assert_eq(at, 1769860800 * SEC);
	cr_assert_eq(datetime_parse_pg(STR("2026-01-31 14:00:00+02"), &at), 0);
	cr_assert_eq(at, 1769860800 * SEC);
	cr_assert_eq(datetime_parse_pg(STR("infinity"), &at), -EINVAL);
	cr_assert_eq(datetime_parse_pg(STR("0044-03-15 12:00:00+00 BC"), &at), -EINVAL);
	cr_assert_eq(datetime_parse_pg(STR("2026-01-31 12:00:00"), &at), -EINVAL);
}
