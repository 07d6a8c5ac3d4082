#include "base/metric.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(name, kind_, unit_, exported_, labels_, help_)                                      \
	[METRIC_##name] = { .exported = (exported_),                                               \
			    .kind = METRIC_##kind_,                                                \
			    .unit = METRIC_##unit_,                                                \
			    .labels = (labels_),                                                   \
			    .help = (help_) },
#include "base/metrics.def"
#undef METRIC
};

/* From a fast statement to a job that waits for half an hour. */
const usec_t metric_bounds[METRIC_BUCKETS] = {
	1 * MSEC,   2500 * USEC, 5 * MSEC,   10 * MSEC,  25 * MSEC,   50 * MSEC,
	100 * MSEC, 250 * MSEC,  500 * MSEC, 1 * SEC,    2500 * MSEC, 5 * SEC,
	10 * SEC,   30 * SEC,    MINUTE,     5 * MINUTE, 30 * MINUTE,
};

struct metric_series metric_plain[METRIC_COUNT];

static struct family {
	struct metric_series *first, *last, *other;
	size_t count;
} families[METRIC_COUNT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list collectors = LIST_INIT(collectors);

const struct metric_row *metric_row(enum metric m)
{
	must(m < METRIC_COUNT);
	return &rows[m];
}

/* Counting. */

static size_t bucket_of(usec_t duration)
{
	size_t i = 0;

	while (i < METRIC_BUCKETS && duration > metric_bounds[i])
		i++;
	return i;
}

void series_observe(struct metric_series *s, usec_t duration)
{
	duration = MAX(duration, (usec_t) 0);
	__atomic_fetch_add(&s->buckets[bucket_of(duration)], 1, __ATOMIC_RELAXED);
	series_add(s, duration);
}

void series_observe_own(struct metric_series *s, usec_t duration)
{
	uint64_t *bucket;

	duration = MAX(duration, (usec_t) 0);
	bucket = &s->buckets[bucket_of(duration)];
	__atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
	series_add_own(s, duration);
}

/* Series. */

static void add_escaped(struct buf *out, struct str value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.at[i];

		if (c == '\n')
			buf_add_c(out, "\\n");
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else
			buf_add_byte(out, c);
	}
}

static void add_labels(struct buf *out, const struct metric_row *row, const char *const *values)
{
	struct str rest = str_c(row->labels), name;

	for (size_t i = 0; str_cut(&rest, ',', &name); i++) {
		buf_printf(out, "%s%.*s=\"", i > 0 ? "," : "", STR_ARG(name));
		add_escaped(out, str_c(values[i]));
		buf_add_byte(out, '"');
	}
}

static struct metric_series *make_series(enum metric m, struct str labels)
{
	size_t buckets = rows[m].kind == METRIC_HISTOGRAM ? METRIC_BUCKETS + 1 : 0;
	struct metric_series *s = calloc(1, sizeof(*s) + buckets * sizeof(s->buckets[0]));
	struct family *f = &families[m];

	must(s != NULL);
	s->labels = strndup(labels.at, labels.len);
	must(s->labels != NULL);
	if (f->last == NULL)
		f->first = s;
	else
		f->last->next = s;
	f->last = s;
	f->count++;
	return s;
}

static struct metric_series *find_series(enum metric m, struct str labels)
{
	struct metric_series *s = families[m].first;

	while (s != NULL && !str_eq_c(labels, s->labels))
		s = s->next;
	return s;
}

struct metric_series *metric_series(enum metric m, const char *const *values)
{
	static const char *const other[METRIC_LABELS_MOST] = { "other", "other", "other" };
	_cleanup_(buf_fini) struct buf labels = BUF_INIT;
	struct metric_series *s;

	must(m < METRIC_COUNT && rows[m].labels[0] != '\0');
	add_labels(&labels, &rows[m], values);
	pthread_mutex_lock(&lock);
	s = find_series(m, buf_str(&labels));
	if (s == NULL && families[m].count >= METRIC_SERIES_MOST) {
		if (families[m].other == NULL) {
			buf_clear(&labels);
			add_labels(&labels, &rows[m], other);
			families[m].other = make_series(m, buf_str(&labels));
		}
		s = families[m].other;
	}
	if (s == NULL)
		s = make_series(m, buf_str(&labels));
	pthread_mutex_unlock(&lock);
	return s;
}

/* Rendering. */

void metric_collector_add(struct metric_collector *c)
{
	list_init(&c->link);
	list_append(&collectors, &c->link);
}

void metric_collector_remove(struct metric_collector *c)
{
	list_remove(&c->link);
}

static void add_value(struct buf *out, const struct metric_row *row, int64_t value)
{
	uint64_t size = value < 0 ? -(uint64_t) value : (uint64_t) value;

	if (row->unit == METRIC_ONE)
		buf_printf(out, " %lld\n", (long long) value);
	else
		buf_printf(out, " %s%llu.%06llu\n", value < 0 ? "-" : "",
			   (unsigned long long) (size / SEC), (unsigned long long) (size % SEC));
}

static void add_name(struct buf *out, const struct metric_row *row, const char *suffix,
		     const char *labels, const char *more)
{
	bool has_both = labels[0] != '\0' && more[0] != '\0';

	buf_printf(out, "%s%s", row->exported, suffix);
	if (labels[0] != '\0' || more[0] != '\0')
		buf_printf(out, "{%s%s%s}", labels, has_both ? "," : "", more);
}

static void add_histogram(struct buf *out, const struct metric_row *row,
			  const struct metric_series *s)
{
	unsigned long long sum = 0;
	char bound[48];

	for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
		sum += __atomic_load_n(&s->buckets[i], __ATOMIC_RELAXED);
		if (i == METRIC_BUCKETS)
			(void) snprintf(bound, sizeof(bound), "le=\"+Inf\"");
		else
			(void) snprintf(bound, sizeof(bound), "le=\"%g\"",
					(double) metric_bounds[i] / (double) SEC);
		add_name(out, row, "_bucket", s->labels, bound);
		buf_printf(out, " %llu\n", sum);
	}
	add_name(out, row, "_sum", s->labels, "");
	add_value(out, row, __atomic_load_n(&s->value, __ATOMIC_RELAXED));
	add_name(out, row, "_count", s->labels, "");
	buf_printf(out, " %llu\n", sum);
}

static void add_series(struct buf *out, const struct metric_row *row, const struct metric_series *s)
{
	if (row->kind == METRIC_HISTOGRAM) {
		add_histogram(out, row, s);
		return;
	}
	add_name(out, row, "", s->labels == NULL ? "" : s->labels, "");
	add_value(out, row, __atomic_load_n(&s->value, __ATOMIC_RELAXED));
}

void metric_render(struct buf *out)
{
	static const char *const kinds[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};

	list_for_each (node, &collectors) {
		struct metric_collector *c = list_entry(node, struct metric_collector, link);

		c->run(c);
	}
	pthread_mutex_lock(&lock);
	for (size_t m = 0; m < METRIC_COUNT; m++) {
		const struct metric_row *row = &rows[m];
		bool has_labels = row->labels[0] != '\0';

		if (has_labels && families[m].first == NULL)
			continue;
		buf_printf(out, "# HELP %s ", row->exported);
		for (const char *c = row->help; *c != '\0'; c++)
			buf_printf(out, *c == '\\' ? "\\\\" : "%c", *c);
		buf_printf(out, "\n# TYPE %s %s\n", row->exported, kinds[row->kind]);
		if (!has_labels)
			add_series(out, row, &metric_plain[m]);
		for (const struct metric_series *s = families[m].first; s != NULL; s = s->next)
			add_series(out, row, s);
	}
	pthread_mutex_unlock(&lock);
}

/* The table. */

static bool is_name(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || *c == '_' ||
		      (c > name && *c >= '0' && *c <= '9')))
			return false;
	return name[0] != '\0';
}

static int check_row(size_t m)
{
	const struct metric_row *row = &rows[m];
	struct str rest = str_c(row->labels), label, name = str_c(row->exported);
	size_t labels = 0;

	if (!is_name(row->exported))
		return fail(-E_BAD_SETTING, "metric \"%s\" has no good name", row->exported);
	if (row->help == NULL || row->help[0] == '\0' || strchr(row->help, '\n') != NULL)
		return fail(-E_BAD_SETTING, "metric %s has no help of one line", row->exported);
	if ((row->kind == METRIC_COUNTER) != str_ends(name, STR("_total")))
		return fail(-E_BAD_SETTING, "metric %s: counters, and only they, end in _total",
			    row->exported);
	if (row->kind == METRIC_HISTOGRAM &&
	    (row->unit != METRIC_SECONDS || row->labels[0] == '\0'))
		return fail(-E_BAD_SETTING, "metric %s: a histogram is in seconds and has labels",
			    row->exported);
	while (row->labels[0] != '\0' && str_cut(&rest, ',', &label))
		labels++;
	if (labels > METRIC_LABELS_MOST)
		return fail(-E_BAD_SETTING, "metric %s has too many labels", row->exported);
	for (size_t i = 0; i < m; i++)
		if (strcmp(rows[i].exported, row->exported) == 0)
			return fail(-E_BAD_SETTING, "metric %s stands in the table twice",
				    row->exported);
	return 0;
}

int metric_check(void)
{
	for (size_t m = 0; m < METRIC_COUNT; m++) {
		int r = check_row(m);

		if (r < 0)
			return r;
	}
	return 0;
}
