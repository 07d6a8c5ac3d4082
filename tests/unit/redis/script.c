#include <criterion/criterion.h>

#include "client.h"
#include "servers.h"

static struct redis_script add_script = {
	.name = "add",
	.text = "return redis.call('INCRBY', KEYS[1], ARGV[1])",
};
static struct redis_script bad_script = {
	.name = "bad",
	.text = "return redis.call('LPUSH', KEYS[1], ARGV[1])",
};

static int64_t eval_add(struct redis *r, struct str key, struct str by)
{
	struct redis_reply *reply;
	struct arena a;
	int64_t value;

	arena_init(&a);
	cr_assert_eq(redis_eval(r, &a, &add_script, 1, REDIS_WORDS(key, by), &reply), 0);
	cr_assert_eq(reply->type, REDIS_INTEGER);
	value = reply->integer;
	arena_fini(&a);
	return value;
}

static int eval(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct redis_reply *reply = NULL;
	struct redis_stats before, after;
	struct arena a;

	arena_init(&a);
	/* A server of its own: the others' scripts are not flushed, and counts are exact. */
	(void) direct(servers_redis(), "SCRIPT FLUSH");
	redis_stats(r, &before);
	cr_assert_eq(eval_add(r, STR("script:n"), STR("2")), 2);
	redis_stats(r, &after);
	cr_assert_eq(after.commands - before.commands, 2, "EVALSHA, then EVAL");
	cr_assert_eq(eval_add(r, STR("script:n"), STR("5")), 7);
	redis_stats(r, &before);
	cr_assert_eq(before.commands - after.commands, 1, "EVALSHA alone");
	cr_assert_eq(strlen(add_script._sha), 40);
	cr_assert_eq(
		redis_eval(r, &a, &bad_script, 1, REDIS_WORDS(STR("script:n"), STR("x")), &reply),
		-E_REDIS_TYPE, "%s", fail_reason(-E_REDIS));
	cr_assert_not_null(strstr(fail_reason(-E_REDIS_TYPE), "script bad"));
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis_script, is_loaded_once_and_then_named)
{
	servers_private_redis();
	fibers_run(eval, NULL);
}

static int eval_twice(void *arg)
{
	struct redis_reply *reply;
	struct arena a;
	int e;

	arena_init(&a);
	/* The first time it is unknown: two commands, two waits. */
	(void) direct(servers_redis(), "SCRIPT FLUSH");
	e = redis_eval(arg, &a, &add_script, 1, REDIS_WORDS(STR("script:c"), STR("1")), &reply);
	if (e == 0)
		e = redis_eval(arg, &a, &add_script, 1, REDIS_WORDS(STR("script:c"), STR("1")),
			       &reply);
	arena_fini(&a);
	return e;
}

/* What a cancelled run has sent is done before the next one begins. */
static void settle(void *arg)
{
	struct arena a;

	arena_init(&a);
	(void) call_ok(arg, &a, REDIS_WORDS(STR("PING")));
	arena_fini(&a);
}

static int eval_cancelled(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);

	cr_assert_eq(fibers_cancel_everywhere(eval_twice, r, settle), 3);
	cr_assert_gt(eval_add(r, STR("script:c"), STR("0")), 2);
	client_close(r);
	return 0;
}

Test(redis_script, can_be_cancelled_at_every_wait)
{
	servers_private_redis();
	fibers_run(eval_cancelled, NULL);
}

struct answers {
	int64_t values[8];
	int errors[8];
	int count;
	struct waiter done;
	int wanted;
};

static void on_answer(void *arg, int error, const struct redis_reply *reply)
{
	struct answers *a = arg;

	a->errors[a->count] = error;
	a->values[a->count] = error == 0 && reply->type == REDIS_INTEGER ? reply->integer : -1;
	if (++a->count == a->wanted)
		fiber_wake(&a->done, 0);
}

static int send_unknown(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct answers answers = { .wanted = 3 };

	(void) direct(servers_redis(), "SCRIPT FLUSH");
	waiter_init(&answers.done);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(redis_send_script(r, &add_script, 1,
					       REDIS_WORDS(STR("script:m"), STR("1")), on_answer,
					       &answers),
			     0);
	cr_assert_eq(fiber_park(&answers.done, "answers"), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(answers.errors[i], 0);
		cr_assert_eq(answers.values[i], i + 1);
	}
	client_close(r);
	return 0;
}

Test(redis_script, sent_with_a_callback_is_loaded_when_the_server_does_not_know_it)
{
	servers_private_redis();
	fibers_run(send_unknown, NULL);
}

static int send_and_close(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct answers answers = { .wanted = 1 };

	waiter_init(&answers.done);
	cr_assert_eq(redis_send_script(r, &add_script, 1, REDIS_WORDS(STR("script:o"), STR("1")),
				       on_answer, &answers),
		     0);
	client_close(r);
	cr_assert_eq(answers.count, 1);
	cr_assert_eq(answers.errors[0], -ECANCELED);
	return 0;
}

Test(redis_script, closing_tells_the_callback)
{
	fibers_run(send_and_close, NULL);
}
