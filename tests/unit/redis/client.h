/*
 * client.h - a connection of a test, and a second, blocking way to the same server.
 */
#ifndef TESTS_UNIT_REDIS_CLIENT_H
#define TESTS_UNIT_REDIS_CLIENT_H

#include "fibers.h"
#include "redis/redis.h"

/* Opens and waits until it is ready; `options` may be NULL.  Yields. */
struct redis *client_open(const char *url, const struct redis_options *options) may_yield;
/* Closes and waits for the end.  Yields. */
void client_close(struct redis *) may_yield;
void client_until_ready(struct redis *) may_yield;
void client_until_lost(struct redis *) may_yield;

/* One command, words separated by spaces, past the connection under test; asserts that it is no
 * error.  The answer as text ("" for nil), valid until the next call. */
const char *direct(const char *url, const char *command);

/* Of a call that must succeed / must fail. */
struct redis_reply *call_ok(struct redis *, struct arena *, const struct str *words, size_t count)
	may_yield;
int call_error(struct redis *, const struct str *words, size_t count) may_yield;

#endif
