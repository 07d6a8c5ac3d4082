#include "http/media.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/datetime.h"
#include "base/error.h"
#include "http/internal.h"
#include "http/route.h"
#include "storage/storage.h"

/* Types that a browser may show; whatever else is there is only bytes. */
struct type {
	struct str suffix;
	const char *type;
};

/* What strangers may have sent: nothing that a browser would run. */
static const struct type types[] = {
	{ STR_INIT(".jpg"), "image/jpeg" },
	{ STR_INIT(".jpeg"), "image/jpeg" },
	{ STR_INIT(".png"), "image/png" },
	{ STR_INIT(".webp"), "image/webp" },
	{ STR_INIT(".gif"), "image/gif" },
	{ STR_INIT(".pdf"), "application/pdf" },
	{ STR_INIT(".txt"), "text/plain; charset=utf-8" },
	{ STR_INIT(".csv"), "text/csv; charset=utf-8" },
	{ STR_INIT(".json"), "application/json" },
};

/* Beside those, in our own folder. */
static const struct type own_types[] = {
	{ STR_INIT(".js"), "text/javascript; charset=utf-8" },
	{ STR_INIT(".css"), "text/css; charset=utf-8" },
	{ STR_INIT(".svg"), "image/svg+xml" },
};

struct folder {
	struct route route;
	struct storage storage;
	bool is_own;
};

static const char *find_type(struct str path, const struct type *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct str suffix = list[i].suffix;

		if (path.len > suffix.len &&
		    str_eq_nocase(str_slice(path, path.len - suffix.len, path.len), suffix))
			return list[i].type;
	}
	return NULL;
}

static const char *type_of(const struct folder *folder, struct str path)
{
	const char *type = find_type(path, types, ARRAY_SIZE(types));

	if (type == NULL && folder->is_own)
		type = find_type(path, own_types, ARRAY_SIZE(own_types));
	return type != NULL ? type : "application/octet-stream";
}

/* Weak comparison: W/ does not count. */
static bool tag_matches(struct str list, struct str etag)
{
	struct str item;

	while (str_cut(&list, ',', &item)) {
		item = str_trim(item);
		if (str_eq(item, STR("*")))
			return true;
		if (str_starts(item, STR("W/")))
			item = str_slice(item, 2, item.len);
		if (str_eq(item, etag))
			return true;
	}
	return false;
}

/* RFC 9110 §13.2.2: If-Modified-Since counts only where If-None-Match was not sent. */
static bool is_known(const struct request *rq, struct str etag, usec_t modified)
{
	struct str tags = request_header(rq, STR("if-none-match"));
	struct str since = request_header(rq, STR("if-modified-since"));
	usec_t then;

	if (!str_is_null(tags))
		return !str_is_null(etag) && tag_matches(tags, etag);
	if (str_is_null(since) || datetime_parse_http(since, &then) < 0)
		return false;
	return modified / SEC <= then / SEC;
}

/* A range is for the file that its client has part of; if that has changed, the whole file is
 * sent. */
static bool range_is_for_this(const struct request *rq, struct str etag, usec_t modified)
{
	struct str condition = request_header(rq, STR("if-range"));
	usec_t then;

	if (str_is_null(condition))
		return true;
	if (str_starts(condition, STR("\"")))
		return str_eq(condition, etag);
	return datetime_parse_http(condition, &then) == 0 && then / SEC == modified / SEC;
}

enum range { RANGE_NONE, RANGE_PART, RANGE_OUTSIDE };

/* One range; several at once, and what is no range, are passed over (RFC 9110 §14.2 allows it). */
static enum range read_range(struct str header, uint64_t size, uint64_t *ret_from,
			     uint64_t *ret_len)
{
	struct str first, last = header;
	uint64_t from, to;

	if (!str_starts(header, STR("bytes=")) || str_find_char(header, ',') >= 0)
		return RANGE_NONE;
	last = str_slice(header, STR("bytes=").len, header.len);
	str_cut(&last, '-', &first);
	first = str_trim(first);
	if (str_is_null(last))
		return RANGE_NONE;
	last = str_trim(last);
	if (first.len == 0) {
		/* "-n": the last n bytes */
		if (str_to_u64(last, &to) < 0)
			return RANGE_NONE;
		if (to == 0 || size == 0)
			return RANGE_OUTSIDE;
		from = size - MIN(to, size);
		to = size - 1;
	} else {
		if (str_to_u64(first, &from) < 0)
			return RANGE_NONE;
		if (last.len == 0)
			to = UINT64_MAX;
		else if (str_to_u64(last, &to) < 0 || to < from)
			return RANGE_NONE;
		if (from >= size)
			return RANGE_OUTSIDE;
		to = MIN(to, size - 1);
	}
	*ret_from = from;
	*ret_len = to - from + 1;
	return RANGE_PART;
}

static void put_validators(struct request *rq, usec_t modified, struct str etag)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	datetime_add_http(&b, modified);
	reply_header(rq, STR("Last-Modified"), buf_str(&b));
	if (!str_is_null(etag))
		reply_header(rq, STR("ETag"), etag);
}

static int reply_part(struct request *rq, int fd, uint64_t size, const char *content_type,
		      enum range range, uint64_t from, uint64_t len)
{
	struct str part;

	if (range == RANGE_NONE)
		return reply_file_part(rq, 200, fd, 0, size, content_type);
	part = range == RANGE_OUTSIDE
		       ? arena_printf(&rq->arena, "bytes */%llu", (unsigned long long) size)
		       : arena_printf(&rq->arena, "bytes %llu-%llu/%llu", (unsigned long long) from,
				      (unsigned long long) (from + len - 1),
				      (unsigned long long) size);
	reply_header(rq, STR("Content-Range"), part);
	return range == RANGE_OUTSIDE
		       ? reply_file_part(rq, 416, fd, 0, 0, "text/plain; charset=utf-8")
		       : reply_file_part(rq, 206, fd, from, len, content_type);
}

int reply_file(struct request *rq, int fd, size_t size, usec_t modified, const char *content_type,
	       struct str etag)
{
	enum range range = RANGE_NONE;
	uint64_t from = 0, len = size;
	struct str asked = request_header(rq, STR("range"));

	if (reply_is_set(rq))
		return reply_file_part(rq, 200, fd, 0, 0, content_type); /* closes it */
	put_validators(rq, modified, etag);
	if (is_known(rq, etag, modified)) {
		int r = reply_file_part(rq, 304, fd, 0, 0, content_type);

		rq->_reply->type = STR_NULL;
		return r;
	}
	reply_header(rq, STR("Accept-Ranges"), STR("bytes"));
	if (!str_is_null(asked) && rq->method == HTTP_GET && range_is_for_this(rq, etag, modified))
		range = read_range(asked, size, &from, &len);
	return reply_part(rq, fd, size, content_type, range, from, len);
}

/* Whatever keeps a file from being opened, a stranger hears that it is not there. */
static bool is_absence(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -EINVAL || error == -EXDEV ||
	       error == -ELOOP || error == -EACCES || error == -ENAMETOOLONG || error == -ENXIO;
}

static int serve(struct request *rq)
{
	const struct folder *folder = rq->route->about;
	struct str path = rq->parameters[0], etag;
	struct storage_file file;
	int r = storage_open(&folder->storage, path, &file);

	if (r < 0)
		return is_absence(r) ? reply_page(rq, 404) : r;
	etag = arena_printf(&rq->arena, "\"%llx-%llx\"", (unsigned long long) file.modified,
			    (unsigned long long) file.size);
	r = reply_file(rq, file.fd, file.size, file.modified, type_of(folder, path), etag);
	if (r < 0)
		return r;
	rq->_reply->dress = DRESS_FILE;
	return 0;
}

static void add_folder(struct route_table *t, const char *prefix, const char *path, bool is_own)
{
	struct folder *f = route_table_keep(t, sizeof(*f));

	f->storage.root = path;
	f->is_own = is_own;
	f->route = (struct route){
		.mount = ROUTE_ROOT,
		.method = HTTP_GET,
		.pattern = prefix,
		.handle = serve,
		.permit = permit_anyone,
		.name = is_own ? "assets" : "media",
		.flags = ROUTE_NO_AUTHENTICATION | ROUTE_NO_NEGOTIATION,
		.about = f,
	};
	route_table_add_prefix(t, prefix, &f->route);
}

void route_table_add_media(struct route_table *t, const char *prefix, const char *folder)
{
	add_folder(t, prefix, folder, false);
}

void route_table_add_assets(struct route_table *t, const char *prefix, const char *folder)
{
	add_folder(t, prefix, folder, true);
}
