#include "auth/identity.h"
#include "http/media.h"
#include "shop.h"

static const struct resource *const resources[] = {
#define RESOURCE(name) &name##_resource,
#define ROUTE(method, mount, pattern, handler, permission, flags, ...)
#include "routes.def"
#undef RESOURCE
#undef ROUTE
};

static const struct route routes[] = {
#define RESOURCE(name)
#define ROUTE(method_, mount_, pattern_, handler_, permission_, flags_, ...)                       \
	{ .method = HTTP_##method_,                                                                \
	  .mount = ROUTE_##mount_,                                                                 \
	  .pattern = (pattern_),                                                                   \
	  .handle = (handler_),                                                                    \
	  .permit = (permission_),                                                                 \
	  .flags = (flags_),                                                                       \
	  .name = #handler_,                                                                       \
	  __VA_ARGS__ },
#include "routes.def"
#undef RESOURCE
#undef ROUTE
};

int shop_routes(struct route_table *table, const char *media_root)
{
	int r;

	r = resource_routes(table, resources, ARRAY_SIZE(resources));
	if (r < 0)
		return r;
	route_table_add(table, routes, ARRAY_SIZE(routes));
	route_table_add_media(table, "/media/", media_root);
	return 0;
}
