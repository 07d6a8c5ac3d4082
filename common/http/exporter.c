#include "http/exporter.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/live.h"
#include "base/metric.h"
#include "base/settings.h"
#include "base/world.h"
#include "http/server.h"

#define MOST_BODY (64 * KIB)
#define REQUESTS  16

struct exporter {
	struct gateway_thread thread;
	struct route_table *routes;
	struct http_server *server;
	struct metric_collector collector;
	usec_t started; /* real time */
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

static int reply_metrics(struct request *rq)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	metric_render(&text);
	return reply_text(rq, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
}

static const struct route routes[] = {
	{ .mount = ROUTE_ROOT,
	  .method = HTTP_GET,
	  .pattern = "metrics",
	  .handle = reply_metrics,
	  .permit = permit_anyone,
	  .name = "metrics",
	  .flags = ROUTE_NO_AUTHENTICATION | ROUTE_NO_NEGOTIATION },
};

/* Collecting. */

/* Resident pages: the second number of /proc/self/statm (proc(5)). */
static int64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long long size, resident = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lld %lld", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * sysconf(_SC_PAGESIZE);
}

static void collect_process(const struct exporter *e)
{
	struct rusage used;
	struct rlimit files;

	metric_set(METRIC_process_start, e->started);
	metric_set(METRIC_process_memory, resident_bytes());
	if (getrusage(RUSAGE_SELF, &used) == 0)
		metric_set(METRIC_process_cpu, (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * SEC +
						       used.ru_utime.tv_usec +
						       used.ru_stime.tv_usec);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		metric_set(METRIC_process_max_fds, (int64_t) files.rlim_cur);
	metric_set(METRIC_fibers, live_get(LIVE_fibers));
	metric_set(METRIC_fiber_stack, (int64_t) fiber_stack_high_water());
	metric_set(METRIC_fiber_slow, (int64_t) fiber_slow_slices());
}

static void set_refused(const char *reason, uint64_t value)
{
	series_set(metric_series(METRIC_http_refused, METRIC_VALUES(reason)), (int64_t) value);
}

static void collect_http(void)
{
	struct http_stats stats;

	http_stats(&stats);
	metric_set(METRIC_http_in_flight, stats.in_flight);
	metric_set(METRIC_http_connections, stats.connections);
	metric_set(METRIC_http_body_bytes, stats.body_bytes);
	set_refused("busy", stats.refused_busy);
	set_refused("budget", stats.refused_budget);
	set_refused("slow", stats.cut_slow);
	set_refused("resets", stats.cut_resets);
	set_refused("framing", stats.bad_framing);
}

static void collect(struct metric_collector *c)
{
	collect_process(container_of(c, struct exporter, collector));
	collect_http();
}

/* Life. */

static int listen_all(struct exporter *e, const char *addresses)
{
	struct str rest = str_c(addresses), item;
	char text[256];
	int r = 0;

	while (r == 0 && settings_next_item(&rest, &item)) {
		(void) snprintf(text, sizeof(text), "%.*s", STR_ARG(item));
		r = http_bind_alone(text); /* two programs there would answer in turn */
		if (r >= 0)
			r = http_server_listen(e->server, r);
		if (r == 0)
			log_info("metrics on %s", text);
	}
	return r < 0 ? fail_in(r, "APIUM_METRICS_LISTEN") : 0;
}

int exporter_open(struct loop *loop, const char *addresses, const char *program,
		  struct exporter **ret)
{
	struct exporter *e;
	int r;

	*ret = NULL;
	if (addresses[0] == '\0')
		return 0;
	e = calloc(1, sizeof(*e));
	must(e != NULL);
	e->thread.loop = loop;
	e->started = now_realtime();
	e->routes = route_table_new();
	route_table_add(e->routes, routes, ARRAY_SIZE(routes));
	r = route_table_seal(e->routes);
	must(r == 0); /* the table above */
	const struct http_options options = {
		.thread = &e->thread,
		.routes = e->routes,
		.is_internal = true,
		.max_body = MOST_BODY,
		.body_budget = (size_t) settings.body_budget,
		.most_requests = REQUESTS,
		.header_timeout = settings.header_timeout,
		.upload_timeout = settings.upload_timeout,
		.idle_timeout = settings.idle_timeout,
	};
	r = http_server_new(&options, &e->server);
	if (r == 0)
		r = listen_all(e, addresses);
	if (r < 0)
		return r; /* the program cannot start, and ends with what is open */
	e->collector.run = collect;
	metric_collector_add(&e->collector);
	series_set(metric_series(METRIC_build_info, METRIC_VALUES(program, APIUM_VERSION)), 1);
	*ret = e;
	return 0;
}

static void on_freed(void *arg)
{
	struct exporter *e = arg;
	void (*on_closed)(void *) = e->on_closed;
	void *on_closed_arg = e->on_closed_arg;

	e->routes = route_table_free(e->routes);
	free(e);
	on_closed(on_closed_arg);
}

static void on_drained(void *arg)
{
	struct exporter *e = arg;

	http_server_free(e->server, on_freed, e);
}

void exporter_close(struct exporter *e, void (*on_closed)(void *arg), void *arg)
{
	if (e == NULL) {
		on_closed(arg);
		return;
	}
	metric_collector_remove(&e->collector);
	e->on_closed = on_closed;
	e->on_closed_arg = arg;
	http_server_drain(e->server, 0, on_drained, e);
}
