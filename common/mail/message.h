/*
 * message.h - a mail as bytes: RFC 5322 headers, RFC 2047 encoded words, MIME (RFC 2045) bodies.
 *
 * Text, or text and HTML as multipart/alternative.  A body travels as it is when it is ASCII with
 * short lines, else quoted-printable.  Lines end in CRLF.  Addresses are bare (local@domain), at
 * most 50; a subject or an address with a line break or a NUL is refused, so that nobody can add
 * headers.
 */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include "base/arena.h"

#define MAIL_RECIPIENTS 50

struct mail {
	struct str from;
	const struct str *to;
	size_t to_count;
	struct str subject;
	struct str text; /* UTF-8 */
	struct str html; /* absent: text only */
	struct str id;   /* left side of the Message-ID: the same in every attempt */
	usec_t date;     /* real time */
};

/* 0, or -E_DROPPED with what is wrong. */
int mail_compose(struct arena *, const struct mail *, struct str *ret_bytes) _must_check_;

#endif
