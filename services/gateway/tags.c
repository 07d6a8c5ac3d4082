/*
 * tags.c - words that posts and products carry: anybody reads, staff writes.
 */
#include "shop.h"

#define SLUG_MOST 60

/* clang-format off */
static const struct field fields[] = {
	/*    name          type  rules */
	FIELD("id",         KEY),
	FIELD("name",       TEXT, REQUIRED, LENGTH(50), UNIQUE("tags_name_key", NULL)),
	FIELD("slug",       TEXT, READ_ONLY, SLUG),
	FIELD("created_at", TIME, HIDDEN, .is_now_at_creation = true),
	FIELD("updated_at", TIME, HIDDEN, .is_now_at_save = true),
};
static const struct search searches[] = { { .sql = "t.name" } };
static const struct order orders[] = { { "name", "t.name" }, { "created_at", "t.created_at" } };

static const struct permission permissions[] = {
	ALLOW(ANYONE, MAY_LIST | MAY_READ),
	ALLOW(STAFF,  MAY_ALL),
};
/* clang-format on */

static int saving(struct change *c)
{
	struct str slug;
	int r;

	if (c->old != NULL)
		return 0; /* links to a tag outlive its renaming */
	r = slug_make(c->tx, &c->rq->arena, "tags", "true", values_get(&c->values, "name"), "tag",
		      SLUG_MOST, &slug);
	if (r == 0)
		values_set(&c->values, "slug", slug);
	return r;
}

const struct resource tag_resource = {
	.name = "tag",
	.model = "Tag",
	.path = "tags/",
	.table = "tags",
	.help = "A word that posts and products carry.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.order = "t.name",
	.select = { SEARCHES(searches), ORDERS(orders) },
	.hooks = { .saving = saving },
};
