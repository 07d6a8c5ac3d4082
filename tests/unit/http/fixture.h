/*
 * fixture.h - a server with a few routes, for tests in process and over sockets.
 *
 * `fixture_start` makes loop, table and server; `fixture_stop` drains and frees them and asserts
 * that nothing of ours lives on.
 */
#ifndef TESTS_HTTP_FIXTURE_H
#define TESTS_HTTP_FIXTURE_H

#include <criterion/criterion.h>

#include "base/live.h"
#include "base/log.h"
#include "http/media.h"
#include "http/server.h"

struct fixture {
	struct loop *loop;
	struct gateway_thread thread;
	struct route_table *table;
	struct http_server *server;
	struct arena arena; /* answers */
	int port;           /* after fixture_listen */
	bool is_done;
	char folder[64]; /* media, made on demand */
};

extern struct fixture fx;

/* Usual options; a test may change them before fixture_start. */
extern struct http_options fx_options;

void fixture_start(const struct route *rows, size_t count);
void fixture_stop(void);
void fixture_listen(void);
/* Nothing that base/live.h counts exists. */
void assert_none_live(void);
/* Media files below fx.folder, served at /media/.  Before fixture_start. */
void fixture_with_media(void);

/* A request in process.  Headers as "Name: value" lines, NULL: none. */
struct http_answer ask(const char *method, const char *path, const char *headers, const char *body);
struct http_answer ask_with(struct http_ask, const char *headers);
/* Absent if it is not there; asserts that it is not there twice. */
struct str answer_header(const struct http_answer *, const char *name);

/* authenticate: "Authorization: good" is somebody, "bad" an error, anything else nobody.  Waits
 * once. */
int fx_authenticate(struct request *);
/* A permission: anybody who is somebody. */
int permit_somebody(struct request *);

/* What was logged since the start. */
struct str fx_logged(void);

/* A client's side of a connection; blocking calls turn the loop while they wait, at most 10 s. */
int client_open(void);
void client_send(int fd, const void *at, size_t len);
void client_say(int fd, const char *text);
/* Everything up to the end of the stream. */
struct str client_read_all(int fd);
/* One answer: its head, and as much as its Content-Length says. */
struct str client_read_answer(int fd, bool is_head);
/* Turns the loop until it is true, at most 10 s. */
bool fx_until(bool (*is_true)(void *), void *arg);

#define assert_str(s, literal)                                                                     \
	cr_assert(str_eq_c((s), (literal)), "is \"%.*s\", not \"%s\"", STR_ARG(s), (literal))
#define assert_contains(s, literal)                                                                \
	cr_assert(str_find((s), str_c(literal)) >= 0, "\"%.*s\" has no \"%s\"", STR_ARG(s),        \
		  (literal))

#endif
