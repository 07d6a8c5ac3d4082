#include <criterion/criterion.h>

#include "base/error.h"
#include "image/probe.h"

#define PNG_HEAD    "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
#define PNG_TAIL    "\x08\x02\0\0\0\0\0\0\0"
#define WEBP(chunk) "RIFF\x64\0\0\0WEBP" chunk "\x20\0\0\0"
#define FRAME       "\0\x11\x08\0\x64\0\xc8\x03nnnnnnnnn"
#define SCAN        "\xff\xda\0\x04zz"
#define PADDING     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

/* clang-format off */
static const struct {
	const char *what;
	struct str bytes;
	enum image_format format;
	const char *name;
	unsigned width, height;
} cases[] = {
	{ "a text",                 STR_INIT("hello, I am no picture"),                     IMAGE_UNKNOWN, NULL, 0, 0 },
	{ "nothing",                STR_INIT(""),                                           IMAGE_UNKNOWN, NULL, 0, 0 },
	{ "PNG",                    STR_INIT(PNG_HEAD "\0\0\x4e\x20\0\0\0\x64" PNG_TAIL),   IMAGE_PNG, "PNG", 20000, 100 },
	{ "PNG cut off",            STR_INIT(PNG_HEAD "\0\0\x4e"),                          IMAGE_UNKNOWN, NULL, 0, 0 },
	{ "PNG without width",      STR_INIT(PNG_HEAD "\0\0\0\0\0\0\0\x64" PNG_TAIL),       IMAGE_UNKNOWN, NULL, 0, 0 },
	{ "GIF",                    STR_INIT("GIF89a\x2c\x01\xc8\0\0\0\0"),                 IMAGE_GIF, "GIF", 300, 200 },
	{ "JPEG after a segment",   STR_INIT("\xff\xd8\xff\xe0\0\x04zz\xff\xc2" FRAME SCAN), IMAGE_JPEG, "JPEG", 200, 100 },
	{ "JPEG with fill bytes",   STR_INIT("\xff\xd8\xff\xff\xff\xc0" FRAME SCAN), IMAGE_JPEG, "JPEG", 200, 100 },
	{ "JPEG cut off in front of its scan", STR_INIT("\xff\xd8\xff\xc0" FRAME "\xff\xda\0\x04z"), IMAGE_UNKNOWN, NULL, 0, 0 },
	{ "JPEG cut off",           STR_INIT("\xff\xd8\xff\xe0\xff\xff"),                   IMAGE_UNKNOWN, NULL, 0, 0 },
	{ "JPEG, length of 1",      STR_INIT("\xff\xd8\xff\xe0\0\x01\xff\xc0" FRAME SCAN), IMAGE_UNKNOWN, NULL, 0, 0 },
	{ "WebP lossy",             STR_INIT(WEBP("VP8 ") "\0\0\0\x9d\x01\x2a\x2c\x01\xc8\0" PADDING), IMAGE_WEBP, "WEBP", 300, 200 },
	{ "WebP lossless",          STR_INIT(WEBP("VP8L") "\x2f\x2b\xc1\x31\0" PADDING),    IMAGE_WEBP, "WEBP", 300, 200 },
	{ "WebP extended",          STR_INIT(WEBP("VP8X") "\0\0\0\0\x2b\x01\0\xc7\0\0" PADDING), IMAGE_WEBP, "WEBP", 300, 200 },
	{ "BMP",                    STR_INIT("BM\x36\x10\0\0\0\0\0\0\x36\0\0\0"),           IMAGE_REFUSED, "BMP", 0, 0 },
	{ "TIFF",                   STR_INIT("II*\0\x08\0\0\0"),                            IMAGE_REFUSED, "TIFF", 0, 0 },
};
/* clang-format on */

Test(probe, knows_formats_and_sizes_by_the_header)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct image_header h = image_probe(cases[i].bytes);

		cr_expect_eq(h.format, cases[i].format, "%s: format %d", cases[i].what, h.format);
		cr_expect_eq(h.width, cases[i].width, "%s: width %u", cases[i].what, h.width);
		cr_expect_eq(h.height, cases[i].height, "%s: height %u", cases[i].what, h.height);
		if (cases[i].name != NULL)
			cr_expect_str_eq(h.name, cases[i].name, "%s", cases[i].what);
	}
}

/* No prefix of a picture may be read beyond its end: under ASan a heap copy of just that length
 * tells. */
Test(probe, reads_no_byte_behind_a_cut)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t len = 0; len < cases[i].bytes.len; len++) {
			char *copy = memcpy(malloc(len + (len == 0)), cases[i].bytes.at, len);

			(void) image_probe(str_make(copy, len));
			free(copy);
		}
	}
}

static void expect_refusal(struct str bytes, const char *words)
{
	struct image_header h;
	int r = image_check(bytes, &h);

	cr_expect_eq(r, -E_BAD_IMAGE);
	cr_expect_str_eq(fail_reason(r), words);
}

Test(probe, refuses_with_the_words_of_the_replaced_stack)
{
	struct image_header h;
	char *huge = calloc(1, IMAGE_BYTES_MOST + 1);

	expect_refusal(str_make(huge, IMAGE_BYTES_MOST + 1), "Image file too large (maximum 10MB)");
	expect_refusal(STR("hello"), "Invalid image file: cannot identify image file");
	expect_refusal(STR("BM\x36\x10\0\0\0\0\0\0\x36\0\0\0"),
		       "Invalid image file: unsupported format BMP");
	expect_refusal(STR(PNG_HEAD "\0\0\x23\x28\0\0\0\x64" PNG_TAIL),
		       "Image dimensions too large (9000x100). Maximum: 8000x8000");
	expect_refusal(STR(PNG_HEAD "\0\0\0\x32\0\0\0\x32" PNG_TAIL),
		       "Image dimensions too small (50x50). Minimum: 100x100");
	cr_expect_eq(image_check(STR(PNG_HEAD "\0\0\x1f\x40\0\0\0\x64" PNG_TAIL), &h), 0);
	free(huge);
}
