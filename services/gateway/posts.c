/*
 * posts.c - the blog: everybody reads what is published, authors write.
 */
#include "auth/identity.h"
#include "base/codec.h"
#include "http/once.h"
#include "proto/email_send.h"
#include "shop.h"

#define SLUG_MOST   220
#define TITLE_LEAST 5

static size_t title_rules(struct str title, struct str *ret_sentences)
{
	if (utf8_length(title) >= TITLE_LEAST)
		return 0;
	ret_sentences[0] = STR("Title must be at least 5 characters");
	return 1;
}

/* clang-format off */
static const struct field fields[] = {
	/*    name             type       rules */
	FIELD("id",            KEY),
	FIELD("title",         TEXT,      REQUIRED, LENGTH(200), LAST_RULES(title_rules)),
	FIELD("slug",          TEXT,      READ_ONLY, SLUG),
	FIELD("content",       TEXT,      REQUIRED),
	FIELD("author",        EMBED,     COLUMN("author_id"), READ_ONLY, REFERS(&user_resource), SHAPE(user_summary), CALLED("UserSummary")),
	FIELD("author_id",     REFERENCE, WRITE_ONLY, BY_HOOK, REFERS(&user_resource)),
	FIELD("tags",          MANY,      READ_ONLY, REFERS(&tag_resource), LINK("posts_tags", "post_id", "tag_id")),
	FIELD("tag_ids",       KEYS,      WRITE_ONLY, REFERS(&tag_resource), LINK("posts_tags", "post_id", "tag_id")),
	FIELD("published",     BOOLEAN,   USUALLY("false")),
	FIELD("status",        TEXT,      COMPUTED("t.status"), UNTYPED),
	FIELD("published_at",  TIME,      READ_ONLY, NULLABLE),
	FIELD("view_count",    INTEGER,   READ_ONLY, USUALLY("0")),
	FIELD("comment_count", INTEGER,   COMPUTED("(SELECT count(*) FROM comments c WHERE c.post_id = t.id)")),
	FIELD("created_at",    TIME,      NOW_AT_CREATION),
	FIELD("updated_at",    TIME,      NOW_AT_SAVE),
	FIELD("comments",      MANY,      READ_ONLY, RETRIEVAL, REFERS(&comment_resource), CALLED("PostComment"), THROUGH("post_id")),
};

static const struct filter filters[] = {
	/*     parameter              value    lookup       of */
	FILTER("published",           BOOLEAN, EXACT,       "t.published"),
	FILTER("author",              KEY,     EXACT,       "t.author_id", REFERS(&user_resource)),
	FILTER("author__username",    TEXT,    EXACT,       "(SELECT u.username FROM users u WHERE u.id = t.author_id)"),
	FILTER("title__icontains",    TEXT,    ICONTAINS,   "t.title"),
	FILTER("title__istartswith",  TEXT,    ISTARTSWITH, "t.title"),
	FILTER("created_at__gte",     TIME,    GTE,         "t.created_at"),
	FILTER("created_at__lte",     TIME,    LTE,         "t.created_at"),
	FILTER("created_at__date",    DATE,    DATE,        "t.created_at"),
	FILTER("published_at__isnull", BOOLEAN, ISNULL,     "t.published_at"),
	FILTER("tag",                 TEXT,    EXACT,       "g.slug",
	       ANY_OF("posts_tags l JOIN tags g ON g.id = l.tag_id WHERE l.post_id = t.id")),
};
static const struct scope scopes[] = { { "own", "t.author_id = :caller" } };
static const struct search searches[] = { { .sql = "t.title" }, { .sql = "t.content" } };
static const struct order orders[] = { { "created_at", "t.created_at" }, { "updated_at", "t.updated_at" } };

static const struct permission permissions[] = {
	ALLOW(ANYONE,              MAY_LIST | MAY_READ),
	ALLOW(SIGNED_IN,           MAY_CREATE),
	ALLOW_OWNER("t.author_id", MAY_UPDATE | MAY_DELETE),
};
/* clang-format on */

static int validate(struct change *c)
{
	const struct identity *caller = c->rq->caller;
	struct str author = values_get(&c->values, "author_id");

	if (!str_is_null(author) && !caller->is_staff && !str_eq(author, caller->id) &&
	    !errors_has(&c->errors, "author_id"))
		errors_add(&c->errors, "author_id", "Only staff may set another author.");
	return 0;
}

/* The time of its publication, for as long as it is published. */
static void keep_publication(struct change *c)
{
	bool is_published = str_eq(
		values_given(&c->values, "published") ? values_get(&c->values, "published")
		: c->old != NULL && row_get(c->old, "published").at[0] == 't' ? STR("true")
									      : STR("false"),
		STR("true"));
	bool has_time = c->old != NULL && !str_is_null(row_get(c->old, "published_at"));

	if (is_published && !has_time)
		values_set(&c->values, "published_at", values_now(&c->rq->arena));
	else if (!is_published)
		values_set(&c->values, "published_at", STR_NULL);
}

static int saving(struct change *c)
{
	struct str slug;
	int r;

	keep_publication(c);
	if (c->old != NULL)
		return 0; /* links to a post outlive its renaming */
	if (!values_given(&c->values, "author_id"))
		values_set(&c->values, "author_id", c->rq->caller->id);
	r = slug_make(c->tx, &c->rq->arena, "posts", "true", values_get(&c->values, "title"),
		      "post", SLUG_MOST, &slug);
	if (r == 0)
		values_set(&c->values, "slug", slug);
	return r;
}

static int saved(struct change *c)
{
	struct arena *arena = &c->rq->arena;

	if (c->old != NULL)
		return 0;
	const struct email_send_arguments arguments = {
		.subject = STR("New Post Created"),
		.message = arena_printf(arena, "Post \"%.*s\" was created.",
					STR_ARG(row_get(c->row, "title"))),
		.recipient_list = STR("[\"admin@example.com\"]"),
	};
	return change_enqueue(c, &email_send_task, &arguments);
}

const struct resource post_resource = {
	.name = "post",
	.model = "Post",
	.path = "posts/",
	.table = "posts",
	.description = "ViewSet for Post model with filtering and searching.",
	.help = "A text that an author writes and readers read.",
	.fields = fields,
	.field_count = ARRAY_SIZE(fields),
	.permissions = permissions,
	.permission_count = ARRAY_SIZE(permissions),
	.rows = "t.published OR t.author_id = :caller",
	.order = "t.created_at DESC, t.id DESC",
	.list_ttl = 5 * MINUTE,
	.select = { FILTERS(filters), SEARCHES(searches), ORDERS(orders), SCOPES(scopes) },
	.hooks = { .validate = validate, .saving = saving, .saved = saved },
};

int post_my_posts(struct request *rq)
{
	static const char *const scopes_of_mine[] = { "own", NULL };
	static const struct listing mine = {
		.scopes = scopes_of_mine,
		.is_unfiltered = true,
		.is_bare = true,
	};

	return resource_list(rq, &post_resource, &mine);
}

static const struct db_statement publish = {
	.sql = STR_INIT(
		"UPDATE posts SET published = true, published_at = coalesce(published_at, now()), "
		"updated_at = now() WHERE id = $1"),
};

int post_publish(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct row post;
	int r;

	r = request_begin(rq, &tx);
	if (r == 0)
		r = resource_object(rq, &tx, &post_resource, MAY_UPDATE, &post);
	if (r == 0)
		r = db_tx_query(&tx, &rq->arena, &publish, DB_VALUES(row_get(&post, "id")), NULL);
	if (r == 0)
		r = reply_json(rq, 200, STR("{\"status\":\"post published\"}"));
	if (r == 0)
		r = request_commit(rq, &tx);
	if (r == 0)
		resource_forget(rq, &post_resource);
	return r;
}

int post_comments(struct request *rq)
{
	struct listing below = { .where = "t.post_id = :key", .is_unfiltered = true };
	struct row post;
	int r;

	r = resource_object(rq, NULL, &post_resource, MAY_READ, &post);
	if (r < 0)
		return r;
	below.key = row_get(&post, "id");
	return resource_list(rq, &comment_resource, &below);
}

int post_comment(struct request *rq)
{
	struct row post;
	int r;

	r = resource_object(rq, NULL, &post_resource, MAY_READ, &post);
	if (r < 0)
		return r;
	const struct preset presets[] = { { "post", row_get(&post, "id") }, { NULL, STR_NULL } };
	return resource_create_reply(rq, &comment_resource, presets, 201);
}
