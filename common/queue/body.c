#include "queue/body.h"

#include <bzlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/codec.h"
#include "base/error.h"

#define DEPTH_MOST 200

static int inflate_zlib(struct arena *arena, struct str packed, struct str *ret)
{
	/* The size is not told: grows until it fits.  Old pieces stay in the arena, at most as much
	 * again. */
	for (size_t room = MAX(packed.len * 4, 4 * KIB);; room *= 4) {
		char *to = arena_alloc(arena, MIN(room, BODY_MOST));
		uLongf len = MIN(room, BODY_MOST);
		int z = uncompress((Bytef *) to, &len, (const Bytef *) packed.at,
				   (uLong) packed.len);

		if (z == Z_OK) {
			*ret = str_make(to, len);
			return 0;
		}
		if (z != Z_BUF_ERROR)
			return fail(-EINVAL, "the compressed body is damaged");
		if (room >= BODY_MOST)
			return fail(-EINVAL, "the body is damaged or larger than %zu MiB",
				    BODY_MOST / MIB);
	}
}

static int inflate_bz2(struct arena *arena, struct str packed, struct str *ret)
{
	bz_stream z = { .next_in = (char *) packed.at, .avail_in = (unsigned) packed.len };
	size_t room = MIN(MAX(packed.len * 4, 4 * KIB), BODY_MOST), len = 0;
	char *to = arena_alloc(arena, room);
	int r = BZ2_bzDecompressInit(&z, 0, 0);

	must(r == BZ_OK); /* else out of memory */
	while (r == BZ_OK) {
		if (len == room && room < BODY_MOST) { /* as with zlib: the old piece stays */
			char *more = arena_alloc(arena, MIN(room * 4, BODY_MOST));

			memcpy(more, to, len);
			room = MIN(room * 4, BODY_MOST);
			to = more;
		}
		z.next_out = to + len;
		z.avail_out = (unsigned) (room - len);
		r = BZ2_bzDecompress(&z);
		/* Torn input, or no room left to go on in. */
		if (r == BZ_OK && z.avail_out == room - len && (z.avail_in == 0 || len == room))
			r = BZ_UNEXPECTED_EOF;
		len = room - z.avail_out;
	}
	(void) BZ2_bzDecompressEnd(&z);
	if (r != BZ_STREAM_END)
		return len == BODY_MOST
			       ? fail(-EINVAL, "the body is damaged or larger than %zu MiB",
				      BODY_MOST / MIB)
			       : fail(-EINVAL, "the compressed body is damaged");
	*ret = str_make(to, len);
	return 0;
}

static int inflate_zstd(struct arena *arena, struct str packed, struct str *ret)
{
	unsigned long long size = ZSTD_getFrameContentSize(packed.at, packed.len);
	size_t room = size > BODY_MOST ? BODY_MOST : (size_t) size; /* unknown and error are huge */
	char *to;

	if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > BODY_MOST)
		return fail(-EINVAL, "the body is damaged or larger than %zu MiB", BODY_MOST / MIB);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN)
		room = MIN(BODY_MOST, packed.len * 64 + 4 * KIB);
	to = arena_alloc(arena, room + 1);
	room = ZSTD_decompress(to, room + 1, packed.at, packed.len);
	if (ZSTD_isError(room))
		return fail(-EINVAL, "the compressed body: %s", ZSTD_getErrorName(room));
	*ret = str_make(to, room);
	return 0;
}

static const struct {
	const char *name;
	int (*inflate)(struct arena *, struct str, struct str *);
} compressions[] = {
	{ "application/x-gzip", inflate_zlib },
	{ "application/x-bz2", inflate_bz2 },
	{ "application/zstd", inflate_zstd },
};

int body_decompress(struct arena *arena, struct str name, struct str packed, struct str *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(compressions); i++)
		if (str_eq_c(name, compressions[i].name))
			return compressions[i].inflate(arena, packed, ret);
	return fail(-EINVAL, "compression %.*s is not known here", STR_ARG(str_slice(name, 0, 80)));
}

int body_text(struct arena *arena, const struct message *m, struct str *ret)
{
	struct str text = message_text(arena, m, MESSAGE_BODY);
	struct str type = message_text(arena, m, MESSAGE_CONTENT_TYPE);
	struct str compression = message_text(arena, m, MESSAGE_COMPRESSION);

	if (str_is_null(text))
		return fail(-EINVAL, "the envelope has no body");
	if (!str_is_null(type) && !str_eq(type, STR("application/json")))
		return fail(-EINVAL, "content type %.*s is not accepted",
			    STR_ARG(str_slice(type, 0, 80)));
	if (str_eq(m->text[MESSAGE_BODY_ENCODING], STR("base64"))) {
		char *to = arena_alloc(arena, text.len / 4 * 3 + 3);
		size_t len;

		if (base64_decode(text, to, &len) < 0)
			return fail(-EINVAL, "the body is no base64");
		text = str_make(to, len);
	}
	if (!str_is_null(compression))
		return body_decompress(arena, compression, text, ret);
	*ret = text;
	return 0;
}

/* A list of signatures; Celery also writes a single one without the brackets. */
static int read_list(struct arena *arena, const struct json *embed, struct str name,
		     const struct json **ret)
{
	const struct json *v = json_get(embed, name);
	struct json *list;

	if (v == NULL || v->type == JSON_NULL ||
	    (v->count == 0 && (v->type == JSON_ARRAY || v->type == JSON_OBJECT)))
		return 0;
	if (v->type == JSON_OBJECT) {
		list = arena_new(arena, struct json);
		*list = (struct json){ .type = JSON_ARRAY, .count = 1 };
		list->first = arena_new(arena, struct json);
		*list->first = *v;
		list->first->next = NULL;
		v = list;
	}
	if (v->type != JSON_ARRAY)
		return fail(-EINVAL, "\"%.*s\" in the body is no list of signatures",
			    STR_ARG(name));
	*ret = v;
	return 0;
}

static int read_embed(struct arena *arena, const struct json *embed, struct body_embed *ret)
{
	const struct json *chord;
	int r;

	if (embed->type == JSON_NULL)
		return 0;
	if (embed->type != JSON_OBJECT)
		return fail(-EINVAL, "the body's third element is no object");
	r = read_list(arena, embed, STR("callbacks"), &ret->callbacks);
	if (r == 0)
		r = read_list(arena, embed, STR("errbacks"), &ret->errbacks);
	if (r == 0)
		r = read_list(arena, embed, STR("chain"), &ret->chain);
	if (r < 0)
		return r;
	chord = json_get(embed, STR("chord"));
	if (chord == NULL || chord->type == JSON_NULL)
		return 0;
	if (chord->type != JSON_OBJECT)
		return fail(-EINVAL, "\"chord\" in the body is no signature");
	ret->chord = chord;
	return 0;
}

int body_parse(struct arena *arena, struct str text, struct body *ret)
{
	struct body body;
	struct json *tree;
	struct json_error e;
	int r = json_parse(arena, text, JSON_PYTHON, DEPTH_MOST, &tree, &e);

	if (r < 0)
		return fail(-EINVAL, "the body is no JSON: %s", e.sentence);
	if (tree->type != JSON_ARRAY || tree->count != 3)
		return fail(-EINVAL, "the body is no array of three");
	if (tree->first->type != JSON_ARRAY)
		return fail(-EINVAL, "the body's first element is no array");
	if (tree->first->next->type != JSON_OBJECT)
		return fail(-EINVAL, "the body's second element is no object");
	body = (struct body){ .args = tree->first, .kwargs = tree->first->next };
	r = read_embed(arena, tree->first->next->next, &body.embed);
	if (r < 0)
		return r;
	body.has_embed = body.embed.callbacks != NULL || body.embed.errbacks != NULL ||
			 body.embed.chain != NULL || body.embed.chord != NULL;
	*ret = body;
	return 0;
}

int body_of_note(struct arena *arena, struct str raw, struct json **ret_envelope,
		 struct json **ret_body)
{
	struct message m = { 0 };
	struct json_error error;
	struct json *envelope;
	struct str text;
	int r;

	if (json_parse(arena, raw, JSON_PYTHON, DEPTH_MOST, &envelope, &error) < 0)
		return fail(-EINVAL, "%s", error.sentence);
	const struct {
		const struct json *value;
		enum message_field field;
	} texts[] = {
		{ json_get(envelope, STR("body")), MESSAGE_BODY },
		{ json_get(envelope, STR("content-type")), MESSAGE_CONTENT_TYPE },
		{ json_get(json_get(envelope, STR("properties")), STR("body_encoding")),
		  MESSAGE_BODY_ENCODING },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].value != NULL && texts[i].value->type == JSON_STRING)
			m.text[texts[i].field] = json_text(arena, texts[i].value);
	r = body_text(arena, &m, &text);
	if (r < 0)
		return r;
	if (json_parse(arena, text, JSON_PYTHON, DEPTH_MOST, ret_body, &error) < 0)
		return fail(-EINVAL, "%s", error.sentence);
	*ret_envelope = envelope;
	return 0;
}
