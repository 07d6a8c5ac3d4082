#include "beat/crontab.h"

#include <errno.h>

#include "base/datetime.h"
#include "base/error.h"

#define STEP_MOST   1000
#define LETTERS     3
#define FIELD_COUNT 5

struct crontab_field {
	const char *name;
	int least, most;
	const char *const *names; /* of `least` and those that follow; NULL: numbers only */
};

static const char *const months[] = { "january",  "february", "march",  "april",     "may",
				      "june",     "july",     "august", "september", "october",
				      "november", "december", NULL };
static const char *const weekdays[] = { "sunday",   "monday", "tuesday",  "wednesday",
					"thursday", "friday", "saturday", NULL };

/* clang-format off */
static const struct crontab_field fields[FIELD_COUNT] = {
	{ "minute",           0, 59, NULL },
	{ "hour",             0, 23, NULL },
	{ "day of the month", 1, 31, NULL },
	{ "month",            1, 12, months },
	{ "day of the week",  0, 6,  weekdays },
};
/* clang-format on */

/* Of a leap year: the 29th of February comes, if rarely. */
static const int days_in_month[] = { 0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

static int find_name(const struct crontab_field *f, struct str word)
{
	for (int i = 0; f->names != NULL && f->names[i] != NULL; i++) {
		struct str name = str_c(f->names[i]);

		if (str_eq_nocase(word, name) || str_eq_nocase(word, str_slice(name, 0, LETTERS)))
			return f->least + i;
	}
	return fail(-EINVAL, "%s: %.*s is no number%s", f->name, STR_ARG(word),
		    f->names == NULL ? "" : " and no name");
}

/* A number of the field, or a negative error. */
static int read_number(const struct crontab_field *f, struct str word)
{
	uint64_t number;

	if (word.len == 0)
		return fail(-EINVAL, "%s: a number is missing", f->name);
	if (str_to_u64(word, &number) < 0)
		return find_name(f, word);
	if (number < (uint64_t) f->least || number > (uint64_t) f->most)
		return fail(-EINVAL, "%s: %.*s is not from %d to %d", f->name, STR_ARG(word),
			    f->least, f->most);
	return (int) number;
}

static int read_step(const struct crontab_field *f, struct str word)
{
	uint64_t step;

	if (str_to_u64(word, &step) < 0 || step == 0 || step > STEP_MOST)
		return fail(-EINVAL, "%s: a step is a number from 1 to %d, not %.*s", f->name,
			    STEP_MOST, STR_ARG(word));
	return (int) step;
}

/* `*`, `a`, `a-b`, `a-b/step`, `*` with a step. */
static int read_part(const struct crontab_field *f, struct str part, uint64_t *set)
{
	struct str range, from, to = part;
	int span = f->most - f->least + 1, first = f->least, count = span, step = 1, last;

	(void) str_cut(&to, '/', &range);
	if (!str_is_null(to)) {
		step = read_step(f, to);
		if (step < 0)
			return step;
	}
	if (!str_eq_c(range, "*")) {
		struct str rest = range;

		(void) str_cut(&rest, '-', &from);
		if (str_is_null(rest) && !str_is_null(to))
			return fail(-EINVAL, "%s: %.*s has a step but no range", f->name,
				    STR_ARG(part));
		first = read_number(f, from);
		if (first < 0)
			return first;
		last = str_is_null(rest) ? first : read_number(f, rest);
		if (last < 0)
			return last;
		count = (last - first + span) % span + 1;
	}
	for (int i = 0; i < count; i += step)
		*set |= UINT64_C(1) << (f->least + (first - f->least + i) % span);
	return 0;
}

static int read_field(const struct crontab_field *f, struct str text, uint64_t *ret)
{
	struct str rest = text, part;
	uint64_t set = 0;
	int r;

	while (str_cut(&rest, ',', &part)) {
		r = read_part(f, part, &set);
		if (r < 0)
			return r;
	}
	*ret = set;
	return 0;
}

/* The next word; absent behind the last one. */
static struct str next_word(struct str *rest)
{
	size_t end = 0;
	struct str word;

	*rest = str_trim(*rest);
	while (end < rest->len && rest->at[end] != ' ' && rest->at[end] != '\t')
		end++;
	word = end == 0 ? STR_NULL : str_slice(*rest, 0, end);
	*rest = str_slice(*rest, end, rest->len);
	return word;
}

static int check_days(const struct crontab *c)
{
	for (int month = 1; month <= 12; month++)
		for (int day = 1; day <= days_in_month[month]; day++)
			if ((c->months >> month & 1) && (c->days >> day & 1))
				return 0;
	return fail(-EINVAL, "day of the month: no month that is named has such a day");
}

int crontab_parse(struct str text, struct crontab *ret)
{
	uint64_t sets[FIELD_COUNT];
	struct crontab c;
	int r = 0;

	if (text.len > CRONTAB_MOST)
		return fail(-EINVAL, "a crontab has at most %d characters", CRONTAB_MOST);
	for (size_t i = 0; i < FIELD_COUNT && r == 0; i++) {
		struct str word = next_word(&text);

		if (str_is_null(word))
			return fail(-EINVAL,
				    "a crontab has five fields: minute, hour, day of the month, "
				    "month, day of the week");
		r = read_field(&fields[i], word, &sets[i]);
	}
	if (r < 0)
		return r;
	if (!str_is_null(next_word(&text)))
		return fail(-EINVAL, "a crontab has five fields, and nothing behind them");
	c = (struct crontab){ .minutes = sets[0],
			      .hours = (uint32_t) sets[1],
			      .days = (uint32_t) sets[2],
			      .months = (uint32_t) sets[3],
			      .weekdays = (uint32_t) sets[4] };
	r = check_days(&c);
	if (r == 0)
		*ret = c;
	return r;
}

bool crontab_has_minute(const struct crontab *c, int hour, int minute)
{
	return (c->hours >> hour & 1) && (c->minutes >> minute & 1);
}

bool crontab_has_day(const struct crontab *c, int year, int month, int day)
{
	usec_t noon = civil_to_realtime(
		&(struct civil){ .year = year, .month = month, .day = day, .hour = 12 });
	usec_t days = (noon < 0 ? noon - DAY + 1 : noon) / DAY;
	int weekday = (int) (((days + 4) % 7 + 7) % 7); /* 1970 began on a Thursday */

	return (c->months >> month & 1) && (c->days >> day & 1) && (c->weekdays >> weekday & 1);
}

bool crontab_has_all_hours(const struct crontab *c)
{
	return c->hours == (UINT32_C(1) << 24) - 1;
}
