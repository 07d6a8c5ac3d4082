/*
 * accounts.h - what the files about accounts share: users.c (the resource), accounts.c (registration,
 * login, addresses), passwords.c, tokens.c.
 */
#ifndef SERVICES_GATEWAY_ACCOUNTS_H
#define SERVICES_GATEWAY_ACCOUNTS_H

#include "proto/email_send.h"
#include "resource/event.h"
#include "shop.h"

/* The body of a form that is no resource.  -E_INVALID after the 400 was set as the reply. */
int account_read_form(struct request *, const struct field *, size_t count, struct values *ret)
	_must_check_;

/*
 * 0 with the key of the active user whose address and password these are; -E_UNAUTHENTICATED when
 * address, password or state do not fit (all three cost one hash); -E_THROTTLED after too many
 * failures (auth/lockout.h).  Notes the attempt in login_event, and rewrites an old encoding.
 */
int account_check_credentials(struct request *, struct str email, struct str password,
			      struct str *ret_id) may_yield _must_check_;

/* To whom a mail goes; the greeting is the full name, else the username. */
struct addressee {
	struct str email, username, first_name, last_name;
};
/* Arguments of the task email.send for "Hello …," and this text. */
struct email_send_arguments account_mail(struct arena *, const struct addressee *,
					 struct str subject, struct str text);

/* The mail "Verify your email address" for a written row, with the change's transaction. */
int account_mail_verification(struct change *) may_yield _must_check_;

/* Listens to the removal of users: who was deleted is refused at once. */
event_listener user_deleted;

#endif
