/*
 * email_send.h - the task email.send: one mail to a few people.
 */
#ifndef PROTO_EMAIL_SEND_H
#define PROTO_EMAIL_SEND_H

#include "queue/task.h"

/* clang-format off */
#define EMAIL_SEND_ARGUMENTS(ARG)                                                    \
	ARG(TEXT, subject,        NULL,   "one line")                                \
	ARG(TEXT, message,        NULL,   "the text")                                \
	ARG(JSON, recipient_list, NULL,   "array of addresses, 1 to 50")             \
	ARG(TEXT, html_message,   "null", "the same as HTML; null: text only")
/* clang-format on */

struct email_send_arguments {
	EMAIL_SEND_ARGUMENTS(TASK_MEMBER_)
};

extern const struct task email_send_task;

#endif
