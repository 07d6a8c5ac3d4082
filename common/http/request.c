#include "http/internal.h"

#include "base/codec.h"
#include "base/settings.h"
#include "coord/replica.h"

/* No address is as long; a whole X-Forwarded-For, where that is asked for, is cut. */
#define CLIENT_MOST 256

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

/* All of the header's lines as one, as WSGI servers join them: a client's own line must not stand
 * before what a proxy has added. */
static struct str forwarded_for(struct request *rq)
{
	struct str all = STR_NULL;

	for (size_t i = 0; i < rq->header_count; i++) {
		struct str value = rq->headers[i].value;

		if (!str_eq(rq->headers[i].name, STR("x-forwarded-for")))
			continue;
		all = str_is_null(all)
			      ? value
			      : arena_printf(&rq->arena, "%.*s,%.*s", STR_ARG(all), STR_ARG(value));
	}
	return all;
}

/* The n-th item from the right; the first one if there are fewer. */
static struct str item_from_right(struct str items, int64_t n)
{
	size_t end = items.len, at = items.len;

	while (at > 0) {
		at--;
		if (items.at[at] != ',')
			continue;
		if (--n == 0)
			return str_trim(str_slice(items, at + 1, end));
		end = at;
	}
	return str_trim(str_slice(items, 0, end));
}

static struct str without_spaces(struct arena *arena, struct str text)
{
	char *to = arena_alloc(arena, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] != ' ' && text.at[i] != '\t')
			to[len++] = text.at[i];
	return str_make(to, len);
}

struct str request_client(struct request *rq)
{
	struct str items, client;

	if (settings.num_proxies == 0)
		return rq->peer;
	items = forwarded_for(rq);
	if (str_is_null(items))
		return rq->peer;
	client = settings.num_proxies < 0 ? without_spaces(&rq->arena, items)
					  : item_from_right(items, settings.num_proxies);
	return client.len == 0 ? rq->peer : str_slice(client, 0, CLIENT_MOST);
}

struct str request_owner(struct request *rq)
{
	if (rq->caller != NULL)
		return rq->server->options.caller_key(rq);
	return arena_printf(&rq->arena, "ip:%.*s", STR_ARG(request_client(rq)));
}

bool request_is_safe(const struct request *rq)
{
	return rq->method == HTTP_GET || rq->method == HTTP_HEAD || rq->method == HTTP_OPTIONS;
}

/* The account, and the address too: who has just registered writes as the one and reads as the other. */
static size_t names_of(struct request *rq, struct str names[REPLICA_NAMES])
{
	size_t count = 0;

	names[count++] = arena_printf(&rq->arena, "ip:%.*s", STR_ARG(request_client(rq)));
	if (rq->caller != NULL)
		names[count++] = request_owner(rq);
	return count;
}

struct db *request_reader(struct request *rq)
{
	struct str names[REPLICA_NAMES];

	if (rq->_reader == NULL && rq->thread->replica != NULL && request_is_safe(rq))
		rq->_reader = replica_reader(rq->thread->replica, &rq->arena, names,
					     names_of(rq, names));
	return rq->_reader != NULL ? rq->_reader : rq->thread->db;
}

void request_read_primary(struct request *rq)
{
	rq->_reader = rq->thread->db;
}

bool request_left_standby(struct request *rq)
{
	bool was_there = rq->_reader != NULL && rq->_reader != rq->thread->db;

	if (was_there) {
		request_read_primary(rq);
		reply_reset(rq);
	}
	return was_there;
}

void request_wrote(struct request *rq)
{
	struct str names[REPLICA_NAMES];

	if (rq->thread->replica != NULL)
		replica_wrote(rq->thread->replica, &rq->arena, names, names_of(rq, names));
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
		/* A name that is longer raw may be the same decoded; a shorter one cannot, and one as
		 * long only by a plus, which is a space. */
		if (n.len < name.len ||
		    (n.len == name.len && !str_eq(n, name) && str_find_char(n, '+') < 0))
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
