/*
 * form_parts.h - rows and lists inside a form, by their names: "address.city", "lines[0]sku", "tags[1]".
 *
 * A form is flat; these names are how DRF reads what JSON nests (rest_framework/utils/html.py: parse_html_dict,
 * parse_html_list).  Parts are forms again, so that "lines[0]place.city" needs nothing more.  All lies in the
 * arena; texts and files are the form's own.
 */
#ifndef RESOURCE_FORM_PARTS_H
#define RESOURCE_FORM_PARTS_H

#include "http/request.h"

/* Of a list: a row, a file or a text; the others are NULL or absent. */
struct form_item {
	const struct body *row;
	const struct upload *upload;
	struct str text;
};

/* Everything called "name.…", without that; NULL: nothing is. */
const struct body *form_row(struct arena *, const struct body *, const char *name);

/*
 * Everything called "name[number]…", in the order of the numbers, which need not be without gaps.  Of several
 * values of one name the last one counts, also where a row reads a list; of a text and a row with one number
 * what stands behind.  Returns how many; *ret is not set if there are none.
 */
size_t form_list(struct arena *, const struct body *, const char *name,
		 const struct form_item **ret);

#endif
