/*
 * validate.h - a body against a table of fields: DRF's coercion, DRF's words, all errors at once.
 *
 * Used by the engine for resources and directly by handlers for forms that are no resource (login).
 */
#ifndef RESOURCE_VALIDATE_H
#define RESOURCE_VALIDATE_H

#include "resource/errors.h"
#include "resource/field.h"

enum validate_mode {
	VALIDATE_CREATE,  /* POST: required fields, defaults for the absent */
	VALIDATE_REPLACE, /* PUT: required fields; absent ones stay (an absent boolean of a form is
			     false) */
	VALIDATE_CHANGE,  /* PATCH: only what is given */
};

/* What validation looks at beside the body. */
struct preset;
struct validation {
	const struct field *fields;
	size_t count;
	enum validate_mode mode;
	const struct preset
		*presets; /* have values already (resource.h), given and not read; NULL: none */
	const char *const
		*only;         /* these fields alone are read; NULL behind the last, or NULL: all */
	enum shown most_shown; /* fields that stand in fuller answers only are not read */
};

/* What was sent for each field of a table, by its place there. */
struct values {
	const struct field *fields;
	size_t count;
	struct str *text; /* SQL text; absent: NULL or not given */
	struct str *sent; /* as it stood in the body, for messages that quote it */
	bool *is_given;
	const struct upload **uploads; /* FIELD_UPLOAD: the file */
};

/*
 * Reads the body by the fields' own rules; what needs the database (references, uniqueness) is not
 * asked here. 0 with *ret_values, messages in `errors`; or an error of request_body (415, 400
 * parse).  A JSON body that is no object: the message DRF has for it under non_field_errors.
 */
int validate_body(struct request *, const struct field *, size_t count, enum validate_mode,
		  const enum body_kind *accepts, struct errors *, struct values *ret_values)
	_must_check_;
/* The same of a body that is there already: the request's, a row of it, or one that a handler made. */
void validate_parsed(const struct validation *, const struct body *, struct errors *,
		     struct values *ret_values);

/* The time now, as a value of a TIME field. */
struct str values_now(struct arena *);
/* What its arrays hold now, in arrays of its own. */
struct values values_copy(const struct values *, struct arena *);
/* By name; the name must exist (a bug otherwise). */
size_t values_place(const struct values *, const char *field);
struct str values_get(const struct values *, const char *field);
bool values_given(const struct values *, const char *field);
void values_set(struct values *, const char *field, struct str text); /* also marks it as given */

#endif
