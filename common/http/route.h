/*
 * route.h - which handler answers which method on which path, from one table.
 *
 * A row is a method on a path pattern; rows with the same pattern make a view, whose Allow header lists
 * their methods.  `{name}` matches one path segment without '/' or '.'.  Literal segments win over
 * parameters, so "users/me/" is never an id.  ROUTE_API patterns are mounted at /api/v1/ and at /api/;
 * ROUTE_ROOT ones at /.  A path without its final slash: GET, HEAD get 301 to the one with it (query
 * kept); an unsafe method is served as if it had the slash (a deliberate departure: DESIGN).
 *
 * A route without a permission refuses to start (route_table_check).  When a path is asked with a method
 * that it has no row for, the permission of its first row decides before the 405, as DRF does.
 */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/request.h"

enum route_mount { ROUTE_API, ROUTE_ROOT };
enum {
	ROUTE_NO_AUTHENTICATION = 1, /* ignores Authorization, as simplejwt's views do */
	ROUTE_NO_NEGOTIATION = 2,    /* not a DRF view: health, media */
};

/* Yields allowed in all of them.  0 or a negative error; `permit` sees the caller but no object. */
typedef int route_handler(struct request *) may_yield;

struct route {
	enum route_mount mount;
	enum http_method method;
	const char *pattern; /* without leading slash: "users/{id}/" */
	route_handler *handle;
	route_handler *permit;
	const char *name; /* "product-list", for logs and metrics */
	unsigned flags;
	usec_t deadline;  /* 0: 30 s */
	size_t max_body;  /* 0: 1 MiB */
	const void *about; /* what the handler is about: the resource's table; borrowed */
};

struct view {
	const char *pattern;
	enum route_mount mount;
	const struct route *routes[HTTP_METHODS]; /* HEAD falls back to GET */
	const struct route *first;
	const char *allow; /* "GET, POST, HEAD, OPTIONS" */
};

struct route_table;

/* Several lists may be added before the table is sealed.  Rows stay valid for ever. */
struct route_table *route_table_new(void);
struct route_table *route_table_free(struct route_table *);
void route_table_add(struct route_table *, const struct route *rows, size_t count);
/* Checks and builds the tree.  0 or -EINVAL with a sentence naming the row. */
int route_table_seal(struct route_table *) _must_check_;
/* Pattern by pattern, in the order added. */
size_t route_table_views(const struct route_table *, const struct view *const **ret);

struct route_match {
	const struct view *view;
	struct str mount;
	struct str parameters[ROUTE_PARAMETERS];
	bool wants_slash; /* matched only with a final slash added */
};
/* Parameters are slices of `path`.  False: nothing matches. */
bool route_table_find(const struct route_table *, struct str path, struct route_match *ret);

/* Permissions that need no table. */
route_handler permit_anyone;

#endif
