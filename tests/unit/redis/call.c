#include <criterion/criterion.h>

#include "base/world.h"
#include "client.h"
#include "servers.h"

static int every_type(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct redis_reply *reply;
	struct arena a;

	arena_init(&a);
	reply = call_ok(r, &a,
			REDIS_WORDS(STR("SET"), STR("types:text"), str_make("a\r\nb\0c", 6)));
	cr_assert(reply->type == REDIS_STATUS && str_eq_c(reply->text, "OK"));
	reply = call_ok(r, &a, REDIS_WORDS(STR("GET"), STR("types:text")));
	cr_assert(reply->type == REDIS_TEXT && str_eq(reply->text, str_make("a\r\nb\0c", 6)));
	reply = call_ok(r, &a, REDIS_WORDS(STR("GET"), STR("types:none")));
	cr_assert(reply->type == REDIS_NIL && str_is_null(reply->text));
	reply = call_ok(r, &a, REDIS_WORDS(STR("STRLEN"), STR("types:text")));
	cr_assert(reply->type == REDIS_INTEGER && reply->integer == 6);
	(void) call_ok(r, &a, REDIS_WORDS(STR("DEL"), STR("types:list")));
	(void) call_ok(r, &a,
		       REDIS_WORDS(STR("RPUSH"), STR("types:list"), STR("x"), STR(""), STR("z")));
	reply = call_ok(r, &a, REDIS_WORDS(STR("LRANGE"), STR("types:list"), STR("0"), STR("9")));
	cr_assert(reply->type == REDIS_ARRAY && reply->count == 3);
	cr_assert(str_eq_c(reply->elements[2].text, "z") && reply->elements[1].text.len == 0);
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis_call, gives_every_type_of_reply)
{
	fibers_run(every_type, NULL);
}

static int errors(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct arena a;

	arena_init(&a);
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("NOSUCH"), STR("x"))), -E_REDIS);
	cr_assert_not_null(strstr(fail_reason(-E_REDIS), "unknown command"), "%s",
			   fail_reason(-E_REDIS));
	(void) call_ok(r, &a, REDIS_WORDS(STR("SET"), STR("errors:text"), STR("1")));
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("LPUSH"), STR("errors:text"), STR("x"))),
		     -E_REDIS_TYPE);
	cr_assert(redis_is_ready(r), "an error of a command is none of the connection");
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis_call, an_error_reply_is_an_error_with_its_text)
{
	fibers_run(errors, NULL);
}

/* A list that stays empty: its fiber waits as long as it may. */
static int wait_for_nothing(void *arg)
{
	struct redis_reply *reply;
	struct arena a;
	int e;

	arena_init(&a);
	e = redis_call(arg, &a, REDIS_WORDS(STR("BLPOP"), STR("nothing:list"), STR("0.3")), &reply);
	if (e == 0)
		cr_assert_eq(reply->type, REDIS_NIL);
	arena_fini(&a);
	return e;
}

static int wait_a_moment(void *arg)
{
	FIBER_DEADLINE(20 * MSEC);

	return wait_for_nothing(arg);
}

static int times_out(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct redis_reply *reply;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(fibers_join(wait_a_moment, r), -ETIMEDOUT);
	/* The late answer finds nobody, and the next ones find their own. */
	reply = call_ok(r, &a, REDIS_WORDS(STR("ECHO"), STR("mine")));
	cr_assert(str_eq_c(reply->text, "mine"));
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis_call, leaves_at_its_deadline_and_disturbs_nobody)
{
	fibers_run(times_out, NULL);
}

static int three_calls(void *arg)
{
	struct redis *r = arg;
	struct redis_reply *reply;
	struct arena a;
	int e = 0;

	arena_init(&a);
	for (int i = 0; i < 3 && e == 0; i++) {
		struct str mine = arena_printf(&a, "call %d", i);

		e = redis_call(r, &a, REDIS_WORDS(STR("ECHO"), mine), &reply);
		if (e == 0)
			cr_assert(str_eq(reply->text, mine), "a neighbour's answer");
	}
	arena_fini(&a);
	return e;
}

static void check_whole(void *arg)
{
	struct redis_stats stats;

	cr_assert_eq(three_calls(arg), 0);
	redis_stats(arg, &stats);
	cr_assert_eq(stats.pending_commands, 0);
}

static int cancelled(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);

	cr_assert_eq(fibers_cancel_everywhere(three_calls, r, check_whole), 3);
	client_close(r);
	return 0;
}

Test(redis_call, cancelled_at_every_wait_it_leaves_the_connection_whole)
{
	fibers_run(cancelled, NULL);
}

/* Nobody listens here. */
#define NOWHERE "unix:///nonexistent/redis.sock"

static int patience(void *arg)
{
	struct redis_options options = { .url = NOWHERE };
	struct redis *r;
	usec_t start = now_monotonic(), took;

	cr_assert_eq(redis_open(fiber_loop(fiber_current()), &options, &r), 0);
	cr_assert_eq(call_error(r, REDIS_WORDS(STR("PING"))), -E_UNAVAILABLE);
	took = now_monotonic() - start;
	cr_assert(took >= redis_patience && took < redis_patience + 1 * SEC, "%ld us", (long) took);
	cr_assert_not_null(strstr(fail_reason(-E_UNAVAILABLE), "/nonexistent/redis.sock"));
	cr_assert_eq(fibers_join(wait_a_moment, r), -ETIMEDOUT, "its own deadline comes first");
	client_close(r);
	return 0;
}

Test(redis_call, waits_for_a_connection_but_not_for_long)
{
	fibers_run(patience, NULL);
}

static int call_while_away(void *arg)
{
	struct redis_reply *reply;
	struct arena a;
	int e;

	arena_init(&a);
	e = redis_call(arg, &a, REDIS_WORDS(STR("PING")), &reply);
	arena_fini(&a);
	return e == -E_UNAVAILABLE ? 0 : e;
}

static int cancelled_while_away(void *arg)
{
	struct redis_options options = { .url = NOWHERE };
	struct redis *r;

	cr_assert_eq(redis_open(fiber_loop(fiber_current()), &options, &r), 0);
	cr_assert_eq(fibers_cancel_everywhere(call_while_away, r, NULL), 1);
	client_close(r);
	return 0;
}

Test(redis_call, can_be_cancelled_while_it_waits_for_a_connection)
{
	fibers_run(cancelled_while_away, NULL);
}
