/*
 * images_generate_variants.h - the task images.generate_variants: the smaller pictures of a product
 * image.
 */
#ifndef PROTO_IMAGES_GENERATE_VARIANTS_H
#define PROTO_IMAGES_GENERATE_VARIANTS_H

#include "queue/task.h"

/* clang-format off */
#define IMAGES_GENERATE_VARIANTS_ARGUMENTS(ARG)                                      \
	ARG(TEXT, image_id, NULL, "key of the row in product_images")
/* clang-format on */

struct images_generate_variants_arguments {
	IMAGES_GENERATE_VARIANTS_ARGUMENTS(TASK_MEMBER_)
};

extern const struct task images_generate_variants_task;

#endif
