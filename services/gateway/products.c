/*
 * products.c - what the shop sells.  Removal is soft: the row stays, the API no longer knows it.
 */
#include "auth/identity.h"
#include "shop.h"

#define SLUG_MOST    120
#define NOT_NEGATIVE "Price cannot be negative"

static const char *const statuses[] = { "active", "draft", "archived", NULL };

/* clang-format off */
static const struct field fields[] = {
	/*    name                   type       rules */
	FIELD("id",                  KEY),
	FIELD("owner",               REFERENCE, COLUMN("owner_id"), READ_ONLY, REFERS(&user_resource)),
	FIELD("name",                TEXT,      REQUIRED, LENGTH(100)),
	FIELD("slug",                TEXT,      READ_ONLY),
	FIELD("sku",                 TEXT,      NULLABLE, LENGTH(64), UNIQUE("unique_live_product_sku", NULL)),
	FIELD("description",         TEXT,      BLANK),
	FIELD("price",               DECIMAL,   REQUIRED, DIGITS(10, 2), AT_LEAST("0", NOT_NEGATIVE)),
	FIELD("price_eur",           DECIMAL,   NULLABLE, DIGITS(10, 2), AT_LEAST("0", NOT_NEGATIVE)),
	FIELD("eur_to_usd_rate",     DECIMAL,   DIGITS(5, 4), USUALLY("1.1000")),
	FIELD("quantity",            INTEGER,   USUALLY("1")),
	FIELD("unit_discount",       DECIMAL,   DIGITS(5, 2), USUALLY("0.00")),
	FIELD("price_usd",           DECIMAL,   DIGITS(12, 2), COMPUTED("t.price_usd")),
	FIELD("discount_per_unit",   DECIMAL,   DIGITS(10, 2), COMPUTED("t.discount_per_unit")),
	FIELD("final_price",         DECIMAL,   DIGITS(12, 2), COMPUTED("t.final_price")),
	FIELD("discount_percentage", DECIMAL,   DIGITS(5, 2), USUALLY("0.00"), AT_LEAST("0", NULL), AT_MOST("100", NULL)),
	FIELD("stock",               INTEGER,   USUALLY("0"), AT_LEAST("0", NULL)),
	FIELD("stock_quantity",      INTEGER,   COMPUTED("t.stock")),
	FIELD("low_stock_threshold", INTEGER,   USUALLY("10"), AT_LEAST("0", NULL)),
	FIELD("category",            REFERENCE, COLUMN("category_id"), NULLABLE, REFERS(&category_resource)),
	FIELD("category_name",       TEXT,      NULLABLE, COMPUTED("(SELECT c.name FROM categories c WHERE c.id = t.category_id)")),
	FIELD("status",              CHOICE,    ONE_OF(statuses), USUALLY("active")),
	FIELD("is_active",           BOOLEAN,   USUALLY("true")),
	FIELD("is_published",        BOOLEAN,   USUALLY("false")),
	FIELD("view_count",          INTEGER,   READ_ONLY, USUALLY("0")),
	FIELD("created_at",          TIME,      NOW_AT_CREATION),
	FIELD("updated_at",          TIME,      NOW_AT_SAVE),
	FIELD("is_deleted",          BOOLEAN,   HIDDEN, USUALLY("false")),
	FIELD("images",              MANY,      REFERS(&product_image_resource), THROUGH("product_id"), READ_ONLY, DETAIL),
};

static const struct filter filters[] = {
	/*     parameter             value    lookup       of */
	FILTER("category",           KEY,     EXACT,       "t.category_id", REFERS(&category_resource)),
	FILTER("category__slug",     TEXT,    EXACT,       "(SELECT c.slug FROM categories c WHERE c.id = t.category_id)"),
	FILTER("is_active",          BOOLEAN, EXACT,       "t.is_active"),
	FILTER("is_published",       BOOLEAN, EXACT,       "t.is_published"),
	FILTER("status",             CHOICE,  EXACT,       "t.status", ONE_OF(statuses)),
	FILTER("status__in",         CHOICE,  IN,          "t.status"),
	FILTER("name__icontains",    TEXT,    ICONTAINS,   "t.name"),
	FILTER("name__istartswith",  TEXT,    ISTARTSWITH, "t.name"),
	FILTER("sku",                TEXT,    EXACT,       "t.sku"),
	FILTER("sku__in",            TEXT,    IN,          "t.sku"),
	FILTER("price",              DECIMAL, EXACT,       "t.price"),
	FILTER("price__gt",          DECIMAL, GT,          "t.price"),
	FILTER("price__gte",         DECIMAL, GTE,         "t.price"),
	FILTER("price__lt",          DECIMAL, LT,          "t.price"),
	FILTER("price__lte",         DECIMAL, LTE,         "t.price"),
	FILTER("price__range",       DECIMAL, RANGE,       "t.price"),
	FILTER("stock",              INTEGER, EXACT,       "t.stock"),
	FILTER("stock__gt",          INTEGER, GT,          "t.stock"),
	FILTER("stock__lt",          INTEGER, LT,          "t.stock"),
	FILTER("created_at__gte",    TIME,    GTE,         "t.created_at"),
	FILTER("created_at__lte",    TIME,    LTE,         "t.created_at"),
	FILTER("created_at__date",   DATE,    DATE,        "t.created_at"),
	FILTER("low_stock",          BOOLEAN, HOLDS,       "t.stock > 0 AND t.stock <= t.low_stock_threshold"),
};
static const struct search searches[] = { { .sql = "t.name" }, { .sql = "t.description" } };
static const struct order orders[] = { { "created_at", "t.created_at" }, { "price", "t.price" } };

static const struct permission permissions[] = {
	ALLOW(SIGNED_IN,         MAY_LIST | MAY_READ | MAY_CREATE),
	ALLOW_OWNER("t.owner_id", MAY_UPDATE | MAY_DELETE),
	ALLOW(STAFF,             MAY_ALL),
};
/* clang-format on */

static int saving(struct change *c)
{
	struct str slug;
	int r;

	if (c->old != NULL)
		return 0; /* slug and owner never change */
	values_set(&c->values, "owner", c->rq->caller->id);
	r = slug_make(c->tx, &c->rq->arena, "products", "NOT is_deleted",
		      values_get(&c->values, "name"), "product", SLUG_MOST, &slug);
	if (r == 0)
		values_set(&c->values, "slug", slug);
	return r;
}

const struct resource product_resource = {
	.name = "product",
	.model = "Product",
	.path = "products/",
	.table = "products",
	.help = "Something the shop sells.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.exists = "NOT t.is_deleted",
	.order = "t.created_at DESC, t.id DESC",
	.list_ttl = 15 * MINUTE,
	.detail_ttl = 30 * MINUTE,
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders) },
	.remove = "is_deleted = true, deleted_at = now()",
	.hooks = { .saving = saving },
};
