#include "http/request.h"

#include "base/codec.h"

const char *const http_method_names[HTTP_METHODS + 1] = {
	[HTTP_GET] = "GET",         [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
	[HTTP_PATCH] = "PATCH",     [HTTP_DELETE] = "DELETE", [HTTP_HEAD] = "HEAD",
	[HTTP_OPTIONS] = "OPTIONS", [HTTP_METHODS] = "other",
};

struct str request_header(const struct request *rq, struct str name)
{
	for (size_t i = 0; i < rq->header_count; i++)
		if (str_eq(rq->headers[i].name, name))
			return rq->headers[i].value;
	return STR_NULL;
}

/* The next "name=value" of the raw query, empty pieces passed over; without '=' the value is
 * empty. */
static bool next_raw(const struct request *rq, size_t *cursor, struct str *ret_name,
		     struct str *ret_value)
{
	while (*cursor < rq->raw_query.len) {
		struct str rest = str_slice(rq->raw_query, *cursor, rq->raw_query.len), piece;

		str_cut(&rest, '&', &piece);
		*cursor += piece.len + 1;
		if (piece.len == 0)
			continue;
		str_cut(&piece, '=', ret_name);
		*ret_value = str_is_null(piece) ? STR("") : piece;
		return true;
	}
	return false;
}

static struct str decode(struct request *rq, struct str raw)
{
	return utf8_repair(&rq->arena, percent_decode(&rq->arena, raw, true));
}

bool request_query_next(struct request *rq, size_t *cursor, struct form_field *ret)
{
	struct str name, value;

	if (!next_raw(rq, cursor, &name, &value))
		return false;
	ret->name = decode(rq, name);
	ret->value = decode(rq, value);
	return true;
}

struct str request_query(struct request *rq, struct str name)
{
	struct str n, value, found = STR_NULL;
	size_t cursor = 0;

	while (next_raw(rq, &cursor, &n, &value)) {
		/* A name that is longer raw may be the same decoded; a shorter one cannot. */
		if (n.len < name.len || (n.len == name.len && !str_eq(n, name)))
			continue;
		if (str_eq(decode(rq, n), name))
			found = value;
	}
	return str_is_null(found) ? found : decode(rq, found);
}

struct str request_absolute(struct request *rq, struct str path)
{
	size_t len = rq->scheme.len + STR("://").len + rq->host.len + path.len;
	char *to = arena_alloc(&rq->arena, len + 1), *at = to;

	at = mempcpy(at, rq->scheme.at, rq->scheme.len);
	at = mempcpy(at, "://", 3);
	at = mempcpy(at, rq->host.at, rq->host.len);
	at = mempcpy(at, path.at, path.len);
	*at = '\0';
	return str_make(to, len);
}
