/*
 * What happens to an answer while its fiber still runs: indentation, compression, Server-Timing, the
 * warning about too many statements.
 *
 * Compression is GZipMiddleware's, with a table of codings: bodies of text above a floor, `Vary:
 * Accept-Encoding` whether or not the client takes one, a strong ETag made weak.  Files are left
 * alone: pictures are compressed already, and ranges are of the bytes as they are.  The fiber gives
 * way after each piece, so that a long list does not hold up the loop.  A random number of bytes that
 * mean nothing goes with it (gzip's file name, zstd's skippable frame), which makes the length of
 * what an attacker can have echoed beside a secret useless (BREACH, "Heal the Breach").
 */
#include "http/internal.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/error.h"
#include "base/world.h"
#include "http/media_type.h"

#define COMPRESS_FROM  KIB
#define COMPRESS_PIECE (64 * KIB)
#define GZIP_LEVEL     6
#define ZSTD_LEVEL     3
/* RFC 9659: no decoder need take more than 8 MiB (23); a window of 1 MiB does for what we send. */
#define ZSTD_WINDOW    20
#define PADDING_MOST   100

/* What the client asked to have indented. */
static void indent(struct request *rq)
{
	struct reply *reply = rq->_reply;
	struct buf b = BUF_INIT;
	size_t len;
	char *at;

	json_indent(&b, reply->body, rq->_indent);
	at = buf_detach(&b, &len);
	arena_defer(&rq->arena, free, at);
	reply->body = str_make(at, len);
}

/* --- compression --- */

static size_t padding(char to[PADDING_MOST])
{
	uint8_t random[PADDING_MOST + 1];

	random_bytes(random, sizeof(random));
	for (size_t i = 0; i < PADDING_MOST; i++)
		to[i] = (char) ('a' + random[i] % 26);
	return random[PADDING_MOST] % PADDING_MOST;
}

static int gzip_pieces(z_stream *z, struct str body, struct buf *out)
{
	int r = 0;

	for (size_t at = 0; at < body.len && r == 0; at += COMPRESS_PIECE) {
		struct str piece = str_slice(body, at, at + COMPRESS_PIECE);
		bool is_last = at + piece.len == body.len;

		/* zlib does not write to it, but says so only where ZLIB_CONST is set. */
		z->next_in = (Bytef *) piece.at;
		z->avail_in = (uInt) piece.len;
		do {
			buf_reserve(out, 16 * KIB);
			z->next_out = (Bytef *) out->at + out->len;
			z->avail_out = 16 * KIB;
			must(deflate(z, is_last ? Z_FINISH : Z_NO_FLUSH) != Z_STREAM_ERROR);
			out->len += 16 * KIB - z->avail_out;
		} while (z->avail_out == 0);
		if (!is_last)
			r = fiber_yield();
	}
	return r;
}

static int gzip(struct str body, struct buf *out)
{
	char name[PADDING_MOST];
	gz_header head = { .os = 255, .name = (Bytef *) name };
	z_stream z = { 0 };
	int r;

	name[padding(name)] = '\0';
	must(deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	must(deflateSetHeader(&z, &head) == Z_OK);
	r = gzip_pieces(&z, body, out);
	(void) deflateEnd(&z); /* complains of what was not finished */
	return r;
}

static int zstd_pieces(ZSTD_CCtx *context, struct str body, struct buf *out)
{
	int r = 0;

	for (size_t at = 0; at < body.len && r == 0; at += COMPRESS_PIECE) {
		struct str piece = str_slice(body, at, at + COMPRESS_PIECE);
		bool is_last = at + piece.len == body.len;
		ZSTD_inBuffer in = { piece.at, piece.len, 0 };
		size_t left;

		do {
			ZSTD_outBuffer to;

			buf_reserve(out, 16 * KIB);
			to = (ZSTD_outBuffer){ out->at + out->len, 16 * KIB, 0 };
			left = ZSTD_compressStream2(context, &to, &in,
						    is_last ? ZSTD_e_end : ZSTD_e_continue);
			must(!ZSTD_isError(left));
			out->len += to.pos;
		} while (is_last ? left > 0 : in.pos < in.size);
		if (!is_last)
			r = fiber_yield();
	}
	return r;
}

/* RFC 8878 §3.1.2: magic number, length, bytes that a decoder passes over. */
static void add_skippable(struct buf *out)
{
	char bytes[PADDING_MOST];
	size_t len = padding(bytes);
	const char head[] = { 0x50, 0x2a, 0x4d, 0x18, (char) len, 0, 0, 0 };

	buf_add(out, head, sizeof(head));
	buf_add(out, bytes, len);
}

static int zstd(struct str body, struct buf *out)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	int r;

	must(context != NULL);
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, ZSTD_WINDOW);
	r = zstd_pieces(context, body, out);
	ZSTD_freeCCtx(context);
	if (r == 0)
		add_skippable(out);
	return r;
}

/* Best first. */
static const struct coding {
	struct str name;
	int (*run)(struct str body, struct buf *out) may_yield;
} codings[] = {
	{ STR_INIT("zstd"), zstd },
	{ STR_INIT("gzip"), gzip },
};

static bool is_zero(struct str q)
{
	double value;

	return !str_is_null(q) && str_to_double(str_trim(q), &value) == 0 && value <= 0;
}

/* Named in Accept-Encoding, and not with q=0 (RFC 9110 §12.5.3); "*" is not taken as a wish. */
static bool accepts(struct request *rq, struct str coding)
{
	struct str rest = request_header(rq, STR("accept-encoding")), item, name;

	while (str_cut(&rest, ',', &item)) {
		str_cut(&item, ';', &name);
		if (str_eq_nocase(str_trim(name), coding))
			return !is_zero(parameter_find(&rq->arena, item, STR("q")));
	}
	return false;
}

static const struct coding *choose(struct request *rq)
{
	for (size_t i = 0; i < ARRAY_SIZE(codings); i++)
		if (accepts(rq, codings[i].name))
			return &codings[i];
	return NULL;
}

static struct str own_header(const struct reply *reply, struct str name)
{
	for (size_t i = 0; i < reply->header_count; i++)
		if (str_eq_nocase(reply->headers[i].name, name))
			return reply->headers[i].value;
	return STR_NULL;
}

static bool is_compressible(const struct reply *reply)
{
	return reply->kind == REPLY_BODY && reply->body.len >= COMPRESS_FROM &&
	       (str_starts(reply->type, STR("text/")) ||
		str_starts(reply->type, STR("application/json"))) &&
	       str_is_null(own_header(reply, STR("content-encoding")));
}

static void mark(struct request *rq, const struct coding *coding)
{
	struct str etag = own_header(rq->_reply, STR("etag"));

	reply_header(rq, STR("Content-Encoding"), coding->name);
	if (str_starts(etag, STR("\"")))
		reply_header(rq, STR("ETag"), arena_printf(&rq->arena, "W/%.*s", STR_ARG(etag)));
}

static void compress_body(struct request *rq)
{
	struct reply *reply = rq->_reply;
	struct str vary = own_header(reply, STR("vary"));
	const struct coding *coding;
	struct buf out = BUF_INIT;
	size_t len;
	char *at;

	if (!is_compressible(reply))
		return;
	reply_header(rq, STR("Vary"),
		     str_is_null(vary)
			     ? STR("Accept-Encoding")
			     : arena_printf(&rq->arena, "%.*s, Accept-Encoding", STR_ARG(vary)));
	coding = choose(rq);
	if (coding == NULL)
		return;
	/* Who is cancelled or out of time sends it as it is; so does whom it does not help. */
	if (coding->run(reply->body, &out) < 0 || out.len >= reply->body.len) {
		buf_fini(&out);
		return;
	}
	at = buf_detach(&out, &len);
	arena_defer(&rq->arena, free, at);
	reply->body = str_make(at, len);
	mark(rq, coding);
}

/* --- what it has cost --- */

static double in_ms(usec_t t)
{
	return (double) t / (double) MSEC;
}

/* W3C Server Timing; browsers show it beside the request. */
static void tell_timing(struct request *rq)
{
	const struct fiber_tally *sql = fiber_tally(fiber_current(), TALLY_DATABASE);
	const struct fiber_tally *redis = fiber_tally(fiber_current(), TALLY_REDIS);

	reply_header(rq, STR("Server-Timing"),
		     arena_printf(&rq->arena,
				  "total;dur=%.3f, db;dur=%.3f;desc=\"%u statements\", "
				  "redis;dur=%.3f;desc=\"%u commands\"",
				  in_ms(now_monotonic() - rq->started), in_ms(sql->waited),
				  sql->count, in_ms(redis->waited), redis->count));
}

/* A list that asks once per row (N+1) is found here, not by its users. */
static void warn_of_statements(struct request *rq)
{
	unsigned count = fiber_tally(fiber_current(), TALLY_DATABASE)->count;
	unsigned most = rq->server->options.statements_most;

	if (most > 0 && count > most)
		log_event(LOG_WARN, "a request with many statements",
			  LOG_STR("route", str_c(rq->view->first->name)),
			  LOG_INT("statements", count), LOG_INT("most", most));
}

void reply_finish(struct request *rq)
{
	const struct http_options *o = &rq->server->options;

	if (rq->_reply->is_json && rq->_indent > 0)
		indent(rq);
	if (o->compress)
		compress_body(rq);
	if (o->server_timing)
		tell_timing(rq);
	warn_of_statements(rq);
}
