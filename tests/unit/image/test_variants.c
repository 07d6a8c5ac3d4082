#include <criterion/criterion.h>
#include <math.h>
#include <vips/vips.h>

#include "base/error.h"
#include "image/probe.h"
#include "image/variants.h"

static void setup(void)
{
	cr_assert_eq(image_variants_setup(), 0);
}

/* A gradient of that size, encoded by `suffix` (".jpg", ".png[…]"). */
static struct str make_picture(int width, int height, const char *suffix, int orientation)
{
	VipsImage *xyz, *grey;
	void *bytes;
	size_t len;

	cr_assert_eq(vips_xyz(&xyz, width, height, NULL), 0);
	cr_assert_eq(vips_extract_band(xyz, &grey, 0, NULL), 0);
	g_object_unref(xyz);
	VipsImage *small, *picture;
	cr_assert_eq(vips_linear1(grey, &small, 255.0 / width, 0, "uchar", TRUE, NULL), 0);
	cr_assert_eq(vips_copy(small, &picture, "interpretation", VIPS_INTERPRETATION_B_W, NULL),
		     0);
	if (orientation != 0)
		vips_image_set_int(picture, VIPS_META_ORIENTATION, orientation);
	cr_assert_eq(vips_image_write_to_buffer(picture, suffix, &bytes, &len, NULL), 0, "%s",
		     vips_error_buffer());
	g_object_unref(grey);
	g_object_unref(small);
	g_object_unref(picture);
	return str_make(bytes, len);
}

static void expect_widths(struct str picture, const unsigned widths[4], unsigned source_width,
			  unsigned source_height)
{
	struct image_variant made[IMAGE_VARIANT_COUNT];

	cr_assert_eq(image_variants_make(picture, made), 0, "%s", fail_reason(-E_BAD_IMAGE));
	for (size_t i = 0; i < IMAGE_VARIANT_COUNT; i++) {
		struct image_header h = image_probe(str_make(made[i].bytes, made[i].len));
		unsigned height = (unsigned) rint((double) source_height * widths[i / 2] /
						  source_width);

		cr_expect_eq(h.format, image_variant_kinds[i].is_webp ? IMAGE_WEBP : IMAGE_JPEG);
		cr_expect_eq(h.width, widths[i / 2], "%s is %u wide", image_variant_kinds[i].name,
			     h.width);
		cr_expect_eq(h.height, height, "%s is %u high, not %u", image_variant_kinds[i].name,
			     h.height, height);
		cr_expect_lt(str_find(str_make(made[i].bytes, made[i].len), STR("EXIF")), 0,
			     "a WebP tells more than it should");
		cr_expect_lt(str_find(str_make(made[i].bytes, made[i].len), STR("Exif")), 0);
		cr_expect_eq(made[i].width, h.width);
		cr_expect_eq(made[i].height, h.height);
	}
	image_variants_free(made);
}

Test(variants, makes_four_widths_twice_from_every_format, .init = setup)
{
	static const char *const suffixes[] = { ".jpg", ".png", ".webp", ".gif" };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		struct str picture = make_picture(1600, 1000, suffixes[i], 0);

		expect_widths(picture, (const unsigned[]){ 150, 300, 600, 1200 }, 1600, 1000);
		g_free((void *) picture.at);
	}
}

Test(variants, never_enlarges, .init = setup)
{
	struct str picture = make_picture(400, 120, ".png", 0);

	expect_widths(picture, (const unsigned[]){ 150, 300, 400, 400 }, 400, 120);
	g_free((void *) picture.at);
}

/* 112.5 rows are 112, as in the replaced stack; and each height follows from the picture's, not
 * from the next larger one's. */
Test(variants, rounds_a_half_to_the_even_side, .init = setup)
{
	struct str picture = make_picture(800, 600, ".png", 0),
		   other = make_picture(1999, 1331, ".png", 0);

	expect_widths(picture, (const unsigned[]){ 150, 300, 600, 800 }, 800, 600);
	expect_widths(other, (const unsigned[]){ 150, 300, 600, 1200 }, 1999, 1331);
	g_free((void *) picture.at);
	g_free((void *) other.at);
}

/* Orientation 6: shown turned by 90 degrees, so width and height change places. */
Test(variants, turns_by_exif, .init = setup)
{
	struct str picture = make_picture(1600, 800, ".jpg", 6);

	expect_widths(picture, (const unsigned[]){ 150, 300, 600, 800 }, 800, 1600);
	g_free((void *) picture.at);
}

Test(variants, refuses_a_picture_that_is_cut_off, .init = setup)
{
	struct str picture = make_picture(1600, 1000, ".jpg", 0);
	struct image_variant made[IMAGE_VARIANT_COUNT];
	int r = image_variants_make(str_slice(picture, 0, picture.len / 2), made);

	cr_expect_eq(r, -E_BAD_IMAGE);
	cr_expect(str_starts(str_c(fail_reason(r)), STR("Invalid image file: ")), "%s",
		  fail_reason(r));
	g_free((void *) picture.at);
}

/* A format that the header check does not let through is off in libvips too. */
Test(variants, knows_only_four_loaders, .init = setup)
{
	struct image_variant made[IMAGE_VARIANT_COUNT];

	cr_expect_eq(image_variants_make(STR("P5\n2 2\n255\nabcd"), made), -E_BAD_IMAGE);
	cr_expect_eq(
		image_variants_make(
			STR("<svg xmlns='http://www.w3.org/2000/svg' width='200' height='200'/>"),
			made),
		-E_BAD_IMAGE);
}
