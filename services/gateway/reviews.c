/*
 * reviews.c - what people think of a product: one each.
 */
#include "auth/identity.h"
#include "products.h"

/* clang-format off */
static const struct field fields[] = {
	/*    name          type       rules */
	FIELD("id",         KEY),
	FIELD("product",    REFERENCE, COLUMN("product_id"), REQUIRED_ONCE, FIXED, REFERS(&product_resource)),
	FIELD("user",       EMBED,     COLUMN("user_id"), READ_ONLY, REFERS(&user_resource), SHAPE(user_summary), CALLED("UserSummary")),
	FIELD("rating",     INTEGER,   REQUIRED, AT_LEAST("0", NULL), AT_MOST("5", NULL)),
	FIELD("comment",    TEXT,      BLANK),
	FIELD("created_at", TIME,      NOW_AT_CREATION),
	FIELD("updated_at", TIME,      NOW_AT_SAVE),
	FIELD("user_key",   REFERENCE, COLUMN("user_id"), HIDDEN, REFERS(&user_resource)),
};

static const struct filter filters[] = {
	FILTER("product", KEY,     EXACT, "t.product_id", REFERS(&product_resource)),
	FILTER("user",    KEY,     EXACT, "t.user_id", REFERS(&user_resource)),
	FILTER("rating",  INTEGER, EXACT, "t.rating"),
};
static const struct search searches[] = { { .sql = "t.comment" } };
static const struct order orders[] = { { "created_at", "t.created_at" }, { "rating", "t.rating" } };

static const struct permission permissions[] = {
	ALLOW(SIGNED_IN,         MAY_LIST | MAY_READ | MAY_CREATE),
	ALLOW_OWNER("t.user_id", MAY_UPDATE | MAY_DELETE),
	ALLOW(STAFF,             MAY_ALL),
};
/* clang-format on */

static const struct db_statement find_own = {
	.sql = STR_INIT("SELECT 1 FROM reviews WHERE product_id = $1 AND user_id = $2"),
};

static int check(struct change *c)
{
	struct db_rows rows;
	int r;

	if (c->old != NULL)
		return 0;
	r = db_query(c->rq->thread->db, &c->rq->arena, &find_own,
		     DB_VALUES(values_get(&c->values, "product"), c->rq->caller->id), &rows);
	if (r == 0 && rows.count > 0)
		errors_add(&c->errors, NULL, "You have already reviewed this product.");
	return r;
}

static int saving(struct change *c)
{
	if (c->old == NULL)
		values_set(&c->values, "user_key", c->rq->caller->id);
	return 0;
}

const struct resource review_resource = {
	.name = "review",
	.model = "Review",
	.path = "reviews/",
	.table = "reviews",
	.help = "What somebody thinks of a product.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.exists = PRODUCT_EXISTS,
	.order = "t.created_at DESC, t.id DESC",
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders) },
	.unique_together = "one_review_per_user",
	.unique_together_words = "You have already reviewed this product.",
	.hooks = { .check = check, .saving = saving },
};
