/*
 * resource-internal.h - what the engine keeps per resource beside its tables: the SQL, built once at start, and which
 * column of an answer belongs to which field.  Read-only after resource_routes.
 */
#ifndef RESOURCE_RESOURCE_INTERNAL_H
#define RESOURCE_RESOURCE_INTERNAL_H

#include "resource/resource.h"

struct plan {
	const struct resource *resource;
	int *column_of;  /* per field: its column in an answer, -1 for none */
	int owner_column; /* -1: no WHO_OWNER */
	struct str columns; /* the select list */
	struct db_statement find, find_for_update, count, page, insert, remove;
	struct db_statement *many; /* per field: the rows of a MANY field by our key */
};

/* Builds, or returns what was built.  The resource must have passed resource_check. */
const struct plan *plan_of(const struct resource *);
/* Before threads start; -EINVAL with a sentence when a table contradicts itself. */
int plan_build(const struct resource *) _must_check_;

/* UPDATE of the given columns; text of its own per set of columns. */
struct db_statement plan_update(const struct plan *, struct arena *, const struct values *, struct str *params,
				size_t *ret_count);

/* Row `number` of an answer as texts per field. */
struct row row_read(const struct plan *, struct arena *, const struct db_rows *, int number);

/* A row as JSON without its MANY fields' statements: `many` gives each one's rows, NULL leaves them out. */
void row_render(struct request *, const struct plan *, const struct row *, const struct db_rows *const *many,
		struct json_writer *);

/* One page of a list. */
int page_reply(struct request *, const struct plan *) may_yield _must_check_;

#endif
