/*
 * metric.h - what the process counts, from one table (metrics.def).
 *
 * A metric without labels has one series, reached by its name: `metric_add(METRIC_fibers, 1)`.  One
 * with labels has a series for each combination of values, made once by metric_series and kept by
 * whoever counts: counting is then an addition, without a lock and without a look-up.  Values must
 * come from a table; beyond METRIC_SERIES_MOST combinations of one metric all share a series whose
 * values are "other", so that a mistake cannot fill memory.
 *
 * `_own` variants are for a series that one thread writes: no locked instruction, what the
 * supervisor's job path uses.  Histograms count durations in fixed buckets (metric.c).
 *
 * What is cheaper to ask than to count (gauges) is set by a collector, which runs before each
 * rendering, on the thread that renders.
 *
 * The text is Prometheus's exposition format 0.0.4.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"
#include "base/list.h"

enum metric {
#define METRIC(name, kind, unit, exported, labels, help) METRIC_##name,
#include "base/metrics.def"
#undef METRIC
	METRIC_COUNT,
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_unit { METRIC_ONE, METRIC_SECONDS };

struct metric_row {
	const char *exported;
	enum metric_kind kind;
	enum metric_unit unit;
	const char *labels; /* "a,b"; "": none */
	const char *help;
};
const struct metric_row *metric_row(enum metric);

#define METRIC_BUCKETS     17 /* bounds; one more bucket is for what lies beyond them */
#define METRIC_SERIES_MOST 4096
#define METRIC_LABELS_MOST 3
extern const usec_t metric_bounds[METRIC_BUCKETS];

struct metric_series {
	int64_t value; /* counter, gauge; histogram: the sum of durations */
	struct metric_series *next;
	const char *labels; /* as rendered, without brackets: a="x",b="y" */
	uint64_t buckets[]; /* histogram only: METRIC_BUCKETS + 1 */
};

/* The series of these values, as many as the metric has labels; made when it is not there.  From any
 * thread; lives as long as the process. */
struct metric_series *metric_series(enum metric, const char *const *values);
#define METRIC_VALUES(...) ((const char *const[]){ __VA_ARGS__ })

/* The one series of a metric without labels. */
extern struct metric_series metric_plain[METRIC_COUNT];

static inline void series_add(struct metric_series *s, int64_t n)
{
	__atomic_fetch_add(&s->value, n, __ATOMIC_RELAXED);
}

static inline void series_set(struct metric_series *s, int64_t value)
{
	__atomic_store_n(&s->value, value, __ATOMIC_RELAXED);
}

static inline void series_add_own(struct metric_series *s, int64_t n)
{
	__atomic_store_n(&s->value, s->value + n, __ATOMIC_RELAXED);
}

/* A duration; negative ones (a clock of another machine) count as none. */
void series_observe(struct metric_series *, usec_t duration);
void series_observe_own(struct metric_series *, usec_t duration);

static inline void metric_add(enum metric m, int64_t n)
{
	series_add(&metric_plain[m], n);
}

static inline void metric_set(enum metric m, int64_t value)
{
	series_set(&metric_plain[m], value);
}

struct metric_collector {
	struct list link;
	void (*run)(struct metric_collector *);
};
/* Collectors run on the thread that renders: they are added and removed on that thread. */
void metric_collector_add(struct metric_collector *);
void metric_collector_remove(struct metric_collector *);

/* Everything that has a series, after the collectors have run. */
void metric_render(struct buf *);

/* Bugs in the table: two rows of one name, a name that breaks Prometheus's rules, no help. */
int metric_check(void) _must_check_;

#endif
