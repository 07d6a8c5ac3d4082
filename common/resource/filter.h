/*
 * filter.h - the value of a filter's parameter: how it is read, and django-filter's words for a wrong one.
 */
#ifndef RESOURCE_FILTER_H
#define RESOURCE_FILTER_H

#include "resource/errors.h"
#include "resource/selection.h"

struct condition {
	struct condition *next;
	const struct filter *filter; /* NULL: a term of the search */
	const struct selections *selections;
	struct str *
		values; /* as SQL texts; of the search: the term, and the term with LIKE's signs escaped */
	size_t count;
};

/*
 * Reads `sent` (`count` texts: all that came under the name; one unless the filter is repeatable).  True
 * with *ret_values in the arena, *ret_count 0 if the filter counts as not given; false with a message
 * under the filter's name.  Whether the rows exist is not asked here.
 */
bool filter_read(struct errors *, const struct filter *, const struct str *sent, size_t count,
		 struct str **ret_values, size_t *ret_count) _must_check_;

/* The condition as SQL: an expression in parentheses. */
void filter_add(struct sql *, const struct condition *);

#endif
