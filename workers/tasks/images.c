/*
 * images.c - images.generate_variants: reads the upload, has the sandbox decode it once, stores
 * eight files, and writes the row together with the job's receipt.
 *
 * The files are written before the row names them, under names that follow from the original's:
 * doing it twice leaves the same files.
 */
#include <inttypes.h>
#include <openssl/evp.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/uuid.h"
#include "image/probe.h"
#include "proto/images_generate_variants.h"
#include "workers/shop_host.h"
#include "workers/tasks.h"

static const struct db_statement find_image = {
	.sql = STR_INIT("SELECT image FROM product_images WHERE id = $1"),
};
/* A new upload may have replaced the file meanwhile; then its own job writes the row. */
static const struct db_statement write_ready = {
	.sql = STR_INIT(
		"UPDATE product_images SET variants = $3, status = 'ready', error = '', updated_at = now() "
		"WHERE id = $1 AND image = $2"),
};
static const struct db_statement write_failed = {
	.sql = STR_INIT(
		"UPDATE product_images SET variants = '{}', status = 'failed', error = $3, updated_at = now() "
		"WHERE id = $1 AND image = $2"),
};

static struct str sha256_hex(struct arena *arena, struct str bytes)
{
	_cleanup_(buf_fini) struct buf hex = BUF_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	must(EVP_Digest(bytes.at, bytes.len, digest, &len, EVP_sha256(), NULL) == 1);
	hex_encode(&hex, str_make(digest, len));
	return arena_str(arena, buf_str(&hex));
}

/* products/2026/01/name_….jpg -> products/2026/01/name_…_thumb.webp */
static struct str variant_path(struct arena *arena, struct str original,
			       const struct image_variant_kind *kind)
{
	size_t end = original.len;

	while (end > 0 && original.at[end - 1] != '.' && original.at[end - 1] != '/')
		end--;
	if (end > 0 && original.at[end - 1] == '.')
		original = str_slice(original, 0, end - 1);
	return arena_printf(arena, "%.*s_%s.%s", STR_ARG(original), kind->name,
			    kind->is_webp ? "webp" : "jpg");
}

/* Stores the files and describes them as the row's `variants`. */
static int store(struct job *job, struct str original,
		 const struct sandbox_variant made[IMAGE_VARIANT_COUNT], struct buf *variants)
{
	const struct shop_host *host = job->application;
	struct json_writer w;
	int r;

	json_writer_init(&w, variants, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	for (size_t i = 0; i < IMAGE_VARIANT_COUNT; i++) {
		struct str path = variant_path(&job->arena, original, &image_variant_kinds[i]);

		r = storage_put(&host->storage, path, made[i].bytes);
		if (r < 0)
			return r;
		json_put_key(&w, str_c(image_variant_kinds[i].name));
		json_begin_object(&w);
		json_put_key(&w, STR("path"));
		json_put_str(&w, path);
		json_put_key(&w, STR("width"));
		json_put_i64(&w, made[i].width);
		json_put_key(&w, STR("height"));
		json_put_i64(&w, made[i].height);
		json_put_key(&w, STR("bytes"));
		json_put_i64(&w, (int64_t) made[i].bytes.len);
		json_put_key(&w, STR("sha256"));
		json_put_str(&w, sha256_hex(&job->arena, made[i].bytes));
		json_end_object(&w);
	}
	json_end_object(&w);
	return 0;
}

/* {"status":"error","message":…}: what clients of the replaced stack find as the result. */
static struct str error_result(struct job *job, const char *message)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("status"));
	json_put_c(&w, "error");
	json_put_key(&w, STR("message"));
	json_put_c(&w, message);
	json_end_object(&w);
	return arena_str(&job->arena, buf_str(&out));
}

static int write_row(struct job *job, const struct db_statement *statement, struct str id,
		     struct str original, struct str value)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct db_rows rows;
	int r;

	r = job_effect_begin(job, &tx);
	if (r != 0) /* 1: an earlier delivery has written it */
		return MIN(r, 0);
	r = db_tx_query(&tx, &job->arena, statement, DB_VALUES(id, original, value), &rows);
	return r < 0 ? r : job_effect_commit(job, &tx);
}

/* The picture cannot be decoded: the row says so, and the job is dropped with the same words. */
static int fail_image(struct job *job, struct str id, struct str original, const char *reason)
{
	struct str words = arena_str(&job->arena, str_c(reason));
	struct str result = error_result(job, words.at);
	int r;

	r = write_row(job, &write_failed, id, original, words);
	return r < 0 ? r : job_drop(job, result, "%s", words.at);
}

int images_generate_variants_body(struct job *job, const void *arguments)
{
	const struct images_generate_variants_arguments *args = arguments;
	const struct shop_host *host = job->application;
	_cleanup_(buf_fini) struct buf variants = BUF_INIT;
	struct sandbox_variant made[IMAGE_VARIANT_COUNT];
	struct str original, bytes;
	struct db_rows rows;
	struct uuid id;
	int r;

	if (uuid_parse(args->image_id, &id) < 0)
		return job_drop(job, error_result(job, "Image not found"), "image_id is no UUID");
	r = db_query(job->db, &job->arena, &find_image, DB_VALUES(args->image_id), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return job_drop(job, error_result(job, "Image not found"), "image %.*s is gone",
				STR_ARG(args->image_id));
	original = db_get(&rows, 0, 0);
	r = storage_read(&host->storage, &job->arena, original, IMAGE_BYTES_MOST, &bytes);
	if (r == -ENOENT)
		return fail_image(job, args->image_id, original,
				  "Invalid image file: the file is gone");
	if (r < 0)
		return r;
	r = sandbox_make_variants(host->sandboxes, &job->arena, bytes, made);
	if (r == -E_BAD_IMAGE)
		return fail_image(job, args->image_id, original, fail_reason(r));
	if (r == 0)
		r = store(job, original, made, &variants);
	if (r < 0)
		return r;
	struct str result = arena_printf(&job->arena,
					 "{\"status\": \"success\", \"image_id\": \"%.*s\", "
					 "\"variants_generated\": [\"thumbnails\", \"webp\"]}",
					 STR_ARG(args->image_id));
	job_return_json(job, result);
	return write_row(job, &write_ready, args->image_id, original, buf_str(&variants));
}
