/*
 * comments.c - what readers say about posts; seen by whoever sees the post.
 */
#include "auth/identity.h"
#include "shop.h"

/* clang-format off */
static const struct field fields[] = {
	/*    name          type       rules */
	FIELD("id",         KEY),
	FIELD("post",       REFERENCE, COLUMN("post_id"), REQUIRED_ONCE, FIXED, REFERS(&post_resource)),
	FIELD("author",     EMBED,     COLUMN("author_id"), READ_ONLY, REFERS(&user_resource), SHAPE(user_summary), CALLED("UserSummary")),
	FIELD("content",    TEXT,      REQUIRED, LENGTH(2000)),
	FIELD("created_at", TIME,      NOW_AT_CREATION),
	FIELD("updated_at", TIME,      NOW_AT_SAVE),
	FIELD("author_key", REFERENCE, COLUMN("author_id"), HIDDEN, REFERS(&user_resource)),
};

static const struct filter filters[] = {
	FILTER("post",   KEY, EXACT, "t.post_id", REFERS(&post_resource)),
	FILTER("author", KEY, EXACT, "t.author_id", REFERS(&user_resource)),
};
static const struct search searches[] = { { .sql = "t.content" } };
static const struct order orders[] = { { "created_at", "t.created_at" } };

static const struct permission permissions[] = {
	ALLOW(ANYONE,              MAY_LIST | MAY_READ),
	ALLOW(SIGNED_IN,           MAY_CREATE),
	ALLOW_OWNER("t.author_id", MAY_UPDATE | MAY_DELETE),
};
/* clang-format on */

static int saving(struct change *c)
{
	if (c->old == NULL)
		values_set(&c->values, "author_key", c->rq->caller->id);
	return 0;
}

const struct resource comment_resource = {
	.name = "comment",
	.model = "Comment",
	.path = "comments/",
	.table = "comments",
	.help = "What a reader says about a post.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.rows = "EXISTS (SELECT FROM posts p WHERE p.id = t.post_id AND (p.published OR p.author_id = :caller))",
	.rows_through = "true", /* the post was found, so it is seen */
	.order = "t.created_at, t.id",
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders) },
	.hooks = { .saving = saving },
};
