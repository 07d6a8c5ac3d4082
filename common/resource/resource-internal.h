/*
 * resource-internal.h - what the engine keeps per resource beside its tables: the SQL, built once
 * at start, and which column of an answer belongs to which field.  Read-only after resource_routes.
 */
#ifndef RESOURCE_RESOURCE_INTERNAL_H
#define RESOURCE_RESOURCE_INTERNAL_H

#include "resource/resource.h"

struct plan {
	const struct resource *resource;
	struct str *keys; /* per field: its name as JSON, with the colon */
	int *column_of;   /* per field: its column in an answer, -1 for none */
	int owner_column; /* -1: no WHO_OWNER */
	int column_count;
	struct str columns; /* the select list, alias t */
	/*
	 * Where details are read each MANY field is one more column: a JSON array of rows, each an
	 * array of the other resource's columns as text.  So a retrieve stays one statement
	 * whatever it shows.
	 */
	bool has_many;
	int *many_column_of; /* per field: its column there, -1 for none */
	struct db_statement find, find_in_detail, find_for_update, count, page, insert, remove;
};

/* Builds, or returns what was built.  The resource must have passed resource_check. */
const struct plan *plan_of(const struct resource *);
/* Before threads start; -EINVAL with a sentence when a table contradicts itself. */
int plan_build(const struct resource *) _must_check_;

/* UPDATE of the given columns; text of its own per set of columns. */
struct db_statement plan_update(const struct plan *, struct arena *, const struct values *,
				struct str *params, size_t *ret_count);

/* Row `number` of an answer as texts per field; of a detailed one, the texts of MANY fields are
 * those arrays. */
struct row row_read(const struct plan *, struct arena *, const struct db_rows *, int number,
		    bool in_detail);

/* A row of such an array. */
struct row row_from_array(const struct plan *, struct arena *, const struct json *texts);

/* A row as JSON; in detail only if it was read so. */
void row_render(struct request *, const struct plan *, const struct row *, bool in_detail,
		struct json_writer *);

/* Answers with the row in detail.  Yields. */
int row_reply(struct request *, struct db_at, int status, const struct resource *,
	      const struct row *) may_yield _must_check_;
/* As resource_save; the engine's own routes say with which status they will answer, so that the
 * answer can be kept with the transaction (http/once.h).  Yields. */
int row_save(struct request *, const struct resource *, enum validate_mode, struct str key,
	     int status, struct row *ret) may_yield _must_check_;

/* One page of a list. */
int page_reply(struct request *, const struct plan *) may_yield _must_check_;

#endif
