/*
 * labels.c - what a product may carry that is no more than a name: brands, suppliers, manufacturers,
 * collections.  Everybody who is signed in reads, staff writes.
 */
#include "shop.h"

static const struct search searches[] = { { .sql = "t.name" } };
static const struct order orders[] = { { "name", "t.name" }, { "created_at", "t.created_at" } };

static const struct permission permissions[] = {
	ALLOW(SIGNED_IN, MAY_LIST | MAY_READ),
	ALLOW(STAFF, MAY_ALL),
};

/* The four differ in their names only.  `constraint_` is the one that keeps `name` unique. */
/* clang-format off */
#define LABEL(name_, model_, table_, constraint_, help_)                                        \
	static const struct field name_##_fields[] = {                                          \
		FIELD("id",         KEY),                                                       \
		FIELD("name",       TEXT, REQUIRED, LENGTH(100), UNIQUE(constraint_, NULL)),    \
		FIELD("created_at", TIME, HIDDEN, .is_now_at_creation = true),                  \
		FIELD("updated_at", TIME, HIDDEN, .is_now_at_save = true),                      \
	};                                                                                      \
	const struct resource name_##_resource = {                                              \
		.name = #name_,                                                                 \
		.model = model_,                                                                \
		.path = table_ "/",                                                             \
		.table = table_,                                                                \
		.help = help_,                                                                  \
		.fields = name_##_fields,                                                       \
		.field_count = ARRAY_SIZE(name_##_fields),                                      \
		.permissions = permissions,                                                     \
		.permission_count = ARRAY_SIZE(permissions),                                    \
		.order = "t.name",                                                              \
		.select = { SEARCHES(searches), ORDERS(orders) },                               \
	}

LABEL(brand,        "Brand",        "brands",        "brands_name_key",        "Whose name a product bears.");
LABEL(supplier,     "Supplier",     "suppliers",     "suppliers_name_key",     "Who delivers a product.");
LABEL(manufacturer, "Manufacturer", "manufacturers", "manufacturers_name_key", "Who makes a product.");
LABEL(collection,   "Collection",   "collections",   "collections_name_key",   "Products that are shown together.");
/* clang-format on */
