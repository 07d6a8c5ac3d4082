#include "notes.h"

#define TASK_ARGUMENTS_STRUCT struct notes_count_arguments
static const struct task_argument arguments[] = { NOTES_COUNT_ARGUMENTS(TASK_ROW_) };

const struct task notes_count_task = {
	.name = "notes.count",
	.help = "Counts the words of a note.",
	.retry = TASK_RETRY_USUAL,
	TASK_TAKES(arguments, struct notes_count_arguments),
};
