/*
 * product_image_actions.c - what is done to the pictures of a product at once: which is the primary one, in
 * which order they stand, many uploads with one request.
 */
#include "auth/identity.h"
#include "base/error.h"
#include "base/uuid.h"
#include "http/once.h"
#include "products.h"

/* --- the primary one --- */

static const struct db_statement set_primary = {
	.sql = STR_INIT(
		"UPDATE product_images SET is_primary = true, updated_at = now() WHERE id = $1"),
};

int product_image_set_primary(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct row image;
	int r;

	r = request_begin(rq, &tx);
	if (r == 0)
		r = resource_object(rq, &tx, &product_image_resource, MAY_UPDATE, &image);
	if (r == 0)
		r = product_images_lock(rq, &tx, row_get(&image, "product"));
	if (r == 0)
		r = product_images_clear_primary(rq, &tx, row_get(&image, "product"));
	if (r == 0)
		r = db_tx_query(&tx, &rq->arena, &set_primary, DB_VALUES(row_get(&image, "id")),
				NULL);
	if (r == 0)
		r = reply_json(rq, 200, STR("{\"status\":\"primary image set\"}"));
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r == 0)
		resource_forget(rq, &product_image_resource);
	return r;
}

/* --- the order --- */

/* clang-format off */
static const struct field image_id = FIELD("id", UUID);
static const struct field order_fields[] = {
	FIELD("product_id", REFERENCE, REQUIRED, REFERS(&product_resource)),
	FIELD("image_ids",  ARRAY,     REQUIRED, OF(&image_id)),
};
/* clang-format on */

/* Whether the list has every picture of the product once and nothing else. */
static const struct db_statement is_complete = {
	.sql = STR_INIT(
		"SELECT ARRAY(SELECT id FROM product_images WHERE product_id = $1 ORDER BY id) = "
		"ARRAY(SELECT unnest($2::uuid[]) ORDER BY 1)"),
};
static const struct db_statement set_order = {
	.sql = STR_INIT("UPDATE product_images i SET sort_order = n - 1 "
			"FROM unnest($2::uuid[]) WITH ORDINALITY u (id, n) "
			"WHERE i.id = u.id AND i.product_id = $1"),
};

static int check_order(struct request *rq, struct db_tx *tx, const struct values *v,
		       struct errors *errors)
{
	struct db_rows rows;
	int r;

	r = db_tx_query(tx, &rq->arena, &is_complete,
			DB_VALUES(values_get(v, "product_id"), values_get(v, "image_ids")), &rows);
	if (r == 0 && !db_get_bool(&rows, 0, 0))
		errors_add(errors, "image_ids", "Name every image of the product exactly once.");
	return r;
}

/* Locks the product, so that no picture comes or goes meanwhile. */
static int read_order(struct request *rq, struct db_tx *tx, struct values *ret_values)
{
	struct errors errors;
	int r;

	errors_init(&errors, rq);
	r = validate_body(rq, order_fields, ARRAY_SIZE(order_fields), VALIDATE_CREATE,
			  rq->route->accepts, &errors, ret_values);
	if (r == 0)
		r = resource_check_references(rq, (struct db_at){ .db = rq->thread->db, .tx = tx },
					      ret_values, &errors);
	errors_sort(&errors, order_fields, ARRAY_SIZE(order_fields));
	if (r == 0 && !errors_any(&errors))
		r = product_images_lock(rq, tx, values_get(ret_values, "product_id"));
	if (r == 0 && !errors_any(&errors))
		r = check_order(rq, tx, ret_values, &errors);
	if (r < 0 || !errors_any(&errors))
		return r;
	r = reply_errors(rq, &errors);
	return r < 0 ? r : -E_INVALID;
}

int product_image_reorder(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct values v;
	int r;

	r = request_begin(rq, &tx);
	if (r == 0)
		r = read_order(rq, &tx, &v);
	if (r == 0)
		r = product_allow_parts(rq, &tx, values_get(&v, "product_id"));
	if (r == 0)
		r = db_tx_query(
			&tx, &rq->arena, &set_order,
			DB_VALUES(values_get(&v, "product_id"), values_get(&v, "image_ids")), NULL);
	if (r == 0)
		r = reply_json(rq, 200, STR("{\"status\":\"reordered\"}"));
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r == 0)
		resource_forget(rq, &product_image_resource);
	return r;
}

/* --- many uploads --- */

/* One file and what became of it. */
struct piece {
	const struct upload *upload;
	struct change *change;
};

static const struct db_statement find_product = {
	.sql = STR_INIT("SELECT id FROM products WHERE id = $1 AND NOT is_deleted"),
};

static int refuse(struct request *rq, int status, const char *json)
{
	int r = reply_json(rq, status, str_c(json));

	return r < 0 ? r : -E_INVALID;
}

/* The product that the form names, if it is the caller's to change. */
static int read_product(struct request *rq, const struct body *body, struct str *ret)
{
	struct str sent = STR_NULL;
	struct db_rows rows;
	int r;

	for (size_t i = 0; i < body->field_count; i++) {
		if (str_eq_c(body->fields[i].name, "product_id"))
			sent = body->fields[i].value;
	}
	if (sent.len == 0)
		return refuse(rq, 400, "{\"error\":\"product_id is required\"}");
	if (uuid_normalise(&rq->arena, sent, &sent) < 0)
		return refuse(rq, 404, "{\"error\":\"Product not found\"}");
	r = db_query(rq->thread->db, &rq->arena, &find_product, DB_VALUES(sent), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return refuse(rq, 404, "{\"error\":\"Product not found\"}");
	*ret = sent;
	return product_allow_parts(rq, NULL, sent);
}

/* Each file as the form of one picture; judged and stored before there is a transaction. */
static int check_pieces(struct request *rq, const struct body *body, struct str product,
			struct piece *pieces, size_t *ret_count)
{
	struct arena *arena = &rq->arena;
	const struct form_field named = { STR("product"), product };
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < body->upload_count && r == 0; i++) {
		if (!str_eq_c(body->uploads[i].name, "images"))
			continue;
		struct upload *upload = arena_new(arena, struct upload);
		struct form_field *field = arena_new(arena, struct form_field);
		struct body *form = arena_new(arena, struct body);

		*upload = body->uploads[i];
		upload->name = STR("image");
		*field = named;
		*form = (struct body){ .kind = BODY_MULTIPART,
				       .fields = field,
				       .field_count = 1,
				       .uploads = upload,
				       .upload_count = 1 };
		pieces[count].upload = upload;
		pieces[count].change = change_new(rq, &product_image_resource, VALIDATE_CREATE,
						  form);
		r = change_check(pieces[count++].change);
	}
	*ret_count = count;
	return r;
}

static int put_created(struct request *rq, struct db_tx *tx, const struct piece *pieces,
		       size_t count, struct json_writer *w, size_t *ret_created)
{
	const struct db_at at = { .db = rq->thread->db, .tx = tx };
	int r = 0;

	json_begin_array(w);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (errors_any(&pieces[i].change->errors))
			continue;
		r = resource_render(rq, at, &product_image_resource, pieces[i].change->row,
				    VIEW_DETAIL, w);
		++*ret_created;
	}
	json_end_array(w);
	return r;
}

static void put_refused(const struct piece *pieces, size_t count, struct json_writer *w)
{
	json_begin_array(w);
	for (size_t i = 0; i < count; i++) {
		if (!errors_any(&pieces[i].change->errors))
			continue;
		json_begin_object(w);
		json_put_key(w, STR("index"));
		json_put_i64(w, (int64_t) i);
		json_put_key(w, STR("filename"));
		json_put_str(w, pieces[i].upload->filename);
		json_put_key(w, STR("errors"));
		errors_put(&pieces[i].change->errors, w);
		json_end_object(w);
	}
	json_end_array(w);
}

static int reply_pieces(struct request *rq, struct db_tx *tx, const struct piece *pieces,
			size_t count)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;
	size_t created = 0;
	int r;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("created"));
	r = put_created(rq, tx, pieces, count, &w, &created);
	json_put_key(&w, STR("errors"));
	put_refused(pieces, count, &w);
	json_end_object(&w);
	return r < 0 ? r : reply_json_take(rq, created > 0 ? 201 : 400, &body);
}

/* The good ones become rows; the bad ones are told with their place. */
static int create_pieces(struct request *rq, const struct piece *pieces, size_t count)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r;

	r = request_begin(rq, &tx);
	for (size_t i = 0; i < count && r == 0; i++) {
		struct change *c = pieces[i].change;

		c->tx = &tx;
		if (!errors_any(&c->errors))
			r = change_write(c);
	}
	if (r == 0)
		r = reply_pieces(rq, &tx, pieces, count);
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r < 0)
		return r;
	resource_forget(rq, &product_image_resource);
	for (size_t i = 0; i < count; i++) {
		if (!errors_any(&pieces[i].change->errors))
			change_finish(pieces[i].change);
	}
	return 0;
}

int product_image_bulk_upload(struct request *rq)
{
	const struct body *body;
	struct piece *pieces;
	struct str product = STR_NULL;
	size_t count;
	int r;

	r = request_body(rq, product_image_resource.accepts, &body);
	if (r == 0)
		r = read_product(rq, body, &product);
	if (r < 0)
		return r;
	pieces = arena_array(&rq->arena, struct piece, body->upload_count + 1);
	r = check_pieces(rq, body, product, pieces, &count);
	if (r < 0)
		return r;
	if (count == 0)
		return refuse(rq, 400, "{\"error\":\"images are required\"}");
	return create_pieces(rq, pieces, count);
}
