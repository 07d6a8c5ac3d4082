/*
 * probe.h - what a picture's header says: its format and size, without decoding anything.
 *
 * A handful of fixed offsets and one walk over JPEG's segments, on a borrowed slice with every read
 * checked: small enough to run in the gateway, where an upload must be judged before it is stored.
 * Decoding happens in the sandbox only (image/sandbox.h).  Sources: ITU T.81 §B.2 (JPEG), PNG 3rd
 * edition §11.2.1, GIF89a §18, RFC 9649 (WebP).
 *
 * Formats that are known but refused are named as Pillow names them, because that is what clients
 * of the replaced stack see ("unsupported format BMP").
 */
#ifndef IMAGE_PROBE_H
#define IMAGE_PROBE_H

#include "base/str.h"

enum image_format { IMAGE_JPEG, IMAGE_PNG, IMAGE_WEBP, IMAGE_GIF, IMAGE_REFUSED, IMAGE_UNKNOWN };

struct image_header {
	enum image_format format;
	const char *name; /* "JPEG", "BMP", …; NULL when unknown */
	unsigned width,
		height; /* as stored, before EXIF rotation; 0 unless one of the four formats */
};

/* A header that is cut off or contradicts itself is IMAGE_UNKNOWN. */
struct image_header image_probe(struct str bytes);

#define IMAGE_BYTES_MOST (10 * MIB)
#define IMAGE_SIDE_MOST  8000
#define IMAGE_SIDE_LEAST 100

/* 0, or -E_BAD_IMAGE with the sentence of SHAPES §3 as the reason, checked in its order. */
int image_check(struct str bytes, struct image_header *ret) _must_check_;

#endif
