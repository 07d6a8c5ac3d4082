/*
 * resource.h - a resource is one struct: a table of fields, a table of permissions, a few hooks.
 *
 * From it come the routes (list, create, retrieve, PUT, PATCH, DELETE), the SQL, the validation,
 * the pages.  What is not listed is refused.  Everything is checked at start by resource_routes,
 * which refuses a contradiction with a sentence; SQL texts are built once there.
 *
 * To add a resource: one .c file with its tables, one row in routes.def, one migration.
 *
 * Statements.  A list page: a count and the page.  A retrieve: one, whatever it embeds.  Reads of
 * one row go to the database's shared lane, writes run in one transaction: load for update,
 * permission, validate, hooks, write, hooks, commit, then jobs are pushed.
 *
 * Order of checks on one object is DRF's: 404, then 401/403 for the object, then the body (drf-wire
 * §1).
 */
#ifndef RESOURCE_RESOURCE_H
#define RESOURCE_RESOURCE_H

#include "db/db.h"
#include "http/route.h"
#include "queue/enqueue.h"
#include "resource/field.h"
#include "resource/validate.h"

/* What somebody does. */
enum {
	MAY_LIST = 1,
	MAY_READ = 2,
	MAY_CREATE = 4,
	MAY_UPDATE = 8,
	MAY_DELETE = 16,
	MAY_ALL = 31,
};

enum who {
	WHO_ANYONE,
	WHO_SIGNED_IN,
	WHO_STAFF,
	WHO_OWNER, /* whose key the row's `owner` expression gives; for objects, not for lists */
};

struct permission {
	enum who who;
	unsigned may;
	const char *owner; /* WHO_OWNER: SQL over alias t that gives a user's key, "t.owner_id" */
};
/* clang-format off */
#define ALLOW(who_, may_) { .who = WHO_##who_, .may = (may_) }
#define ALLOW_OWNER(sql_, may_) { .who = WHO_OWNER, .may = (may_), .owner = (sql_) }
/* clang-format on */

/* A row as read: one text per field of the resource. */
struct row {
	const struct resource *resource;
	struct str *text;
	bool is_in_detail; /* MANY fields were read too */
	struct str owner;  /* the key that WHO_OWNER asks for; absent without such a permission */
};
struct str row_get(const struct row *, const char *field);

/* A write under way.  In the request's arena. */
struct change {
	struct request *rq;
	const struct resource *resource;
	enum validate_mode mode;
	struct values values;  /* what will be written; hooks may set more */
	const struct row *old; /* NULL at creation */
	const struct row *row; /* what was written; in `saved` and later */
	struct errors errors;
	struct db_tx *tx;
	struct enqueued *enqueued; /* jobs of this transaction; see change_enqueue */
	void *notes;               /* the hooks' own */
	int _status;               /* of the engine's answer; 0: somebody else answers */
};

/* Writes a job with the change's transaction; it is pushed after the commit.  Yields. */
int change_enqueue(struct change *, const struct task *, const void *arguments)
	may_yield _must_check_;

/*
 * Hooks may yield, use change->tx, and return 0 or a negative error, which ends the request and
 * rolls back.  A hook that finds the input wrong adds to change->errors and returns 0: the engine
 * then answers 400.
 */
struct hooks {
	/* After the fields' own rules, references and uniqueness.  At creation there is no
	 * transaction yet (tx is NULL), so that slow work done here holds no connection. */
	int (*check)(struct change *);
	int (*saving)(struct change *); /* all is valid: fill what the server sets (slug, owner) */
	int (*saved)(struct change *);  /* the row is written; the transaction is open */
	int (*done)(struct change *); /* committed; cannot fail the request any more: log what goes
					 wrong */
	int (*deleting)(struct change *); /* change->old is the row; before the DELETE */
	int (*deleted)(struct change *);  /* committed */
};

enum resource_key { RESOURCE_UUID, RESOURCE_BIGINT };

struct resource {
	const char *name;  /* "product": names of routes */
	const char *model; /* "Product": "No Product matches the given query." */
	const char *path;  /* "products/" */
	const char *table;
	const char *help;
	enum resource_key key;
	const struct field *fields;
	size_t field_count;
	const struct permission *permissions;
	size_t permission_count;
	const char
		*rows; /* SQL over t that holds for every row that exists for the API; NULL: all */
	/* The same for a row that is found through the row it belongs to, where less is to be asked; NULL:
	 * as `rows`. */
	const char *rows_through;
	const char *order;  /* "t.created_at DESC, t.id DESC" */
	const char *remove; /* instead of DELETE: "is_deleted = true, deleted_at = now()"; NULL:
			       DELETE */
	unsigned page;      /* rows a page; 0: 20 */
	unsigned accepts;   /* body kinds; 0: JSON, form and multipart */
	size_t max_body;
	usec_t deadline;
	unsigned actions; /* which of MAY_* have routes; 0: all */
	/* How long answers of lists and of single rows may be kept (resource/cached.h); 0: never.  All
	 * that they show must lie in this table or come through its fields. */
	usec_t list_ttl, detail_ttl;
	struct hooks hooks;
};

/* Adds the routes of these resources.  0, or -EINVAL with a sentence about a wrong table. */
int resource_routes(struct route_table *, const struct resource *const *, size_t count)
	_must_check_;

/*
 * For handlers that no table can express.
 * resource_find: one visible row by key; -E_NOT_FOUND with DRF's words.  Yields.
 * resource_allow: 0, -E_UNAUTHENTICATED or -E_FORBIDDEN for this caller and row.
 * resource_render: the row as JSON; `in_detail` with what only details show, read anew if the row
 * came from a write.  Yields.
 */
int resource_find(struct request *, struct db_at, const struct resource *, struct str key,
		  struct row *ret) may_yield _must_check_;
int resource_allow(const struct request *, const struct resource *, const struct row *,
		   unsigned may) _must_check_;
int resource_render(struct request *, struct db_at, const struct resource *, const struct row *,
		    bool in_detail, struct json_writer *) may_yield _must_check_;
/*
 * resource_save: creates a row from the request's body, or changes the one with this key, with all
 * of locking, object permission, validation, hooks and transaction; leaves the written row in *ret
 * instead of replying; -E_INVALID after the 400 was set as the reply.  Yields. resource_remove: the
 * same for a removal.  Yields.
 */
int resource_save(struct request *, const struct resource *, enum validate_mode, struct str key,
		  struct row *ret) may_yield _must_check_;
int resource_remove(struct request *, const struct resource *, struct str key)
	may_yield _must_check_;
/* After the COMMIT of a hand-written change of its rows: what the cache keeps of them ends.  Yields. */
void resource_forget(struct request *, const struct resource *, bool is_removal) may_yield;

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
