/*
 * etag.h - the answer's hash, and 304 for who has it already (RFC 9110 §8.8.3, §13.1.2).
 */
#ifndef HTTP_ETAG_H
#define HTTP_ETAG_H

#include "http/request.h"

/*
 * Gives a JSON answer of status 200 to GET or HEAD an ETag, and makes it 304 when If-None-Match
 * names it.  Weak, because the same document may leave indented or compressed.  Of other answers
 * nothing changes.
 */
void reply_etag(struct request *);

/* Whether the request is to hold only for a document that its client has seen: If-Match, and not "*", which
 * any document fulfils. */
bool request_is_conditional(const struct request *);
/* 0 if If-Match names the ETag of this JSON (RFC 9110 §13.1.1), else -E_PRECONDITION.  The comparison is weak,
 * though the RFC wants a strong one here: our ETags are weak only because of indentation and compression. */
int request_check_match(struct request *, struct str json) _must_check_;

#endif
