/*
 * lane.c - a lane against a real Redis: what it fetches, how it acknowledges, what it does when
 * something breaks.  The test plays supervisor and hosts.
 */
#include "queue/lane.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/error.h"
#include "base/live.h"
#include "help.h"
#include "servers.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)
#define MOST 4096

struct owner {
	struct redis *acks, *other;
	struct lane *lane;
	struct flights flights;
	struct arena arena;
	struct queue_keys keys;
	struct flight *got[MOST]; /* in the order of arrival; NULL: lost or ended */
	char ids[MOST][16];
	unsigned count, lost, room; /* room: messages to be fetched in all */
	bool is_stopping;
	int last_error; /* of an operation */
	unsigned ops_ended;
};

static void fetch(struct owner *o)
{
	while (o->count + lane_asked(o->lane) < o->room)
		if (lane_fetch(o->lane, o->room - o->count - lane_asked(o->lane)) == 0)
			return;
}

static void on_message(void *arg, struct lane *lane, struct flight *f, int scanned,
		       const struct message *m)
{
	struct owner *o = arg;
	struct str id = m->text[MESSAGE_ID];

	cr_assert_eq(lane, o->lane);
	cr_assert_eq(scanned < 0, str_is_null(id));
	cr_assert_lt(o->count, MOST);
	f->state = FLIGHT_OUT;
	(void) snprintf(o->ids[o->count], sizeof(o->ids[0]), "%.*s", STR_ARG(id));
	o->got[o->count++] = f;
}

static void on_lost(void *arg, struct lane *lane, struct flight *f)
{
	struct owner *o = arg;

	(void) lane;
	cr_assert(f->is_lost);
	o->lost++;
}

static void on_progress(void *arg, struct lane *lane)
{
	(void) lane;
	fetch(arg);
}

static const struct lane_callbacks callbacks = { on_message, on_lost, on_progress };

static void on_scripts(void *arg, int error)
{
	struct owner *o = arg;

	if (error == 0 && o->lane != NULL)
		lane_acks_changed(o->lane, true);
}

static void on_acks(void *arg, uint64_t generation)
{
	struct owner *o = arg;

	if (generation != 0)
		cr_assert_eq(scripts_load(o->acks, on_scripts, o), 0);
	else if (o->lane != NULL)
		lane_acks_changed(o->lane, false);
}

static bool is_open(void *arg)
{
	return lane_is_open(((struct owner *) arg)->lane);
}

static void owner_open(struct owner *o, unsigned room)
{
	struct redis_options options = { .url = servers_redis(), .on_state = on_acks, .arg = o };
	struct lane_options l = { .loop = fiber_loop(fiber_current()),
				  .url = servers_redis(),
				  .keys = &o->keys,
				  .worker = "w",
				  .flights = &o->flights,
				  .callbacks = &callbacks,
				  .arg = o };

	memset(o, 0, sizeof(*o));
	arena_init(&o->arena);
	o->other = help_redis();
	o->room = room;
	flights_init(&o->flights, MOST);
	cr_assert_eq(queue_keys_init(&o->keys, &o->arena, STR("q")), 0);
	cr_assert_eq(redis_open(l.loop, &options, &o->acks), 0);
	l.acks = o->acks;
	cr_assert_eq(lane_open(&l, &o->lane), 0);
	fibers_until(is_open, o, "the lane is open");
}

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

static void owner_close(struct owner *o)
{
	struct waiter w;

	for (unsigned i = 0; i < o->count; i++)
		if (o->got[i] != NULL && o->got[i]->state != FLIGHT_FREE && o->got[i]->is_lost)
			flight_free(&o->flights, o->got[i]);
	help_close(o->acks);
	waiter_init(&w);
	lane_close(o->lane, on_closed, &w);
	cr_assert_eq(fiber_park(&w, "close"), 0);
	for (uint32_t i = 0; i < o->flights.fresh; i++)
		if (o->flights.at[i].state != FLIGHT_FREE)
			flight_free(&o->flights, &o->flights.at[i]);
	flights_fini(&o->flights);
	help_close(o->other);
	arena_fini(&o->arena);
}

static struct str ask(struct owner *o, const char *command)
{
	return help_do(o->other, &o->arena, command);
}

static void push(struct owner *o, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		const char *id = arena_printf(&o->arena, "i%u", i).at;
		struct str m = help_envelope(&o->arena, "t", id, "[[],{},null]");
		struct redis_reply *reply;

		cr_assert_eq(redis_call(o->other, &o->arena, REDIS_WORDS(STR("LPUSH"), STR("q"), m),
					&reply),
			     0);
	}
}

struct expected {
	struct owner *o;
	unsigned count;
};

static bool has_come(void *arg)
{
	struct expected *e = arg;

	return e->o->count >= e->count;
}

static void until_come(struct owner *o, unsigned count)
{
	struct expected e = { o, count };

	fibers_until(has_come, &e, "messages came");
}

static bool is_acked(void *arg)
{
	struct expected *e = arg;

	return lane_held(e->o->lane) == e->count;
}

static void until_held(struct owner *o, unsigned count)
{
	struct expected e = { o, count };

	fibers_until(is_acked, &e, "acknowledged");
}

static void done(struct owner *o, unsigned i)
{
	lane_done(o->lane, o->got[i]);
	o->got[i] = NULL;
}

static struct str fly(struct owner *o)
{
	return arena_printf(&o->arena, "apium:{q}:fly:%.*s", STR_ARG(lane_token(o->lane)));
}

static struct str ask_fly(struct owner *o, const char *format)
{
	return ask(o, arena_printf(&o->arena, format, fly(o).at).at);
}

static int order_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 1000);
	EQ(ask(&o, "HLEN apium:{q}:workers"), "1");
	push(&o, 0, 300);
	until_come(&o, 300);
	for (unsigned i = 0; i < 300; i++) {
		char id[16];

		(void) snprintf(id, sizeof(id), "i%u", i);
		cr_assert_str_eq(o.ids[i], id);
	}
	EQ(ask(&o, "LLEN q"), "0");
	EQ(ask_fly(&o, "LLEN %s"), "300");
	for (unsigned i = 0; i < 100; i++)
		done(&o, i);
	lane_flush(o.lane);
	until_held(&o, 200);
	EQ(ask_fly(&o, "LLEN %s"), "200");
	/* Out of order: every other one. */
	for (unsigned i = 101; i < 300; i += 2)
		done(&o, i);
	lane_flush(o.lane);
	for (unsigned i = 0; i < 50; i++)
		cr_assert_eq(fiber_sleep(1 * MSEC), 0);
	EQ(ask_fly(&o, "LLEN %s"), "200");
	EQ(ask_fly(&o, "LINDEX %s 1"), "");
	for (unsigned i = 100; i < 300; i += 2)
		done(&o, i);
	lane_flush(o.lane);
	until_held(&o, 0);
	EQ(ask_fly(&o, "EXISTS %s"), "0");
	cr_assert_eq(o.flights.used, 0);
	owner_close(&o);
	return 0;
}

Test(lane, acknowledges_in_any_order)
{
	servers_private_redis();
	fibers_run(order_body, NULL);
}

static int random_body(void *arg)
{
	static unsigned order[2000];
	static struct owner o;
	uint64_t seed = 12345;

	(void) arg;
	owner_open(&o, 2000);
	push(&o, 0, 2000);
	until_come(&o, 2000);
	for (unsigned i = 0; i < 2000; i++)
		order[i] = i;
	for (unsigned i = 1999; i > 0; i--) {
		unsigned k, t;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		k = (unsigned) (seed >> 33) % (i + 1);
		t = order[i];
		order[i] = order[k];
		order[k] = t;
	}
	/* The very first one last: more than a thousand '' gather behind it, and are removed. */
	for (unsigned i = 0; i < 2000; i++) {
		if (order[i] != 0)
			done(&o, order[i]);
		if (i % 37 == 0) {
			lane_flush(o.lane);
			cr_assert_eq(fiber_yield(), 0);
		}
	}
	lane_flush(o.lane);
	{
		struct expected e = { &o, 1 };

		/* Fewer than the bound may stay: until the first is done. */
		(void) e;
		fibers_until(is_open, &o, "open");
	}
	done(&o, 0);
	lane_flush(o.lane);
	until_held(&o, 0);
	EQ(ask_fly(&o, "EXISTS %s"), "0");
	cr_assert_eq(o.flights.used, 0);
	owner_close(&o);
	return 0;
}

Test(lane, acknowledges_two_thousand_at_random)
{
	servers_private_redis();
	fibers_run(random_body, NULL);
}

static void on_op(void *arg, struct flight *f, int error, const struct redis_reply *reply)
{
	struct owner *o = arg;

	(void) f;
	(void) reply;
	o->last_error = error;
	o->ops_ended++;
}

static bool have_ops_ended(void *arg)
{
	struct expected *e = arg;

	return e->o->ops_ended >= e->count;
}

static void until_ops(struct owner *o, unsigned count)
{
	struct expected e = { o, count };

	fibers_until(have_ops_ended, &e, "operations ended");
}

static void result(struct owner *o, unsigned i, const char *key)
{
	lane_run(o->lane, o->got[i], SCRIPT_RESULTS, REDIS_WORDS(str_c(key)),
		 REDIS_WORDS(STR("60"), STR("DOC")), on_op, o);
	o->got[i] = NULL;
}

static void on_text(void *arg, struct flight *f, int error, const struct redis_reply *reply)
{
	struct owner *o = arg;

	(void) f;
	cr_assert_eq(error, 0);
	cr_assert(str_find(reply->text, STR("\"id\": \"i3\"")) > 0, "%.*s", STR_ARG(reply->text));
	o->ops_ended++;
}

static int ops_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 100);
	push(&o, 0, 50);
	until_come(&o, 50);
	/* Results are stored with the acknowledgement, many in one script; plain ends between
	 * them. */
	for (unsigned i = 5; i < 45; i++)
		if (i % 3 == 0)
			done(&o, i);
		else
			result(&o, i, arena_printf(&o.arena, "r%u", i).at);
	lane_flush(o.lane);
	until_ops(&o, 27);
	cr_assert_eq(o.last_error, 0);
	EQ(ask(&o, "MGET r5 r43 r44 r6"), "DOC DOC DOC (nil)");
	lane_read(o.lane, o.got[3], on_text, &o);
	lane_flush(o.lane);
	until_ops(&o, 28);
	cr_assert_eq(o.got[3]->state, FLIGHT_ENDING);
	lane_run(o.lane, o.got[3], SCRIPT_RELEASE, REDIS_WORDS(STR("back")), NULL, 0, on_op, &o);
	o.got[3] = NULL;
	lane_flush(o.lane);
	until_ops(&o, 29);
	EQ(ask(&o, "LLEN back"), "1");
	for (unsigned i = 0; i < 50; i++)
		if (o.got[i] != NULL)
			done(&o, i);
	lane_flush(o.lane);
	until_held(&o, 0);
	EQ(ask_fly(&o, "EXISTS %s"), "0");
	owner_close(&o);
	return 0;
}

Test(lane, operations_and_plain_ends_together)
{
	servers_private_redis();
	fibers_run(ops_body, NULL);
}

static bool has_other_token(void *arg)
{
	struct expected *e = arg;

	return lane_is_open(e->o->lane) && !str_eq_c(lane_token(e->o->lane), "w.1.0");
}

static void until_resynced(struct owner *o)
{
	struct expected e = { o, 0 };

	fibers_until(has_other_token, &e, "resynced");
}

static int cut_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 10);
	push(&o, 0, 20);
	until_come(&o, 10);
	done(&o, 0);
	done(&o, 4);
	result(&o, 6, "r6");
	/* Before anything is sent, both connections are cut: done ones must not run again. */
	EQ(ask(&o, "CLIENT KILL TYPE normal SKIPME yes"), "2");
	until_resynced(&o);
	lane_flush(o.lane);
	until_ops(&o, 1);
	cr_assert_eq(o.last_error, 0);
	EQ(ask(&o, "GET r6"), "DOC");
	cr_assert_eq(o.count, 10, "no message came twice");
	cr_assert_eq(o.lost, 0);
	EQ(ask(&o, "HLEN apium:{q}:workers"), "1");
	EQ(ask(&o, "TYPE apium:{q}:fly:w.1.0"), "string");
	for (unsigned i = 0; i < 10; i++)
		if (o.got[i] != NULL)
			done(&o, i);
	o.room = 20;
	lane_flush(o.lane);
	fetch(&o);
	until_come(&o, 20);
	for (unsigned i = 10; i < 20; i++)
		done(&o, i);
	lane_flush(o.lane);
	until_held(&o, 0);
	EQ(ask_fly(&o, "EXISTS %s"), "0");
	owner_close(&o);
	return 0;
}

Test(lane, a_cut_connection_repeats_nothing)
{
	servers_private_redis();
	fibers_run(cut_body, NULL);
}

static int found_body(void *arg)
{
	static struct owner o;
	struct str m;
	struct redis_reply *reply;

	(void) arg;
	owner_open(&o, 2);
	push(&o, 0, 2);
	until_come(&o, 2);
	/* As if the answer to a fetch had been lost: it lies in the list, and nobody knows it. */
	m = help_envelope(&o.arena, "t", "unknown", "[[],{},null]");
	cr_assert_eq(redis_call(o.other, &o.arena, REDIS_WORDS(STR("RPUSH"), fly(&o), m), &reply),
		     0);
	EQ(ask(&o, "CLIENT KILL TYPE normal SKIPME yes"), "2");
	until_resynced(&o);
	cr_assert_eq(o.count, 3);
	cr_assert_str_eq(o.ids[2], "unknown");
	for (unsigned i = 0; i < 3; i++)
		done(&o, i);
	lane_flush(o.lane);
	until_held(&o, 0);
	owner_close(&o);
	return 0;
}

Test(lane, what_was_moved_and_not_heard_of_is_run)
{
	servers_private_redis();
	fibers_run(found_body, NULL);
}

static int flush_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 5);
	push(&o, 0, 5);
	until_come(&o, 5);
	EQ(ask(&o, "FLUSHALL"), "OK");
	result(&o, 0, "r0");
	done(&o, 1);
	lane_flush(o.lane);
	until_resynced(&o);
	until_ops(&o, 1);
	cr_assert_eq(o.last_error, -E_LOST);
	EQ(ask(&o, "EXISTS r0"), "0");
	cr_assert_geq(o.lost, 3);
	cr_assert(o.got[2]->is_lost && o.got[3]->is_lost);
	o.room = 6;
	push(&o, 10, 1);
	fetch(&o);
	until_come(&o, 6);
	done(&o, 5);
	lane_flush(o.lane);
	until_held(&o, 0);
	owner_close(&o);
	return 0;
}

Test(lane, lost_data_is_noticed)
{
	servers_private_redis();
	fibers_run(flush_body, NULL);
}

static int flushed_idle_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 5);
	push(&o, 0, 1);
	until_come(&o, 1);
	done(&o, 0);
	lane_flush(o.lane);
	until_held(&o, 0);
	/* Nothing in hand, nothing to miss: the next batch's own lease says it. */
	EQ(ask(&o, "FLUSHALL"), "OK");
	push(&o, 1, 1);
	until_come(&o, 2);
	until_resynced(&o);
	EQ(ask(&o, "HLEN apium:{q}:workers"), "1");
	cr_assert_eq(o.count, 2);
	done(&o, 1);
	lane_flush(o.lane);
	until_held(&o, 0);
	owner_close(&o);
	return 0;
}

Test(lane, an_in_flight_list_is_never_without_a_lease)
{
	servers_private_redis();
	fibers_run(flushed_idle_body, NULL);
}

static int fenced_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 5);
	push(&o, 0, 5);
	until_come(&o, 5);
	/* Somebody takes the list: whatever was in hand is his. */
	(void) ask(&o, "RENAME apium:{q}:fly:w.1.0 apium:{q}:fly:x");
	(void) ask(&o, "SET apium:{q}:fly:w.1.0 x");
	(void) ask(&o, "HDEL apium:{q}:workers w.1.0");
	result(&o, 0, "r0");
	done(&o, 1);
	lane_flush(o.lane);
	until_ops(&o, 1);
	cr_assert_eq(o.last_error, -E_LOST);
	EQ(ask(&o, "EXISTS r0"), "0");
	EQ(ask(&o, "LLEN apium:{q}:fly:x"), "5");
	until_resynced(&o);
	cr_assert(o.got[2]->is_lost && o.got[3]->is_lost && o.got[4]->is_lost);
	EQ(ask(&o, "HLEN apium:{q}:workers"), "1");
	o.room = 6;
	push(&o, 7, 1);
	fetch(&o);
	until_come(&o, 6);
	cr_assert_str_eq(o.ids[5], "i7");
	done(&o, 5);
	lane_flush(o.lane);
	until_held(&o, 0);
	owner_close(&o);
	return 0;
}

Test(lane, a_taken_list_refuses_its_old_owner)
{
	servers_private_redis();
	fibers_run(fenced_body, NULL);
}

static int lease_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 1);
	EQ(ask(&o, "HGET apium:{q}:workers w.1.0"), "1");
	lane_renew(o.lane);
	lane_renew(o.lane); /* one at a time */
	cr_assert_eq(fiber_sleep(20 * MSEC), 0);
	EQ(ask(&o, "HGET apium:{q}:workers w.1.0"), "2");
	(void) ask(&o, "HSET apium:{q}:workers w.1.0 1");
	lane_renew(o.lane);
	until_resynced(&o); /* it began anew: Redis lost what came after */
	owner_close(&o);
	return 0;
}

Test(lane, the_lease_only_grows)
{
	servers_private_redis();
	fibers_run(lease_body, NULL);
}

static void on_left(void *arg)
{
	fiber_wake(arg, 0);
}

static bool is_quiet(void *arg)
{
	struct owner *o = arg;

	lane_stop(o->lane); /* it may not have waited yet when it was told */
	return lane_is_quiet(o->lane);
}

static int leave_body(void *arg)
{
	struct waiter w;
	static struct owner o;

	(void) arg;
	owner_open(&o, 5);
	lane_stop(o.lane);
	fibers_until(is_quiet, &o, "quiet");
	waiter_init(&w);
	lane_leave(o.lane, on_left, &w);
	cr_assert_eq(fiber_park(&w, "leave"), 0);
	EQ(ask(&o, "EXISTS apium:{q}:workers"), "0");
	push(&o, 0, 1);
	EQ(ask(&o, "LLEN q"), "1");
	owner_close(&o);
	return 0;
}

Test(lane, leaves_nothing_behind)
{
	servers_private_redis();
	fibers_run(leave_body, NULL);
}

static int restart_body(void *arg)
{
	static struct owner o;

	(void) arg;
	owner_open(&o, 5);
	push(&o, 0, 5);
	until_come(&o, 5);
	servers_redis_stop();
	done(&o, 2);
	lane_flush(o.lane);
	servers_redis_start();
	until_resynced(&o);
	cr_assert_eq(o.count + o.lost >= 5, true);
	owner_close(&o);
	return 0;
}

Test(lane, a_restarted_server_is_met_again)
{
	servers_private_redis();
	fibers_run(restart_body, NULL);
}
