#include "queue/scripts.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "help.h"
#include "queue/keys.h"
#include "servers.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

struct load {
	struct waiter w;
};

static void on_loaded(void *arg, int error)
{
	struct load *l = arg;

	fiber_wake(&l->w, error);
}

static struct redis *open_loaded(void)
{
	struct redis *r = help_redis();
	struct load l;

	waiter_init(&l.w);
	cr_assert_eq(scripts_load(r, on_loaded, &l), 0);
	cr_assert_eq(fiber_park(&l.w, "load"), 0);
	return r;
}

/* Keys then arguments.  The reply as text; an error as its text, too. */
static struct str eval(struct redis *r, struct arena *a, enum lane_script script, const char *keys,
		       const struct str *words, size_t count)
{
	struct str all[48];
	struct redis_reply *reply;
	int e;

	cr_assert_leq(count + 3, ARRAY_SIZE(all));
	all[0] = STR("EVALSHA");
	all[1] = scripts_hash(script);
	all[2] = str_c(keys);
	memcpy(all + 3, words, count * sizeof(*words));
	e = redis_call(r, a, all, count + 3, &reply);
	if (e < 0)
		return arena_printf(a, "%s", fail_reason(e));
	return reply->type == REDIS_INTEGER ? arena_printf(a, "%d", (int) reply->integer)
	       : reply->type == REDIS_ARRAY
		       ? arena_printf(a, "%d %d", (int) reply->elements[0].integer,
				      (int) reply->elements[1].integer)
		       : reply->text;
}
#define W(...)                                                                                     \
	(const struct str[]){ __VA_ARGS__ }, ARRAY_SIZE(((const struct str[]){ __VA_ARGS__ }))

/* Words of each lane script as they stand when all is well; KEYS[1] is the list. */
static struct str run(struct redis *r, struct arena *a, enum lane_script script, struct str fly,
		      struct str need)
{
	struct str n = STR("");

	switch (script) {
	case SCRIPT_RESULTS:
		return eval(r, a, script, "2",
			    W(fly, STR("s:res"), need, STR("60"), STR("1"), STR("D")));
	case SCRIPT_END:
		return eval(r, a, script, "9",
			    W(fly, STR("s:live"), STR("s:rid"), STR("s:rkey"), STR("s:res"),
			      STR("s:crash"), STR("s:dead"), STR("s:letters"), STR("s:x"), need,
			      STR("1"), STR("id"), STR("1"), STR("Sid"), STR("Skey"), STR("60"),
			      STR("D"), STR("60"), STR("1"), STR("letter"), STR("record"),
			      STR("123")));
	case SCRIPT_STEP:
		return eval(r, a, script, "15",
			    W(fly, STR("s:live"), STR("s:rid"), STR("s:rkey"), STR("s:res"),
			      STR("s:crash"), STR("s:dead"), STR("s:letters"), STR("s:j"),
			      STR("s:t"), STR("s:s"), STR("s:d"), STR("s:c"), STR("s:g"),
			      STR("s:to"), need, STR("1"), STR("id"), STR("1"), STR("Sid"),
			      STR("Skey"), STR("60"), STR("D"), STR("60"), STR("1"), STR("letter"),
			      STR("record"), STR("123"), STR("1"), STR("g"), STR("[1]"), STR("0"),
			      STR("id:0"), STR("token"), STR("5"), STR("2"), STR("p"), n,
			      STR("next")));
	case SCRIPT_SCHEDULE:
		return eval(r, a, script, "3",
			    W(fly, STR("s:sched"), STR("s:res"), need, STR("1"), STR("in"),
			      STR("5000"), STR("0:u:m"), n, STR("60")));
	case SCRIPT_FORWARD:
		return eval(r, a, script, "2", W(fly, STR("s:to"), need, STR("1")));
	case SCRIPT_RELEASE:
		return eval(r, a, script, "2", W(fly, STR("s:q"), need, STR("1")));
	case SCRIPT_CRASHED:
		return eval(r, a, script, "2",
			    W(fly, STR("s:crash"), need, STR("1"), STR("id"), STR("1"), STR("new"),
			      STR("60")));
	default:
		cr_assert_fail("no such script");
	}
	return n;
}

static int fence(void *arg)
{
	struct redis *r = open_loaded();
	struct arena a;

	(void) arg;
	arena_init(&a);
	for (int script = 0; script < SCRIPT_MOVE; script++) {
		struct str answer;

		(void) help_do(r, &a, "FLUSHALL");
		(void) help_do(r, &a, "RPUSH s:fly one two");
		answer = run(r, &a, (enum lane_script) script, STR("s:fly"), STR("3"));
		cr_assert(str_find(answer, STR("LOST")) >= 0, "%d: %.*s", script, STR_ARG(answer));
		EQ(help_do(r, &a, "LRANGE s:fly 0 -1"), "one two");
		EQ(help_do(r, &a, "DBSIZE"), "1");
		(void) help_do(r, &a, "SET s:fenced token");
		answer = run(r, &a, (enum lane_script) script, STR("s:fenced"), STR("0"));
		cr_assert(str_find(answer, STR("WRONGTYPE")) >= 0, "%d: %.*s", script,
			  STR_ARG(answer));
		EQ(help_do(r, &a, "DBSIZE"), "2");
	}
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(scripts, nothing_moves_behind_the_fence)
{
	servers_private_redis();
	fibers_run(fence, NULL);
}

static int effects(void *arg)
{
	struct redis *r = open_loaded();
	struct arena a;

	(void) arg;
	arena_init(&a);
	(void) help_do(r, &a, "RPUSH s:fly one two three");
	EQ(run(r, &a, SCRIPT_RESULTS, STR("s:fly"), STR("3")), "1");
	EQ(help_do(r, &a, "LRANGE s:fly 0 -1"), "one  three");
	EQ(help_do(r, &a, "GET s:res"), "D");
	EQ(help_do(r, &a, "TTL s:res"), "60");

	(void) help_do(r, &a, "LSET s:fly 1 two");
	(void) help_do(r, &a, "HSET s:live id 1 other 1");
	(void) help_do(r, &a, "HSET s:crash id 2 id:alone 1 id:in w other 5");
	EQ(run(r, &a, SCRIPT_END, STR("s:fly"), STR("3")), "1");
	EQ(help_do(r, &a, "LRANGE s:fly 0 -1"), "one  three");
	EQ(help_do(r, &a, "HGETALL s:live"), "other 1");
	EQ(help_do(r, &a, "HGETALL s:crash"), "other 5");
	EQ(help_do(r, &a, "MGET s:rid s:rkey"), "Sid Skey");
	EQ(help_do(r, &a, "TTL s:rid"), "60");
	EQ(help_do(r, &a, "ZRANGE s:dead 0 -1 WITHSCORES"), "letter 123");
	EQ(help_do(r, &a, "HMGET s:letters letter letter:raw"), "record two");

	(void) help_do(r, &a, "LSET s:fly 1 two");
	EQ(run(r, &a, SCRIPT_SCHEDULE, STR("s:fly"), STR("3")), "5000");
	EQ(help_do(r, &a, "ZRANGE s:sched 0 -1"), "0:u:m");
	EQ(help_do(r, &a, "LINDEX s:fly 1"), "");

	(void) help_do(r, &a, "LSET s:fly 1 two");
	(void) help_do(r, &a, "RPUSH s:to there");
	EQ(run(r, &a, SCRIPT_FORWARD, STR("s:fly"), STR("3")), "1");
	EQ(help_do(r, &a, "LRANGE s:to 0 -1"), "two there");
	EQ(help_do(r, &a, "LINDEX s:fly 1"), "");

	(void) help_do(r, &a, "LSET s:fly 1 two");
	(void) help_do(r, &a, "RPUSH s:q there");
	EQ(run(r, &a, SCRIPT_RELEASE, STR("s:fly"), STR("3")), "1");
	EQ(help_do(r, &a, "LRANGE s:q 0 -1"), "there two");

	(void) help_do(r, &a, "LSET s:fly 1 two");
	(void) help_do(r, &a, "HSET s:crash id:in w");
	EQ(run(r, &a, SCRIPT_CRASHED, STR("s:fly"), STR("3")), "1 1");
	EQ(run(r, &a, SCRIPT_CRASHED, STR("s:fly"), STR("3")), "2 2");
	EQ(help_do(r, &a, "LINDEX s:fly 1"), "new");
	EQ(help_do(r, &a, "HEXISTS s:crash id:in"), "0");
	EQ(help_do(r, &a, "LLEN s:fly"), "3");
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(scripts, do_what_they_say)
{
	servers_private_redis();
	fibers_run(effects, NULL);
}

static int move(void *arg)
{
	struct redis *r = open_loaded();
	struct arena a;

	(void) arg;
	arena_init(&a);
	(void) help_do(r, &a, "LPUSH m:q one two three");
	(void) help_do(r, &a, "CONFIG SET maxmemory 1");
	for (int i = 0; i < 2; i++) {
		struct redis_reply *reply;
		int e = redis_call(r, &a,
				   REDIS_WORDS(STR("EVALSHA"), scripts_hash(SCRIPT_MOVE), STR("3"),
					       STR("m:q"), STR("m:fly"), STR("m:w"), STR("token"),
					       STR("2")),
				   &reply);

		cr_assert_eq(e, 0, "%s", fail_reason(e));
		cr_assert_eq(reply->count, i == 0 ? 2 : 1);
		EQ(reply->elements[0].text, i == 0 ? "one" : "three");
	}
	EQ(help_do(r, &a, "LRANGE m:fly 0 -1"), "one two three");
	EQ(help_do(r, &a, "HGET m:w token"), "1");
	(void) help_do(r, &a, "CONFIG SET maxmemory 0");
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(scripts, messages_move_when_the_memory_is_full)
{
	servers_private_redis();
	fibers_run(move, NULL);
}

static struct str call(struct redis *r, struct arena *a, struct redis_script *script, size_t keys,
		       const struct str *words, size_t count)
{
	struct redis_reply *reply;
	int e = redis_eval(r, a, script, keys, words, count, &reply);

	if (e < 0)
		return arena_printf(a, "%s", fail_reason(e));
	return reply->type == REDIS_INTEGER
		       ? arena_printf(a, "%d", (int) reply->integer)
		       : arena_printf(a, "%d %d", (int) reply->elements[0].integer,
				      (int) reply->elements[1].integer);
}

static struct str take(struct redis *r, struct arena *a, const char *from, const char *to,
		       const char *counter)
{
	return call(r, a, &script_take, 3,
		    W(STR("l:w"), arena_printf(a, "l:fly:%s", from),
		      arena_printf(a, "l:fly:%s", to), str_c(from), str_c(to), str_c(counter)));
}

static int leases(void *arg)
{
	struct redis *r = open_loaded();
	struct arena a;

	(void) arg;
	arena_init(&a);
	EQ(call(r, &a, &script_lease, 2, W(STR("l:w"), STR("l:fly:a"), STR("a"))), "1");
	EQ(call(r, &a, &script_lease, 2, W(STR("l:w"), STR("l:fly:a"), STR("a"))), "2");
	(void) help_do(r, &a, "RPUSH l:fly:a one two");
	EQ(take(r, &a, "a", "b", "1"), "-1");
	EQ(help_do(r, &a, "LLEN l:fly:a"), "2");
	EQ(take(r, &a, "a", "b", "2"), "2");
	EQ(help_do(r, &a, "HGETALL l:w"), "b 1");
	EQ(help_do(r, &a, "LRANGE l:fly:b 0 -1"), "one two");
	EQ(help_do(r, &a, "GET l:fly:a"), "b");
	EQ(call(r, &a, &script_lease, 2, W(STR("l:w"), STR("l:fly:a"), STR("a"))), "0");

	/* The answer was lost: the same is asked again, and somebody else asks too. */
	EQ(take(r, &a, "a", "b", ""), "2");
	EQ(take(r, &a, "a", "c", ""), "-2");
	/* An owner takes an empty list of his own: the new lease is there. */
	EQ(take(r, &a, "x", "y", ""), "0");
	EQ(help_do(r, &a, "HGET l:w y"), "1");
	EQ(help_do(r, &a, "TYPE l:fly:x"), "string");
	/* One with nothing in hand, by somebody else: nothing is left of it. */
	EQ(take(r, &a, "y", "z", "1"), "0");
	EQ(help_do(r, &a, "HEXISTS l:w z"), "0");

	EQ(call(r, &a, &script_leave, 2, W(STR("l:w"), STR("l:fly:b"), STR("b"))), "2");
	EQ(help_do(r, &a, "HEXISTS l:w b"), "1");
	(void) help_do(r, &a, "DEL l:fly:b");
	EQ(call(r, &a, &script_leave, 2, W(STR("l:w"), STR("l:fly:b"), STR("b"))), "0");
	EQ(help_do(r, &a, "EXISTS l:w"), "0");
	EQ(help_do(r, &a, "TYPE l:fly:b"), "string");
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(scripts, leases_are_taken_once)
{
	servers_private_redis();
	fibers_run(leases, NULL);
}

static int give_back(void *arg)
{
	struct redis *r = open_loaded();
	struct arena a;

	(void) arg;
	arena_init(&a);
	(void) help_do(r, &a, "RPUSH g:fly zero one two three");
	(void) help_do(r, &a, "RPUSH g:q waiting");
	(void) help_do(r, &a, "HSET g:crash i3:in dead i1:in another");
	EQ(call(r, &a, &script_give_back, 3,
		W(STR("g:fly"), STR("g:q"), STR("g:crash"), STR("dead"), STR("60"), STR("i1"),
		  STR("one'"), STR(""), STR(""), STR("i3"), STR("three'"))),
	   "2");
	EQ(help_do(r, &a, "LRANGE g:fly 0 -1"), "zero");
	/* The oldest is the next to be taken. */
	EQ(help_do(r, &a, "LRANGE g:q 0 -1"), "waiting three' one'");
	EQ(help_do(r, &a, "HMGET g:crash i1 i1:alone i1:in i3 i3:alone i3:in"),
	   "1 (nil) another 1 1 (nil)");
	EQ(help_do(r, &a, "TTL g:crash"), "60");
	cr_assert(str_find(call(r, &a, &script_give_back, 3,
				W(STR("g:fly"), STR("g:q"), STR("g:crash"), STR("dead"), STR("60"),
				  STR("a"), STR("a"), STR("b"), STR("b"))),
			   STR("LOST")) >= 0);
	EQ(help_do(r, &a, "LRANGE g:fly 0 -1"), "zero");
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(scripts, what_is_given_back_keeps_its_order)
{
	servers_private_redis();
	fibers_run(give_back, NULL);
}

static int due(void *arg)
{
	struct redis *r = open_loaded();
	struct arena a;
	struct str answer;

	(void) arg;
	arena_init(&a);
	(void) help_do(
		r, &a,
		"ZADD d:s 1 0:u1:first 2 0:u2:second 3 2:u3:other 4 x 99999999999999 0:u:late");
	EQ(call(r, &a, &script_due, 5,
		W(STR("d:s"), STR("d:0"), STR("d:3"), STR("d:6"), STR("d:9"), STR("2"))),
	   "2 0");
	EQ(help_do(r, &a, "LRANGE d:0 0 -1"), "second first");
	answer = call(r, &a, &script_due, 5,
		      W(STR("d:s"), STR("d:0"), STR("d:3"), STR("d:6"), STR("d:9"), STR("32")));
	cr_assert(str_starts(answer, STR("2 ")) && answer.len > 6, "%.*s", STR_ARG(answer));
	EQ(help_do(r, &a, "LRANGE d:6 0 -1"), "other");
	EQ(help_do(r, &a, "LRANGE d:0 0 -1"), "second first x");
	(void) help_do(r, &a, "DEL d:s");
	EQ(call(r, &a, &script_due, 5,
		W(STR("d:s"), STR("d:0"), STR("d:3"), STR("d:6"), STR("d:9"), STR("32"))),
	   "0 -1");
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(scripts, what_is_due_moves_and_the_rest_waits)
{
	servers_private_redis();
	fibers_run(due, NULL);
}

static int64_t tell(struct redis *r, struct arena *a, const char *state, const char *is_final)
{
	struct redis_reply *reply;

	cr_assert_eq(redis_eval(r, a, &script_tell, 1,
				W(STR("tell:res"),
				  arena_printf(a, "{\"status\": \"%s\", \"result\": null}", state),
				  STR("60"), str_c(is_final)),
				&reply),
		     0);
	return reply->integer;
}

static int final_states_stay(void *arg)
{
	struct redis *r = help_redis();
	struct arena a;

	(void) arg;
	arena_init(&a);
	cr_assert_eq(tell(r, &a, "STARTED", ""), 1);
	cr_assert_eq(tell(r, &a, "RETRY", ""), 1);
	cr_assert_eq(tell(r, &a, "FAILURE", "1"), 1);
	cr_assert_eq(tell(r, &a, "PROGRESS", ""), 0, "an older attempt is late");
	cr_assert_eq(tell(r, &a, "SUCCESS", "1"), 1, "a dead letter that was tried again");
	cr_assert_eq(tell(r, &a, "FAILURE", "1"), 0);
	cr_assert_eq(tell(r, &a, "SUCCESS", "1"), 0);
	help_close(r);
	arena_fini(&a);
	return 0;
}

Test(scripts, a_final_state_stays)
{
	servers_private_redis();
	fibers_run(final_states_stay, NULL);
}

/* A step of part `index` of a chord of two, followed by one message. */
static struct str step(struct redis *r, struct arena *a, const char *index, const char *check,
		       const char *token)
{
	struct str id = arena_printf(a, "part%s", index);

	return eval(r, a, SCRIPT_STEP, "16",
		    W(STR("s:fly"), STR("s:live"), STR("s:rid"), STR("s:rkey"),
		      arena_printf(a, "s:res%s", index), STR("s:crash"), STR("s:dead"),
		      STR("s:letters"), STR("s:j"), STR("s:t"), STR("s:s"), STR("s:d"), STR("s:c"),
		      STR("s:g"), STR("s:c"), STR("s:to"), STR("0"), STR("0"), id, STR(""), STR(""),
		      STR(""), STR("60"), STR("D"), STR("60"), STR(""), STR(""), STR(""), STR(""),
		      STR("2"), STR("g"),
		      arena_printf(a, "[1, \"%.*s\", \"%s\"]", STR_ARG(id), token), str_c(index),
		      arena_printf(a, "%.*s:%s", STR_ARG(id), index), str_c(token), STR("5"),
		      STR(""), STR(""), str_c(check), STR(""), str_c(token), STR("p"), STR(""),
		      STR("next")));
}

static int chord(void *arg)
{
	struct redis *r = open_loaded();
	struct arena a;

	(void) arg;
	arena_init(&a);
	(void) help_do(r, &a, "FLUSHALL");
	(void) help_do(r, &a, "RPUSH s:fly one");
	(void) help_do(r, &a, "SET s:s 2");
	EQ(step(r, &a, "0", "", "t0"), "1"); /* counted, and ended */
	EQ(help_do(r, &a, "LRANGE s:fly 0 -1"), "");
	EQ(help_do(r, &a, "LLEN s:to"), "1");
	(void) help_do(r, &a, "LSET s:fly 0 two");
	/* A copy that returned something else: it ends, and counts no more. */
	EQ(step(r, &a, "0", "", "other"), "1");
	EQ(help_do(r, &a, "ZCARD s:j"), "1");
	(void) help_do(r, &a, "LSET s:fly 0 three");
	EQ(step(r, &a, "1", "", "t1"), "1 0"); /* complete, claimed, not ended */
	EQ(help_do(r, &a, "LRANGE s:fly 0 -1"), "three");
	EQ(help_do(r, &a, "GET s:c"), "t1");
	EQ(help_do(r, &a, "LLEN s:to"), "2");
	EQ(help_do(r, &a, "GET s:res1"), "D");
	cr_assert(str_starts(step(r, &a, "1", "", "t2"), STR("0 "))); /* another's claim */
	EQ(step(r, &a, "1", "c", "t2"), "-1 0");
	EQ(step(r, &a, "1", "", "t1"), "1 0"); /* its own, again */
	(void) help_do(r, &a, "SET s:c done");
	EQ(step(r, &a, "1", "", "t3"), "1"); /* the body is out */
	EQ(help_do(r, &a, "ZRANGE s:j 0 -1"), "[1, \"part0\", \"t0\"] [1, \"part1\", \"t1\"]");

	/* Counted by others: of Celery 5.6, which know neither `.d` nor `.c`; into a list. */
	(void) help_do(r, &a, "DEL s:j s:d s:c");
	(void) help_do(r, &a, "ZADD s:j 1 old");
	EQ(step(r, &a, "0", "", "t4"), "1 0");
	EQ(help_do(r, &a, "ZRANGE s:j 0 -1"), "[1, \"part0\", \"t4\"] old");
	(void) help_do(r, &a, "DEL s:j s:d s:c");
	(void) help_do(r, &a, "RPUSH s:j first");
	EQ(step(r, &a, "0", "", "t5"), "1 0");
	EQ(help_do(r, &a, "LRANGE s:j 0 -1"), "first [1, \"part0\", \"t5\"]");
	/* More parts were added; and a chord whose size is gone is nobody's. */
	(void) help_do(r, &a, "DEL s:c");
	(void) help_do(r, &a, "SET s:t 1");
	EQ(step(r, &a, "1", "", "t6"), "1 0");
	(void) help_do(r, &a, "DEL s:c s:j s:d s:s s:t");
	EQ(step(r, &a, "1", "", "t7"), "1");
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(scripts, a_part_counts_once_and_one_claims)
{
	servers_private_redis();
	fibers_run(chord, NULL);
}
