/*
 * gateway.h - an application's gateway program: its resources, routes and tasks; the rest is here.
 *
 *   apium-gateway            N threads, each with an event loop, a server and stores of its own
 *   apium-gateway health     exit status 0 if the gateway of this machine answers (gateway/ask.h)
 *   apium-gateway --version
 *
 * main() declares a struct gateway_program and calls gateway_main, as worker programs do with
 * queue/worker.h.  SIGTERM or SIGINT drains, a second one ends at once.
 *
 * To add a resource to an application: its .c file with the tables, a row in the program's list.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "http/route.h"
#include "queue/task.h"
#include "resource/resource.h"

struct gateway_program {
	const char *name;    /* "apium-gateway": in logs, and what its connections are called */
	const char *version; /* of the application */
	const struct resource *const *resources;
	size_t resource_count;
	const struct route *routes; /* made by hand; HEALTH_ROUTES are not there by themselves */
	size_t route_count;
	const struct task *const *tasks; /* that its handlers enqueue */
	size_t task_count;
	/* For what no table can say: once settings are loaded, before the table is sealed.  0 or
	 * negative with a sentence; may be NULL. */
	int (*prepare)(struct route_table *);
	/* Once the table is sealed and before the threads start; may be NULL. */
	void (*sealed)(const struct route_table *);
};

/* clang-format off */
#define GATEWAY_RESOURCES(list_) .resources = (list_), .resource_count = ARRAY_SIZE(list_)
#define GATEWAY_ROUTES(rows_)    .routes = (rows_), .route_count = ARRAY_SIZE(rows_)
#define GATEWAY_TASKS(list_)     .tasks = (list_), .task_count = ARRAY_SIZE(list_)
/* clang-format on */

/* Returns the exit status. */
int gateway_main(int argc, char **argv, const struct gateway_program *);

#endif
