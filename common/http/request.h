/*
 * request.h - a request as our code sees it, and the one reply it gets.
 *
 * Two owners, one object: the fiber that works on it and the shared chunk in h2o's pool whose disposal
 * says that the connection is gone (then the fiber is cancelled and the reply dropped).  Everything a
 * handler needs was copied into the request's own arena before the fiber started; h2o's memory is never
 * touched by fiber code.
 *
 * The order of checks is DRF's (reference: docs/architecture.md "A request"): route, negotiation,
 * authentication, permission, throttle, method; then on the same fiber the handler: object, object
 * permission, and only then the body.  So the body is parsed on demand by request_body(), although its
 * gate (depth, size, UTF-8) ran before: a bad body never wins over a 404.
 *
 * A handler returns 0 after exactly one reply_*() call, or a negative error, which the dispatcher renders
 * (reply_error).  It logs what is a 5xx; nobody else does.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/arena.h"
#include "base/json.h"
#include "loop/fiber.h"

struct db;
struct redis;
struct http_server;
struct identity; /* auth/identity.h */
struct producer;
struct storage;
struct route;
struct view;

enum http_method {
	HTTP_GET,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_HEAD,
	HTTP_OPTIONS,
	HTTP_METHODS, /* number of the above; also: any other */
};
extern const char *const http_method_names[HTTP_METHODS + 1];

struct header {
	struct str name; /* lower case */
	struct str value;
};

/* What one event loop of the gateway has; made by the application, shared by its requests. */
struct gateway_thread {
	struct loop *loop;
	struct db *db;
	struct redis *redis;
	struct producer *producer; /* queue/enqueue.h */
	const struct storage *storage; /* storage/storage.h: the media folder */
	void *application;         /* what services/ hangs here */
};

/* A body is in memory, or, above 256 KiB, in an unlinked file that is mapped. */
struct upload {
	struct str name;         /* form field */
	struct str filename;     /* as sent, last path component */
	struct str content_type;
	struct str bytes;
};

struct form_field {
	struct str name, value;
};

enum body_kind { BODY_NONE, BODY_JSON, BODY_FORM, BODY_MULTIPART };

/* The parsed body.  JSON: `json`.  Form and multipart: fields and uploads in the order sent. */
struct body {
	enum body_kind kind;
	const struct json *json;
	const struct form_field *fields;
	size_t field_count;
	const struct upload *uploads;
	size_t upload_count;
};

#define ROUTE_PARAMETERS 4

struct request {
	uint32_t magic;
	struct arena arena;
	struct gateway_thread *thread;
	struct http_server *server;

	enum http_method method;
	struct str method_text;
	struct str path;      /* decoded, without the query */
	struct str raw_query; /* without '?'; absent if there was none */
	struct str mount;     /* "/api/v1/" or "/api/": what links are built on; "/" for other routes */
	struct str scheme, host; /* of the request; host as sent, checked */
	struct str peer;      /* address without port */
	const struct header *headers;
	size_t header_count;
	struct str body_bytes;

	const struct view *view;   /* the path's row; never NULL in a handler */
	const struct route *route; /* the method's row within it */
	struct str parameters[ROUTE_PARAMETERS]; /* {…} of the pattern, decoded */

	struct identity *caller;   /* NULL: anonymous */
	char id[37];               /* request id: X-Request-ID if it was sane, else new */
	usec_t started;

	/* private to http/ */
	struct reply *_reply;
	struct body *_body;
	int _body_error;
	const char *_body_reason;
	void *_glue;
};

#define REQUEST_MAGIC UINT32_C(0x52455155)

/* Absent if not sent.  Name in lower case. */
struct str request_header(const struct request *, struct str name);
/* Query parameters, decoded, UTF-8 repaired.  The last one of that name wins; absent if not sent. */
struct str request_query(struct request *, struct str name);
/* Visits all in order; the cursor starts at 0. */
bool request_query_next(struct request *, size_t *cursor, struct form_field *ret);

/*
 * The parsed body.  0; -E_MEDIA_TYPE, -E_BAD_REQUEST ("JSON parse error - …", "Multipart form parse error
 * - …"), each rendered by the dispatcher as DRF does.  An empty body is an empty JSON object.
 * `accepts` is a set of 1 << enum body_kind.
 */
#define BODY_ANY ((1u << BODY_JSON) | (1u << BODY_FORM) | (1u << BODY_MULTIPART))
int request_body(struct request *, unsigned accepts, const struct body **ret) _must_check_;

/* "http://host" + path: absolute link. */
struct str request_absolute(struct request *, struct str path);

/* Set once, first wins; the connection's glue sends it when the fiber has ended. */
int reply_json(struct request *, int status, struct str json) _must_check_;      /* 0 */
int reply_text(struct request *, int status, const char *content_type, struct str text) _must_check_;
int reply_empty(struct request *, int status) _must_check_;                      /* 204 */
/* A file below a folder, with ETag, Last-Modified, ranges and 304: http/media.h sends it. */
int reply_file(struct request *, int fd, size_t size, usec_t modified, const char *content_type,
	       struct str etag) _must_check_;
void reply_header(struct request *, struct str name, struct str value); /* copied */
bool reply_is_set(const struct request *);
int reply_status(const struct request *);

/* {"detail": reason} with the status of the code, as DRF's exception handler; 401 with WWW-Authenticate. */
int reply_error(struct request *, int code) _must_check_;

#endif
