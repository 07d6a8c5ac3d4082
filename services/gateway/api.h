/*
 * api.h - what the API tells of itself: its root, its OpenAPI document, and pages that show it.
 */
#ifndef SERVICES_GATEWAY_API_H
#define SERVICES_GATEWAY_API_H

#include "http/route.h"

/* Builds the document, once, before threads start and after the table was sealed.  `assets`: the folder
 * that is served below /static/, looked at for Swagger UI and ReDoc; borrowed. */
void api_describe(const struct route_table *, const char *assets);

#endif
