#include "fuzz.h"

#include "http/route.h"

static int fuzz_handle(struct request *rq)
{
	return 0;
}

/* clang-format off */
#define ROW(m, p, ...) { .method = (m), .pattern = (p), .handle = fuzz_handle, .permit = permit_anyone, .name = (p), ##__VA_ARGS__ }
/* clang-format on */
static const struct route rows[] = {
	ROW(HTTP_GET, ""),
	ROW(HTTP_GET, "users/"),
	ROW(HTTP_GET, "users/{id}/"),
	ROW(HTTP_GET, "users/me/"),
	ROW(HTTP_GET, "users/{id}/posts/{post}/"),
	ROW(HTTP_POST, "users/me/photo/"),
	ROW(HTTP_POST, "auth/login/", .flags = ROUTE_NO_SUFFIX),
	ROW(HTTP_GET, "healthz", .mount = ROUTE_ROOT, .flags = ROUTE_NO_NEGOTIATION),
};

/* A parameter is a segment: it has no slash, no dot, and lies in the path. */
void fuzz_router(struct str input)
{
	static struct route_table *table;
	struct route_match match;

	if (table == NULL) {
		table = route_table_new();
		route_table_add(table, rows, ARRAY_SIZE(rows));
		must(route_table_seal(table) == 0);
	}
	if (!route_table_find(table, input, &match))
		return;
	must(match.view != NULL);
	for (size_t i = 0; i < ROUTE_PARAMETERS && !str_is_null(match.parameters[i]); i++) {
		struct str p = match.parameters[i];

		must(p.len > 0 && p.at >= input.at && p.at + p.len <= input.at + input.len);
		must(str_find_char(p, '/') < 0 && str_find_char(p, '.') < 0);
	}
}
