/*
 * product_variants.c - the kinds in which a product is sold; written by the product's owner or staff.
 */
#include "products.h"

/* clang-format off */
static const struct field fields[] = {
	/*    name          type       rules */
	FIELD("id",         KEY),
	FIELD("product",    REFERENCE, COLUMN("product_id"), REQUIRED_ONCE, FIXED, REFERS(&product_resource)),
	FIELD("name",       TEXT,      REQUIRED, LENGTH(100)),
	FIELD("sku",        TEXT,      REQUIRED, LENGTH(64), UNIQUE("product_variants_sku_key", "product variant with this sku already exists.")),
	FIELD("price",      DECIMAL,   NULLABLE, DIGITS(10, 2), AT_LEAST("0", NULL)),
	FIELD("stock",      INTEGER,   USUALLY("0"), AT_LEAST("0", NULL)),
	FIELD("attributes", JSON,      USUALLY("{}")),
	FIELD("created_at", TIME,      NOW_AT_CREATION),
	FIELD("updated_at", TIME,      NOW_AT_SAVE),
};

static const struct filter filters[] = {
	FILTER("product", KEY, EXACT, "t.product_id", REFERS(&product_resource)),
};
static const struct search searches[] = { { .sql = "t.name" }, { .sql = "t.sku" } };
static const struct order orders[] = { { "name", "t.name" }, { "price", "t.price" }, { "stock", "t.stock" } };

static const struct permission permissions[] = {
	ALLOW(SIGNED_IN,           MAY_LIST | MAY_READ | MAY_CREATE),
	ALLOW_OWNER(PRODUCT_OWNER, MAY_UPDATE | MAY_DELETE),
	ALLOW(STAFF,               MAY_ALL),
};
/* clang-format on */

const struct resource product_variant_resource = {
	.name = "product_variant",
	.model = "ProductVariant",
	.path = "product-variants/",
	.table = "product_variants",
	.component = "Variant",
	.help = "A kind in which a product is sold.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.exists = PRODUCT_EXISTS,
	.rows_through = "true", /* the product was found, so it is not deleted */
	.order = "t.name, t.id",
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders) },
	.hooks = { .check = product_part_check },
};
