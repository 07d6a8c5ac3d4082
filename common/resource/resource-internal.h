/*
 * resource-internal.h - what the engine keeps per resource beside its tables: the SQL, built once
 * at start, and which column of an answer belongs to which field.  Read-only after resource_routes.
 */
#ifndef RESOURCE_RESOURCE_INTERNAL_H
#define RESOURCE_RESOURCE_INTERNAL_H

#include "resource/resource.h"

/* Which fields of a resource stand inside another's row, and in which order. */
struct shape {
	const struct plan *plan;
	size_t count;
	size_t *places; /* into the resource's fields */
};

struct plan {
	const struct resource *resource;
	struct plan *next;     /* of all */
	struct str *keys;      /* per field: its name as JSON, with the colon */
	struct shape *shapes;  /* per field: of EMBED and MANY */
	int *column_of[VIEWS]; /* per field: its column in an answer, -1 for none */
	int column_count[VIEWS];
	struct sql_statement find_for_update,
		retrieve; /* by :key, if the caller may know of the row */
	struct sql_statement
		reread[VIEWS]; /* by :key, of a row that this request has found or written; of
					       VIEW_DETAIL and VIEW_RETRIEVAL */
	struct sql_statement count, page, insert;
	struct sql_statement remove; /* by :key */
};

/* What was built.  The resource must have gone through plan_build. */
const struct plan *plan_of(const struct resource *);
/* Before threads start: of these resources and all that they refer to; -EINVAL with a sentence when a
 * table contradicts itself. */
int plan_build(const struct resource *const *, size_t count) _must_check_;

/* "SELECT …" of a view, with what `permissions` ask if it has them; the columns alone. */
void plan_add_columns(struct sql *, const struct plan *, enum row_view);
/* UPDATE of the given columns; text of its own per set of columns.  False: there is none to set. */
bool plan_update(const struct plan *, struct arena *, const struct values *,
		 struct sql_statement *ret);

/* Row `number` of an answer to a statement with the columns of that view. */
struct row row_read(const struct plan *, struct arena *, const struct db_rows *, int number,
		    enum row_view);
/* A row of that shape, from its array of texts. */
struct row row_from_array(const struct shape *, struct arena *, const struct json *texts);

/* A row as JSON; of no more than was read. */
void row_render(struct request *, const struct plan *, const struct row *, enum row_view,
		struct json_writer *);

/* The row with this key, by one of the plan's statements or one that was made from them; -E_NOT_FOUND. */
int row_find(struct request *, struct db_at, const struct plan *, const struct sql_statement *,
	     struct str key, enum row_view, struct row *ret) may_yield _must_check_;

/* After -E_UNIQUE: a violation by a value that the client sent is the client's, 0 with it in c->errors; -E_UNIQUE
 * stays for what a hook made. */
int change_blame(struct change *) _must_check_;

/* The row of a change, locked in its transaction, into c->old: the one that the path names, or that of
 * c->key; -E_NOT_FOUND, -E_FORBIDDEN.  Yields. */
int change_find(struct change *, unsigned may) may_yield _must_check_;
/* Removes c->old.  Yields. */
int change_remove(struct change *) may_yield _must_check_;
/* As change_finish, of a removal.  Yields. */
void change_finish_removal(struct change *) may_yield;

/* The three of resource.h's `bulk`, as handlers. */
#define BULK_ROWS_MOST 100
route_handler bulk_create, bulk_update, bulk_delete;

/* As resource_reply, within a transaction or not.  Yields. */
int row_reply(struct request *, struct db_at, int status, const struct resource *,
	      const struct row *, enum row_view) may_yield _must_check_;

/* The key as the path has it; what can be no key is DRF's plain "Not found.". */
int resource_read_key(struct request *, const struct resource *, struct str *ret) _must_check_;
/* The same of a value of a body; false for what can be no key. */
bool resource_read_json_key(struct request *, const struct resource *, const struct json *,
			    struct str *ret);

/* What lists of any paging are made of (page.c): int() of Python on a text, false when it is none; a piece of
 * a query as quote_plus has it; this request's URL with other values of these parameters, an absent one
 * left out; FROM and WHERE of the rows that a listing is about. */
bool page_read_number(struct str text, int64_t *ret);
struct str page_number_text(struct request *, int64_t);
void page_add_query_text(struct buf *, struct str);
struct str page_make_link(struct request *, const struct form_field *changes, size_t count);
void page_add_from(struct sql *, const struct resource *, const struct listing *,
		   const struct selection *);

/* Lists of PAGING_CURSOR.  Yields. */
int cursor_list(struct request *, const struct plan *, const struct listing *,
		const struct selection *) may_yield _must_check_;
int cursor_check(const struct resource *) _must_check_;

/* The many-to-many sets of a change that were given: replaced as a whole.  In its transaction.  Yields. */
int links_write(struct change *, const struct row *) may_yield _must_check_;
/* Whether the rows that a KEYS field names are there; messages as for one key.  Yields. */
int links_check(struct change *, size_t place) may_yield _must_check_;

#endif
