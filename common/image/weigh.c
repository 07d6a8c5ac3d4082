#include "image/weigh.h"

#include <zlib.h>

#include "base/error.h"
#include "image/probe.h"

static unsigned char byte_at(struct str s, size_t at)
{
	return (unsigned char) s.at[at];
}

static unsigned le16(struct str s, size_t at)
{
	return byte_at(s, at) | (unsigned) byte_at(s, at + 1) << 8;
}

static unsigned le24(struct str s, size_t at)
{
	return le16(s, at) | (unsigned) byte_at(s, at + 2) << 16;
}

static unsigned le32(struct str s, size_t at)
{
	return le24(s, at) | (unsigned) byte_at(s, at + 3) << 24;
}

static unsigned be32(struct str s, size_t at)
{
	return (unsigned) byte_at(s, at) << 24 | (unsigned) byte_at(s, at + 1) << 16 |
	       (unsigned) byte_at(s, at + 2) << 8 | byte_at(s, at + 3);
}

struct frames {
	unsigned count;
	uint64_t area;
};

static int add_frame(struct frames *f, unsigned width, unsigned height)
{
	f->count++;
	f->area += (uint64_t) width * height;
	if (f->count > IMAGE_FRAMES_MOST)
		return fail(-E_BAD_IMAGE, "Invalid image file: more than %d frames",
			    IMAGE_FRAMES_MOST);
	/* One frame may be as large as it likes: image_check has judged it. */
	if (f->count > 1 && f->area > IMAGE_FRAME_AREA_MOST)
		return fail(-E_BAD_IMAGE,
			    "Invalid image file: the frames have more than %d megapixels",
			    (int) (IMAGE_FRAME_AREA_MOST / 1000000));
	return 0;
}

/* RIFF: a header of 12, then chunks: four letters, length, data, padded to even.  An ANMF's data begins
 * with x, y, width - 1 and height - 1 of three bytes each. */
static int weigh_webp(struct str s)
{
	struct frames frames = { 0 };
	size_t at = 12;
	int r = 0;

	while (r == 0 && s.len - at >= 8) {
		size_t length = le32(s, at + 4);

		if (length > s.len - at - 8)
			break;
		if (length >= 12 && memcmp(s.at + at, "ANMF", 4) == 0)
			r = add_frame(&frames, le24(s, at + 14) + 1, le24(s, at + 17) + 1);
		at += MIN(8 + length + (length & 1), s.len - at);
	}
	return r;
}

/* Past a run of sub-blocks, each with its length in front; the empty one ends it. */
static size_t skip_sub_blocks(struct str s, size_t at)
{
	while (at < s.len && byte_at(s, at) != 0)
		at += 1 + (size_t) byte_at(s, at);
	return at + 1;
}

static size_t colour_table(unsigned char flags)
{
	return (flags & 0x80) != 0 ? (size_t) 3 << ((flags & 7) + 1) : 0;
}

static int weigh_gif(struct str s)
{
	struct frames frames = { 0 };
	size_t at = 13 + colour_table(byte_at(s, 10));
	int r = 0;

	while (r == 0 && at < s.len) {
		switch (byte_at(s, at)) {
		case 0x21: /* extension: label, sub-blocks */
			at = skip_sub_blocks(s, at + 2);
			break;
		case 0x2c: /* image: left, top, width, height, flags; table; code size; sub-blocks */
			if (s.len - at < 11)
				return 0;
			r = add_frame(&frames, le16(s, at + 5), le16(s, at + 7));
			at = skip_sub_blocks(s, at + 11 + colour_table(byte_at(s, at + 9)));
			break;
		default: /* the trailer, or nothing that GIF knows */
			return 0;
		}
	}
	return r;
}

/* Adds to *total what a zlib stream inflates to, as far as it goes. */
static int weigh_stream(struct str stream, size_t *total)
{
	unsigned char thrown_away[2048];
	z_stream z = { .next_in = (unsigned char *) stream.at, .avail_in = (unsigned) stream.len };
	int state = Z_OK;

	must(inflateInit(&z) == Z_OK); /* fails for want of memory only */
	while (state == Z_OK && *total <= IMAGE_TEXT_MOST) {
		z.next_out = thrown_away;
		z.avail_out = sizeof(thrown_away);
		state = inflate(&z, Z_NO_FLUSH);
		*total += sizeof(thrown_away) - z.avail_out;
	}
	(void) inflateEnd(&z);
	if (*total > IMAGE_TEXT_MOST)
		return fail(-E_BAD_IMAGE, "Invalid image file: texts of more than %d megabytes",
			    (int) (IMAGE_TEXT_MOST / MIB));
	return 0;
}

static struct str after_nul(struct str s)
{
	struct str word;

	(void) str_cut(&s, '\0', &word);
	return s;
}

/* Where the compressed part of such a chunk begins; empty if it has none. */
static struct str stream_of_text(struct str data) /* keyword NUL method */
{
	struct str rest = after_nul(data);

	return str_slice(rest, MIN((size_t) 1, rest.len), rest.len);
}

static struct str stream_of_international_text(struct str data)
{
	struct str rest = after_nul(data); /* keyword NUL flag method language NUL translated NUL */

	if (rest.len < 2 || rest.at[0] == 0)
		return STR("");
	return after_nul(after_nul(str_slice(rest, 2, rest.len)));
}

static int weigh_png(struct str s)
{
	static const struct {
		const char *type;
		struct str (*stream)(struct str);
	} texts[] = {
		{ "zTXt", stream_of_text },
		{ "iCCP", stream_of_text },
		{ "iTXt", stream_of_international_text },
	};
	size_t at = 8, total = 0;
	int r = 0;

	while (r == 0 && s.len - at >= 12) { /* length, type, data, CRC */
		size_t length = be32(s, at);
		struct str data;

		if (length > s.len - at - 12)
			break;
		data = str_slice(s, at + 8, at + 8 + length);
		for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
			if (memcmp(s.at + at + 4, texts[i].type, 4) == 0)
				r = weigh_stream(texts[i].stream(data), &total);
		at += 12 + length;
	}
	return r;
}

int image_weigh(struct str bytes)
{
	static int (*const by_format[])(struct str) = {
		[IMAGE_PNG] = weigh_png,
		[IMAGE_WEBP] = weigh_webp,
		[IMAGE_GIF] = weigh_gif,
	};
	enum image_format format = image_probe(bytes).format;

	if ((size_t) format >= ARRAY_SIZE(by_format) || by_format[format] == NULL)
		return 0;
	return by_format[format](bytes);
}
