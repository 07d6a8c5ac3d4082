/*
 * route.h - which handler answers which method on which path, from one table.
 *
 * A row is a method on a path pattern; rows with the same pattern make a view, whose Allow header
 * lists their methods.  `{name}` matches one path segment without '/' or '.'.  Literal segments win
 * over parameters, so "users/me/" is never an id.  ROUTE_API patterns are mounted at /api/v1/ and
 * at /api/; ROUTE_ROOT ones at /.  A path without its final slash: GET, HEAD get 301 to the one
 * with it (query kept); any other method is served as if it had the slash (a deliberate departure:
 * DESIGN).
 *
 * DRF's router serves every pattern a second time with a format suffix instead of the slash:
 * "posts.json", "posts/7.json/".  So do we, for ROUTE_API rows without ROUTE_NO_SUFFIX; which
 * formats there are is the negotiation's business.
 *
 * A route without a permission refuses to start (route_table_seal).  When a path is asked with a
 * method that it has no row for, the permission of its first row decides before the 405, as DRF
 * does; or its `permit_other`, where the view of DRF has a rule of its own for them.
 *
 * To add a route: write a row into a list that the application passes to route_table_add.
 */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/request.h"

struct operation;

enum route_mount { ROUTE_API, ROUTE_ROOT };
enum {
	ROUTE_NO_AUTHENTICATION = 1, /* ignores Authorization, as simplejwt's views do */
	ROUTE_NO_NEGOTIATION = 2, /* not a DRF view: health, media; no metadata, no Allow header */
	ROUTE_NO_SUFFIX = 4,      /* not made by DRF's router: no "….json" */
	ROUTE_NOT_STORED =
		8, /* answers with tokens: never kept for an Idempotency-Key (http/once.h) */
	ROUTE_UNTOLD = 16,    /* not in the API's document */
	ROUTE_OWN_TYPES = 32, /* the handler looks at Accept itself (http/negotiate.h) */
};

/* Yields allowed in all of them.  0 or a negative error; `permit` sees the caller but no object. */
typedef int route_handler(struct request *) may_yield;

#define ROUTE_DEADLINE (30 * SEC)
#define ROUTE_MAX_BODY (1 * MIB)

struct route {
	enum route_mount mount;
	enum http_method method;
	const char *pattern; /* without leading slash: "users/{id}/" */
	route_handler *handle;
	route_handler *permit;
	const char *name; /* "product-list", for logs and metrics */
	unsigned flags;
	usec_t deadline;            /* 0: ROUTE_DEADLINE */
	size_t max_body;            /* 0: ROUTE_MAX_BODY */
	const char *throttle_scope; /* "login"; NULL: none of its own (http/throttles.h) */
	const void *about;          /* what the handler is about: the resource's table; borrowed */
	const enum body_kind *accepts; /* kinds of body, as for request_body; NULL: body_any */
	/* Who may ask for OPTIONS, or by a method that the view has no row for, where this is its first row;
	 * NULL: as `permit`. */
	route_handler *permit_other;
	/* What OPTIONS says of the view, by its first row; both may be NULL. */
	const char *title;       /* NULL: made from the name */
	const char *description; /* NULL: "" */
	/* What the routes' documents know of it beyond (resource/operation.h). */
	const struct operation *operation;
};

struct metric_series; /* base/metric.h */

/* What is counted of a view, made as it is needed: requests by method (the last one stands for all
 * others) and class of the status (0: nobody was there to take the answer). */
#define VIEW_CLASSES 6
struct view_metrics {
	struct metric_series *requests[HTTP_METHODS + 1][VIEW_CLASSES];
	struct metric_series *durations[HTTP_METHODS + 1];
};

struct view {
	const char *pattern;
	enum route_mount mount;
	const struct route *routes[HTTP_METHODS]; /* HEAD falls back to GET */
	const struct route *first;
	struct str allow; /* "GET, POST, HEAD, OPTIONS" */
	struct view_metrics *metrics;
};

struct route_table;

/* Several lists may be added before the table is sealed.  Rows are borrowed: they stay valid for as
 * long as the table.  A sealed table does not change, so that threads may share it. */
struct route_table *route_table_new(void);
struct route_table *route_table_free(struct route_table *); /* NULL is fine; returns NULL */
void route_table_add(struct route_table *, const struct route *rows, size_t count);
/* Checks and builds the tree.  0 or -EINVAL with a sentence naming the row. */
int route_table_seal(struct route_table *) _must_check_;
/* Pattern by pattern, in the order added. */
size_t route_table_views(const struct route_table *, const struct view *const **ret);

struct route_match {
	const struct view *view;
	struct str mount;
	struct str parameters[ROUTE_PARAMETERS];
	struct str format; /* the suffix without its dot; absent: none */
	bool wants_slash;  /* matched only with a final slash added */
};
/* Parameters and format are slices of `path`, which is decoded and without the query.  A prefix
 * (http/media.h) gives what follows it as the first parameter.  False: nothing matches. */
bool route_table_find(const struct route_table *, struct str path, struct route_match *ret);

/* The row that answers this method, HEAD by GET's; NULL if there is none. */
const struct route *view_route(const struct view *, enum http_method);

/* A permission that needs no table. */
route_handler permit_anyone;

/* Every path below `prefix` ("/media/") is answered by this row, whose pattern is not looked at.
 * For http/media.h; both are borrowed like rows. */
void route_table_add_prefix(struct route_table *, const char *prefix, const struct route *row);
/* Zeroed memory that lives as long as the table, for rows that are made at start. */
void *route_table_keep(struct route_table *, size_t size);

#endif
