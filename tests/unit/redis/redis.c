#include "redis/redis.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "client.h"
#include "servers.h"

Test(redis, formats_as_hiredis_does)
{
	static const struct str words[] = {
		STR_INIT("SET"),
		STR_INIT(""),
		STR_INIT("a\r\nb"),
		{ "nul\0nul", 7 },
		STR_INIT("0123456789012345678901234567890123456789"),
	};

	for (size_t count = 1; count <= ARRAY_SIZE(words); count++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;
		const char *texts[ARRAY_SIZE(words)];
		size_t sizes[ARRAY_SIZE(words)];
		char *wanted;
		int len;

		for (size_t i = 0; i < count; i++) {
			texts[i] = words[i].at;
			sizes[i] = words[i].len;
		}
		len = redisFormatCommandArgv(&wanted, (int) count, texts, sizes);
		redis_format(&out, words, count);
		cr_assert(str_eq(buf_str(&out), str_make(wanted, (size_t) len)));
		redisFreeCommand(wanted);
	}
}

/* Counts what it is told. */
struct tally {
	unsigned replies, errors, chunks;
	int last_error;
	int64_t last_integer;
	unsigned wanted;
	struct waiter done;
};

static void tally_init(struct tally *t, unsigned wanted)
{
	*t = (struct tally){ .wanted = wanted };
	waiter_init(&t->done);
}

static void on_reply(void *arg, int error, const struct redis_reply *reply)
{
	struct tally *t = arg;

	cr_assert_eq(error == 0, reply != NULL);
	t->replies++;
	if (error < 0) {
		t->errors++;
		t->last_error = error;
	} else {
		t->last_integer = reply->integer;
	}
	if (t->replies == t->wanted)
		fiber_wake(&t->done, 0);
}

static void on_chunk(void *arg)
{
	struct tally *t = arg;

	t->chunks++;
}

#define MANY 1000

static int one_write(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct redis_stats before, after;
	struct tally t;

	tally_init(&t, MANY);
	redis_on_chunk(r, on_chunk, &t);
	redis_stats(r, &before);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(redis_send(r, REDIS_WORDS(STR("INCR"), STR("many:n")), on_reply, &t),
			     0);
	redis_stats(r, &after);
	cr_assert_eq(after.pending_commands, MANY);
	cr_assert_eq(after.writes, before.writes, "before the end of the turn");
	cr_assert_eq(fiber_park(&t.done, "replies"), 0);
	redis_stats(r, &after);
	cr_assert_eq(t.errors, 0);
	cr_assert_eq(t.last_integer, MANY);
	cr_assert_eq(after.commands - before.commands, MANY);
	cr_assert_eq(after.writes - before.writes, 1, "%lu writes", after.writes - before.writes);
	cr_assert_lt(after.reads - before.reads, 20, "%lu reads", after.reads - before.reads);
	cr_assert(t.chunks > 0 && t.chunks <= after.reads - before.reads);
	cr_assert_eq(after.pending_commands, 0);
	client_close(r);
	return 0;
}

Test(redis, what_a_turn_sends_leaves_in_one_write)
{
	fibers_run(one_write, NULL);
}

static int caller(void *arg)
{
	struct redis_reply *reply;
	struct arena a;
	int e;

	arena_init(&a);
	e = redis_call(arg, &a, REDIS_WORDS(STR("PING")), &reply);
	arena_fini(&a);
	return e;
}

static int many_fibers(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct redis_stats before, after;
	struct fiber *fibers[100];

	redis_stats(r, &before);
	for (size_t i = 0; i < ARRAY_SIZE(fibers); i++)
		fibers[i] = fiber_start(fiber_loop(fiber_current()), "caller", fiber_deadline(),
					caller, r);
	for (size_t i = 0; i < ARRAY_SIZE(fibers); i++) {
		int result;

		fiber_join(fibers[i], &result);
		cr_assert_eq(result, 0);
	}
	redis_stats(r, &after);
	cr_assert_eq(after.commands - before.commands, ARRAY_SIZE(fibers));
	cr_assert_eq(after.writes - before.writes, 1, "%lu writes", after.writes - before.writes);
	client_close(r);
	return 0;
}

Test(redis, fibers_of_one_turn_share_a_write)
{
	fibers_run(many_fibers, NULL);
}

static int raw(void *arg)
{
	_cleanup_(buf_fini) struct buf resp = BUF_INIT;
	struct redis *r = client_open(servers_redis(), NULL);
	struct redis_stats stats;
	struct tally t;

	for (int i = 0; i < 64; i++)
		redis_format(&resp, REDIS_WORDS(STR("INCR"), STR("raw:n")));
	tally_init(&t, 64);
	cr_assert_eq(redis_send_raw(r, buf_str(&resp), 64, on_reply, &t), 0);
	redis_flush(r);
	redis_stats(r, &stats);
	cr_assert_eq(stats.pending_bytes, 0, "flushed");
	cr_assert_eq(stats.pending_commands, 64);
	cr_assert_eq(fiber_park(&t.done, "replies"), 0);
	cr_assert(t.errors == 0 && t.last_integer == 64);
	/* One that is lost is told once for each command. */
	tally_init(&t, 64);
	cr_assert_eq(redis_send_raw(r, buf_str(&resp), 64, on_reply, &t), 0);
	client_close(r);
	cr_assert(t.replies == 64 && t.errors == 64 && t.last_error == -ECANCELED);
	return 0;
}

Test(redis, raw_commands_are_answered_one_by_one)
{
	fibers_run(raw, NULL);
}

static int bounded(void *arg)
{
	_cleanup_(buf_fini) struct buf big = BUF_INIT;
	struct redis_options options = { .most_pending = 100 * KIB };
	struct redis *r = client_open(servers_redis(), &options);
	struct tally t;
	unsigned sent = 0;

	for (size_t i = 0; i < 20 * KIB; i++)
		buf_add_byte(&big, 'x');
	tally_init(&t, 0);
	while (redis_send(r, REDIS_WORDS(STR("SET"), STR("bounded"), buf_str(&big)), on_reply,
			  &t) == 0)
		sent++;
	cr_assert_not_null(strstr(fail_reason(-E_UNAVAILABLE), "bytes wait to be sent"));
	cr_assert(sent >= 4 && sent <= 6, "%u", sent);
	t.wanted = sent;
	cr_assert_eq(fiber_park(&t.done, "replies"), 0);
	cr_assert_eq(t.errors, 0);
	/* Taken by Redis: there is room again. */
	cr_assert_eq(redis_send(r, REDIS_WORDS(STR("DEL"), STR("bounded")), on_reply, &t), 0);
	client_close(r);
	return 0;
}

Test(redis, refuses_more_than_may_be_pending)
{
	fibers_run(bounded, NULL);
}

static int larger_than_the_socket(void *arg)
{
	_cleanup_(buf_fini) struct buf big = BUF_INIT;
	struct redis *r = client_open(servers_redis(), NULL);
	struct redis_reply *reply;
	struct redis_stats stats;
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < 8 * MIB; i++)
		buf_add_byte(&big, (char) ('a' + i % 23));
	(void) call_ok(r, &a, REDIS_WORDS(STR("SET"), STR("larger"), buf_str(&big)));
	reply = call_ok(r, &a, REDIS_WORDS(STR("GET"), STR("larger")));
	cr_assert(str_eq(reply->text, buf_str(&big)));
	redis_stats(r, &stats);
	cr_assert_eq(stats.pending_bytes, 0);
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(redis, sends_and_reads_what_no_socket_takes_at_once)
{
	fibers_run(larger_than_the_socket, NULL);
}

/* Answers by asking: the fetch of a supervisor. */
struct chain {
	struct redis *redis;
	unsigned left;
	struct waiter done;
};

static void next_link(void *arg, int error, const struct redis_reply *reply)
{
	struct chain *c = arg;

	cr_assert_eq(error, 0);
	if (c->left-- == 0) {
		fiber_wake(&c->done, 0);
		return;
	}
	cr_assert_eq(redis_send(c->redis, REDIS_WORDS(STR("PING")), next_link, c), 0);
	if (c->left % 2 == 0)
		redis_flush(c->redis);
}

static int chained(void *arg)
{
	struct chain c = { .redis = client_open(servers_redis(), NULL), .left = 100 };

	waiter_init(&c.done);
	cr_assert_eq(redis_send(c.redis, REDIS_WORDS(STR("PING")), next_link, &c), 0);
	cr_assert_eq(fiber_park(&c.done, "chain"), 0);
	client_close(c.redis);
	return 0;
}

Test(redis, a_callback_may_send)
{
	fibers_run(chained, NULL);
}

struct closer {
	struct redis *redis;
	unsigned replies, cancelled;
	struct waiter closed;
};

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

static void close_at_first(void *arg, int error, const struct redis_reply *reply)
{
	struct closer *c = arg;

	c->replies++;
	c->cancelled += error == -ECANCELED;
	if (c->replies == 1)
		redis_close(c->redis, on_closed, &c->closed);
}

static int close_inside(void *arg)
{
	struct closer c = { .redis = client_open(servers_redis(), NULL) };

	waiter_init(&c.closed);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(redis_send(c.redis, REDIS_WORDS(STR("PING")), close_at_first, &c), 0);
	cr_assert_eq(fiber_park(&c.closed, "close"), 0);
	cr_assert_eq(c.replies, 5);
	cr_assert_eq(c.cancelled, 4);
	return 0;
}

Test(redis, a_callback_may_close)
{
	fibers_run(close_inside, NULL);
}

struct messages {
	unsigned count;
	int end;
	char last[64];
	struct waiter arrived;
};

static void on_message(void *arg, int error, const struct redis_reply *reply)
{
	struct messages *m = arg;

	if (error < 0) {
		m->end = error;
		return;
	}
	cr_assert(reply->type == REDIS_ARRAY && reply->count == 3);
	m->count++;
	snprintf(m->last, sizeof(m->last), "%.*s", STR_ARG(reply->elements[2].text));
	fiber_wake(&m->arrived, 0);
}

static int subscribed(void *arg)
{
	_cleanup_(buf_fini) struct buf resp = BUF_INIT;
	struct redis *r = client_open(servers_redis(), NULL);
	struct messages m = { 0 };

	redis_format(&resp, REDIS_WORDS(STR("SUBSCRIBE"), STR("news")));
	waiter_init(&m.arrived);
	cr_assert_eq(redis_send_raw(r, buf_str(&resp), REDIS_ENDLESS, on_message, &m), 0);
	cr_assert_eq(fiber_park(&m.arrived, "subscribed"), 0);
	for (unsigned i = 1; i <= 3; i++) {
		waiter_init(&m.arrived);
		cr_assert_str_eq(direct(servers_redis(),
					i == 3 ? "PUBLISH news three" : "PUBLISH news more"),
				 "1");
		cr_assert_eq(fiber_park(&m.arrived, "message"), 0);
		cr_assert_eq(m.count, i + 1);
	}
	cr_assert_str_eq(m.last, "three");
	client_close(r);
	cr_assert_eq(m.end, -ECANCELED);
	return 0;
}

Test(redis, an_endless_command_gets_every_message)
{
	fibers_run(subscribed, NULL);
}
