/*
 * profiles.c - what users say of themselves, and their picture.  One per user, made when it is first asked
 * for.
 */
#include "auth/identity.h"
#include "base/error.h"
#include "base/uuid.h"
#include "http/once.h"
#include "operations.h"
#include "resource/cached.h"
#include "shop.h"
#include "storage/storage.h"
#include "uploads.h"

static void render_avatar(struct request *rq, struct json_writer *w, const struct row *row)
{
	struct str path = row_get(row, "avatar");

	if (path.len == 0)
		json_put_null(w);
	else
		json_put_str(w, upload_url(rq, path));
}

/* clang-format off */
static const struct field fields[] = {
	/*    name             type       rules */
	FIELD("id",            KEY),
	FIELD("user",          REFERENCE, COLUMN("user_id"), READ_ONLY, REFERS(&user_resource)),
	FIELD("avatar",        UPLOAD,    READ_ONLY, NULLABLE, RENDER(render_avatar)),
	FIELD("bio",           TEXT,      BLANK, LENGTH(500)),
	FIELD("date_of_birth", DATE,      NULLABLE),
	FIELD("phone",         TEXT,      BLANK, LENGTH(20)),
	FIELD("created_at",    TIME,      NOW_AT_CREATION),
	FIELD("updated_at",    TIME,      NOW_AT_SAVE),
};

static const struct permission permissions[] = { ALLOW(SIGNED_IN, MAY_READ | MAY_UPDATE) };

static const struct field avatar_fields[] = {
	FIELD("avatar", UPLOAD, REQUIRED, LENGTH(100), FILE_RULE(upload_is_picture)),
};
/* clang-format on */
const struct form avatar_form = FORM("Avatar", avatar_fields);

const struct resource profile_resource = {
	.name = "profile",
	.model = "UserProfile",
	.path = "profile/",
	.table = "user_profiles",
	.help = "What a user says of himself.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.rows = "t.user_id = :caller",
	.order = "t.created_at, t.id",
	.actions = MAY_NOTHING,
	.detail_ttl = HOUR, /* by profile_read */
};

static const struct db_statement find = {
	.sql = STR_INIT("SELECT id FROM user_profiles WHERE user_id = $1"),
	.lane = DB_SHARED,
};
/* Two first readers at once: one of them makes it, both then find it. */
static const struct db_statement make = {
	.sql = STR_INIT(
		"INSERT INTO user_profiles (id, created_at, updated_at, user_id, bio, phone) "
		"VALUES ($1, now(), now(), $2, '', '') ON CONFLICT (user_id) DO NOTHING"),
};

/* The key of the caller's profile. */
static int own_profile(struct request *rq, struct str *ret)
{
	struct db *db = rq->thread->db;
	char key[UUID_TEXT + 1];
	struct db_rows rows;
	struct uuid id;
	int r;

	r = db_query(db, &rq->arena, &find, DB_VALUES(rq->caller->id), &rows);
	if (r == 0 && rows.count == 0) {
		id = uuid_v7();
		uuid_format(&id, key);
		r = db_query(db, &rq->arena, &make, DB_VALUES(str_c(key), rq->caller->id), NULL);
		if (r == 0)
			r = db_query(db, &rq->arena, &find, DB_VALUES(rq->caller->id), &rows);
	}
	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_NOT_FOUND, "No %s matches the given query.", profile_resource.model);
	*ret = db_get(&rows, 0, 0);
	return 0;
}

static int find_own(struct request *rq, const struct resource *res, struct str user _unused_,
		    struct row *ret)
{
	const struct db_at at = { .db = rq->thread->db };
	struct str key;
	int r;

	r = own_profile(rq, &key);
	return r < 0 ? r : resource_find(rq, at, res, key, ret);
}

int profile_read(struct request *rq)
{
	struct str user = rq->caller->id;
	struct row row;
	int r;

	r = cached_row(rq, &profile_resource,
		       arena_printf(&rq->arena, "user_profile:%.*s", STR_ARG(user)),
		       profile_resource.detail_ttl, find_own, user, &row);
	return r < 0 ? r : resource_reply(rq, 200, &profile_resource, &row, VIEW_RETRIEVAL);
}

static int change(struct request *rq, enum validate_mode mode)
{
	struct str key;
	struct row row;
	int r;

	r = own_profile(rq, &key);
	if (r == 0)
		r = resource_change(rq, &profile_resource, mode, key, &row);
	return r < 0 ? r : resource_reply(rq, 200, &profile_resource, &row, VIEW_DETAIL);
}

int profile_replace(struct request *rq)
{
	return change(rq, VALIDATE_REPLACE);
}

int profile_change(struct request *rq)
{
	return change(rq, VALIDATE_CHANGE);
}

/* --- the picture --- */

static const struct db_statement lock_avatar = {
	.sql = STR_INIT("SELECT avatar FROM user_profiles WHERE id = $1 FOR UPDATE"),
};
static const struct db_statement set_avatar = {
	.sql = STR_INIT("UPDATE user_profiles SET avatar = $2, updated_at = now() WHERE id = $1"),
};

/* `path` absent: none any more. */
static int replace_avatar(struct request *rq, struct db_tx *tx, struct str key, struct str path,
			  struct str *ret_old)
{
	struct db_rows rows;
	int r;

	r = db_tx_query(tx, &rq->arena, &lock_avatar, DB_VALUES(key), &rows);
	if (r == 0 && rows.count == 0)
		r = fail(-E_NOT_FOUND, "No %s matches the given query.", profile_resource.model);
	if (r < 0)
		return r;
	*ret_old = db_get(&rows, 0, 0);
	return db_tx_query(tx, &rq->arena, &set_avatar, DB_VALUES(key, path), NULL);
}

static int read_avatar(struct request *rq, const struct upload **ret)
{
	struct errors errors;
	struct values v;
	int r;

	errors_init(&errors, rq);
	r = validate_body(rq, avatar_fields, ARRAY_SIZE(avatar_fields), VALIDATE_CREATE, body_forms,
			  &errors, &v);
	if (r == 0 && errors_any(&errors)) {
		r = reply_errors(rq, &errors);
		return r < 0 ? r : -E_INVALID;
	}
	if (r == 0)
		*ret = v.uploads[0];
	return r;
}

static int reply_profile(struct request *rq, struct db_tx *tx, struct str key)
{
	const struct db_at at = { .db = rq->thread->db, .tx = tx };
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;
	struct row row;
	int r;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	r = resource_find(rq, at, &profile_resource, key, &row);
	if (r == 0)
		r = resource_render(rq, at, &profile_resource, &row, VIEW_RETRIEVAL, &w);
	return r < 0 ? r : reply_json_take(rq, 200, &body);
}

int profile_put_avatar(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	const struct upload *upload = NULL;
	struct str key, path, old = STR_NULL;
	int r;

	r = own_profile(rq, &key);
	if (r == 0)
		r = read_avatar(rq, &upload);
	if (r < 0)
		return r;
	path = upload_random_path(&rq->arena, "avatars", upload->filename);
	r = storage_put(rq->thread->storage, path, upload->bytes);
	if (r == 0)
		r = request_begin(rq, &tx);
	if (r == 0)
		r = replace_avatar(rq, &tx, key, path, &old);
	if (r == 0)
		r = reply_profile(rq, &tx, key);
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r < 0)
		return r;
	resource_forget(rq, &profile_resource);
	if (old.len > 0)
		upload_delete(rq->thread->storage, old);
	return 0;
}

int profile_remove_avatar(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct str key, old = STR_NULL;
	int r;

	r = own_profile(rq, &key);
	if (r == 0)
		r = request_begin(rq, &tx);
	if (r == 0)
		r = replace_avatar(rq, &tx, key, STR_NULL, &old);
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r < 0)
		return r;
	resource_forget(rq, &profile_resource);
	if (old.len > 0)
		upload_delete(rq->thread->storage, old);
	return reply_empty(rq, 204);
}
