/*
 * sandbox-internal.h - the frames between sandbox_pool.c (parent) and sandbox.c (child).
 *
 * The channel's framing is loop/channel.h's: u32 length of what follows, u8 kind, payload; little
 * endian.
 */
#ifndef IMAGE_SANDBOX_INTERNAL_H
#define IMAGE_SANDBOX_INTERNAL_H

#include "image/probe.h"

enum sandbox_frame {
	SANDBOX_PICTURE = 1, /* to the child: the file */
	SANDBOX_VARIANT =
		2, /* from it: u32 width, u32 height, the file; in the order of IMAGE_VARIANTS */
	SANDBOX_DONE = 3,    /* from it: nothing; all variants were sent */
	SANDBOX_REFUSED = 4, /* from it: the reason */
};

#define SANDBOX_FRAME_MOST (IMAGE_BYTES_MOST + 64)

#endif
