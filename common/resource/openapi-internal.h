/*
 * openapi-internal.h - the components of the document: named once, written once, in the order of names.
 */
#ifndef RESOURCE_OPENAPI_INTERNAL_H
#define RESOURCE_OPENAPI_INTERNAL_H

#include "resource/openapi.h"
#include "resource/resource-internal.h"

/* Which of a resource's fields make the component. */
enum component_of {
	COMPONENT_SHOWN,   /* what a view of rows shows, and what only is written */
	COMPONENT_CREATED, /* what creation reads */
	COMPONENT_CHANGED, /* what a change reads */
	COMPONENT_SHAPE,   /* a part of rows, inside other rows */
	COMPONENT_FORM,
	COMPONENT_PAGE, /* the envelope of a list */
	COMPONENT_CHOICES,
};

struct component {
	struct component *next;
	struct str name;
	enum component_of of;
	const struct resource *resource;
	const struct shape *shape;
	const struct form *form;
	const char *const *choices;
	struct str items; /* PAGE: the component of its rows */
	enum row_view view;
	const char *preset; /* a field that the body need not have */
	bool is_partial;    /* of PATCH: nothing is required */
	struct str body;    /* absent until it is written */
};

struct components {
	struct arena *arena;
	struct component *first;
	const struct route_table *routes; /* for what enums are called */
};

/* The name of the component that describes … */
struct str component_shown(struct components *, const struct resource *, enum row_view);
/* … what creation, PUT and PATCH read.  `preset`: a field that the path gives; the component is then called
 * `name`.  Both NULL: as usual. */
struct str component_read(struct components *, const struct resource *, enum http_method,
			  const char *preset, const char *name);
struct str component_form(struct components *, const struct form *);
struct str component_page(struct components *, const struct resource *);
/* Whether something must be sent in it. */
bool component_has_required(struct components *, struct str name);

/* {"$ref": "#/components/schemas/<name>"} */
void put_reference(struct json_writer *, struct str name);
/* "description": lines like "* `free` - Free". */
void put_choices_description(struct json_writer *, const char *const *choices);
void put_text(struct json_writer *, const char *key, const char *text);
void put_key_type(struct json_writer *, const struct resource *);

/* "schemas" with all that was named, and what that refers to. */
void components_put(struct components *, struct json_writer *);

#endif
