#include "image/variants.h"

#include <math.h>
#include <vips/vips.h>

#include "base/error.h"
#include "image/probe.h"
#include "image/weigh.h"

#define JPEG_QUALITY 85
#define WEBP_QUALITY 80
/* No bound on the height: the width decides. */
#define ANY_HEIGHT   VIPS_MAX_COORD

const struct image_variant_kind image_variant_kinds[IMAGE_VARIANT_COUNT] = {
#define X(name, width, is_webp) { name, width, is_webp },
	IMAGE_VARIANTS(X)
#undef X
};

/* What a decoder thinks of a stranger's picture is no news; what matters comes back as an error. */
static void ignore_warning(const char *domain, GLogLevelFlags level, const char *words, void *arg)
{
	(void) domain;
	(void) level;
	(void) words;
	(void) arg;
}

int image_variants_setup(void)
{
	static const char *const loaders[] = { "VipsForeignLoadJpeg", "VipsForeignLoadPng",
					       "VipsForeignLoadWebp", "VipsForeignLoadNsgif" };

	if (VIPS_INIT("apium-sandbox") != 0)
		return fail(-E_INTERNAL, "libvips cannot be initialised: %s", vips_error_buffer());
	g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING, ignore_warning, NULL);
	/* Everything off, then the four that are meant. */
	vips_block_untrusted_set(TRUE);
	vips_operation_block_set("VipsForeignLoad", TRUE);
	for (size_t i = 0; i < ARRAY_SIZE(loaders); i++)
		vips_operation_block_set(loaders[i], FALSE);
	/* One picture per sandbox and one sandbox per core: threads inside would only fight over
	 * them. */
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	return 0;
}

static void unrefp(VipsImage **image)
{
	if (*image != NULL)
		g_object_unref(*image);
}

/* The first line of what libvips complained about; the rest repeats it. */
static int vips_complaint(void)
{
	struct str rest = str_c(vips_error_buffer());
	struct str line = STR_NULL;

	(void) str_cut(&rest, '\n', &line);
	fail(-E_BAD_IMAGE, "Invalid image file: %.*s", STR_ARG(str_trim(line)));
	vips_error_clear();
	return -E_BAD_IMAGE;
}

/* Three bands of sRGB, in memory, so that every variant reads it as often as it likes. */
static int load(struct str bytes, int width, VipsImage **ret)
{
	_cleanup_(unrefp) VipsImage *shrunk = NULL;
	_cleanup_(unrefp) VipsImage *flat = NULL;
	_cleanup_(unrefp) VipsImage *srgb = NULL;
	_cleanup_(unrefp) VipsImage *eight = NULL;
	VipsImage *kept;

	/* As an option of the loader: the operation's own fail_on does not reach it in
	 * libvips 8.14. */
	if (vips_thumbnail_buffer((void *) bytes.at, bytes.len, &shrunk, width, "height",
				  ANY_HEIGHT, "size", VIPS_SIZE_DOWN, "option_string",
				  "fail_on=truncated", NULL) != 0)
		return vips_complaint();
	if (vips_colourspace(shrunk, &srgb, VIPS_INTERPRETATION_sRGB, NULL) != 0)
		return vips_complaint();
	double white[] = { 255, 255, 255 };
	VipsArrayDouble *background = vips_array_double_new(white, 3);
	int bad = vips_image_hasalpha(srgb)
			  ? vips_flatten(srgb, &flat, "background", background, NULL)
			  : vips_copy(srgb, &flat, NULL);
	vips_area_unref(VIPS_AREA(background));
	if (bad != 0 || vips_cast_uchar(flat, &eight, NULL) != 0)
		return vips_complaint();
	kept = vips_image_copy_memory(eight);
	if (kept == NULL)
		return vips_complaint();
	*ret = kept;
	return 0;
}

static size_t read_le32(const unsigned char *at)
{
	return (size_t) at[0] | (size_t) at[1] << 8 | (size_t) at[2] << 16 | (size_t) at[3] << 24;
}

/*
 * libvips 8.14 writes EXIF, XMP and ICC chunks into a WebP although it is told to strip: the place
 * where a photograph was taken would go out with every variant.  `bytes` is what it wrote.
 */
static void strip_webp(unsigned char *bytes, size_t *len)
{
	static const char *const banned[] = { "EXIF", "XMP ", "ICCP" };
	size_t at = 12, riff;

	while (at + 8 <= *len) {
		size_t whole = 8 + read_le32(bytes + at + 4);
		bool is_banned = false;

		whole = MIN(whole + (whole & 1), *len - at);
		for (size_t i = 0; i < ARRAY_SIZE(banned); i++)
			is_banned |= memcmp(bytes + at, banned[i], 4) == 0;
		if (is_banned) {
			memmove(bytes + at, bytes + at + whole, *len - at - whole);
			*len -= whole;
			continue;
		}
		if (memcmp(bytes + at, "VP8X", 4) == 0)
			bytes[at + 8] &= (unsigned char) ~(0x20 | 0x08 |
							   0x04); /* that they are there */
		at += whole;
	}
	riff = *len - 8;
	for (int i = 0; i < 4; i++)
		bytes[4 + i] = (unsigned char) (riff >> (8 * i));
}

static int encode(VipsImage *image, bool is_webp, struct image_variant *ret)
{
	struct image_variant made = { .width = (unsigned) vips_image_get_width(image),
				      .height = (unsigned) vips_image_get_height(image) };
	int bad;

	if (is_webp)
		bad = vips_webpsave_buffer(image, &made.bytes, &made.len, "Q", WEBP_QUALITY,
					   "effort", 4, "strip", TRUE, NULL);
	else
		bad = vips_jpegsave_buffer(image, &made.bytes, &made.len, "Q", JPEG_QUALITY,
					   "optimize_coding", TRUE, "strip", TRUE, NULL);
	if (bad != 0)
		return vips_complaint();
	if (is_webp)
		strip_webp(made.bytes, &made.len);
	*ret = made;
	return 0;
}

/* Height over width of the picture as it is seen: the header's, or its inverse if the loader has
 * turned it. */
static double seen_aspect(struct str bytes, VipsImage *loaded)
{
	const struct image_header header = image_probe(bytes);
	double is = (double) vips_image_get_height(loaded) / vips_image_get_width(loaded);

	if (header.width == 0 || header.height == 0)
		return is;
	double upright = (double) header.height / header.width;
	return fabs(is - upright) <= fabs(is - 1 / upright) ? upright : 1 / upright;
}

/* `from` made `width` wide, in memory. */
static int shrink(VipsImage *from, int width, double aspect, VipsImage **ret)
{
	_cleanup_(unrefp) VipsImage *smaller = NULL;
	VipsImage *kept;

	if (vips_image_get_width(from) <= width) {
		g_object_ref(from);
		*ret = from;
		return 0;
	}
	/* A half goes to the even side, as Python's round has it. */
	int height = MAX(1, (int) rint(width * aspect));
	if (vips_thumbnail_image(from, &smaller, width, "height", height, "size", VIPS_SIZE_FORCE,
				 "no_rotate", TRUE, NULL) != 0)
		return vips_complaint();
	kept = vips_image_copy_memory(smaller);
	if (kept == NULL)
		return vips_complaint();
	*ret = kept;
	return 0;
}

int image_variants_make(struct str bytes, struct image_variant ret[IMAGE_VARIANT_COUNT])
{
	struct image_variant made[IMAGE_VARIANT_COUNT] = { 0 };
	_cleanup_(unrefp) VipsImage *current = NULL;
	int width = image_variant_kinds[IMAGE_VARIANT_COUNT - 1].width;
	double aspect = 1;
	int r;

	r = image_weigh(bytes);
	if (r == 0)
		r = load(bytes, width, &current);
	if (r == 0)
		aspect = seen_aspect(bytes, current);
	/* From the widest down, each from the one above it. */
	for (size_t i = IMAGE_VARIANT_COUNT; r == 0 && i-- > 0;) {
		const struct image_variant_kind *kind = &image_variant_kinds[i];

		if (kind->width != width) {
			VipsImage *smaller = NULL;

			r = shrink(current, kind->width, aspect, &smaller);
			if (r < 0)
				break;
			g_object_unref(current);
			current = smaller;
			width = kind->width;
		}
		r = encode(current, kind->is_webp, &made[i]);
	}
	if (r < 0) {
		image_variants_free(made);
		return r;
	}
	memcpy(ret, made, sizeof(made));
	return 0;
}

void image_variants_free(struct image_variant made[IMAGE_VARIANT_COUNT])
{
	for (size_t i = 0; i < IMAGE_VARIANT_COUNT; i++) {
		g_free(made[i].bytes);
		made[i].bytes = NULL;
	}
}
