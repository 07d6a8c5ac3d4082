#include "beat/crontab.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "base/error.h"

/* The numbers of a set, "0,5,10". */
static void list(uint64_t set, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < 64; i++)
		if (set >> i & 1)
			len += (size_t) snprintf(text + len, size - len, "%s%d", len > 0 ? "," : "",
						 i);
}

Test(crontab, reads_what_celery_reads)
{
	static const struct {
		const char *text;
		int field;
		const char *numbers;
	} cases[] = {
		{ "*/15 * * * *", 0, "0,15,30,45" },
		{ "1,13,50-59/2 * * * *", 0, "1,13,50,52,54,56,58" },
		{ "7 * * * *", 0, "7" },
		{ "0-59/40 * * * *", 0, "0,40" },
		{ "* */4 * * *", 1, "0,4,8,12,16,20" },
		{ "* 0,8-17/2 * * *", 1, "0,8,10,12,14,16" },
		{ "* 22-2 * * *", 1, "0,1,2,22,23" },
		{ "* 22-2/2 * * *", 1, "0,2,22" },
		{ "* * */3 * *", 2, "1,4,7,10,13,16,19,22,25,28,31" },
		{ "* * 2-30/7 * *", 2, "2,9,16,23,30" },
		{ "* * 30-2 * *", 2, "1,2,30,31" },
		{ "* * * */2 *", 3, "1,3,5,7,9,11" },
		{ "* * * 2-12/2 *", 3, "2,4,6,8,10,12" },
		{ "* * * jan,March,DEC *", 3, "1,3,12" },
		{ "* * * nov-feb *", 3, "1,2,11,12" },
		{ "* * * * *", 4, "0,1,2,3,4,5,6" },
		{ "* * * * */2", 4, "0,2,4,6" },
		{ "* * * * mon-fri", 4, "1,2,3,4,5" },
		{ "* * * * fri-mon", 4, "0,1,5,6" },
		{ "* * * * sunday,3", 4, "0,3" },
		{ "  5\t*   *  * *  ", 0, "5" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct crontab c;
		char numbers[256];
		int r = crontab_parse(str_c(cases[i].text), &c);

		cr_assert_eq(r, 0, "%s: %s", cases[i].text, r < 0 ? fail_reason(r) : "");
		const uint64_t sets[] = { c.minutes, c.hours, c.days, c.months, c.weekdays };
		list(sets[cases[i].field], numbers, sizeof(numbers));
		cr_expect_str_eq(numbers, cases[i].numbers, "%s: %s", cases[i].text, numbers);
	}
}

Test(crontab, names_the_field_that_is_wrong)
{
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "60 * * * *", "minute: 60 is not from 0 to 59" },
		{ "* 24 * * *", "hour: 24 is not from 0 to 23" },
		{ "* * 0 * *", "day of the month: 0 is not from 1 to 31" },
		{ "* * * 13 *", "month: 13 is not from 1 to 12" },
		{ "* * * * 7", "day of the week: 7 is not from 0 to 6" },
		{ "* * * * moon", "day of the week: moon is no number and no name" },
		{ "* * * mars *", "month: mars is no number and no name" },
		{ "* mon * * *", "hour: mon is no number" },
		{ "*/0 * * * *", "minute: a step is a number from 1 to 1000, not 0" },
		{ "*/ * * * *", "minute: a step is a number from 1 to 1000, not " },
		{ "*/x * * * *", "minute: a step is a number from 1 to 1000, not x" },
		{ "5/10 * * * *", "minute: 5/10 has a step but no range" },
		{ "1, * * * *", "minute: a number is missing" },
		{ "-5 * * * *", "minute: a number is missing" },
		{ "1-2-3 * * * *", "minute: 2-3 is no number" },
		{ "** * * * *", "minute: ** is no number" },
		{ "99999999999999999999 * * * *", "minute: 99999999999999999999 is no number" },
		{ "0 0 30 2 *", "day of the month: no month that is named has such a day" },
		{ "0 0 31 4,6,9,11 *", "day of the month: no month that is named has such a day" },
		{ "* * * *",
		  "a crontab has five fields: minute, hour, day of the month, month, day of "
		  "the week" },
		{ "",
		  "a crontab has five fields: minute, hour, day of the month, month, day of the "
		  "week" },
		{ "* * * * * *", "a crontab has five fields, and nothing behind them" },
	};
	char text[CRONTAB_MOST + 2];
	struct crontab c;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(crontab_parse(str_c(cases[i].text), &c), -EINVAL, "%s", cases[i].text);
		cr_expect_str_eq(fail_reason(-EINVAL), cases[i].sentence, "%s",
				 fail_reason(-EINVAL));
	}
	memset(text, '1', sizeof(text));
	cr_assert_eq(crontab_parse(str_make(text, sizeof(text)), &c), -EINVAL);
	cr_expect_str_eq(fail_reason(-EINVAL), "a crontab has at most 200 characters");
}

Test(crontab, a_day_must_fit_both_fields)
{
	struct crontab c;

	cr_assert_eq(crontab_parse(STR("0 0 13 * fri"), &c), 0);
	cr_expect(crontab_has_day(&c, 2026, 2, 13)); /* a Friday */
	cr_expect_not(crontab_has_day(&c, 2026, 2, 20));
	cr_expect_not(crontab_has_day(&c, 2026, 1, 13));
	cr_assert_eq(crontab_parse(STR("0 0 * * sun"), &c), 0);
	cr_expect(crontab_has_day(&c, 1969, 12, 28));
	cr_expect(crontab_has_day(&c, 1970, 1, 4));
	cr_expect_not(crontab_has_day(&c, 1970, 1, 1));
}

Test(crontab, knows_when_all_hours_are_named)
{
	static const struct {
		const char *text;
		bool has_all;
	} cases[] = { { "* * * * *", true },
		      { "5 */1 * * *", true },
		      { "5 0-23 * * *", true },
		      { "5 12-11 * * *", true },
		      { "5 0-22 * * *", false } };
	struct crontab c;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(crontab_parse(str_c(cases[i].text), &c), 0);
		cr_expect_eq(crontab_has_all_hours(&c), cases[i].has_all, "%s", cases[i].text);
	}
}
