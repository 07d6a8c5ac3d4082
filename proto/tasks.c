/*
 * tasks.c - what each task promises: where it runs, how it is kept, how often it is tried.
 */
#include "proto/tasks.h"

#include "proto/email_send.h"
#include "proto/images_generate_variants.h"

static const struct task_argument email_send_rows[] = { TASK_ARGUMENT_ROWS(email_send, EMAIL_SEND) };

const struct task email_send_task = {
	.name = "email.send",
	.help = "Sends one mail; each attempt carries the same Message-ID.",
	.where = TASK_SHARED,
	.durability = TASK_OUTBOX,
	.retry = TASK_RETRY_USUAL,
	.time_limit = 2 * MINUTE,
	.arguments = email_send_rows,
	.argument_count = ARRAY_SIZE(email_send_rows),
	.arguments_size = sizeof(struct email_send_arguments),
};

static const struct task_argument images_generate_variants_rows[] = {
	TASK_ARGUMENT_ROWS(images_generate_variants, IMAGES_GENERATE_VARIANTS)
};

/* Shared, although pictures burn CPU: the sandbox does that, the body waits for it. */
const struct task images_generate_variants_task = {
	.name = "images.generate_variants",
	.help = "Makes four sizes of a product image, each as JPEG and WebP.",
	.where = TASK_SHARED,
	.durability = TASK_OUTBOX,
	.retry = TASK_RETRY_USUAL,
	.time_limit = 5 * MINUTE,
	.arguments = images_generate_variants_rows,
	.argument_count = ARRAY_SIZE(images_generate_variants_rows),
	.arguments_size = sizeof(struct images_generate_variants_arguments),
};

const struct task *const shop_tasks[] = {
#define TASK(name) &name##_task,
#include "proto/tasks.def"
#undef TASK
};
const size_t shop_task_count = ARRAY_SIZE(shop_tasks);
