/*
 * The library's authors once more, with their books written in the same request: what no resource of the shop does.
 */
#include "services/fixture.h"

/* clang-format off */
static const struct permission permissions[] = { ALLOW(ANYONE, MAY_ALL) };

static const struct field volume_fields[] = {
	FIELD("id",         KEY),
	FIELD("title",      TEXT, REQUIRED, LENGTH(200)),
	FIELD("author",     REFERENCE, COLUMN("author_id"), READ_ONLY, REFERS(&fixture_writer)),
	FIELD("created_at", TIME, HIDDEN, .is_now_at_creation = true),
	FIELD("updated_at", TIME, HIDDEN, .is_now_at_save = true),
};
static const char *const volume_shape[] = { "id", "title", NULL };
static const struct resource volume = {
	.name = "volume", .model = "Volume", .path = "volumes/", .table = "books", .help = "A book.",
	FIELDS(volume_fields), PERMISSIONS(permissions), .order = "t.title", .actions = MAY_NOTHING,
};

static const struct field writer_fields[] = {
	FIELD("id",         KEY),
	FIELD("name",       TEXT, REQUIRED, LENGTH(100)),
	FIELD("email",      EMAIL, REQUIRED, LENGTH(254)),
	FIELD("books",      MANY, THROUGH("author_id"), REPLACED(10), REFERS(&volume), SHAPE(volume_shape), CALLED("WriterBook")),
	FIELD("created_at", TIME, HIDDEN, .is_now_at_creation = true),
	FIELD("updated_at", TIME, HIDDEN, .is_now_at_save = true),
};
const struct resource fixture_writer = {
	.name = "writer", .model = "Writer", .path = "writers/", .table = "authors", .help = "Who writes books.",
	FIELDS(writer_fields), PERMISSIONS(permissions), .order = "t.name",
};
/* clang-format on */
