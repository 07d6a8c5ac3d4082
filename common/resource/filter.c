#include "resource/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/datetime.h"
#include "base/duration.h"
#include "base/uuid.h"
#include "resource/coerce.h"
#include "resource/resource.h"

/* In one `in` or one repeated parameter; the rest is passed over. */
#define PARTS_MOST 1000

struct reading {
	struct errors *errors;
	struct arena *arena;
	const struct filter *filter;
};

static bool blame(const struct reading *in, const char *words)
{
	errors_add(in->errors, in->filter->name, "%s", words);
	return false;
}

/* --- one value, by type: true with the SQL text; absent if it counts as not given --- */

static bool read_text(const struct reading *in, struct str text, struct str *ret)
{
	text = python_strip(text);
	if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL)
		return blame(in, "Null characters are not allowed.");
	*ret = text.len == 0 ? STR_NULL : text;
	return true;
}

static bool read_number(const struct reading *in, struct str text, struct str *ret)
{
	text = python_strip(text);
	if (text.len == 0) {
		*ret = STR_NULL;
		return true;
	}
	if (!decimal_text(in->arena, text, ret))
		return blame(in, "Enter a number.");
	if (strtod(ret->at, NULL) > 1e50)
		return blame(in, "Ensure this value is less than or equal to 1e+50.");
	return true;
}

static bool read_boolean(const struct reading *in _unused_, struct str text, struct str *ret)
{
	if (str_eq_nocase(text, STR("true")) || str_eq(text, STR("1")))
		*ret = STR("true");
	else if (str_eq_nocase(text, STR("false")) || str_eq(text, STR("0")))
		*ret = STR("false");
	else
		*ret = STR_NULL;
	return true;
}

static bool two_digits(struct str text, int64_t least, int64_t most, int *ret)
{
	int64_t n;

	if (text.len < 1 || text.len > 2 || str_to_i64(text, &n) < 0 || n < least || n > most)
		return false;
	*ret = (int) n;
	return true;
}

static bool year_of(struct str text, int *ret)
{
	int64_t n;

	if (text.len != 4 || str_to_i64(text, &n) < 0 || n < 1)
		return false;
	*ret = (int) n;
	return true;
}

/* Django's forms: "2026-1-31", "1/31/2026", "1/31/26". */
static bool read_civil_date(struct str text, struct civil *ret)
{
	struct civil day = { 0 };
	struct str rest = text, first, second;
	bool is_iso = str_find_char(text, '-') >= 0;
	char separator = is_iso ? '-' : '/';

	if (!str_cut(&rest, separator, &first) || !str_cut(&rest, separator, &second) ||
	    str_is_null(rest))
		return false;
	if (is_iso) {
		if (!year_of(first, &day.year) || !two_digits(second, 1, 12, &day.month) ||
		    !two_digits(rest, 1, 31, &day.day))
			return false;
	} else {
		if (!two_digits(first, 1, 12, &day.month) || !two_digits(second, 1, 31, &day.day))
			return false;
		if (!year_of(rest, &day.year)) {
			if (rest.len != 2 || !two_digits(rest, 0, 99, &day.year))
				return false;
			day.year += day.year < 69 ? 2000 : 1900; /* POSIX's rule for %y */
		}
	}
	if (!civil_is_valid(&day))
		return false;
	*ret = day;
	return true;
}

static bool read_date(const struct reading *in, struct str text, struct str *ret)
{
	struct civil day;

	text = python_strip(text);
	if (text.len == 0) {
		*ret = STR_NULL;
		return true;
	}
	if (!read_civil_date(text, &day))
		return blame(in, "Enter a valid date.");
	*ret = arena_printf(in->arena, "%04d-%02d-%02d", day.year, day.month, day.day);
	return true;
}

static bool read_time(const struct reading *in, struct str text, struct str *ret)
{
	_cleanup_(buf_fini) struct buf iso = BUF_INIT;
	struct civil day;
	usec_t at;

	text = python_strip(text);
	if (text.len == 0) {
		*ret = STR_NULL;
		return true;
	}
	if (datetime_parse(text, &at) < 0) {
		if (!in->filter->is_lenient || !read_civil_date(text, &day))
			return blame(in, "Enter a valid date/time.");
		at = civil_to_realtime(&day);
	}
	datetime_add_python(&iso, at);
	*ret = arena_str(in->arena, buf_str(&iso));
	return true;
}

static bool read_duration(const struct reading *in, struct str text, struct str *ret)
{
	usec_t length;
	int r;

	text = python_strip(text);
	if (text.len == 0) {
		*ret = STR_NULL;
		return true;
	}
	r = duration_parse(text, &length);
	if (r == -ERANGE)
		return blame(in, "The number of days must be between -999999999 and 999999999.");
	if (r < 0)
		return blame(in, "Enter a valid duration.");
	*ret = arena_printf(in->arena, "%" PRId64 " microseconds", length);
	return true;
}

static bool read_uuid_or(const struct reading *in, struct str text, bool is_key, struct str *ret)
{
	char canonical[UUID_TEXT + 1];
	struct uuid id;

	text = python_strip(text);
	if (text.len == 0) {
		*ret = STR_NULL;
		return true;
	}
	if (uuid_parse(text, &id) < 0) {
		if (!is_key)
			return blame(in, "Enter a valid UUID.");
		errors_quote(in->errors, in->filter->name, "“", text, "” is not a valid UUID.");
		return false;
	}
	uuid_format(&id, canonical);
	*ret = arena_str(in->arena, str_c(canonical));
	return true;
}

static bool read_uuid(const struct reading *in, struct str text, struct str *ret)
{
	return read_uuid_or(in, text, false, ret);
}

static bool read_key(const struct reading *in, struct str text, struct str *ret)
{
	return read_uuid_or(in, text, true, ret);
}

/* A list of choices (`in`) is not checked against them. */
static bool read_choice(const struct reading *in, struct str text, struct str *ret)
{
	if (in->filter->lookup == LOOKUP_IN || text.len == 0)
		return read_text(in, text, ret);
	for (const char *const *choice = in->filter->choices; *choice != NULL; choice++) {
		if (str_eq_c(text, *choice)) {
			*ret = str_c(*choice);
			return true;
		}
	}
	errors_quote(in->errors, in->filter->name, "Select a valid choice. ", text,
		     " is not one of the available choices.");
	return false;
}

/* clang-format off */
static const struct {
	bool (*read)(const struct reading *, struct str, struct str *);
	const char *cast; /* so that a number of any form meets an integer column, and NULL has a type */
} types[FIELD_TYPES] = {
	[FIELD_KEY]      = { read_key,     "::uuid" },
	[FIELD_UUID]     = { read_uuid,    "::uuid" },
	[FIELD_TEXT]     = { read_text,    "" },
	[FIELD_CHOICE]   = { read_choice,  "" },
	[FIELD_INTEGER]  = { read_number,  "::numeric" },
	[FIELD_DECIMAL]  = { read_number,  "::numeric" },
	[FIELD_BOOLEAN]  = { read_boolean, "::boolean" },
	[FIELD_TIME]     = { read_time,    "::timestamptz" },
	[FIELD_DATE]     = { read_date,    "::date" },
	[FIELD_DURATION] = { read_duration, "::interval" },
};
/* clang-format on */

static bool read_parts(const struct reading *in, struct str text, struct str *values,
		       size_t *ret_count)
{
	struct str rest = text, part;
	size_t count = 0;
	bool is_right = true;

	while (is_right && count < PARTS_MOST && str_cut(&rest, ',', &part))
		is_right = types[in->filter->type].read(in, part, &values[count++]);
	*ret_count = count;
	return is_right;
}

bool filter_read(struct errors *errors, const struct filter *f, const struct str *sent,
		 size_t count, struct str **ret_values, size_t *ret_count)
{
	struct arena *arena = &errors->rq->arena;
	const struct reading in = { .errors = errors, .arena = arena, .filter = f };
	struct str *values = arena_array(arena, struct str, PARTS_MOST);
	size_t found = 0;

	must(types[f->type].read != NULL); /* selections_check */
	if (f->lookup == LOOKUP_IN || f->lookup == LOOKUP_RANGE) {
		if (sent[0].len > 0 && !read_parts(&in, sent[0], values, &found))
			return false;
		if (f->lookup == LOOKUP_RANGE && found != 0 && found != 2)
			return blame(&in, "Range query expects two values.");
	} else {
		for (size_t i = 0; i < MIN(count, (size_t) PARTS_MOST); i++) {
			if (!types[f->type].read(&in, sent[i], &values[found]))
				return false;
			found += !str_is_null(values[found]);
		}
	}
	if (f->lookup == LOOKUP_ICONTAINS || f->lookup == LOOKUP_ISTARTSWITH) {
		const char *before = f->lookup == LOOKUP_ICONTAINS ? "%" : "";

		for (size_t i = 0; i < found; i++)
			values[i] = arena_printf(arena, "%s%.*s%%", before,
						 STR_ARG(sql_like_text(arena, values[i])));
	}
	*ret_values = values;
	*ret_count = found;
	return true;
}

/* --- as SQL --- */

static void add_value(struct sql *s, const struct filter *f, struct str value)
{
	bool is_bigint = f->type == FIELD_KEY && f->refers != NULL &&
			 f->refers->key == RESOURCE_BIGINT;

	sql_add_value(s, value);
	sql_add(s, is_bigint ? "::bigint" : types[f->type].cast);
}

static void add_list(struct sql *s, const struct condition *c)
{
	sql_add(s, " IN (");
	for (size_t i = 0; i < c->count; i++) {
		if (i > 0)
			sql_add(s, ", ");
		add_value(s, c->filter, c->values[i]);
	}
	sql_add(s, ")");
}

/* clang-format off */
static const char *const operators[LOOKUPS] = {
	[LOOKUP_EXACT] = " = ",
	[LOOKUP_DATE]  = " = ",
	[LOOKUP_YEAR]  = " = ",
	[LOOKUP_GT]    = " > ",
	[LOOKUP_GTE]   = " >= ",
	[LOOKUP_LT]    = " < ",
	[LOOKUP_LTE]   = " <= ",
};
/* clang-format on */

static void add_like(struct sql *s, const struct condition *c)
{
	sql_add(s, "UPPER((");
	sql_add_over(s, c->filter->sql, "t");
	sql_add(s, ")::text) LIKE UPPER(");
	sql_add_value(s, c->values[0]);
	sql_add(s, ")");
}

static void add_range(struct sql *s, const struct condition *c)
{
	sql_add(s, " BETWEEN ");
	add_value(s, c->filter, c->values[0]);
	sql_add(s, " AND ");
	add_value(s, c->filter, c->values[1]);
}

static bool is_true(const struct condition *c)
{
	return str_eq(c->values[0], STR("true"));
}

static void add_comparison(struct sql *s, const struct condition *c)
{
	const struct filter *f = c->filter;

	if (f->lookup == LOOKUP_ICONTAINS || f->lookup == LOOKUP_ISTARTSWITH) {
		add_like(s, c);
		return;
	}
	if (f->lookup == LOOKUP_YEAR)
		sql_add(s, "EXTRACT(YEAR FROM ");
	sql_add(s, "(");
	sql_add_over(s, f->lookup == LOOKUP_HOLDS ? scope_sql(c->selections, f->sql) : f->sql, "t");
	sql_add(s, f->lookup == LOOKUP_DATE ? " AT TIME ZONE 'UTC')::date" : ")");
	if (f->lookup == LOOKUP_YEAR)
		sql_add(s, ")");
	if (f->lookup == LOOKUP_ISNULL)
		sql_add(s, is_true(c) ? " IS NULL" : " IS NOT NULL");
	else if (f->lookup == LOOKUP_RANGE)
		add_range(s, c);
	else if (f->lookup == LOOKUP_IN || c->count > 1)
		add_list(s, c);
	else if (operators[f->lookup] != NULL) {
		sql_add(s, operators[f->lookup]);
		add_value(s, f, c->values[0]);
	}
}

void filter_add(struct sql *s, const struct condition *c)
{
	const struct filter *f = c->filter;

	sql_add(s, "(");
	if (f->any_of != NULL) {
		sql_add(s, "EXISTS (SELECT FROM ");
		sql_add_over(s, f->any_of, "t");
		sql_add(s, " AND ");
	}
	add_comparison(s, c);
	sql_add(s, f->any_of != NULL ? "))" : ")");
}
