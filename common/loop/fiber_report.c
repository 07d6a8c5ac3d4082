/* Who is there and what it waits for: the report, SIGUSR1, and the crash handler's line. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/world.h"
#include "loop/fiber-internal.h"
#include "loop/loop-internal.h"

static const char *const state_names[] = {
	[FIBER_IDLE] = "idle",        [FIBER_READY] = "ready", [FIBER_RUNNING] = "running",
	[FIBER_PARKED] = "waits for", [FIBER_ENDED] = "ended",
};

void fiber_report(struct loop *l, void (*line)(void *arg, const char *text), void *arg)
{
	usec_t now = now_monotonic();

	list_for_each (link, &l->scheduler.all) {
		struct fiber *f = list_entry(link, struct fiber, all_link);
		bool is_parked = f->state == FIBER_PARKED;
		char text[256];

		snprintf(text, sizeof(text),
			 "%-40s %s%s%s for %.1f ms, age %.1f ms, %llu switches%s", f->own_log.name,
			 state_names[f->state], is_parked ? " " : "", is_parked ? f->why : "",
			 (double) (now - f->parked_at) / 1e3, (double) (now - f->started_at) / 1e3,
			 (unsigned long long) f->switches, f->is_cancelled ? ", cancelled" : "");
		line(arg, text);
	}
}

static void log_one(void *arg, const char *text)
{
	log_info("%s", text);
}

static void on_report_signal(uv_signal_t *handle, int number)
{
	struct loop *l = handle->data;

	log_event(LOG_INFO, "fibers", LOG_INT("count", (int64_t) l->scheduler.count),
		  LOG_INT("deepest_stack", (int64_t) fiber_stack_high_water()),
		  LOG_INT("slow_slices", (int64_t) fiber_slow_slices()));
	fiber_report(l, log_one, NULL);
}

int fiber_report_on_signal(struct loop *l)
{
	struct scheduler *s = &l->scheduler;
	int r;

	must(!s->has_report_signal);
	r = uv_signal_init(&l->uv, &s->report_signal);
	if (r < 0)
		return r;
	s->has_report_signal = true;
	s->report_signal.data = l;
	uv_unref((uv_handle_t *) &s->report_signal);
	return uv_signal_start(&s->report_signal, on_report_signal, SIGUSR1);
}

void fiber_report_crash(int fd)
{
	const struct fiber *f = fiber_current();
	struct str parts[] = { STR_INIT("fiber: "), STR_NULL, STR_INIT("\n"),
			       STR_INIT("its stack has overflowed\n") };
	size_t count = 3;

	if (f == NULL)
		return;
	parts[1] = str_make(f->own_log.name, strnlen(f->own_log.name, sizeof(f->own_log.name)));
	if (fiber_stack_is_guard(f, crash_fault_address()))
		count = 4;
	for (size_t i = 0; i < count; i++) {
		ssize_t ignored = write(fd, parts[i].at, parts[i].len);

		(void) ignored; /* the process is dying of something worse */
	}
}
