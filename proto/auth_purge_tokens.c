#include "proto/auth_purge_tokens.h"

const struct task auth_purge_tokens_task = {
	.name = "auth.purge_tokens",
	.help = "Deletes expired refresh tokens and old attempts to log in, some thousands at a time; "
		"returns how many.",
	.retry = TASK_RETRY_USUAL,
	.time_limit = HOUR,
};
