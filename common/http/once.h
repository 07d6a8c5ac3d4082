/*
 * once.h - a POST with an Idempotency-Key has its effect once (coord/idempotency.h).
 *
 * The dispatcher looks before the handler runs: an answer that is stored is given again, with
 * `Idempotency-Replayed: true`; the same key with another body is 422.  A handler takes part by
 * opening the transaction of its effect with request_begin, setting its answer, and ending with
 * request_commit: then effect and answer commit together, and whoever asks at the same time gets
 * 409.
 *
 *   look -- stored --------------------------------------------------------> answered
 *    |
 *    `----> handler: request_begin .. effect .. answer .. request_commit --> answered, stored
 *                         |                                    `- fails ---> look again
 *                         `- -E_CONFLICT, or any 4xx: look again
 *
 * The second look is for two at once: the later one may meet what the earlier one has done ("exists
 * already") before it meets the key.
 *
 * Stored are answers of 2xx and 4xx whose transaction was committed, JSON or empty ones.  A request
 * that was refused without an effect leaves no row: asked again, it is judged again, and a corrected
 * body may use the same key.  A handler without request_begin, or that answers after its COMMIT, has
 * its 2xx stored behind the effect, in a transaction of its own: a death between the two, and two at
 * once, are then not covered.
 *
 * Routes that answer with tokens are marked ROUTE_NOT_STORED: there a key only excludes two at once.
 */
#ifndef HTTP_ONCE_H
#define HTTP_ONCE_H

#include "db/db.h"
#include "http/request.h"

/* Calls the route's handler. */
int once_handle(struct request *) may_yield _must_check_;

/* As db_begin and db_commit, for the transaction that holds the effect of a request.  -E_CONFLICT: the
 * key is taken.  Yield. */
int request_begin(struct request *, struct db_tx *ret) may_yield _must_check_;
int request_commit(struct request *, struct db_tx *) may_yield _must_check_;
/* Whether an answer that is set before request_commit is worth it. */
bool request_keeps_answer(const struct request *);

#endif
