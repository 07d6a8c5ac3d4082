#include <criterion/criterion.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "image/weigh.h"

static void add_number(struct buf *out, unsigned value, int bytes, bool is_big)
{
	for (int i = 0; i < bytes; i++)
		buf_add_byte(out, (char) (value >> 8 * (is_big ? bytes - 1 - i : i)));
}

static void make_webp(struct buf *out, unsigned frames, unsigned width, unsigned height)
{
	buf_add_str(out, STR("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0"));
	add_number(out, width - 1, 3, false);
	add_number(out, height - 1, 3, false);
	for (unsigned i = 0; i < frames; i++) {
		buf_add_str(out, STR("ANMF\x11\0\0\0\0\0\0\0\0\0")); /* 17 bytes: padded */
		add_number(out, width - 1, 3, false);
		add_number(out, height - 1, 3, false);
		buf_add_str(out, STR("\1\0\0\0?\0"));
	}
}

static void make_gif(struct buf *out, unsigned frames, unsigned width, unsigned height)
{
	buf_add_str(out, STR("GIF89a"));
	add_number(out, width, 2, false);
	add_number(out, height, 2, false);
	buf_add_str(out, STR("\x80\0\0......")); /* a global table of two colours */
	for (unsigned i = 0; i < frames; i++) {
		buf_add_str(out, STR("\x21\xf9\4\0\0\0\0\0\x2c\0\0\0\0"));
		add_number(out, width, 2, false);
		add_number(out, height, 2, false);
		buf_add_str(out, STR("\x81............\2\3abc\1d\0")); /* four colours of its own */
	}
	buf_add_byte(out, 0x3b);
}

static void add_chunk(struct buf *out, const char *type, struct str head, struct str text)
{
	uLongf len = compressBound(text.len);
	unsigned char *packed = malloc(len);

	cr_assert_eq(compress2(packed, &len, (const Bytef *) text.at, text.len, 9), Z_OK);
	add_number(out, (unsigned) (head.len + len), 4, true);
	buf_add_c(out, type);
	buf_add_str(out, head);
	buf_add(out, packed, len);
	add_number(out, 0, 4, true);
	free(packed);
}

static void make_png(struct buf *out, const char *type, struct str head, size_t megabytes,
		     unsigned chunks)
{
	char *text = calloc(megabytes, MIB);

	buf_add_str(out,
		    STR("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\xc8\0\0\0\xc8\x08\2\0\0\0crc!"));
	for (unsigned i = 0; i < chunks; i++)
		add_chunk(out, type, head, str_make(text, megabytes * MIB));
	free(text);
}

static void expect(struct buf *picture, const char *words)
{
	int r = image_weigh(buf_str(picture));

	cr_expect_eq(r, words == NULL ? 0 : -E_BAD_IMAGE, "%s", words == NULL ? "" : words);
	if (r < 0 && words != NULL)
		cr_expect_not_null(strstr(fail_reason(r), words), "%s", fail_reason(r));
	buf_clear(picture);
}

Test(weigh, counts_the_frames_of_an_animation)
{
	static void (*const makers[])(struct buf *, unsigned, unsigned, unsigned) = { make_webp,
										      make_gif };
	_cleanup_(buf_fini) struct buf picture = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		makers[i](&picture, IMAGE_FRAMES_MOST, 100, 100);
		expect(&picture, NULL);
		makers[i](&picture, IMAGE_FRAMES_MOST + 1, 100, 100);
		expect(&picture, "more than 2000 frames");
		makers[i](&picture, 1000, 1000, 1000);
		expect(&picture, NULL);
		makers[i](&picture, 1001, 1000, 1000);
		expect(&picture, "megapixels");
		makers[i](&picture, 1, 65535, 65535); /* image_check's business */
		expect(&picture, NULL);
	}
}

Test(weigh, inflates_the_texts_of_a_png)
{
	static const struct {
		const char *type;
		struct str head;
	} texts[] = {
		{ "zTXt", STR_INIT("Comment\0\0") },
		{ "iCCP", STR_INIT("profile\0\0") },
		{ "iTXt", STR_INIT("XML:com.adobe.xmp\0\1\0de\0XMP\0") },
	};
	_cleanup_(buf_fini) struct buf picture = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		make_png(&picture, texts[i].type, texts[i].head, 1, 64);
		expect(&picture, NULL);
		make_png(&picture, texts[i].type, texts[i].head, 1, 65);
		expect(&picture, "texts of more than 64 megabytes");
		make_png(&picture, texts[i].type, texts[i].head, 65, 1);
		expect(&picture, "texts of more than 64 megabytes");
	}
	make_png(&picture, "iTXt", STR("key\0\0\0\0\0"), 65,
		 1); /* not compressed: as long as it looks */
	expect(&picture, NULL);
	make_png(&picture, "tEXt", STR("key\0"), 65, 1);
	expect(&picture, NULL);
}

/* A copy that ends where the picture does, so that AddressSanitizer sees a read behind it. */
static void weigh_cut(struct str picture, size_t len)
{
	char *copy = malloc(len + 1);

	memcpy(copy + 1, picture.at, len);
	cr_expect_eq(image_weigh(str_make(copy + 1, len)), 0);
	free(copy);
}

Test(weigh, reads_nothing_behind_the_end)
{
	_cleanup_(buf_fini) struct buf picture = BUF_INIT;

	make_webp(&picture, 3, 100, 100);
	for (size_t len = 0; len <= picture.len; len++)
		weigh_cut(buf_str(&picture), len);
	buf_clear(&picture);
	make_gif(&picture, 3, 100, 100);
	for (size_t len = 0; len <= picture.len; len++)
		weigh_cut(buf_str(&picture), len);
	buf_clear(&picture);
	make_png(&picture, "iTXt", STR("k\0\1\0\0\0"), 1, 1);
	for (size_t len = 0; len <= picture.len; len++)
		weigh_cut(buf_str(&picture), len);
}
