#include "base/duration.h"

#include <errno.h>
#include <inttypes.h>

#define DAYS_MOST 999999999

/* What is left to read, and what was found so far; `out_of_range` outlives the form that was tried. */
struct reading {
	struct str rest;
	double days, seconds; /* exact below 2^53 of their unit */
	int64_t micros;
	bool is_negative; /* the time, or in ISO all of it */
};

static bool take(struct reading *in, const char *word)
{
	struct str w = str_c(word);

	if (!str_starts(in->rest, w))
		return false;
	in->rest = str_slice(in->rest, w.len, in->rest.len);
	return true;
}

static bool is_digit(struct str s, size_t at)
{
	return at < s.len && s.at[at] >= '0' && s.at[at] <= '9';
}

/* \d+ */
static bool take_digits(struct reading *in, double *ret)
{
	double value = 0;
	size_t len = 0;

	while (is_digit(in->rest, len))
		value = value * 10 + (in->rest.at[len++] - '0');
	in->rest = str_slice(in->rest, len, in->rest.len);
	*ret = value;
	return len > 0;
}

/* [.,]\d{1,6}\d{0,6}: what is behind the sixth is cut. */
static bool take_fraction(struct reading *in)
{
	int64_t micros = 0;
	size_t len = 1;

	if (in->rest.len == 0 || (in->rest.at[0] != '.' && in->rest.at[0] != ','))
		return true;
	for (; is_digit(in->rest, len) && len <= 12; len++) {
		if (len <= 6)
			micros = micros * 10 + (in->rest.at[len] - '0');
	}
	if (len == 1)
		return false;
	for (size_t i = len; i <= 6; i++)
		micros *= 10;
	in->micros = micros;
	in->rest = str_slice(in->rest, len, in->rest.len);
	return true;
}

/* [[HH:]MM:]SS[.f] */
static bool take_time(struct reading *in)
{
	double part;

	if (!take_digits(in, &in->seconds))
		return false;
	for (int i = 0; i < 2 && take(in, ":"); i++) {
		if (!take_digits(in, &part))
			return false;
		in->seconds = in->seconds * 60 + part;
	}
	return take_fraction(in);
}

/* "-3 days, ", "-3 ", "3 days " */
static bool take_days(struct reading *in)
{
	struct reading tried = *in;
	bool is_negative = take(&tried, "-");

	if (!take_digits(&tried, &tried.days) || !take(&tried, " "))
		return false;
	if (take(&tried, "days") || take(&tried, "day"))
		(void) (take(&tried, ", ") || take(&tried, " "));
	if (is_negative)
		tried.days = -tried.days;
	*in = tried;
	return true;
}

static bool read_clock(struct reading *in)
{
	bool has_days = take_days(in);

	if (has_days && in->rest.len == 0)
		return true; /* PostgreSQL's "3 days" */
	in->is_negative = take(in, "-");
	if (!in->is_negative && has_days)
		(void) take(in, "+");
	return take_time(in) && in->rest.len == 0;
}

/* A number with a fraction and its letter; its value in seconds is added. */
static bool take_iso_part(struct reading *in, const char *letter, double unit)
{
	struct reading tried = *in;
	double whole;

	if (!take_digits(&tried, &whole) || !take_fraction(&tried) || !take(&tried, letter))
		return false;
	double micros = (double) tried.micros * unit;
	tried.seconds = in->seconds + whole * unit + (double) (int64_t) (micros / 1e6);
	tried.micros = in->micros + (int64_t) micros % 1000000;
	*in = tried;
	return true;
}

static bool read_iso(struct reading *in)
{
	in->is_negative = take(in, "-");
	if (!in->is_negative)
		(void) take(in, "+");
	if (!take(in, "P"))
		return false;
	(void) take_iso_part(in, "D", 86400);
	if (take(in, "T")) {
		(void) take_iso_part(in, "H", 3600);
		(void) take_iso_part(in, "M", 60);
		(void) take_iso_part(in, "S", 1);
	}
	return in->rest.len == 0;
}

int duration_parse(struct str text, usec_t *ret)
{
	struct reading in = { .rest = text };

	if (!read_clock(&in)) {
		in = (struct reading){ .rest = text };
		if (!read_iso(&in))
			return -EINVAL;
	}
	double days = in.days + (in.is_negative ? -in.seconds : in.seconds) / 86400;
	/* usec_t ends at some 106,000,000 days, Python's at DAYS_MOST: nothing stored is as long. */
	if (days > DAYS_MOST || days < -DAYS_MOST || days > 1e8 || days < -1e8)
		return -ERANGE;
	usec_t time = (usec_t) in.seconds * SEC + in.micros;
	*ret = (usec_t) in.days * DAY + (in.is_negative ? -time : time);
	return 0;
}

void duration_add(struct buf *out, usec_t length)
{
	usec_t days = length / DAY, time = length % DAY;

	if (time < 0) {
		time += DAY;
		days--;
	}
	if (days != 0)
		buf_printf(out, "%" PRId64 " ", days);
	buf_printf(out, "%02d:%02d:%02d", (int) (time / HOUR), (int) (time / MINUTE % 60),
		   (int) (time / SEC % 60));
	if (time % SEC != 0)
		buf_printf(out, ".%06d", (int) (time % SEC));
}
