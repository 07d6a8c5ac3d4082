/*
 * fixture.h - the gateway's routes in process, on a real PostgreSQL and Redis: one loop, one
 * server, no socket.
 *
 * `fixture_start` opens all as common/gateway/gateway.c does, `fixture_stop` closes it in the same
 * order and asserts that nothing lives on.
 */
#ifndef TESTS_SERVICES_FIXTURE_H
#define TESTS_SERVICES_FIXTURE_H

#include <criterion/criterion.h>

#include "db/db.h"
#include "http/server.h"
#include "resource/resource.h"

/* Resources that are served beside the shop's (test_listing.c, test_cancel.c). */
extern const struct resource fixture_resource, fixture_writer;

struct fixture {
	struct gateway_thread thread;
	struct http_server *server;
	struct arena arena; /* answers, tokens; until fixture_stop */
};
extern struct fixture fx;

void fixture_start(void);
void fixture_stop(void);
/* Turns the loop until all is at rest, and notes the counters of base/live.h. */
void fixture_note(void);
/* Turns the loop until every connection is ready and the counters are what was noted. */
void fixture_until_whole(const char *what);
/* Files below the media folder. */
size_t fixture_files(void);

/* A statement beside the gateway's own connections; its first value, "" if there is none. */
struct str sql(const char *format, ...) _printf_(1, 2);
int64_t sql_count(const char *format, ...) _printf_(1, 2);
/* A user straight into the table; the key.  *ret_bearer is a header's value. */
struct str make_user(bool is_staff, struct str *ret_bearer);
/* Text that no other test and no earlier call has. */
struct str make_unique(const char *prefix);

#endif
