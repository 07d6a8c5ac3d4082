#include "beat/when.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/datetime.h"
#include "base/error.h"

static usec_t at(const char *text)
{
	usec_t moment = 0;

	cr_assert_eq(datetime_parse(str_c(text), &moment), 0, "%s", text);
	return moment;
}

static void expect_next(const char *zone, const char *crontab, const char *after, usec_t expected)
{
	_cleanup_(when_fini) struct when w = WHEN_INIT;
	char got[DATETIME_TEXT], wanted[DATETIME_TEXT];
	int r = when_init(&w, str_c(crontab), 0, 0, str_c(zone));

	cr_assert_eq(r, 0, "%s %s: %s", zone, crontab, r < 0 ? fail_reason(r) : "");
	usec_t next = when_next(&w, at(after));
	struct str a = datetime_drf(next, got), b = datetime_drf(expected, wanted);
	cr_expect_eq(next, expected, "%s in %s after %s: %.*s, not %.*s", crontab, zone, after,
		     STR_ARG(a), STR_ARG(b));
}

struct expected {
	const char *zone, *crontab, *after, *next;
};

static void expect_all(const struct expected *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect_next(rows[i].zone, rows[i].crontab, rows[i].after, at(rows[i].next));
}

Test(when, days_that_are_rare)
{
	static const struct expected rows[] = {
		{ "UTC", "0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z" },
		{ "UTC", "0 0 29 2 *", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z" },
		{ "UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z" },
		{ "UTC", "0 0 29 2 mon", "2026-01-01T00:00:00Z", "2044-02-29T00:00:00Z" },
		{ "UTC", "0 0 29 2 mon", "2072-03-01T00:00:00Z", "2112-02-29T00:00:00Z" },
		{ "UTC", "59 23 31 * *", "2026-04-01T00:00:00Z", "2026-05-31T23:59:00Z" },
		{ "UTC", "0 0 31 * *", "2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z" },
		{ "UTC", "0 12 28 feb *", "2026-02-28T12:00:00Z", "2027-02-28T12:00:00Z" },
		{ "UTC", "0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-02-13T00:00:00Z" },
		{ "UTC", "* * * * *", "2026-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z" },
		{ "UTC", "* * * * *", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z" },
		{ "UTC", "0 0 1 1 *", "1969-06-01T00:00:00Z", "1970-01-01T00:00:00Z" },
		{ "Asia/Kolkata", "0 9 * * mon", "2026-01-01T00:00:00Z", "2026-01-05T03:30:00Z" },
		{ "+05:30", "0 9 * * mon", "2026-01-01T00:00:00Z", "2026-01-05T03:30:00Z" },
	};

	expect_all(rows, ARRAY_SIZE(rows));
}

Test(when, a_wall_clock_time_that_is_skipped)
{
	static const struct expected rows[] = {
		{ "Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z" },
		{ "Europe/Berlin", "30 2 * * *", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z" },
		{ "Europe/Berlin", "0 3 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z" },
		{ "Europe/Berlin", "*/15 2 * * *", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z" },
		/* Two wall-clock times that are the same moment: once. */
		{ "Europe/Berlin", "30 2,3 * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z" },
		{ "Europe/Berlin", "30 2,3 * * *", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z" },
		{ "America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z",
		  "2026-03-08T07:30:00Z" },
		{ "America/Havana", "30 0 * * *", "2026-03-07T12:00:00Z", "2026-03-08T05:30:00Z" },
		{ "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z",
		  "2026-10-03T15:45:00Z" },
		/* A whole day. */
		{ "Pacific/Apia", "0 12 30 12 *", "2011-12-29T00:00:00Z", "2011-12-30T22:00:00Z" },
	};

	expect_all(rows, ARRAY_SIZE(rows));
}

Test(when, a_wall_clock_time_that_comes_twice)
{
	static const struct expected rows[] = {
		{ "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z" },
		{ "Europe/Berlin", "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z" },
		{ "Europe/Berlin", "0 3 * * *", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z" },
		{ "America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z",
		  "2026-11-01T05:30:00Z" },
		{ "America/New_York", "30 1 * * *", "2026-11-01T05:30:00Z",
		  "2026-11-02T06:30:00Z" },
		{ "America/Havana", "30 0 * * *", "2026-10-31T12:00:00Z", "2026-11-01T04:30:00Z" },
		{ "America/Havana", "30 0 * * *", "2026-11-01T04:30:00Z", "2026-11-02T05:30:00Z" },
		{ "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z",
		  "2026-04-04T14:45:00Z" },
		{ "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T14:45:00Z",
		  "2026-04-05T15:15:00Z" },
	};

	expect_all(rows, ARRAY_SIZE(rows));
}

Test(when, all_hours_are_the_hours_that_pass)
{
	static const struct expected rows[] = {
		{ "Europe/Berlin", "30 * * * *", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z" },
		{ "Europe/Berlin", "30 * * * *", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z" },
		{ "Europe/Berlin", "30 * * * *", "2026-10-25T00:15:00Z", "2026-10-25T00:30:00Z" },
		{ "Europe/Berlin", "30 * * * *", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z" },
		{ "Europe/Berlin", "30 * * * *", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z" },
		{ "Australia/Lord_Howe", "15 * * * *", "2026-10-03T15:00:00Z",
		  "2026-10-03T16:15:00Z" },
		/* 01:45 twice, half an hour apart. */
		{ "Australia/Lord_Howe", "45 * * * *", "2026-04-04T14:45:00Z",
		  "2026-04-04T15:15:00Z" },
		/* Clocks go back at midnight, to the day before. */
		{ "America/Sao_Paulo", "30 * * * *", "2018-02-18T01:30:00Z",
		  "2018-02-18T02:30:00Z" },
		{ "America/Sao_Paulo", "30 * * * *", "2018-02-18T02:30:00Z",
		  "2018-02-18T03:30:00Z" },
	};

	expect_all(rows, ARRAY_SIZE(rows));
}

Test(when, minutes_never_stand_still_in_any_change)
{
	static const char *const zones[] = { "Europe/Berlin", "America/New_York",
					     "Australia/Lord_Howe", "America/Sao_Paulo",
					     "Africa/Casablanca" };
	_cleanup_(when_fini) struct when w = WHEN_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		usec_t moment = at("2018-01-01T00:00:00Z");

		cr_assert_eq(when_init(&w, STR("*/30 * * * *"), 0, 0, str_c(zones[i])), 0);
		for (int k = 0; k < 2 * 24 * 365; k++) {
			usec_t next = when_next(&w, moment);

			cr_assert_eq(next, moment + 30 * MINUTE, "%s, half hour %d", zones[i], k);
			moment = next;
		}
		when_fini(&w);
	}
}

Test(when, an_interval_is_counted_from_its_anchor)
{
	_cleanup_(when_fini) struct when w = WHEN_INIT;
	usec_t anchor = at("2026-01-01T00:00:07Z");

	cr_assert_eq(when_init(&w, STR_NULL, 90 * SEC, anchor, STR("UTC")), 0);
	cr_expect_eq(when_next(&w, 0), anchor + 90 * SEC);
	cr_expect_eq(when_next(&w, anchor), anchor + 90 * SEC);
	cr_expect_eq(when_next(&w, anchor + 90 * SEC - 1), anchor + 90 * SEC);
	cr_expect_eq(when_next(&w, anchor + 90 * SEC), anchor + 180 * SEC);
	cr_expect_eq(when_next(&w, anchor + 900 * DAY), anchor + 900 * DAY + 90 * SEC);
}

Test(when, is_refused_with_a_sentence)
{
	struct when w;

	cr_expect_eq(when_init(&w, STR_NULL, 0, 0, STR("UTC")), -EINVAL);
	cr_expect_str_eq(fail_reason(-EINVAL), "either a crontab or an interval is needed");
	cr_expect_eq(when_init(&w, STR("* * * * *"), SEC, 0, STR("UTC")), -EINVAL);
	for (size_t i = 0; i < 6; i++) {
		static const char *const zones[] = { "Europe/Atlantis", "",
						     "/etc/passwd",     "../../etc/passwd",
						     "Europe/Berlin ",  "a\tb" };

		cr_expect_eq(when_init(&w, STR("* * * * *"), 0, 0, str_c(zones[i])), -EINVAL, "%s",
			     zones[i]);
		cr_expect(strstr(fail_reason(-EINVAL), "there is no time zone") != NULL);
	}
}

/*
 * What Celery's crontab answers: lines "zone|crontab|after|next", times in seconds since 1970.  The
 * table in tests/golden was made by tests/support/crontabs.py; tests/jobs/test_beat.py makes another
 * one each time, and runs this test with it.
 */
Test(when, next_is_what_celery_says)
{
	const char *path = getenv("APIUM_TEST_CRONTABS");
	FILE *file = fopen(path != NULL ? path : TEST_GOLDEN "/crontab.txt", "re");
	char line[512], zone[64], crontab[256];
	long long after, next;
	int count = 0;

	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		_cleanup_(when_fini) struct when w = WHEN_INIT;
		int r;

		cr_assert_eq(
			sscanf(line, "%63[^|]|%255[^|]|%lld|%lld", zone, crontab, &after, &next), 4,
			"%s", line);
		r = when_init(&w, str_c(crontab), 0, 0, str_c(zone));
		cr_assert_eq(r, 0, "%s: %s", line, r < 0 ? fail_reason(r) : "");
		usec_t got = when_next(&w, after * SEC);
		cr_expect_eq(got, next * SEC, "%s: %lld here", line, (long long) (got / SEC));
		count++;
	}
	fclose(file);
	cr_assert_geq(count, 500);
}
