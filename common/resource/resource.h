/*
 * resource.h - a resource is one struct: a table of fields, a table of permissions, a few hooks.
 *
 * From it come the routes (list, create, retrieve, PUT, PATCH, DELETE), the SQL, the validation,
 * the pages.  What is not listed is refused.  Everything is checked at start by resource_routes,
 * which refuses a contradiction with a sentence; SQL texts are built once there.
 *
 * Several rows at once, where `bulk` has the word: POST bulk_create/, PATCH bulk_update/ and POST
 * bulk_delete/ below the path, 1 to 100 rows, all in one transaction or none; see bulk.c.
 *
 * To add a resource: one .c file with its tables, one row in routes.def, one migration.
 *
 * Statements.  A list page: a count and the page (by cursor: the page alone); a retrieve: one; whatever they embed.  Reads of
 * one row go to the database's shared lane, writes run in one transaction: load for update,
 * permission, validate, hooks, write, hooks, commit, then jobs are pushed.
 *
 * Order of checks on one object is DRF's: 404, then 401/403 for the object, then the body (drf-wire
 * §1).  Before the body comes If-Match, which names the ETag of a GET of the same row: 412 if that would
 * answer something else by now.
 */
#ifndef RESOURCE_RESOURCE_H
#define RESOURCE_RESOURCE_H

#include "db/db.h"
#include "http/route.h"
#include "queue/enqueue.h"
#include "resource/field.h"
#include "resource/selection.h"
#include "resource/validate.h"

/* What somebody does. */
enum {
	MAY_LIST = 1,
	MAY_READ = 2,
	MAY_CREATE = 4,
	MAY_UPDATE = 8,
	MAY_DELETE = 16,
	MAY_ALL = 31,
	MAY_NOTHING = 32, /* in `actions`: no routes of its own */
};

enum who {
	WHO_ANYONE,
	WHO_SIGNED_IN,
	WHO_STAFF,
};

/*
 * One row of a table of permissions; whom one row of the table lets, may.  `when` narrows it to the rows
 * of which a condition holds: SQL over alias t with the names of sql.h, so that and, or and not are
 * SQL's.  It is asked with the row itself, in the same statement, and does not concern lists.
 */
struct permission {
	enum who who;
	unsigned may;
	const char *
		caller; /* and of whom this holds (caller.h), also where there is no row; NULL: of all */
	const char *when; /* NULL: any row */
};
/* clang-format off */
#define ALLOW(who_, may_) { .who = WHO_##who_, .may = (may_) }
#define ALLOW_WHEN(who_, may_, sql_) { .who = WHO_##who_, .may = (may_), .when = (sql_) }
/* `sql_` gives the key of the row's owner: "t.owner_id". */
#define ALLOW_OWNER(sql_, may_) ALLOW_WHEN(SIGNED_IN, may_, sql_ " = :caller")
/* "has_perm('blog.change_post') or in_group('editors')": see caller.h. */
#define ALLOW_IF(condition_, may_) { .who = WHO_SIGNED_IN, .may = (may_), .caller = (condition_) }
/* Of the rows that were granted to the caller or to one of his groups: "change". */
#define ALLOW_GRANTED(permission_, may_) ALLOW_WHEN(SIGNED_IN, may_, "granted('" permission_ "')")
/* clang-format on */
#define PERMISSIONS_MOST 16

/* How much of a row was read, or is shown. */
enum row_view {
	VIEW_LIST,
	VIEW_PLAIN,     /* its own columns only, and what the caller may do to it */
	VIEW_DETAIL,    /* what create, PUT and PATCH answer; and what the caller may do to it */
	VIEW_RETRIEVAL, /* what retrieve answers; likewise */
	VIEW_SHAPE,     /* inside another resource's row */
	VIEW_BULK, /* one of several that were changed: as in a list, less NOT_IN_BULK_CHANGES */
	VIEWS,
};

/* A row as read: one text per field of the resource. */
struct row {
	const struct resource *resource;
	struct str *text; /* EMBED: a JSON array of texts; MANY: an array of such; KEYS: of keys */
	enum row_view view;
	uint32_t allowed; /* bit n: permission n's `when` holds; not of VIEW_LIST and VIEW_SHAPE */
};
struct str row_get(const struct row *, const char *field);
/* Of an INTEGER, or a bigint KEY.  0 or -E_INTERNAL: it is null, or no whole number. */
int row_get_i64(const struct row *, const char *field, int64_t *ret) _must_check_;

/* A write under way.  In the request's arena. */
struct change {
	struct request *rq;
	const struct resource *resource;
	enum validate_mode mode;
	struct values values;         /* what will be written; hooks may set more */
	const struct preset *presets; /* NULL: none */
	const struct row *old;        /* NULL at creation */
	const struct row *row;        /* what was written; in `saved` and later */
	struct errors errors;
	struct db_tx *tx;
	struct enqueued *enqueued; /* jobs of this transaction; see change_enqueue */
	void *notes;               /* the hooks' own */
	const struct body *body;   /* what it is read from; NULL: the request's */
	const char *const *only;   /* as in struct validation */
	enum shown most_shown;     /* fields that only fuller answers show are not read */
	struct nested *_nested;    /* rows that are written with it (nested.h) */
	int _status;               /* of the engine's answer; 0: somebody else answers */
	struct str key;            /* of the row to change; absent: the one that the path names */
};

/* Writes a job with the change's transaction; it is pushed after the commit.  Yields. */
int change_enqueue(struct change *, const struct task *, const void *arguments)
	may_yield _must_check_;

/*
 * One of several changes in a transaction of the handler's own:
 *
 *     c = change_new(rq, res, VALIDATE_CREATE, body);  a body that the handler made of the request's
 *     r = change_check(c);                  0; c->errors says what is wrong.  In a transaction if c->tx is set
 *     r = change_write(c);                  0 with c->row; not if there are errors, and there may be new ones.
 *                                           -E_UNIQUE: the transaction is lost
 *     change_finish(c);                     after the COMMIT; resource_forget is the handler's
 *
 * All but change_new yield.
 */
struct change *change_new(struct request *, const struct resource *, enum validate_mode,
			  const struct body *);
int change_check(struct change *) may_yield _must_check_;
int change_write(struct change *) may_yield _must_check_;
void change_finish(struct change *) may_yield;

/*
 * Hooks may yield, use change->tx, and return 0 or a negative error, which ends the request and
 * rolls back.  A hook that finds the input wrong adds to change->errors and returns 0: the engine
 * then answers 400.
 */
struct hooks {
	/* Beside the fields' own rules: adds what is wrong with single fields; runs also when others are wrong
	 * already.  Must not yield. */
	int (*validate)(struct change *);
	/* Only when every field is right.  At creation there is no transaction yet (tx is NULL), so that slow
	 * work done here holds no connection. */
	int (*check)(struct change *);
	int (*saving)(struct change *); /* all is valid: fill what the server sets (slug, owner) */
	int (*saved)(struct change *);  /* the row is written; the transaction is open */
	void (*done)(struct change *);  /* committed; cannot fail the request any more: log what
					  goes wrong */
	int (*deleting)(struct change *); /* change->old is the row; before the DELETE */
	void (*deleted)(struct change *); /* committed; likewise */
};

/* How lists are cut: ?page= as DRF's PageNumberPagination, ?limit= and ?offset= as its
 * LimitOffsetPagination, or ?cursor= as its CursorPagination (cursor.c), which counts nothing and costs
 * the same however far it has come. */
enum paging { PAGING_NUMBERS, PAGING_OFFSETS, PAGING_CURSOR };

enum resource_key { RESOURCE_UUID, RESOURCE_BIGINT };

struct resource {
	const char *name;  /* "product": names of routes */
	const char *model; /* "Product": "No Product matches the given query." */
	const char *path;  /* "products/" */
	const char *table;
	const char *help;        /* for whoever reads the table */
	const char *description; /* for clients: OPTIONS and the document; NULL: nothing */
	/* Names of components in the document.  `component`: of what is shown; NULL: the model.  `writes`: of
	 * what creation reads, where that is another shape; `changes`: of what PUT and PATCH read, NULL: as
	 * `writes`.  OPTIONS then tells of what is shown. */
	const char *component, *writes, *changes;
	enum resource_key key;
	const struct field *fields;
	size_t field_count;
	const struct permission *permissions;
	size_t permission_count;
	/* SQL over t with the names of sql.h.  exists: holds for every row that is there for the API at all
	 * (not removed softly); uniqueness looks at these.  rows: holds for those that the caller may know
	 * of.  NULL: all. */
	const char *exists, *rows;
	/* TENANT(column, sql): rows of different tenants know nothing of each other.  sql gives the tenant of
	 * whoever asks, with :caller or :host: "SELECT m.tenant_id FROM members m WHERE m.user_id = :caller".  Every
	 * statement of the engine is narrowed by it, and it sets the column (NOT NULL) of a new row; who
	 * has no tenant sees nothing and creates nothing (403).  SQL that tables and hooks bring
	 * themselves is theirs. */
	const char *tenant_column, *tenant;
	/* The same for a row that is found through the row it belongs to, where less is to be asked; NULL:
	 * as `rows`. */
	const char *rows_through;
	/* A constraint over several columns, and what is said under non_field_errors when a write breaks it; or
	 * both NULL. */
	const char *unique_together, *unique_together_words;
	const char *order;        /* "t.created_at DESC, t.id DESC" */
	struct selections select; /* what ?filter=, ?search= and ?ordering= may ask for */
	bool is_bare;             /* lists are arrays without pages */
	const char *remove; /* instead of DELETE: "is_deleted = true, deleted_at = now()"; NULL:
			       DELETE */
	unsigned page;      /* rows a page; 0: 20 */
	enum paging paging;
	unsigned page_most; /* the most that ?limit= gets, or page_parameter; 0: 100 */
	/* PAGING_CURSOR.  cursor: the field by whose values rows are ordered, "-created_at" for the greatest
	 * first, those of one value by their keys; `order` is for rows inside others.  An index over (column,
	 * id) makes a page cost what it shows.  page_parameter: "page_size" lets clients choose how many
	 * rows a page has; NULL: they may not. */
	const char *cursor, *page_parameter;
	/* ?fields=id,title: answers show these only, in the order of the table. */
	bool takes_fields;
	const enum body_kind
		*accepts; /* as of a route (http/route.h); NULL: JSON, form, multipart */
	size_t max_body;
	usec_t deadline;
	unsigned actions; /* which of MAY_* have routes; 0: all */
	/* One of MAY_*: whoever may do this may ask for OPTIONS of the path without a key, and hears 405 there, not
	 * 403, of a method that it does not have.  0: whoever may what its first route does. */
	unsigned other;
	unsigned bulk; /* which of MAY_CREATE, MAY_UPDATE, MAY_DELETE are there for many rows too */
	/* How long answers of lists and of single rows may be kept (resource/cached.h); 0: never.  All
	 * that they show must lie in this table or come through its fields. */
	usec_t list_ttl, detail_ttl;
	/* How long a row may be kept for all callers together, as retrieve reads it; 0: never.  Refused where it
	 * is not the same for everybody. */
	usec_t row_ttl;
	struct hooks hooks;
};

/* clang-format off */
/* Words for the tables of a resource. */
#define FIELDS(rows_)      .fields = (rows_), .field_count = ARRAY_SIZE(rows_)
#define TENANT(column_, sql_) .tenant_column = (column_), .tenant = (sql_)
#define PERMISSIONS(rows_) .permissions = (rows_), .permission_count = ARRAY_SIZE(rows_)
/* clang-format on */

/* Adds the routes of these resources.  0, or -EINVAL with a sentence about a wrong table. */
int resource_routes(struct route_table *, const struct resource *const *, size_t count)
	_must_check_;

/*
 * For handlers that no table can express.
 * resource_find: one visible row by key, as retrieve reads it; -E_NOT_FOUND with DRF's words.  Yields.
 * resource_object: DRF's get_object: the row that the path names ({id} is its first parameter), if it
 * passes the query's filters and the caller may do that to it (`may` 0: whoever the route lets in);
 * locked if there is a transaction.  Yields.
 * resource_allow: 0, -E_UNAUTHENTICATED or -E_FORBIDDEN for this caller and row.  Yields.
 * resource_render: the row as JSON as that view shows it; read anew if the row came with less (from a
 * write).  Yields.
 * resource_reply: the same as the answer.  Yields.
 */
int resource_find(struct request *, struct db_at, const struct resource *, struct str key,
		  struct row *ret) may_yield _must_check_;
int resource_object(struct request *, struct db_tx *, const struct resource *, unsigned may,
		    struct row *ret) may_yield _must_check_;
int resource_allow(struct request *, struct db_at, const struct resource *, const struct row *,
		   unsigned may) may_yield _must_check_;
int resource_render(struct request *, struct db_at, const struct resource *, const struct row *,
		    enum row_view, struct json_writer *) may_yield _must_check_;
int resource_reply(struct request *, int status, const struct resource *, const struct row *,
		   enum row_view) may_yield _must_check_;

/* A list that no table can express. */
struct listing {
	const char *where; /* narrows it: SQL over t with the names of sql.h; NULL: no further */
	const char *const *scopes; /* of the resource's `select`: all of them hold; NULL behind the
				      last, or none at all */
	struct str key;            /* what :key is there */
	const char *order;         /* NULL: the resource's */
	bool is_unfiltered;        /* the query's filters, search and ordering are not looked at */
	bool is_bare;              /* an array without pages */
};
/* Sets the reply.  Yields. */
int resource_list(struct request *, const struct resource *, const struct listing *)
	may_yield _must_check_;
/*
 * resource_save: creates a row from the request's body, or changes the one that the path names, with all
 * of locking, object permission, validation, hooks and transaction; leaves the written row in *ret
 * instead of replying; -E_INVALID after the 400 was set as the reply.  Yields.
 * resource_change: the same change of the row with this key, whatever the query asks for.  Yields.
 * resource_remove: the removal of the row that the path names.  Yields.
 */
int resource_save(struct request *, const struct resource *, enum validate_mode, struct row *ret)
	may_yield _must_check_;
int resource_change(struct request *, const struct resource *, enum validate_mode, struct str key,
		    struct row *ret) may_yield _must_check_;
int resource_remove(struct request *, const struct resource *) may_yield _must_check_;
/* The same with the answer: the row in VIEW_DETAIL.  To a request with an Idempotency-Key it is set within the
 * transaction and kept with it (http/once.h).  Yields. */
int resource_save_reply(struct request *, const struct resource *, enum validate_mode, int status)
	may_yield _must_check_;
/* A creation in which these fields have values already and are not read from the body.  A field of NULL ends
 * them; they stay valid until the reply.  Yields. */
struct preset {
	const char *field;
	struct str value;
};
int resource_create(struct request *, const struct resource *, const struct preset *,
		    struct row *ret) may_yield _must_check_;
int resource_create_reply(struct request *, const struct resource *, const struct preset *,
			  int status) may_yield _must_check_;
/* For forms that are no resource: whether the rows are there that REFERENCE fields name; messages as for a
 * resource's own.  Yields. */
int resource_check_references(struct request *, struct db_at, const struct values *,
			      struct errors *) may_yield _must_check_;
/* After the COMMIT of a hand-written change of its rows: what the cache keeps of them ends.  Yields. */
void resource_forget(struct request *, const struct resource *) may_yield;

/* " AND (…)" for the tenant; for the conditions of rows that exist, his; of those that the caller may know of. */
void resource_add_tenant(struct sql *, const struct resource *, const char *alias);
void resource_add_exists(struct sql *, const struct resource *, const char *alias);
void resource_add_rows(struct sql *, const struct resource *, const char *alias);

/*
 * Django's slugify of `text`, cut to `most`, `fallback` if nothing is left; then -2, -3 … until no
 * row of the table with `condition` has it.  Inside a transaction; the unique index still decides a
 * race.  Yields.
 */
int slug_make(struct db_tx *, struct arena *, const char *table, const char *condition,
	      struct str text, const char *fallback, size_t most, struct str *ret)
	may_yield _must_check_;
struct str slugify(struct arena *, struct str text);

#endif
