/*
 * apium-gateway: the application's routes and tasks; the rest is the library's (gateway/gateway.h).
 */
#include "base/settings.h"
#include "gateway/gateway.h"
#include "proto/tasks.h"
#include "shop.h"

static int prepare(struct route_table *routes)
{
	int r = tasks_register();

	return r < 0 ? r : shop_routes(routes, settings.media_root);
}

int main(int argc, char **argv)
{
	static const struct gateway_program program = {
		.name = "apium-gateway",
		.version = APIUM_VERSION,
		.prepare = prepare,
	};

	return gateway_main(argc, argv, &program);
}
