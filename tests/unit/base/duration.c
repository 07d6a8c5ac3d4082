#include "base/duration.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>

Test(duration, reads_what_django_reads)
{
	static const struct {
		const char *text;
		usec_t length;
	} cases[] = {
		{ "30", 30 * SEC },
		{ "15:30", 15 * MINUTE + 30 * SEC },
		{ "10:15:30", 10 * HOUR + 15 * MINUTE + 30 * SEC },
		{ "4 15:30", 4 * DAY + 15 * MINUTE + 30 * SEC },
		{ "1 day, 0:00:01", DAY + SEC },
		{ "-4 15:30", -4 * DAY + 15 * MINUTE + 30 * SEC },
		{ "-1:15:30", -(HOUR + 15 * MINUTE + 30 * SEC) },
		{ "00:00:00.1", 100 * MSEC },
		{ "0.000001", 1 },
		{ "1,5", 1500 * MSEC },
		{ "0.1234567", 123456 },
		{ "172800", 2 * DAY },
		{ "P4DT1H", 4 * DAY + HOUR },
		{ "-P1D", -DAY },
		{ "PT0.5S", 500 * MSEC },
		{ "P0.5D", 12 * HOUR },
		{ "3 days", 3 * DAY },
		{ "1 day -0:00:01", DAY - SEC },
		{ "-1 days +02:00:00", -DAY + 2 * HOUR },
	};
	static const char *const none[] = { "",      "abc", "1:",         "1:2:3:4",
					    "1 2 3", "1.",  "5 days ago", " 1" };
	usec_t length;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_expect_eq(duration_parse(str_c(cases[i].text), &length), 0, "%s", cases[i].text);
		cr_expect_eq(length, cases[i].length, "%s is %" PRId64, cases[i].text, length);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		cr_expect_eq(duration_parse(str_c(none[i]), &length), -EINVAL, "\"%s\"", none[i]);
	}
	cr_expect_eq(duration_parse(STR("1000000000 00:00:00"), &length), -ERANGE);
	cr_expect_eq(duration_parse(STR("99999999999999999999999999"), &length), -ERANGE);
}

Test(duration, writes_what_django_writes)
{
	static const struct {
		usec_t length;
		const char *text;
	} cases[] = {
		{ 0, "00:00:00" },
		{ 2 * HOUR + 30 * MINUTE, "02:30:00" },
		{ 3 * DAY + 8 * HOUR + 32 * MINUTE + SEC + 123, "3 08:32:01.000123" },
		{ -HOUR, "-1 23:00:00" },
		{ DAY, "1 00:00:00" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;

		duration_add(&out, cases[i].length);
		cr_expect_str_eq(out.at, cases[i].text);
	}
}
