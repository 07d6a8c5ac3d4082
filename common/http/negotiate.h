/*
 * negotiate.h - which form the answer takes: DRF's content negotiation.
 *
 * `?format=` and a format suffix must name a format that is offered, else the answer is 404; then one of
 * the Accept header's ranges must match an offered type, else 406.  Ranges are tried by how specific they
 * are, offers of equal rank in their order; q values are ignored, as DRF ignores them.  The range that won
 * may carry "indent".
 */
#ifndef HTTP_NEGOTIATE_H
#define HTTP_NEGOTIATE_H

#include "http/request.h"

/* DRF's renderer. */
struct offer {
	const char *type;   /* "application/json" */
	const char *format; /* "json" */
};

struct negotiated {
	size_t offer;
	unsigned indent; /* spaces; 0: compact */
};

/* 0; -E_NOT_FOUND, -E_NOT_ACCEPTABLE.  `suffix` is absent when the path had none. */
int negotiate_offers(struct request *, struct str suffix, const struct offer *, size_t count,
		     struct negotiated *ret) _must_check_;

/* The usual one, with JSON only.  0 with the spaces of indentation (0: compact) in *ret_indent; -E_NOT_FOUND, -E_NOT_ACCEPTABLE.
 * `suffix` is absent when the path had none. */
int negotiate(struct request *, struct str suffix, unsigned *ret_indent) _must_check_;

#endif
