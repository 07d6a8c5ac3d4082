/*
 * openapi.h - the API's document: OpenAPI 3.0.3, made from the routes and their tables as drf-spectacular
 * makes it from views and serializers, so that a generated client keeps its names (drf-wire §16).
 *
 * Operations: every row of the table that is mounted below /api/v1/, but those flagged
 * ROUTE_UNTOLD.  What a resource's own routes read and answer follows from its fields; what a
 * route by hand does is told by its struct operation.  Components are made for what is referred to.
 * Errors are left out, as drf-spectacular leaves them out: they are DRF's.
 */
#ifndef RESOURCE_OPENAPI_H
#define RESOURCE_OPENAPI_H

#include "resource/operation.h"

struct openapi_info {
	const char *title, *version;
};

struct openapi {
	struct str json; /* indented by four */
	struct str yaml;
};

/* After route_table_seal.  Both texts lie in the arena. */
void openapi_build(struct arena *, const struct route_table *, const struct openapi_info *,
		   struct openapi *ret);

#endif
