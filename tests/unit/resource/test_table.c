/*
 * Tables that contradict themselves do not start, and the sentence says why.
 */
#include <criterion/criterion.h>

#include "base/error.h"
#include "resource/resource.h"

/* clang-format off */
static const struct field plain[] = {
	FIELD("id",   KEY),
	FIELD("name", TEXT, REQUIRED),
	FIELD("size", INTEGER, NULLABLE),
	FIELD("cost", INTEGER, COMPUTED("1")),
};
static const struct permission anyone[] = { ALLOW(ANYONE, MAY_ALL) };
static const struct permission odd[] = { ALLOW_IF("has_perm(blog)", MAY_ALL) };
static const struct permission granted[] = { ALLOW_GRANTED("view", MAY_READ) };
static const struct order orders[] = { { "name", "t.name" } };
static const struct filter joined[] = { FILTER("x", TEXT, EXACT, "b.x", JOIN("JOIN b ON b.a = t.id")) };
static const struct scope astray[] = { { "mine", "granted('view')" } };
static const struct search odd_search[] = { { .how = '^', .sql = "t.name", .is_vector = true } };

#define THING .name = "thing", .model = "Thing", .path = "things/", .table = "things", .help = "A thing.", .order = "t.id"
static const struct resource inner = { THING, FIELDS(plain), PERMISSIONS(anyone) };
static const char *const without_name[] = { "id", "size", NULL };
static const struct field inner_fields[] = {
	FIELD("id",     KEY),
	FIELD("name",   TEXT, REQUIRED),
	FIELD("size",   INTEGER, NULLABLE),
	FIELD("parent", REFERENCE, COLUMN("parent_id"), READ_ONLY, REFERS(&inner)),
};
static const struct resource child = { .name = "child", .model = "Child", .path = "children/", .table = "children",
	.help = "A child.", .order = "t.id", FIELDS(inner_fields), PERMISSIONS(anyone) };
static const struct field no_holder[] = { FIELD("id", KEY), FIELD("one", EMBED, COLUMN("one_id"), WRITTEN, REFERS(&inner)) };
static const struct field too_little[] = {
	FIELD("id", KEY), FIELD("rows", MANY, THROUGH("parent_id"), REPLACED(5), REFERS(&child), SHAPE(without_name)) };
static const struct field too_many[] = {
	FIELD("id", KEY), FIELD("rows", MANY, THROUGH("parent_id"), REPLACED(5000), REFERS(&child)) };
static const struct field wrong_word[] = {
	FIELD("id", KEY), FIELD("rows", MANY, THROUGH("parent_id"), WRITTEN, REFERS(&child)) };

static const struct {
	const char *sentence;
	struct resource resource;
} wrong[] = {
	{ "PAGING_CURSOR and `cursor` belong together", { THING, FIELDS(plain), PERMISSIONS(anyone), .paging = PAGING_CURSOR } },
	{ "PAGING_CURSOR and `cursor` belong together", { THING, FIELDS(plain), PERMISSIONS(anyone), .cursor = "name" } },
	{ "only pages by cursor have a page_parameter", { THING, FIELDS(plain), PERMISSIONS(anyone), .page_parameter = "n" } },
	{ "cursor -nothing is no column", { THING, FIELDS(plain), PERMISSIONS(anyone), .paging = PAGING_CURSOR, .cursor = "-nothing" } },
	{ "cursor cost is no column", { THING, FIELDS(plain), PERMISSIONS(anyone), .paging = PAGING_CURSOR, .cursor = "cost" } },
	{ "cursor size must be in every row", { THING, FIELDS(plain), PERMISSIONS(anyone), .paging = PAGING_CURSOR, .cursor = "size" } },
	{ "have one order, it has ORDERS", { THING, FIELDS(plain), PERMISSIONS(anyone), .paging = PAGING_CURSOR, .cursor = "name",
		.select = { ORDERS(orders) } } },
	{ "by filter x a row comes more than once", { THING, FIELDS(plain), PERMISSIONS(anyone), .paging = PAGING_CURSOR, .cursor = "name",
		.select = { FILTERS(joined) } } },
	{ "permission 1: the condition \"has_perm(blog)\" cannot be read", { THING, FIELDS(plain), PERMISSIONS(odd) } },
	{ "granted() stands beside", { THING, FIELDS(plain), PERMISSIONS(anyone), .exists = "granted('view')" } },
	{ "granted() stands beside", { THING, FIELDS(plain), PERMISSIONS(anyone), .select = { SCOPES(astray) } } },
	{ "cannot be kept", { THING, FIELDS(plain), PERMISSIONS(anyone), .rows = "has_perm('a.view_b')", .list_ttl = MINUTE } },
	{ "cannot be kept", { THING, FIELDS(plain), PERMISSIONS(granted), .detail_ttl = MINUTE } },
	{ "cannot be kept for all", { THING, FIELDS(plain), PERMISSIONS(granted), .row_ttl = DAY } },
	{ "cannot be kept for all", { THING, FIELDS(plain), PERMISSIONS(anyone), .rows = "t.id = :caller", .row_ttl = DAY } },
	{ "cannot be kept", { THING, FIELDS(plain), PERMISSIONS(anyone), TENANT("tenant_id", "SELECT 1"), .list_ttl = MINUTE } },
	{ "a tenant needs a column and SQL", { THING, FIELDS(plain), PERMISSIONS(anyone), .tenant_column = "tenant_id" } },
	{ "its SQL has a name that does not exist", { THING, FIELDS(plain), PERMISSIONS(anyone), TENANT("tenant_id", "SELECT :nobody") } },
	{ "its column must be a field that is read", { THING, FIELDS(no_holder), PERMISSIONS(anyone) } },
	{ "is written without name, which is required", { THING, FIELDS(too_little), PERMISSIONS(anyone) } },
	{ "takes more than 1000 rows", { THING, FIELDS(too_many), PERMISSIONS(anyone) } },
	{ "is WRITTEN but no EMBED", { THING, FIELDS(wrong_word), PERMISSIONS(anyone) } },
	{ "`other` is one of", { THING, FIELDS(plain), PERMISSIONS(anyone), .other = MAY_LIST | MAY_READ } },
	{ "search 1 has a configuration and no vector", { THING, FIELDS(plain), PERMISSIONS(anyone),
		.select = { SEARCHES(odd_search) } } },
};
/* clang-format on */

Test(table, a_contradiction_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct resource *resource = &wrong[i].resource;
		struct route_table *routes = route_table_new();

		cr_expect_eq(resource_routes(routes, &resource, 1), -EINVAL, "%s",
			     wrong[i].sentence);
		cr_expect(strstr(fail_reason(-EINVAL), wrong[i].sentence) != NULL, "%s: %s",
			  wrong[i].sentence, fail_reason(-EINVAL));
		route_table_free(routes);
	}
}
