/*
 * email_send.h - the task email.send: one mail to a few people.
 */
#ifndef PROTO_EMAIL_SEND_H
#define PROTO_EMAIL_SEND_H

#include "queue/task_arguments.h"

/* clang-format off */
#define EMAIL_SEND(ARG, S)                                                              \
	ARG(S, TEXT, subject,        NULL,   "One line.")                               \
	ARG(S, TEXT, message,        NULL,   "The text.")                               \
	ARG(S, JSON, recipient_list, NULL,   "Array of addresses, 1 to 50.")            \
	ARG(S, TEXT, html_message,   "null", "The same as HTML; null: text only.")
/* clang-format on */
TASK_ARGUMENTS(email_send, EMAIL_SEND)

extern const struct task email_send_task;

#endif
