/*
 * product_images.c - the pictures of a product: uploaded, checked by their header, kept, and handed
 * to a worker that makes the variants.
 */
#include <openssl/evp.h>

#include "auth/identity.h"
#include "base/codec.h"
#include "base/datetime.h"
#include "base/error.h"
#include "base/log.h"
#include "base/uuid.h"
#include "base/world.h"
#include "image/probe.h"
#include "image/variants.h"
#include "proto/images_generate_variants.h"
#include "products.h"
#include "storage/storage.h"
#include "uploads.h"

#define STEM_MOST 100

static const char *const statuses[] = { "pending", "ready", "failed", NULL };

/* --- as JSON --- */

static void render_image(struct request *rq, struct json_writer *w, const struct row *row)
{
	json_put_str(w, upload_url(rq, row_get(row, "image")));
}

/* The variants that were made; NULL before the task ran.  jsonb does not keep their order, so they
 * are asked by name. */
static const struct json *read_variants(struct request *rq, const struct row *row)
{
	struct json_error error;
	struct json *tree;

	if (json_parse(&rq->arena, row_get(row, "variants"), JSON_STRICT, 8, &tree, &error) < 0)
		must_not_reach("jsonb that is not JSON");
	return tree->count > 0 ? tree : NULL;
}

static void put_number(struct json_writer *w, struct str name, struct str number)
{
	json_put_key(w, name);
	json_put_raw(w, number);
}

static void put_variant(struct request *rq, struct json_writer *w, const struct json *variant)
{
	const struct json *path = json_get(variant, STR("path"));

	json_begin_object(w);
	json_put_key(w, STR("url"));
	json_put_str(w, upload_url(rq, json_text(&rq->arena, path)));
	put_number(w, STR("width"), json_get(variant, STR("width"))->text);
	put_number(w, STR("height"), json_get(variant, STR("height"))->text);
	put_number(w, STR("bytes"), json_get(variant, STR("bytes"))->text);
	json_put_key(w, STR("sha256"));
	json_put_str(w, json_text(&rq->arena, json_get(variant, STR("sha256"))));
	json_end_object(w);
}

static void render_variants(struct request *rq, struct json_writer *w, const struct row *row)
{
	const struct json *made = read_variants(rq, row);

	json_begin_object(w);
	json_put_key(w, STR("original"));
	json_begin_object(w);
	json_put_key(w, STR("url"));
	json_put_str(w, upload_url(rq, row_get(row, "image")));
	put_number(w, STR("width"), row_get(row, "width"));
	put_number(w, STR("height"), row_get(row, "height"));
	json_end_object(w);
	for (size_t i = 0; i < IMAGE_VARIANT_COUNT; i++) {
		struct str name = str_c(image_variant_kinds[i].name);
		const struct json *variant = json_get(made, name);

		if (variant == NULL)
			continue;
		json_put_key(w, name);
		put_variant(rq, w, variant);
	}
	json_end_object(w);
}

/* "url 150w, url 300w, …" of one encoding. */
static struct str srcset(struct request *rq, const struct json *made, bool is_webp)
{
	_cleanup_(buf_fini) struct buf set = BUF_INIT;

	for (size_t i = 0; i < IMAGE_VARIANT_COUNT; i++) {
		const struct json *variant = json_get(made, str_c(image_variant_kinds[i].name));

		if (variant == NULL || image_variant_kinds[i].is_webp != is_webp)
			continue;
		struct str url = upload_url(rq,
					    json_text(&rq->arena, json_get(variant, STR("path"))));
		buf_printf(&set, "%s%.*s %.*sw", set.len == 0 ? "" : ", ", STR_ARG(url),
			   STR_ARG(json_get(variant, STR("width"))->text));
	}
	return arena_str(&rq->arena, buf_str(&set));
}

static void render_responsive(struct request *rq, struct json_writer *w, const struct row *row)
{
	const struct json *made = read_variants(rq, row);

	json_begin_object(w);
	json_put_key(w, STR("src"));
	json_put_str(w, upload_url(rq, row_get(row, "image")));
	json_put_key(w, STR("srcset"));
	json_put_str(w, srcset(rq, made, false));
	json_put_key(w, STR("srcset_webp"));
	json_put_str(w, srcset(rq, made, true));
	json_put_key(w, STR("sizes"));
	json_put_c(w, "(max-width: 600px) 100vw, 600px");
	json_put_key(w, STR("alt"));
	json_put_str(w, row_get(row, "alt_text"));
	json_end_object(w);
}

/* --- the tables --- */

/* clang-format off */
static const struct field fields[] = {
	/*    name               type       rules */
	FIELD("id",              KEY),
	FIELD("product",         REFERENCE, COLUMN("product_id"), REQUIRED_ONCE, FIXED, REFERS(&product_resource)),
	FIELD("image",           UPLOAD,    REQUIRED_ONCE, LENGTH(255), FILE_RULE(upload_is_picture), RENDER(render_image)),
	FIELD("alt_text",        TEXT,      BLANK, LENGTH(255)),
	FIELD("caption",         TEXT,      BLANK, LENGTH(255)),
	FIELD("is_primary",      BOOLEAN,   USUALLY("false")),
	FIELD("sort_order",      INTEGER),
	FIELD("width",           INTEGER,   READ_ONLY),
	FIELD("height",          INTEGER,   READ_ONLY),
	FIELD("status",          CHOICE,    READ_ONLY, ONE_OF(statuses), USUALLY("pending")),
	FIELD("error",           TEXT,      READ_ONLY, USUALLY("")),
	FIELD("responsive_data", JSON,      COMPUTED("NULL::jsonb"), RENDER(render_responsive)),
	FIELD("variants",        JSON,      READ_ONLY, USUALLY("{}"), RENDER(render_variants)),
	FIELD("metadata",        JSON,      READ_ONLY),
	FIELD("created_at",      TIME,      NOW_AT_CREATION),
	FIELD("updated_at",      TIME,      HIDDEN, .is_now_at_save = true),
};

static const struct filter filters[] = {
	FILTER("product",    KEY,     EXACT, "t.product_id", REFERS(&product_resource)),
	FILTER("is_primary", BOOLEAN, EXACT, "t.is_primary"),
	FILTER("status",     CHOICE,  EXACT, "t.status", ONE_OF(statuses)),
};
static const struct order orders[] = { { "sort_order", "t.sort_order" }, { "created_at", "t.created_at" } };

static const struct permission permissions[] = {
	ALLOW(SIGNED_IN,          MAY_LIST | MAY_READ | MAY_CREATE),
	ALLOW_OWNER(PRODUCT_OWNER, MAY_UPDATE | MAY_DELETE),
	ALLOW(STAFF,              MAY_ALL),
};
/* clang-format on */

/* --- taking an upload --- */

/* Letters, digits, space, hyphen and underscore of any script stay; then spaces become
 * underscores. */
static struct str clean_stem(struct arena *arena, struct str stem)
{
	_cleanup_(buf_fini) struct buf clean = BUF_INIT;
	size_t characters = 0;

	while (stem.len > 0 && characters < STEM_MOST) {
		uint32_t c = utf8_next(&stem);
		bool is_ascii_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				     (c >= 'A' && c <= 'Z') || c == '-' || c == '_';

		if (!is_ascii_word && c != ' ' && c < 0xaa)
			continue;
		utf8_add(&clean, c == ' ' ? '_' : c);
		characters++;
	}
	while (clean.len > 0 && clean.at[clean.len - 1] == '_')
		buf_truncate(&clean, clean.len - 1);
	return arena_str(arena, buf_str(&clean));
}

static struct str upload_path(struct arena *arena, struct str filename)
{
	struct str extension = upload_extension(arena, filename);
	struct str stem = str_slice(filename, 0, filename.len - upload_suffix(filename).len);
	struct civil now;
	uint32_t random;

	civil_from_realtime(now_realtime(), &now);
	random_bytes(&random, sizeof(random));
	return arena_printf(arena, "products/%04d/%02d/%.*s_%04d%02d%02d_%02d%02d%02d_%08x%.*s",
			    now.year, now.month, STR_ARG(clean_stem(arena, stem)), now.year,
			    now.month, now.day, now.hour, now.minute, now.second, random,
			    STR_ARG(extension));
}

static struct str describe(struct arena *arena, struct str bytes, const struct image_header *header)
{
	_cleanup_(buf_fini) struct buf hex = BUF_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;
	char format[8] = { 0 };

	for (size_t i = 0; header->name[i] != '\0' && i < sizeof(format) - 1; i++)
		format[i] = (char) (header->name[i] + ('a' - 'A'));
	must(EVP_Digest(bytes.at, bytes.len, digest, &len, EVP_sha256(), NULL) == 1);
	hex_encode(&hex, str_make(digest, len));
	return arena_printf(arena, "{\"bytes\":%zu,\"format\":\"%s\",\"sha256\":\"%s\"}", bytes.len,
			    format, hex.at);
}

static int take_upload(struct change *c, const struct upload *upload)
{
	struct arena *arena = &c->rq->arena;
	const struct image_header header = image_probe(
		upload->bytes); /* upload_is_picture let it pass */
	struct str path;
	int r;

	r = product_part_check(c);
	if (r < 0)
		return r;
	path = upload_path(arena, upload->filename);
	r = storage_put(c->rq->thread->storage, path, upload->bytes);
	if (r < 0)
		return r;
	values_set(&c->values, "image", path);
	values_set(&c->values, "width", arena_printf(arena, "%u", header.width));
	values_set(&c->values, "height", arena_printf(arena, "%u", header.height));
	values_set(&c->values, "metadata", describe(arena, upload->bytes, &header));
	values_set(&c->values, "status", STR("pending"));
	values_set(&c->values, "error", STR(""));
	values_set(&c->values, "variants", STR("{}"));
	return 0;
}

static const struct upload *new_upload(const struct change *c)
{
	return c->values.uploads[values_place(&c->values, "image")];
}

static int check(struct change *c)
{
	return new_upload(c) == NULL ? 0 : take_upload(c, new_upload(c));
}

/* --- the primary picture and the order --- */

static const struct db_statement lock_product = {
	.sql = STR_INIT("SELECT 1 FROM products WHERE id = $1 FOR UPDATE"),
};
static const struct db_statement find_last = {
	.sql = STR_INIT("SELECT max(sort_order) + 1 FROM product_images WHERE product_id = $1"),
};
static const struct db_statement clear_primary = {
	.sql = STR_INIT(
		"UPDATE product_images SET is_primary = false WHERE product_id = $1 AND is_primary"),
};
static const struct db_statement choose_heir = {
	.sql = STR_INIT(
		"UPDATE product_images SET is_primary = true, updated_at = now() WHERE id = ("
		"SELECT id FROM product_images WHERE product_id = $1 AND id <> $2 "
		"ORDER BY sort_order, id LIMIT 1)"),
};

int product_images_lock(struct request *rq, struct db_tx *tx, struct str product)
{
	return db_tx_query(tx, &rq->arena, &lock_product, DB_VALUES(product), NULL);
}

int product_images_clear_primary(struct request *rq, struct db_tx *tx, struct str product)
{
	return db_tx_query(tx, &rq->arena, &clear_primary, DB_VALUES(product), NULL);
}

static int place_new(struct change *c, struct str product)
{
	struct db_rows rows;
	int r;

	r = db_tx_query(c->tx, &c->rq->arena, &find_last, DB_VALUES(product), &rows);
	if (r < 0)
		return r;
	bool is_first = db_is_null(&rows, 0, 0);
	if (is_first)
		values_set(&c->values, "is_primary", STR("true"));
	if (!values_given(&c->values, "sort_order"))
		values_set(&c->values, "sort_order", is_first ? STR("0") : db_get(&rows, 0, 0));
	return 0;
}

static int saving(struct change *c)
{
	struct str product = c->old == NULL ? values_get(&c->values, "product")
					    : row_get(c->old, "product");
	int r;

	r = product_images_lock(c->rq, c->tx, product);
	if (r == 0 && c->old == NULL)
		r = place_new(c, product);
	if (r == 0 && str_eq(values_get(&c->values, "is_primary"), STR("true")))
		r = product_images_clear_primary(c->rq, c->tx, product);
	return r;
}

static int saved(struct change *c)
{
	const struct images_generate_variants_arguments arguments = { .image_id = row_get(c->row,
											  "id") };

	return new_upload(c) == NULL
		       ? 0
		       : change_enqueue(c, &images_generate_variants_task, &arguments);
}

static int deleting(struct change *c)
{
	struct str product = row_get(c->old, "product");
	struct db_rows rows;
	int r;

	if (!str_eq(row_get(c->old, "is_primary"), STR("t")))
		return 0;
	r = product_images_clear_primary(c->rq, c->tx, product);
	if (r == 0)
		r = db_tx_query(c->tx, &c->rq->arena, &choose_heir,
				DB_VALUES(product, row_get(c->old, "id")), &rows);
	return r;
}

/* The picture and its variants, which no row names any more; one that cannot be deleted is a file
 * too many, not a failure of the request. */
static void delete_files(struct request *rq, const struct row *row)
{
	const struct json *made = read_variants(rq, row);

	upload_delete(rq->thread->storage, row_get(row, "image"));
	for (const struct json *v = made == NULL ? NULL : made->first; v != NULL; v = v->next)
		upload_delete(rq->thread->storage, json_text(&rq->arena, json_get(v, STR("path"))));
}

static void done(struct change *c)
{
	if (c->old != NULL && new_upload(c) != NULL)
		delete_files(c->rq, c->old);
}

static void deleted(struct change *c)
{
	delete_files(c->rq, c->old);
}

const struct resource product_image_resource = {
	.name = "product-image",
	.model = "ProductImage",
	.path = "product-images/",
	.table = "product_images",
	.component = "Image",
	.writes = "ImageUpload",
	.description = "ViewSet for product image management",
	.help = "A picture of a product, with its variants.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.exists =
		"EXISTS (SELECT 1 FROM products p WHERE p.id = t.product_id AND NOT p.is_deleted)",
	.rows_through = "true", /* the product was found, so it is not deleted */
	.order = "t.sort_order, t.id",
	.select = { FILTERS(filters), ORDERS(orders) },
	.accepts = body_forms,
	.max_body = UPLOAD_MOST,
	.deadline = 2 * MINUTE,
	.hooks = { .check = check,
		   .saving = saving,
		   .saved = saved,
		   .done = done,
		   .deleting = deleting,
		   .deleted = deleted },
};
