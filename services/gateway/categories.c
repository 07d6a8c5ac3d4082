/*
 * categories.c - the shelves of the catalogue: everybody who is signed in reads, staff writes.
 */
#include "shop.h"

#define SLUG_MOST 120

/* clang-format off */
static const struct field fields[] = {
	/*    name             type      rules */
	FIELD("id",            KEY),
	FIELD("name",          TEXT,     REQUIRED, LENGTH(100), UNIQUE("categories_name_key", NULL)),
	FIELD("slug",          TEXT,     READ_ONLY, SLUG),
	FIELD("description",   TEXT,     BLANK),
	FIELD("product_count", INTEGER,  COMPUTED("(SELECT count(*) FROM products p WHERE p.category_id = t.id AND NOT p.is_deleted)")),
	FIELD("created_at",    TIME,     NOW_AT_CREATION),
	FIELD("updated_at",    TIME,     NOW_AT_SAVE),
};

static const struct search searches[] = { { .sql = "t.name" } };
static const struct order orders[] = { { "name", "t.name" }, { "created_at", "t.created_at" } };

static const struct permission permissions[] = {
	ALLOW(SIGNED_IN, MAY_LIST | MAY_READ),
	ALLOW(STAFF,     MAY_ALL),
};
/* clang-format on */

static int saving(struct change *c)
{
	struct str slug;
	int r;

	if (c->old != NULL)
		return 0; /* links to a category outlive its renaming */
	r = slug_make(c->tx, &c->rq->arena, "categories", "true", values_get(&c->values, "name"),
		      "category", SLUG_MOST, &slug);
	if (r == 0)
		values_set(&c->values, "slug", slug);
	return r;
}

const struct resource category_resource = {
	.name = "category",
	.model = "Category",
	.path = "categories/",
	.table = "categories",
	.help = "A shelf of the catalogue.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.order = "t.name",
	.list_ttl = 5 * MINUTE,
	.detail_ttl = HOUR,
	.select = { SEARCHES(searches), ORDERS(orders) },
	.hooks = { .saving = saving },
};
