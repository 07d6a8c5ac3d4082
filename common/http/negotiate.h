/*
 * negotiate.h - which form the answer takes: DRF's content negotiation with one renderer, JSON.
 *
 * `?format=` and a format suffix must say "json", else the answer is 404; then one of the Accept
 * header's ranges must match application/json, else 406.  Ranges are tried by how specific they
 * are; q values are ignored, as DRF ignores them.  The range that won may carry "indent".
 */
#ifndef HTTP_NEGOTIATE_H
#define HTTP_NEGOTIATE_H

#include "http/request.h"

/* 0 with the spaces of indentation (0: compact) in *ret_indent; -E_NOT_FOUND, -E_NOT_ACCEPTABLE.
 * `suffix` is absent when the path had none. */
int negotiate(struct request *, struct str suffix, unsigned *ret_indent) _must_check_;

#endif
