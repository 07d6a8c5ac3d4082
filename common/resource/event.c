#include "resource/event.h"

#include "base/error.h"

#define LISTENERS_MOST 64

/* Set before threads start, read-only then. */
static struct listener {
	const char *table;
	enum event event;
	event_listener *call;
	bool is_known; /* a resource has the table */
} listeners[LISTENERS_MOST];
static size_t listener_count;

static void listen_to(const char *table, enum event event, event_listener *call)
{
	must(listener_count < LISTENERS_MOST);
	listeners[listener_count++] = (struct listener){ .table = table,
							 .event = event,
							 .call = call };
}

void on_created(const char *table, event_listener *call)
{
	listen_to(table, EVENT_CREATED, call);
}

void on_changed(const char *table, event_listener *call)
{
	listen_to(table, EVENT_CHANGED, call);
}

void on_deleted(const char *table, event_listener *call)
{
	listen_to(table, EVENT_DELETED, call);
}

void event_tell(struct request *rq, enum event event, const struct row *row)
{
	for (size_t i = 0; i < listener_count; i++) {
		if (listeners[i].event == event &&
		    strcmp(listeners[i].table, row->resource->table) == 0)
			listeners[i].call(rq, row);
	}
}

static bool has_table(const struct resource *const *resources, size_t count, const char *table)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(resources[i]->table, table) == 0)
			return true;
	}
	return false;
}

int event_check(const struct resource *const *resources, size_t count)
{
	for (size_t i = 0; i < listener_count; i++) {
		listeners[i].is_known |= has_table(resources, count, listeners[i].table);
		if (!listeners[i].is_known)
			return fail(
				-EINVAL,
				"a listener wants to know of the table %s, which no resource has",
				listeners[i].table);
	}
	return 0;
}
