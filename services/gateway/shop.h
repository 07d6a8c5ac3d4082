/*
 * shop.h - what the files of this application share: its resources and hand-written handlers.
 *
 * To add a resource: its .c file with the tables, one row in routes.def, one migration.
 */
#ifndef SERVICES_GATEWAY_SHOP_H
#define SERVICES_GATEWAY_SHOP_H

#include "gateway/health.h"
#include "http/route.h"
#include "resource/resource.h"

#define RESOURCE(name)                                                 extern const struct resource name##_resource;
#define ROUTE(method, mount, pattern, handler, permission, flags, ...) route_handler handler;
#include "routes.def"
#undef RESOURCE
#undef ROUTE

/* Those of routes.def, in its order. */
extern const struct resource *const shop_resources[];
extern const size_t shop_resource_count;

/* How a user stands inside other resources' rows. */
extern const char *const user_summary[];

/* Adds every row of routes.def and the folders of uploads and of assets.  0 or -EINVAL with a sentence. */
int shop_routes(struct route_table *, const char *media_root, const char *static_root) _must_check_;

#endif
