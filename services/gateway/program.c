/*
 * apium-gateway: the application's routes and tasks; the rest is the library's (gateway/gateway.h).
 */
#include "api.h"
#include "base/settings.h"
#include "gateway/gateway.h"
#include "proto/tasks.h"
#include "shop.h"

static int prepare(struct route_table *routes)
{
	int r = tasks_register();

	return r < 0 ? r : shop_routes(routes, settings.media_root, settings.static_root);
}

static void sealed(const struct route_table *routes)
{
	api_describe(routes, settings.static_root);
}

int main(int argc, char **argv)
{
	static const struct gateway_program program = {
		.name = "apium-gateway",
		.version = APIUM_VERSION,
		.prepare = prepare,
		.sealed = sealed,
	};

	return gateway_main(argc, argv, &program);
}
