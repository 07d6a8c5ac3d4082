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

#endif
