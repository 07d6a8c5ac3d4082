#include "http/etag.h"

#include <openssl/evp.h>

#include "base/codec.h"
#include "base/error.h"
#include "http/internal.h"

/* W/"32 hexadecimal digits" */
static struct str make_etag(struct arena *arena, struct str body)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	must(EVP_Digest(body.at, body.len, digest, &len, EVP_sha256(), NULL) == 1);
	buf_add_c(&text, "W/\"");
	hex_encode(&text, str_make((const char *) digest, 16));
	buf_add_byte(&text, '"');
	return arena_str(arena, buf_str(&text));
}

static bool is_named(struct str list, struct str etag)
{
	struct str item;

	while (str_cut(&list, ',', &item)) {
		item = str_trim(item);
		if (str_eq(item, STR("*")) || str_eq(item, etag))
			return true;
		/* The comparison is weak: a strong one of the same text is as good. */
		if (str_eq(item, str_slice(etag, 2, etag.len)))
			return true;
	}
	return false;
}

void reply_etag(struct request *rq)
{
	struct str known = request_header(rq, STR("if-none-match")), etag;

	if (reply_status(rq) != 200 || str_is_null(reply_json_text(rq)) ||
	    (rq->method != HTTP_GET && rq->method != HTTP_HEAD))
		return;
	etag = make_etag(&rq->arena, reply_json_text(rq));
	if (!str_is_null(known) && is_named(known, etag)) {
		reply_reset(rq);
		must(reply_empty(rq, 304) == 0);
	}
	reply_header(rq, STR("ETag"), etag);
}

bool request_is_conditional(const struct request *rq)
{
	struct str wanted = request_header(rq, STR("if-match"));

	return !str_is_null(wanted) && !str_eq(str_trim(wanted), STR("*"));
}

int request_check_match(struct request *rq, struct str json)
{
	struct str wanted = request_header(rq, STR("if-match"));

	return is_named(wanted, make_etag(&rq->arena, json)) ? 0 : -E_PRECONDITION;
}
