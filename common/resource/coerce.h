/*
 * coerce.h - one value of a body to PostgreSQL's text form, by the field's type: what DRF's fields
 * accept, and what they say of the rest (drf-wire §5.3, §6).
 */
#ifndef RESOURCE_COERCE_H
#define RESOURCE_COERCE_H

#include "resource/errors.h"
#include "resource/field.h"
#include "resource/form_parts.h"
#include "resource/python.h"

/* A value as it stands in the body: exactly one of the three, or none when absent. */
struct input {
	const struct json *json;
	struct str text; /* of a form; not absent */
	const struct upload *upload;
	/* KEYS and ARRAY in a form: every value of the name; NULL for other types and in JSON. */
	const struct form_item *items;
	size_t item_count;
};

static inline bool input_is_absent(const struct input *in)
{
	return in->json == NULL && in->upload == NULL && in->items == NULL && str_is_null(in->text);
}

/*
 * The value is present and not null.  True with *ret_text; false with messages added under the
 * field's name. FIELD_UPLOAD leaves an empty text: the file stays where it is.  FIELD_KEYS gives
 * PostgreSQL's array of uuids, FIELD_ARRAY one of its items' texts; what is wrong with items is said one
 * level below, under their numbers.
 */
bool coerce(struct errors *, const struct field *, const struct input *, struct str *ret_text);

/* A decimal number of Python's, in PostgreSQL's form; false for NaN, Infinity and what is none. */
bool decimal_text(struct arena *, struct str, struct str *ret);

/* hh:mm[:ss[.uuuuuu]] without a zone, in PostgreSQL's form; false for what is none. */
bool clock_text(struct arena *, struct str, struct str *ret);

/* Django's URLValidator. */
bool is_url(struct str);
/* A part of a host name between two dots. */
bool is_host_label(struct str);

/* Django's EmailValidator. */
bool is_email_address(struct str);

#endif
