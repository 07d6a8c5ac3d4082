#include "proto/email_send.h"

#define TASK_ARGUMENTS_STRUCT struct email_send_arguments
static const struct task_argument arguments[] = { EMAIL_SEND_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT

const struct task email_send_task = {
	.name = "email.send",
	.help = "Sends one mail; each attempt carries the same Message-ID.",
	.retry = TASK_RETRY_USUAL,
	.time_limit = 2 * MINUTE,
	.arguments = arguments,
	.argument_count = ARRAY_SIZE(arguments),
	.arguments_size = sizeof(struct email_send_arguments),
};
