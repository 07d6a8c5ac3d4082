/*
 * accounts.h - what users.c (the resource) and accounts.c (registration, login) share.
 */
#ifndef SERVICES_GATEWAY_ACCOUNTS_H
#define SERVICES_GATEWAY_ACCOUNTS_H

#include "shop.h"

/* The mail "Verify your email address" for a written row, with the change's transaction.
 * Yields. */
int account_mail_verification(struct change *) may_yield _must_check_;

#endif
