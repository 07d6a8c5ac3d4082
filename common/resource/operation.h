/*
 * operation.h - what OPTIONS and the API's document tell of a route that no resource's table made.
 *
 * A resource's own routes need none of this: their names, bodies and answers follow from its tables
 * (openapi.h).  A route by hand names here what it reads and what it answers, once; a form is declared
 * beside the table of fields that validates it.
 *
 *     static const struct operation login = { .reads = &login_form, .answers = &signed_in_form };
 */
#ifndef RESOURCE_OPERATION_H
#define RESOURCE_OPERATION_H

#include "resource/resource.h"

/* A body that is no resource's: what is read, or what is answered. */
struct form {
	const char *name; /* of the component: "Login" */
	const struct field *fields;
	size_t count;
	const char *description; /* NULL: nothing */
};
/* clang-format off */
#define FORM(name_, fields_) { .name = (name_), .fields = (fields_), .count = ARRAY_SIZE(fields_) }
/* clang-format on */

/* How rows are answered; 0: no rows but a form, or nothing. */
enum answered { ANSWERS_FORM, ANSWERS_ROW, ANSWERS_ARRAY, ANSWERS_PAGE };

struct operation {
	const char *title;       /* OPTIONS' name; NULL: from the end of the path */
	const char *description; /* NULL: nothing */
	/* Whose view this is an action of: OPTIONS lists its fields, as DRF does whatever the action
	 * reads.  NULL: what `reads` has. */
	const struct resource *resource;
	const struct form *reads; /* NULL: no body, unless `reads_rows` */
	/* What OPTIONS lists where it is not `reads`: DRF asks the view's serializer, the document is written of
	 * another.  A form without fields: nothing. */
	const struct form *lists;
	/* The body is as at creation, or as the change, of these rows. */
	const struct resource *reads_rows;
	/* With reads_rows: a field that the path gives, not the body, and what that shape is called. */
	const char *preset, *reads_as;
	bool reads_array; /* of what is read: a list of them */
	int status;       /* of success; 0: 200 */
	enum answered answered;
	const struct resource *rows; /* with ANSWERS_ROW and the like: whose */
	const struct form *answers;  /* with ANSWERS_FORM; NULL: no body */
	bool answers_array;          /* a list of the form */
	/* Instead: a document in any of these types, or bytes; NULL-terminated.  NULL: JSON. */
	const char *const *answer_types;
	bool answers_bytes;
};

/*
 * For http_options.describe: "actions" with the fields that POST and PUT take, if the caller may and, for
 * PUT, if there is an object.  DRF's SimpleMetadata.  Yields.
 */
int resource_describe(struct request *, struct json_writer *) may_yield _must_check_;

#endif
