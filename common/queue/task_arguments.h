/*
 * task_arguments.h - a task's arguments, declared once.
 *
 *     #define EMAIL_SEND(ARG, S)                                   \
 *             ARG(S, TEXT, subject,      NULL,   "…")              \
 *             ARG(S, TEXT, html_message, "null", "…")
 *     TASK_ARGUMENTS(email_send, EMAIL_SEND)
 *
 * makes struct email_send_arguments, which callers fill and the body receives.  The same list, given to
 * TASK_ARGUMENT_ROWS in the one file that defines the task, is the table by which messages are checked
 * (task.h).  A row: type, name, the default as JSON or NULL for a required one, help.
 */
#ifndef QUEUE_TASK_ARGUMENTS_H
#define QUEUE_TASK_ARGUMENTS_H

#include "queue/task.h"

#define TASK_C_TEXT struct str
#define TASK_C_INT int64_t
#define TASK_C_REAL double
#define TASK_C_FLAG bool
#define TASK_C_JSON struct str
#define TASK_C_ANY struct str

#define TASK_ARGUMENT_MEMBER(S, type, name, usual, help) TASK_C_##type name;
#define TASK_ARGUMENT_ROW(S, type_, name_, usual_, help_)                                                          \
	{ .name = #name_, .type = TASK_##type_, .is_optional = (usual_) != NULL,                                   \
	  .offset = offsetof(struct S##_arguments, name_), .usual = (usual_), .help = (help_) },

#define TASK_ARGUMENTS(task, LIST)                                                                                 \
	struct task##_arguments {                                                                                  \
		LIST(TASK_ARGUMENT_MEMBER, task)                                                                   \
	};
#define TASK_ARGUMENT_ROWS(task, LIST) LIST(TASK_ARGUMENT_ROW, task)

#endif
