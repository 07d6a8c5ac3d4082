/*
 * request.h - a request as our code sees it, and the one reply it gets.
 *
 * Two owners, one object: the fiber that works on it and the shared chunk in h2o's pool whose
 * disposal says that the connection is gone (then the fiber is cancelled and the reply dropped).
 * Everything a handler needs was copied into the request's own arena before the fiber started;
 * h2o's memory is never touched by fiber code.
 *
 * The order of checks is DRF's (reference: docs/architecture.md "A request"): route, negotiation,
 * authentication, permission, throttle, method; then on the same fiber the handler: object, object
 * permission, and only then the body.  So the body is parsed on demand by request_body(), although
 * its gate (how deep, how many values) ran before the fiber: a bad body never wins over a 404.
 *
 * A handler returns 0 after one reply_*() call, or a negative error, which the dispatcher renders
 * (reply_error).  It logs what is a 5xx; nobody else does.  A handler that has answered 4xx or 5xx
 * itself, because the body of that error is more than {"detail": …}, may return the error as well:
 * its answer stands.  An answer of success does not stand when an error follows it (a COMMIT that
 * failed).
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/arena.h"
#include "base/json.h"
#include "loop/fiber.h"

struct cache;
struct db;
struct redis;
struct replica;
struct http_server;
struct identity; /* auth/identity.h */
struct identity_cache;
struct once;
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
	struct str name; /* lower case in requests */
	struct str value;
};

/* What one event loop of the gateway has; made by the application, shared by its requests. */
struct gateway_thread {
	struct loop *loop;
	struct db *db;
	struct redis *redis;
	struct replica *replica;           /* coord/replica.h; NULL: everything is read from db */
	struct cache *cache;               /* coord/cache.h; NULL: nothing is cached */
	struct identity_cache *identities; /* auth/identity_cache.h */
	struct producer *producer;         /* queue/enqueue.h */
	const struct storage *storage;     /* storage/storage.h: the media folder */
	const struct storage *private_storage; /* files that no URL serves */
	void *application;                     /* what services/ hangs here */
};

struct upload {
	struct str name;         /* form field */
	struct str filename;     /* last path component, printable characters only, never empty */
	struct str content_type; /* of the part, as sent; may be empty */
	struct str bytes;        /* a slice of the body */
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
	struct str mount; /* "/api/v1/" or "/api/": what links are built on; "/" for other routes */
	struct str scheme, host; /* of the request; host as sent, checked */
	struct str peer;         /* address without port */
	/* All but Host, Content-Length, Transfer-Encoding, Expect and Upgrade, which are the
	 * door's. */
	const struct header *headers;
	size_t header_count;
	struct str body_bytes; /* memory of the arena; or, above 256 KiB, a mapped file */

	const struct view *view;                 /* the path's row; never NULL in a handler */
	const struct route *route;               /* the method's row within it */
	struct str parameters[ROUTE_PARAMETERS]; /* {…} of the pattern, decoded */

	struct identity *caller; /* NULL: anonymous */
	char id[37];             /* request id: X-Request-ID if it was sane, else new */
	usec_t started;

	/* private to http/ */
	struct reply *_reply;
	struct str _format;       /* suffix of the path */
	unsigned _indent;         /* spaces of JSON's indentation; 0: compact */
	const struct body *_body; /* parsed */
	int _body_error;          /* what the gate or the parser said */
	const char *_body_reason; /* in the arena */
	struct db *_reader;       /* NULL: not asked for yet */
	struct once *_once;       /* of an Idempotency-Key; NULL: none */
};

#define REQUEST_MAGIC UINT32_C(0x52455155)

/* The first of that name; absent if not sent.  Name in lower case. */
struct str request_header(const struct request *, struct str name);
/*
 * Where the client is, as far as the proxies in front are trusted (APIUM_NUM_PROXIES): `peer`, or
 * what stands that many places from the right in X-Forwarded-For.
 */
struct str request_client(struct request *);
/* Who asks, as one text: the caller's key, or "ip:" and the client's address. */
struct str request_owner(struct request *);
bool request_is_safe(const struct request *); /* GET, HEAD, OPTIONS */
/*
 * Where to read from to answer this request: a standby, if there is one and it has all that this client
 * has written (coord/replica.h), else `thread->db`; always that for an unsafe method.  The same at each
 * call.  Yields.
 */
struct db *request_reader(struct request *) may_yield;
/* What this request reads will be kept for others: from the primary, then, from here on. */
void request_read_primary(struct request *);
/* Something was not there: if this request was reading from a standby, that was it.  True: it reads from the
 * primary from here on, and may be handled again. */
bool request_left_standby(struct request *);
/* After the handler of an unsafe method: the standby is not for this client until it has caught up. */
void request_wrote(struct request *) may_yield;
/* Query parameters, decoded, UTF-8 repaired.  The last one of that name wins; absent if not
 * sent. */
struct str request_query(struct request *, struct str name);
/* Visits all in order; the cursor starts at 0.  At most 1,000: more were refused at the door. */
bool request_query_next(struct request *, size_t *cursor, struct form_field *ret);

/*
 * The parsed body, the same at each call.  0; -E_MEDIA_TYPE, -E_BAD_REQUEST ("JSON parse error -
 * …", "Multipart form parse error - …"), each rendered by the dispatcher as DRF does; too many
 * fields or files set Django's 400 page as the answer.  An empty body is an empty JSON object, or
 * an empty form if it is called one.  JSON may be any value: whoever wants an object looks.
 * `accepts` is a list of kinds, ended by BODY_NONE, as DRF's parser_classes are one: of two that fit the
 * body's type the first one reads it, and OPTIONS names them in this order.
 */
extern const enum body_kind body_any[];   /* JSON, form, multipart: what is usual */
extern const enum body_kind body_forms[]; /* multipart, form */
/* The types of these kinds.  Returns how many, at most three. */
size_t body_types(const enum body_kind *accepts, const char *ret_types[3]);
int request_body(struct request *, const enum body_kind *accepts, const struct body **ret)
	_must_check_;

/* "http://host" + path: absolute link. */
struct str request_absolute(struct request *, struct str path);

/*
 * The answer.  The first one wins; the connection's glue sends it when the fiber has ended.  All
 * return 0. What is given is copied, except where "taken" is said.
 */
int reply_json(struct request *, int status, struct str json) _must_check_;
/* The same for long texts: the buf's memory is taken, the buf is empty afterwards. */
int reply_json_take(struct request *, int status, struct buf *json) _must_check_;
/* The body of an error as an exception of DRF would have it, by what the client did wrong; in an envelope if
 * the server wants them so (http/server.h). */
int reply_refusal(struct request *, int status, struct str json) _must_check_;
int reply_text(struct request *, int status, const char *content_type, struct str text)
	_must_check_;
int reply_empty(struct request *, int status) _must_check_; /* 204; others with Content-Length: 0 */
/*
 * A file, with Last-Modified, ETag (with its quotes; absent: none), 304 and single ranges as the
 * request's headers ask.  The descriptor is taken, also when another answer was first.
 */
int reply_file(struct request *, int fd, size_t size, usec_t modified, const char *content_type,
	       struct str etag) _must_check_;
/* Django's plain HTML page: 400, 403, 404 or 500. */
int reply_page(struct request *, int status) _must_check_;
/* At most 16; one of the same name replaces, also a standing one.  For Vary, "origin" is added. */
void reply_header(struct request *, struct str name, struct str value);
bool reply_is_set(const struct request *);
int reply_status(const struct request *); /* 0 when not set */
/* The document that was set as the answer, compact; absent: none, or no JSON. */
struct str reply_json_text(const struct request *);

/*
 * {"detail": reason} with the status of the code, as DRF's exception handler.  What is our own
 * fault (5xx) does not tell its reason, only the code's sentence; 500 is Django's page.  The
 * connection's glue adds WWW-Authenticate to every 401.
 */
int reply_error(struct request *, int code) _must_check_;

#endif
