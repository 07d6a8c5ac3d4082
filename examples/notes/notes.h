/* notes.h - what the gateway and the worker of this application both know. */
#include "queue/task.h"

#define NOTES_COUNT_ARGUMENTS(ARG) ARG(INT, note, NULL, "key of the note")

struct notes_count_arguments {
	NOTES_COUNT_ARGUMENTS(TASK_MEMBER_)
};

extern const struct task notes_count_task;
