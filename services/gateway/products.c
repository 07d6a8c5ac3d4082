/*
 * products.c - what the shop sells.  Removal is soft: the row stays, the API no longer knows it.
 */
#include "auth/identity.h"
#include "base/error.h"
#include "http/etag.h"
#include "http/once.h"
#include "proto/images_generate_variants.h"
#include "products.h"
#include "resource/cached.h"

#define SLUG_MOST    120
#define NOT_NEGATIVE "Price cannot be negative"

static const char *const statuses[] = { "active", "draft", "archived", NULL };

/* clang-format off */
static const struct field fields[] = {
	/*    name                   type       rules */
	FIELD("id",                  KEY),
	FIELD("owner",               REFERENCE, COLUMN("owner_id"), READ_ONLY, REFERS(&user_resource)),
	FIELD("name",                TEXT,      REQUIRED, LENGTH(100)),
	FIELD("slug",                TEXT,      READ_ONLY, SLUG),
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
	FIELD("brand",               REFERENCE, COLUMN("brand_id"), NULLABLE, REFERS(&brand_resource)),
	FIELD("supplier",            REFERENCE, COLUMN("supplier_id"), NULLABLE, REFERS(&supplier_resource)),
	FIELD("manufacturer",        REFERENCE, COLUMN("manufacturer_id"), NULLABLE, REFERS(&manufacturer_resource)),
	FIELD("status",              CHOICE,    ONE_OF(statuses), USUALLY("active")),
	FIELD("is_active",           BOOLEAN,   USUALLY("true")),
	FIELD("is_published",        BOOLEAN,   USUALLY("false")),
	FIELD("view_count",          INTEGER,   READ_ONLY, USUALLY("0")),
	FIELD("review_count",        INTEGER,   COMPUTED("(SELECT count(*) FROM reviews r WHERE r.product_id = t.id)"), NOT_IN_BULK_CHANGES),
	FIELD("average_rating",      DECIMAL,   NULLABLE, DIGITS(3, 2), COMPUTED("(SELECT round(avg(r.rating), 2) FROM reviews r WHERE r.product_id = t.id)"), NOT_IN_BULK_CHANGES),
	FIELD("created_at",          TIME,      NOW_AT_CREATION),
	FIELD("updated_at",          TIME,      NOW_AT_SAVE),
	FIELD("is_deleted",          BOOLEAN,   HIDDEN, USUALLY("false")),
	FIELD("tags",                KEYS,      DETAIL, REFERS(&tag_resource), LINK("products_tags", "product_id", "tag_id")),
	FIELD("collections",         KEYS,      DETAIL, REFERS(&collection_resource), LINK("products_collections", "product_id", "collection_id")),
	FIELD("related_products",    KEYS,      DETAIL, REFERS(&product_resource), LINK("products_related_products", "from_product_id", "to_product_id")),
	FIELD("similar_products",    KEYS,      DETAIL, REFERS(&product_resource), LINK("products_similar_products", "from_product_id", "to_product_id")),
	FIELD("images",              MANY,      REFERS(&product_image_resource), THROUGH("product_id"), READ_ONLY, DETAIL),
	FIELD("variants",            MANY,      REFERS(&product_variant_resource), THROUGH("product_id"), READ_ONLY, DETAIL),
};

static const struct filter filters[] = {
	/*     parameter             value    lookup       of */
	FILTER("category",           KEY,     EXACT,       "t.category_id", REFERS(&category_resource)),
	FILTER("category__slug",     TEXT,    EXACT,       "(SELECT c.slug FROM categories c WHERE c.id = t.category_id)"),
	FILTER("brand",              KEY,     EXACT,       "t.brand_id", REFERS(&brand_resource)),
	FILTER("brand__isnull",      BOOLEAN, ISNULL,      "t.brand_id"),
	FILTER("tags",               KEY,     EXACT,       "l.tag_id", REFERS(&tag_resource), REPEATABLE,
	       ANY_OF("products_tags l WHERE l.product_id = t.id")),
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
	FILTER("low_stock",          BOOLEAN, HOLDS,       "low_stock"),
};
static const struct scope scopes[] = {
	{ "low_stock", "t.stock > 0 AND t.stock <= t.low_stock_threshold" },
};
static const struct search searches[] = { { .sql = "t.name" }, { .sql = "t.description" } };
static const struct order orders[] = { { "created_at", "t.created_at" }, { "price", "t.price" } };

static const struct permission permissions[] = {
	ALLOW(SIGNED_IN,         MAY_LIST | MAY_READ | MAY_CREATE),
	ALLOW_OWNER("t.owner_id", MAY_UPDATE | MAY_DELETE),
	ALLOW(STAFF,             MAY_ALL),
	ALLOW_GRANTED("change",  MAY_UPDATE),
	ALLOW_IF("has_perm('catalog.change_product')", MAY_UPDATE),
	ALLOW_IF("has_perm('catalog.delete_product')", MAY_DELETE),
};
/* clang-format on */

static const struct db_statement find_owner = {
	.sql = STR_INIT("SELECT owner_id FROM products WHERE id = $1"),
};

int product_allow_parts(struct request *rq, struct db_tx *tx, struct str product)
{
	const struct db_at at = { .db = rq->thread->db, .tx = tx };
	struct db_rows rows;
	int r;

	if (rq->caller->is_staff)
		return 0;
	r = db_at_query(at, &rq->arena, &find_owner, DB_VALUES(product), &rows);
	if (r < 0)
		return r;
	return rows.count == 1 && str_eq(db_get(&rows, 0, 0), rq->caller->id) ? 0 : -E_FORBIDDEN;
}

int product_part_check(struct change *c)
{
	return c->old != NULL
		       ? 0
		       : product_allow_parts(c->rq, c->tx, values_get(&c->values, "product"));
}

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
	.row_ttl = DAY,
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders), SCOPES(scopes) },
	.remove = "is_deleted = true, deleted_at = now(), updated_at = now()",
	.bulk = MAY_CREATE | MAY_UPDATE | MAY_DELETE,
	.hooks = { .saving = saving },
};

static const struct db_statement publish = {
	.sql = STR_INIT(
		"UPDATE products SET is_published = true, updated_at = now() WHERE id = $1"),
};

int product_publish(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct row product;
	int r;

	r = request_begin(rq, &tx);
	if (r == 0)
		r = resource_object(rq, &tx, &product_resource, MAY_UPDATE, &product);
	if (r == 0)
		r = db_tx_query(&tx, &rq->arena, &publish, DB_VALUES(row_get(&product, "id")),
				NULL);
	if (r == 0)
		r = reply_json(rq, 200, STR("{\"status\":\"published\"}"));
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r == 0)
		resource_forget(rq, &product_resource);
	return r;
}

/* --- popular --- */

#define POPULAR_TTL (5 * MINUTE)

static const struct db_statement find_popular = {
	.sql = STR_INIT("SELECT id, name, price FROM products WHERE is_active AND NOT is_deleted "
			"ORDER BY view_count DESC, id LIMIT 10"),
	.lane = DB_SHARED,
};

static int make_popular(void *arg, struct arena *arena, struct str *ret_value)
{
	struct request *rq = arg;
	const struct db_at at = { .db = rq->thread->db };
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct json_writer w;
	struct db_rows rows;
	int r;

	r = db_at_query(at, arena, &find_popular, DB_NO_VALUES, &rows);
	if (r < 0)
		return r;
	json_writer_init(&w, &text, JSON_ESCAPE_DRF, false);
	json_begin_array(&w);
	for (int i = 0; i < rows.count; i++) {
		json_begin_object(&w);
		json_put_key(&w, STR("id"));
		json_put_str(&w, db_get(&rows, i, 0));
		json_put_key(&w, STR("name"));
		json_put_str(&w, db_get(&rows, i, 1));
		json_put_key(&w, STR("price"));
		json_put_str(&w, db_get(&rows, i, 2));
		json_end_object(&w);
	}
	json_end_array(&w);
	*ret_value = arena_str(arena, buf_str(&text));
	return 0;
}

/* The same for everybody, so the key names nobody.  It ends with the group of the products' answers, which
 * each change of a product drops. */
int product_popular(struct request *rq)
{
	const struct cache_entry entry = {
		.key = STR("popular_products"),
		.ttl = POPULAR_TTL,
		.groups = { product_resource.table },
	};
	struct str value;
	int r;

	r = cached_value(rq, &entry, make_popular, rq, &value);
	if (r == 0)
		r = reply_json(rq, 200, value);
	if (r == 0 && rq->thread->cache != NULL)
		reply_etag(rq);
	return r;
}

/* --- the variants of every picture, once more --- */

static const struct db_statement find_images = {
	.sql = STR_INIT(
		"SELECT id FROM product_images WHERE product_id = $1 ORDER BY sort_order, id"),
};

/* A job per picture, hung together in *ret_jobs, and their ids as the answer. */
static int queue_images(struct request *rq, struct db_tx *tx, const struct db_rows *images,
			struct enqueued **ret_jobs)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;
	struct enqueued *job;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("status"));
	json_put_c(&w, "queued");
	json_put_key(&w, STR("task_ids"));
	json_begin_array(&w);
	for (int i = 0; i < images->count; i++) {
		const struct images_generate_variants_arguments arguments = {
			.image_id = db_get(images, i, 0)
		};
		int r = enqueue_args(rq->thread->producer, tx, &rq->arena,
				     &images_generate_variants_task, &arguments, NULL, &job);

		if (r < 0)
			return r;
		job->next = *ret_jobs;
		*ret_jobs = job;
		json_put_c(&w, job->id);
	}
	json_end_array(&w);
	json_end_object(&w);
	return reply_json_take(rq, 202, &body);
}

int product_generate_variants(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct enqueued *jobs = NULL;
	struct db_rows images;
	struct row product;
	int r;

	r = request_begin(rq, &tx);
	if (r == 0)
		r = resource_object(rq, &tx, &product_resource, MAY_UPDATE, &product);
	if (r == 0)
		r = db_tx_query(&tx, &rq->arena, &find_images, DB_VALUES(row_get(&product, "id")),
				&images);
	if (r == 0 && images.count == 0)
		return reply_json(rq, 400, STR("{\"error\":\"Product has no images\"}"));
	if (r == 0)
		r = queue_images(rq, &tx, &images, &jobs);
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r == 0)
		enqueue_push(rq->thread->producer, jobs);
	return r;
}
