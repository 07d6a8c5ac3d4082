/*
 * documents.c - files that a user keeps here: seen by the user and by staff, below no public URL.
 */
#include "auth/identity.h"
#include "base/codec.h"
#include "base/error.h"
#include "shop.h"
#include "storage/storage.h"
#include "uploads.h"

#define CONTENT_TYPE_MOST 100
#define ANY_TYPE          "application/octet-stream"

static const char *const extensions[] = { "jpg", "jpeg", "png", "pdf" };

static int is_document(const struct upload *upload)
{
	struct str suffix = upload_suffix(upload->filename);
	struct str extension = suffix.len > 1 ? str_slice(suffix, 1, suffix.len) : STR("");
	char lower[256];
	size_t len = 0;
	bool is_known = false;

	for (; len < extension.len && len < sizeof(lower); len++) {
		char c = extension.at[len];

		lower[len] = c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
	}
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		is_known = is_known || str_eq_c(str_make(lower, len), extensions[i]);
	if (!is_known)
		return fail(-E_INVALID,
			    "File extension “%.*s” is not allowed. "
			    "Allowed extensions are: jpg, jpeg, png, pdf.",
			    (int) len, lower);
	if (upload->bytes.len > IMAGE_BYTES_MOST)
		return fail(-E_INVALID, "File too large (maximum 10MB)");
	return 0;
}

static void render_url(struct request *rq, struct json_writer *w, const struct row *row)
{
	struct str path = arena_printf(&rq->arena, "%.*sdocuments/%.*s/download/",
				       STR_ARG(rq->mount), STR_ARG(row_get(row, "id")));

	json_put_str(w, request_absolute(rq, path));
}

/* clang-format off */
static const struct field fields[] = {
	/*    name            type       rules */
	FIELD("id",           KEY),
	FIELD("title",        TEXT,      BLANK, LENGTH(255)),
	FIELD("file",         UPLOAD,    REQUIRED, WRITE_ONLY, BOUND(100), FILE_RULE(is_document)),
	FIELD("filename",     TEXT,      READ_ONLY),
	FIELD("content_type", TEXT,      READ_ONLY),
	FIELD("size",         INTEGER,   READ_ONLY),
	FIELD("download_url", TEXT,      COMPUTED("''"), RENDER(render_url), UNTYPED),
	FIELD("created_at",   TIME,      NOW_AT_CREATION),
	FIELD("updated_at",   TIME,      HIDDEN, .is_now_at_save = true),
	FIELD("user",         REFERENCE, COLUMN("user_id"), HIDDEN, REFERS(&user_resource)),
};

static const struct filter filters[] = { FILTER("content_type", TEXT, EXACT, "t.content_type") };
static const struct search searches[] = { { .sql = "t.title" }, { .sql = "t.filename" } };
static const struct order orders[] = { { "created_at", "t.created_at" }, { "size", "t.size" } };

static const struct permission permissions[] = { ALLOW(SIGNED_IN, MAY_ALL) };
/* clang-format on */

/* "text/plain; charset=utf-8" -> "text/plain"; what is no visible ASCII, or too long, is any type. */
static struct str plain_type(struct arena *arena, struct str sent)
{
	struct str type;
	char *lower;

	str_cut(&sent, ';', &type);
	type = str_trim(type);
	lower = arena_c(arena, type);
	for (size_t i = 0; i < type.len; i++) {
		if (lower[i] <= ' ' || lower[i] >= 0x7f)
			return STR(ANY_TYPE);
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (char) (lower[i] + ('a' - 'A'));
	}
	return type.len > CONTENT_TYPE_MOST ? STR(ANY_TYPE) : str_make(lower, type.len);
}

/* The file is stored before there is a transaction. */
static int check(struct change *c)
{
	struct arena *arena = &c->rq->arena;
	const struct upload *upload = c->values.uploads[values_place(&c->values, "file")];
	struct str path = upload_random_path(arena, "documents", upload->filename);
	int r;

	r = storage_put(c->rq->thread->private_storage, path, upload->bytes);
	if (r < 0)
		return r;
	values_set(&c->values, "file", path);
	values_set(&c->values, "filename", upload->filename);
	values_set(&c->values, "content_type", plain_type(arena, upload->content_type));
	values_set(&c->values, "size", arena_printf(arena, "%zu", upload->bytes.len));
	values_set(&c->values, "user", c->rq->caller->id);
	return 0;
}

static const struct db_statement find_file = {
	.sql = STR_INIT("SELECT file FROM user_documents WHERE id = $1"),
};

/* No row is read with the path, so that none can show it. */
static int find_path(struct request *rq, struct db_at at, const struct row *row, struct str *ret)
{
	struct db_rows rows;
	int r;

	r = db_at_query(at, &rq->arena, &find_file, DB_VALUES(row_get(row, "id")), &rows);
	if (r == 0 && rows.count == 0)
		r = fail(-E_NOT_FOUND, "No %s matches the given query.", row->resource->model);
	if (r == 0)
		*ret = db_get(&rows, 0, 0);
	return r;
}

static int deleting(struct change *c)
{
	struct str *path = arena_new(&c->rq->arena, struct str);

	c->notes = path;
	return find_path(c->rq, (struct db_at){ .db = c->rq->thread->db, .tx = c->tx }, c->old,
			 path);
}

static void deleted(struct change *c)
{
	upload_delete(c->rq->thread->private_storage, *(const struct str *) c->notes);
}

const struct resource document_resource = {
	.name = "document",
	.model = "UserDocument",
	.path = "documents/",
	.table = "user_documents",
	.help = "A file that a user keeps here.",
	.description = "A user's documents; staff see everybody's.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.rows = "t.user_id = :caller OR :staff",
	.order = "t.created_at DESC, t.id DESC",
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders) },
	.accepts = body_forms,
	.max_body = UPLOAD_MOST,
	.deadline = 2 * MINUTE,
	.actions = MAY_LIST | MAY_READ | MAY_CREATE | MAY_DELETE,
	.hooks = { .check = check, .deleting = deleting, .deleted = deleted },
};

/* RFC 6266: the name as it is, or in the form of RFC 8187 where it has more than ASCII. */
static void put_disposition(struct request *rq, struct str filename)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	bool is_ascii = true;

	for (size_t i = 0; i < filename.len; i++)
		is_ascii = is_ascii && (unsigned char) filename.at[i] < 0x80;
	if (is_ascii) {
		buf_add_c(&text, "attachment; filename=\"");
		for (size_t i = 0; i < filename.len; i++) {
			if (filename.at[i] == '"' || filename.at[i] == '\\')
				buf_add_byte(&text, '\\');
			buf_add_byte(&text, filename.at[i]);
		}
		buf_add_byte(&text, '"');
	} else {
		buf_add_c(&text, "attachment; filename*=utf-8''");
		percent_encode(&text, filename, STR("/"));
	}
	reply_header(rq, STR("Content-Disposition"), buf_str(&text));
}

int document_download(struct request *rq)
{
	const struct db_at at = { .db = rq->thread->db };
	struct storage_file file;
	struct str path, type;
	struct row row;
	int r;

	r = resource_object(rq, NULL, &document_resource, MAY_READ, &row);
	if (r == 0)
		r = find_path(rq, at, &row, &path);
	if (r == 0)
		r = storage_open(rq->thread->private_storage, path, &file);
	if (r < 0)
		return r;
	put_disposition(rq, row_get(&row, "filename"));
	type = row_get(&row, "content_type");
	return reply_file(rq, file.fd, file.size, file.modified,
			  type.len > 0 ? arena_c(&rq->arena, type) : ANY_TYPE, STR_NULL);
}
