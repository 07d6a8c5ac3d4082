#include "image/probe.h"

#include "base/error.h"

static unsigned be16(const char *at)
{
	const unsigned char *u = (const unsigned char *) at;

	return (unsigned) u[0] << 8 | u[1];
}

static unsigned be32(const char *at)
{
	return be16(at) << 16 | be16(at + 2);
}

static unsigned le16(const char *at)
{
	const unsigned char *u = (const unsigned char *) at;

	return (unsigned) u[1] << 8 | u[0];
}

static unsigned le24(const char *at)
{
	return (unsigned) (unsigned char) at[2] << 16 | le16(at);
}

/* Start Of Frame markers: C0..CF without DHT (C4), JPG (C8) and DAC (CC). */
static bool is_start_of_frame(unsigned marker)
{
	return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
	       marker != 0xcc;
}

/* Down to the end of the first scan's head: a file that is cut off before it holds no picture. */
static bool read_jpeg(struct str s, struct image_header *h)
{
	bool has_frame = false;
	size_t at = 2;

	while (at + 4 <= s.len) {
		unsigned marker = (unsigned char) s.at[at + 1];

		if ((unsigned char) s.at[at] != 0xff)
			return false;
		if (marker == 0xff) { /* fill byte */
			at++;
			continue;
		}
		if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) { /* no length */
			at += 2;
			continue;
		}
		if (is_start_of_frame(marker)) {
			if (at + 9 > s.len)
				return false;
			h->height = be16(s.at + at + 5);
			h->width = be16(s.at + at + 7);
			has_frame = true;
		}
		unsigned length = be16(s.at + at + 2);
		if (length < 2 || marker == 0xd9)
			return false;
		at += 2 + length;
		if (marker == 0xda)
			return has_frame && at <= s.len;
	}
	return false;
}

static bool read_png(struct str s, struct image_header *h)
{
	if (s.len < 33 || be32(s.at + 8) != 13 || memcmp(s.at + 12, "IHDR", 4) != 0)
		return false;
	h->width = be32(s.at + 16);
	h->height = be32(s.at + 20);
	return true;
}

static bool read_gif(struct str s, struct image_header *h)
{
	if (s.len < 13)
		return false;
	h->width = le16(s.at + 6);
	h->height = le16(s.at + 8);
	return true;
}

static bool read_webp(struct str s, struct image_header *h)
{
	if (s.len < 30)
		return false;
	const char *chunk = s.at + 12;
	if (memcmp(chunk, "VP8X", 4) == 0) {
		h->width = le24(s.at + 24) + 1;
		h->height = le24(s.at + 27) + 1;
		return true;
	}
	if (memcmp(chunk, "VP8 ", 4) == 0) {
		if (memcmp(s.at + 23, "\x9d\x01\x2a", 3) != 0)
			return false;
		h->width = le16(s.at + 26) & 0x3fff;
		h->height = le16(s.at + 28) & 0x3fff;
		return true;
	}
	if (memcmp(chunk, "VP8L", 4) == 0) {
		if (s.at[20] != 0x2f)
			return false;
		h->width = (le16(s.at + 21) & 0x3fff) + 1;
		h->height = (le24(s.at + 22) >> 6 & 0x3fff) + 1;
		return true;
	}
	return false;
}

/* clang-format off */
static const struct magic {
	enum image_format format;
	const char *name;
	size_t offset;
	struct str bytes;
	size_t offset2;      /* a second piece, where one is not enough */
	struct str bytes2;
	bool (*read)(struct str, struct image_header *);
} magics[] = {
	{ IMAGE_JPEG,    "JPEG",     0, STR_INIT("\xff\xd8\xff"),             0, STR_INIT(""),     read_jpeg },
	{ IMAGE_PNG,     "PNG",      0, STR_INIT("\x89PNG\r\n\x1a\n"),        0, STR_INIT(""),     read_png },
	{ IMAGE_GIF,     "GIF",      0, STR_INIT("GIF87a"),                   0, STR_INIT(""),     read_gif },
	{ IMAGE_GIF,     "GIF",      0, STR_INIT("GIF89a"),                   0, STR_INIT(""),     read_gif },
	{ IMAGE_WEBP,    "WEBP",     0, STR_INIT("RIFF"),                     8, STR_INIT("WEBP"), read_webp },
	{ IMAGE_REFUSED, "BMP",      0, STR_INIT("BM"),                       6, STR_INIT("\0\0\0\0"), NULL },
	{ IMAGE_REFUSED, "TIFF",     0, STR_INIT("II*\0"),                    0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "TIFF",     0, STR_INIT("MM\0*"),                    0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "ICO",      0, STR_INIT("\0\0\1\0"),                 0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "CUR",      0, STR_INIT("\0\0\2\0"),                 0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "PSD",      0, STR_INIT("8BPS"),                     0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "JPEG2000", 0, STR_INIT("\0\0\0\x0cjP  \r\n\x87\n"), 0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "JPEG2000", 0, STR_INIT("\xff\x4f\xff\x51"),         0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "AVIF",     4, STR_INIT("ftypavif"),                 0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "PPM",      0, STR_INIT("P6\n"),                     0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "PPM",      0, STR_INIT("P5\n"),                     0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "PPM",      0, STR_INIT("P4\n"),                     0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "PCX",      0, STR_INIT("\x0a\x05\x01"),             0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "DDS",      0, STR_INIT("DDS "),                     0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "ICNS",     0, STR_INIT("icns"),                     0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "SGI",      0, STR_INIT("\x01\xda"),                 0, STR_INIT(""),     NULL },
	{ IMAGE_REFUSED, "QOI",      0, STR_INIT("qoif"),                     0, STR_INIT(""),     NULL },
};
/* clang-format on */

static bool stands_at(struct str s, size_t offset, struct str piece)
{
	return s.len >= offset + piece.len && memcmp(s.at + offset, piece.at, piece.len) == 0;
}

struct image_header image_probe(struct str bytes)
{
	const struct image_header unknown = { .format = IMAGE_UNKNOWN };

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		const struct magic *m = &magics[i];
		struct image_header header = { .format = m->format, .name = m->name };

		if (!stands_at(bytes, m->offset, m->bytes) ||
		    !stands_at(bytes, m->offset2, m->bytes2))
			continue;
		if (m->read != NULL &&
		    (!m->read(bytes, &header) || header.width == 0 || header.height == 0))
			return unknown;
		return header;
	}
	return unknown;
}

int image_check(struct str bytes, struct image_header *ret)
{
	struct image_header h;

	if (bytes.len > IMAGE_BYTES_MOST)
		return fail(-E_BAD_IMAGE, "Image file too large (maximum 10MB)");
	h = image_probe(bytes);
	if (h.format == IMAGE_UNKNOWN)
		return fail(-E_BAD_IMAGE, "Invalid image file: cannot identify image file");
	if (h.format == IMAGE_REFUSED)
		return fail(-E_BAD_IMAGE, "Invalid image file: unsupported format %s", h.name);
	if (h.width > IMAGE_SIDE_MOST || h.height > IMAGE_SIDE_MOST)
		return fail(-E_BAD_IMAGE, "Image dimensions too large (%ux%u). Maximum: %dx%d",
			    h.width, h.height, IMAGE_SIDE_MOST, IMAGE_SIDE_MOST);
	if (h.width < IMAGE_SIDE_LEAST || h.height < IMAGE_SIDE_LEAST)
		return fail(-E_BAD_IMAGE, "Image dimensions too small (%ux%u). Minimum: %dx%d",
			    h.width, h.height, IMAGE_SIDE_LEAST, IMAGE_SIDE_LEAST);
	*ret = h;
	return 0;
}
