/*
 * weigh.h - refuses pictures that are larger inside than any photograph: thousands of frames,
 * compressed texts of gigabytes.  Runs in the sandbox, before the decoder.
 *
 * The sandbox's limits of memory and time end such a picture too, but late: a decoder that passes
 * over what it does not show may work for half a minute on a few megabytes (a 2.6 MB WebP of 60,000
 * frames took 29 s).  What is counted here costs one walk over the chunks.
 *
 *   WebP, GIF   the area of all frames together, and their number
 *   PNG         what zTXt, iTXt and iCCP inflate to, together (the bound is Pillow's MAX_TEXT_MEMORY)
 *
 * A structure that is cut off ends the walk; whether it can be shown is the decoder's to say.
 * Sources: RFC 9649 §2 (WebP), GIF89a §20-§26, PNG 3rd edition §11.3.
 */
#ifndef IMAGE_WEIGH_H
#define IMAGE_WEIGH_H

#include "base/str.h"

#define IMAGE_FRAMES_MOST     2000
#define IMAGE_FRAME_AREA_MOST ((uint64_t) 1000 * 1000 * 1000) /* pixels */
#define IMAGE_TEXT_MOST       (64 * MIB)

/* 0, or -E_BAD_IMAGE with the reason.  The bytes are one of the four formats of image/probe.h. */
int image_weigh(struct str bytes) _must_check_;

#endif
