#include "client.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "servers.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	(void) tests;
	(void) servers_redis();
}

static bool is_ready(void *arg)
{
	return redis_is_ready(arg);
}

static bool is_lost(void *arg)
{
	return !redis_is_ready(arg);
}

void client_until_ready(struct redis *r)
{
	fibers_until(is_ready, r, "redis is ready");
}

void client_until_lost(struct redis *r)
{
	fibers_until(is_lost, r, "redis is lost");
}

struct redis *client_open(const char *url, const struct redis_options *options)
{
	struct redis_options all = options == NULL ? (struct redis_options){ 0 } : *options;
	struct redis *r;

	all.url = url;
	cr_assert_eq(redis_open(fiber_loop(fiber_current()), &all, &r), 0, "%s",
		     fail_reason(-E_BAD_SETTING));
	cr_assert(!redis_is_ready(r));
	client_until_ready(r);
	return r;
}

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

void client_close(struct redis *r)
{
	struct waiter w;

	waiter_init(&w);
	redis_close(r, on_closed, &w);
	cr_assert_eq(fiber_park(&w, "close"), 0);
}

const char *direct(const char *url, const char *command)
{
	static char text[4096];
	struct redis_address address;
	struct arena arena;
	redisContext *context;
	redisReply *reply;

	arena_init(&arena);
	cr_assert_eq(redis_address_parse(&arena, url, &address), 0);
	context = address.path != NULL ? redisConnectUnix(address.path)
				       : redisConnect(address.host, address.port);
	cr_assert(context != NULL && context->err == 0, "%s", url);
	arena_fini(&arena);
	reply = redisCommand(context, command);
	cr_assert_not_null(reply, "%s: %s", command, context->errstr);
	cr_assert_neq(reply->type, REDIS_REPLY_ERROR, "%s: %s", command, reply->str);
	if (reply->type == REDIS_REPLY_INTEGER)
		snprintf(text, sizeof(text), "%lld", reply->integer);
	else
		snprintf(text, sizeof(text), "%s", reply->str == NULL ? "" : reply->str);
	freeReplyObject(reply);
	redisFree(context);
	return text;
}

struct redis_reply *call_ok(struct redis *r, struct arena *arena, const struct str *words,
			    size_t count)
{
	struct redis_reply *reply = NULL;
	int e = redis_call(r, arena, words, count, &reply);

	cr_assert_eq(e, 0, "%.*s: %s", STR_ARG(words[0]), fail_reason(e));
	return reply;
}

int call_error(struct redis *r, const struct str *words, size_t count)
{
	struct redis_reply *reply = NULL;
	struct arena arena;
	int e;

	arena_init(&arena);
	e = redis_call(r, &arena, words, count, &reply);
	cr_assert_lt(e, 0, "%.*s succeeded", STR_ARG(words[0]));
	cr_assert_null(reply, "written on failure");
	arena_fini(&arena);
	return e;
}
