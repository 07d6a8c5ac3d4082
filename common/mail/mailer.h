/*
 * mailer.h - sends mails: by SMTP (libcurl's multi interface on the loop) or into a folder.
 *
 * smtp://[user:password@]host[:port], smtps://…; STARTTLS is used when offered.  file:///folder
 * writes <time>-<id>.eml, whole or not at all (written aside, then renamed), for development and
 * tests.
 *
 * A mailer belongs to one loop.  At most 32 transfers at once, others wait in line.  Delivery is at
 * least once: a job that is run again sends the same Message-ID again.
 */
#ifndef MAIL_MAILER_H
#define MAIL_MAILER_H

#include "loop/fiber.h"
#include "mail/message.h"

struct mailer;

/* `from` is the sender of every mail; both texts are borrowed for the mailer's life.  0 or
 * -E_BAD_SETTING. */
int mailer_new(struct loop *, const char *url, const char *from, struct mailer **ret) _must_check_;
/* No transfer may be under way.  on_closed runs when the last handle is gone. */
void mailer_close(struct mailer *, void (*on_closed)(void *arg), void *arg);

/*
 * Yields.  0 once the server took it; -E_DROPPED (cannot be composed), -E_MAIL_REFUSED (a 5xx
 * answer: no use trying again), -E_UNAVAILABLE (no connection, a 4xx answer), -ECANCELED,
 * -ETIMEDOUT.
 */
int mailer_send(struct mailer *, struct arena *, const struct mail *) may_yield _must_check_;

#endif
