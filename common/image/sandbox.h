/*
 * sandbox.h - decodes strangers' pictures in a process that can do nothing else.
 *
 * Bytes in, bytes out over one socketpair (loop/process.h): the child opens no file, knows no
 * credentials (its environment is empty) and is locked in (image/jail.h) before it reads the first
 * byte.  A child serves one picture at a time, is replaced after 100 of them or when it dies, and
 * is started when first needed.
 *
 * A child that dies over a picture (limit of memory or CPU, crash in a decoder) makes the picture
 * the culprit: -E_BAD_IMAGE with the signal's name.  Only SIGKILL, which comes from outside, is
 * -E_SANDBOX and worth another try.
 */
#ifndef IMAGE_SANDBOX_H
#define IMAGE_SANDBOX_H

#include "base/arena.h"
#include "image/variants.h"
#include "loop/fiber.h"

/* The child's main, behind `apium-worker sandbox`.  Returns the exit status. */
int sandbox_main(void);

struct sandbox_pool;

/* `program` with the argument "sandbox" is started; `most` children at once.  The path is
 * borrowed. */
int sandbox_pool_new(struct loop *, const char *program, unsigned most, struct sandbox_pool **ret)
	_must_check_;
/* No picture may be under way.  Ends the children; on_closed when the last is gone. */
void sandbox_pool_close(struct sandbox_pool *, void (*on_closed)(void *arg), void *arg);

struct sandbox_variant {
	unsigned width, height;
	struct str bytes; /* in the arena */
};

/*
 * All variants of one picture (at most IMAGE_BYTES_MOST), in the order of IMAGE_VARIANTS.  Yields.
 * 0; -E_BAD_IMAGE with the reason; -E_SANDBOX; -ECANCELED, -ETIMEDOUT (the child is killed).
 */
int sandbox_make_variants(struct sandbox_pool *, struct arena *, struct str bytes,
			  struct sandbox_variant ret[IMAGE_VARIANT_COUNT]) may_yield _must_check_;

#endif
