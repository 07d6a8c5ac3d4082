#include "accounts.h"
#include "auth/identity.h"
#include "http/media.h"
#include "operations.h"
#include "shop.h"
#include "uploads.h"

const struct resource *const shop_resources[] = {
#define RESOURCE(name) &name##_resource,
#define ROUTE(method, mount, pattern, handler, permission, flags, ...)
#include "routes.def"
#undef RESOURCE
#undef ROUTE
};
const size_t shop_resource_count = ARRAY_SIZE(shop_resources);

static const enum body_kind json_or_forms[] = { BODY_JSON, BODY_MULTIPART, BODY_FORM, BODY_NONE };

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

/* With what operations.c tells of them. */
static void add_by_hand(struct route_table *table)
{
	struct route *told = route_table_keep(table, sizeof(routes));

	memcpy(told, routes, sizeof(routes));
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct operation *o = operation_of(&told[i]);

		if (o == NULL)
			continue;
		told[i].operation = o;
		told[i].title = o->title;
		told[i].description = o->description;
	}
	route_table_add(table, told, ARRAY_SIZE(routes));
}

int shop_routes(struct route_table *table, const char *media_root, const char *static_root)
{
	int r;

	on_deleted("users", user_deleted);
	r = resource_routes(table, shop_resources, shop_resource_count);
	if (r < 0)
		return r;
	add_by_hand(table);
	route_table_add_media(table, "/media/", media_root);
	route_table_add_assets(table, "/static/", static_root);
	return 0;
}
