/*
 * operations.h - what the routes by hand read and answer, for OPTIONS and the API's document.
 *
 * A form is declared beside the handler that validates it; the answers are here.
 */
#ifndef SERVICES_GATEWAY_OPERATIONS_H
#define SERVICES_GATEWAY_OPERATIONS_H

#include "resource/operation.h"

extern const struct form login_form, verify_email_form;                          /* accounts.c */
extern const struct form password_form, email_form, password_reset_confirm_form; /* passwords.c */
extern const struct form avatar_form;                                            /* profiles.c */
extern const struct form token_obtain_form, token_credentials_form, token_refresh_form,
	token_verify_form, token_blacklist_form; /* tokens.c */

/* What is told of this handler on this method; NULL: nothing. */
const struct operation *operation_of(const struct route *);

#endif
