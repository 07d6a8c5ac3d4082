/*
 * variants.h - the smaller pictures of a picture, by libvips.  Runs in the sandbox only.
 *
 * Decoded once: libvips shrinks while it loads (JPEG, WebP) and streams what cannot (PNG, GIF:
 * first frame), turns by EXIF, and keeps the largest variant in memory, from which the smaller ones
 * follow.  Never enlarged: a variant is as wide as asked or as the picture.  Metadata is dropped,
 * transparency laid on white.
 */
#ifndef IMAGE_VARIANTS_H
#define IMAGE_VARIANTS_H

#include "base/str.h"

/* clang-format off */
#define IMAGE_VARIANTS(X)                        \
	/* name           width  is_webp */      \
	X("thumb",          150, false)          \
	X("thumb_webp",     150, true)           \
	X("small",          300, false)          \
	X("small_webp",     300, true)           \
	X("medium",         600, false)          \
	X("medium_webp",    600, true)           \
	X("large",         1200, false)          \
	X("large_webp",    1200, true)
/* clang-format on */
enum {
#define X(name, width, is_webp) +1
	IMAGE_VARIANT_COUNT = 0 IMAGE_VARIANTS(X)
#undef X
};

struct image_variant_kind {
	const char *name;
	int width;
	bool is_webp;
};
extern const struct image_variant_kind image_variant_kinds[IMAGE_VARIANT_COUNT];

struct image_variant {
	unsigned width, height;
	void *bytes; /* g_malloc; freed with image_variants_free */
	size_t len;
};

/* Once per process. */
int image_variants_setup(void) _must_check_;
/* 0, or -E_BAD_IMAGE with libvips's words. */
int image_variants_make(struct str bytes, struct image_variant ret[IMAGE_VARIANT_COUNT])
	_must_check_;
void image_variants_free(struct image_variant made[IMAGE_VARIANT_COUNT]);

#endif
