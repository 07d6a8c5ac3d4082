#include "proto/images_generate_variants.h"

#define TASK_ARGUMENTS_STRUCT struct images_generate_variants_arguments
static const struct task_argument arguments[] = { IMAGES_GENERATE_VARIANTS_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT

/* Shared, although pictures burn CPU: the sandbox does that, the body waits for it. */
const struct task images_generate_variants_task = {
	.name = "images.generate_variants",
	.help = "Makes four sizes of a product image, each as JPEG and WebP.",
	.retry = TASK_RETRY_USUAL,
	.time_limit = 5 * MINUTE,
	.arguments = arguments,
	.argument_count = ARRAY_SIZE(arguments),
	.arguments_size = sizeof(struct images_generate_variants_arguments),
};
