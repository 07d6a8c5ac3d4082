/*
 * auth_purge_tokens.h - the task auth.purge_tokens: what is known of tokens that have expired, and of attempts to
 * log in that are too old, is forgotten.
 */
#ifndef PROTO_AUTH_PURGE_TOKENS_H
#define PROTO_AUTH_PURGE_TOKENS_H

#include "queue/task.h"

extern const struct task auth_purge_tokens_task;

#endif
