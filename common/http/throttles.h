/*
 * throttles.h - how often a caller may ask: DRF's AnonRateThrottle, UserRateThrottle and
 * ScopedRateThrottle over every route (drf-wire §13).
 *
 * Off unless APIUM_THROTTLE=on.  `anon` counts who is not signed in, `user` everybody, and a route's
 * own scope (struct route) whoever asks that route; routes of one scope share one budget.  A request
 * counts when it was negotiated, authenticated and permitted, whatever its method does then.
 */
#ifndef HTTP_THROTTLES_H
#define HTTP_THROTTLES_H

#include "http/request.h"

/* Reads the settings; before threads start.  0, or -E_BAD_SETTING with a sentence. */
int throttles_setup(void) _must_check_;
/* Whether a route may name it. */
bool throttles_has_scope(const char *name);
/* For struct http_options: 0, or -E_THROTTLED after the 429 was set as the reply.  Yields. */
int throttles_check(struct request *) may_yield _must_check_;

#endif
