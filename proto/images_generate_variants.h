/*
 * images_generate_variants.h - the task images.generate_variants: the smaller pictures of a product image.
 */
#ifndef PROTO_IMAGES_GENERATE_VARIANTS_H
#define PROTO_IMAGES_GENERATE_VARIANTS_H

#include "queue/task_arguments.h"

/* clang-format off */
#define IMAGES_GENERATE_VARIANTS(ARG, S)                                 \
	ARG(S, TEXT, image_id, NULL, "Key of the row in product_images.")
/* clang-format on */
TASK_ARGUMENTS(images_generate_variants, IMAGES_GENERATE_VARIANTS)

extern const struct task images_generate_variants_task;

#endif
