/*
 * health.h - the two handlers by which a gateway says how it is.
 *
 * /healthz: the process answers.  /readyz: it can do its work.  Without PostgreSQL nothing can be
 * served: 503.  Without Redis jobs wait in the outbox and caches miss: 200, "degraded".
 */
#ifndef GATEWAY_HEALTH_H
#define GATEWAY_HEALTH_H

#include "http/route.h"

route_handler health_live, health_ready;

/* clang-format off */
/* Their rows, for an application's list of routes. */
#define HEALTH_ROUTES                                                                              \
	{ .mount = ROUTE_ROOT, .method = HTTP_GET, .pattern = "healthz", .handle = health_live,    \
	  .permit = permit_anyone, .name = "health_live",                                          \
	  .flags = ROUTE_NO_AUTHENTICATION | ROUTE_NO_NEGOTIATION },                               \
	{ .mount = ROUTE_ROOT, .method = HTTP_GET, .pattern = "readyz", .handle = health_ready,    \
	  .permit = permit_anyone, .name = "health_ready",                                         \
	  .flags = ROUTE_NO_AUTHENTICATION | ROUTE_NO_NEGOTIATION }
/* clang-format on */

#endif
