#include "coord/cache.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/world.h"
#include "coord/cache_table.h"
#include "redis/client.h"
#include "servers.h"

static const struct cache_options usual = { .prefix = "t:", .most_bytes = MIB };

static bool is_tracking(void *c)
{
	struct cache_stats stats;

	cache_stats(c, &stats);
	return stats.is_tracking;
}

static bool is_not_tracking(void *c)
{
	return !is_tracking(c);
}

static struct cache *open_cache(size_t most_bytes)
{
	struct cache_options options = usual;
	struct cache *c;

	options.redis_url = servers_redis();
	options.most_bytes = most_bytes;
	cr_assert_eq(cache_open(fiber_loop(fiber_current()), &options, &c), 0);
	fibers_until(is_tracking, c, "the cache tracks");
	return c;
}

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

static void close_cache(struct cache *c)
{
	struct waiter w;

	waiter_init(&w);
	cache_close(c, on_closed, &w);
	cr_assert_eq(fiber_park(&w, "close"), 0);
}

/* What is true, and how often it was asked. */
struct truth {
	const char *text;
	unsigned asked;
	usec_t takes;
	int error;
	struct cache *dropping; /* changes while it is being read, and says so */
	struct waiter *hold;    /* the reader stays until it is woken */
};

static int make(void *arg, struct arena *arena, struct str *ret)
{
	static const char *const groups[] = { "g" };
	struct truth *t = arg;
	struct str read = arena_str(arena, str_c(t->text));

	t->asked++;
	if (t->dropping != NULL) {
		t->text = "new";
		cache_drop(t->dropping, groups, 1);
	}
	if (t->hold != NULL) {
		waiter_init(t->hold);
		cr_assert_eq(fiber_park(t->hold, "held"), 0);
	}
	if (t->takes > 0) {
		int r = fiber_sleep(t->takes);

		if (r < 0)
			return r;
	}
	if (t->error < 0)
		return fail(t->error, "the maker's own words");
	*ret = read;
	return 0;
}

static enum cache_tier get(struct cache *c, const char *key, struct truth *t, const char *expected)
{
	const struct cache_entry e = { .key = str_c(key), .ttl = MINUTE, .groups = { "g" } };
	enum cache_tier tier;
	struct arena a;
	struct str value;

	arena_init(&a);
	cr_assert_eq(cache_get(c, &a, &e, make, t, &value, &tier), 0, "%s", fail_reason(-1));
	cr_assert(str_eq_c(value, expected), "\"%.*s\", not \"%s\"", STR_ARG(value), expected);
	arena_fini(&a);
	return tier;
}

/* A notice about something else may be under way: what was read before it is not put into L1. */
static void until_l1(struct cache *c, const char *key, struct truth *t, const char *expected)
{
	for (int i = 0; get(c, key, t, expected) != CACHE_L1; i++) {
		cr_assert_lt(i, 1000, "it is never found in L1");
		cr_assert_eq(fiber_sleep(MSEC), 0);
	}
}

/* The other loop's L1 may say "one" for the time that a notice takes. */
static bool is_second(void *c)
{
	const struct cache_entry e = { .key = STR_INIT("tiers"), .ttl = MINUTE, .groups = { "g" } };
	struct truth t = { .text = "two" };
	struct arena a;
	struct str value;
	bool is_two;

	arena_init(&a);
	cr_assert_eq(cache_get(c, &a, &e, make, &t, &value, NULL), 0);
	is_two = str_eq_c(value, "two");
	arena_fini(&a);
	return is_two;
}

static int tiers(void *arg)
{
	static const char *const groups[] = { "g", "other" };
	struct cache *c = open_cache(MIB), *other = open_cache(MIB);
	struct truth t = { .text = "one" };

	cr_assert_eq(get(c, "tiers", &t, "one"), CACHE_MADE);
	cr_assert_eq(get(c, "tiers", &t, "one"), CACHE_L2);
	until_l1(c, "tiers", &t, "one");
	cr_assert_eq(get(other, "tiers", &t, "one"), CACHE_L2);
	until_l1(other, "tiers", &t, "one");
	cr_assert_eq(t.asked, 1);
	cr_assert_gt(atoi(direct(servers_redis(), "PTTL t:tiers")), 50000);
	t.text = "two";
	cache_drop(c, groups, 2);
	cr_assert_eq(get(c, "tiers", &t, "two"), CACHE_MADE);
	fibers_until(is_second, other, "the other one is told");
	close_cache(other);
	close_cache(c);
	return 0;
}

Test(cache, has_two_tiers_and_groups_end_both, .init = servers_private_redis)
{
	fibers_run(tiers, NULL);
}

static struct cache *told;
static struct truth told_truth = { .text = "kept" };

static bool is_told(void *arg)
{
	(void) arg;
	return get(told, "told", &told_truth, "kept") != CACHE_L1;
}

static int notices(void *arg)
{
	told = open_cache(MIB);
	until_l1(told, "told", &told_truth, "kept");
	(void) direct(servers_redis(), "DEL t:told");
	fibers_until(is_told, NULL, "what another client deleted is gone here");
	until_l1(told, "told", &told_truth, "kept");
	(void) direct(servers_redis(), "FLUSHALL");
	fibers_until(is_told, NULL, "a flushed Redis empties L1");
	close_cache(told);
	return 0;
}

Test(cache, is_told_of_what_others_change, .init = servers_private_redis)
{
	fibers_run(notices, NULL);
}

static int old_reader(void *arg)
{
	struct cache *c = open_cache(MIB), *writer = open_cache(MIB);
	struct truth t = { .text = "old", .dropping = writer };

	cr_assert_eq(get(c, "race", &t, "old"), CACHE_MADE, "it may still see the old one");
	t.dropping = NULL;
	cr_assert_eq(get(c, "race", &t, "new"), CACHE_MADE, "but may not leave it behind");
	cr_assert_eq(get(writer, "race", &t, "new"), CACHE_L2);
	close_cache(writer);
	close_cache(c);
	return 0;
}

Test(cache, a_value_made_before_a_write_is_not_found_after_it, .init = servers_private_redis)
{
	fibers_run(old_reader, NULL);
}

struct asker {
	struct cache *cache;
	struct truth *truth;
	enum cache_tier tier;
};

static int ask_for_old(void *arg)
{
	struct asker *a = arg;

	a->tier = get(a->cache, "past", a->truth, "old");
	return 0;
}

static bool is_asked(void *arg)
{
	const struct truth *t = arg;

	return t->asked == 1;
}

static bool is_notified(void *arg)
{
	struct cache_stats stats;

	cache_stats(arg, &stats);
	return stats.invalidations > 0;
}

/* Two ask, and the making is held; somebody writes; a third one asks.  With and without L1. */
static void after_a_write(size_t most_bytes, bool is_own)
{
	static const char *const groups[] = { "g" };
	struct cache *c = open_cache(most_bytes), *writer = is_own ? c : open_cache(most_bytes);
	struct waiter held;
	struct truth t = { .text = "old", .hold = &held };
	struct asker before[2] = { { c, &t, CACHE_L1 }, { c, &t, CACHE_L1 } };
	struct fiber *fibers[2];

	(void) direct(servers_redis(), "DEL t:past");
	for (int i = 0; i < 2; i++)
		fibers[i] = fiber_start(fiber_loop(fiber_current()), "asks", fiber_deadline(),
					ask_for_old, &before[i]);
	fibers_until(is_asked, &t, "it is being made");
	t.text = "new";
	t.hold = NULL;
	cache_drop(writer, groups, 1);
	if (!is_own)
		fibers_until(is_notified, c, "the write is heard of");
	cr_assert_eq(get(c, "past", &t, "new"), CACHE_MADE, "it does not wait for the old one");
	cr_assert_eq(get(c, "past", &t, "new"), CACHE_L2);
	fiber_wake(&held, 0);
	for (int i = 0; i < 2; i++)
		fiber_join(fibers[i], NULL);
	cr_assert_eq(before[0].tier, CACHE_MADE);
	cr_assert_eq(before[1].tier, CACHE_SHARED, "who asked before the write may wait");
	(void) get(c, "past", &t, "new");
	cr_assert_eq(t.asked, 2, "the old one is not kept");
	if (!is_own)
		close_cache(writer);
	close_cache(c);
}

static int written(void *arg)
{
	(void) arg;
	after_a_write(MIB, true);
	after_a_write(MIB, false);
	after_a_write(0, true);
	after_a_write(0, false);
	return 0;
}

Test(cache, a_making_from_before_a_write_is_not_joined_after_it, .init = servers_private_redis)
{
	fibers_run(written, NULL);
}

static struct cache *shared;
static struct truth shared_truth = { .text = "shared", .takes = 50 * MSEC };

static int get_shared(void *arg)
{
	const struct cache_entry e = { .key = STR_INIT("shared"), .ttl = MINUTE };
	struct arena a;
	struct str value;
	int r;

	arena_init(&a);
	r = cache_get(shared, &a, &e, make, &shared_truth, &value, NULL);
	if (r == 0)
		cr_assert(str_eq_c(value, "shared"));
	else if (r != -ECANCELED)
		cr_assert_str_eq(fail_reason(r), "the maker's own words");
	arena_fini(&a);
	return r;
}

#define CROWD 10

static struct fiber *crowd[CROWD];

static void start_crowd(void)
{
	for (int i = 0; i < CROWD; i++)
		crowd[i] = fiber_start(fiber_loop(fiber_current()), "asks", fiber_deadline(),
				       get_shared, NULL);
}

static void join_crowd(int from, int expected)
{
	for (int i = from; i < CROWD; i++) {
		int result;

		fiber_join(crowd[i], &result);
		cr_assert_eq(result, expected, "%d: %s", i, error_name(result));
	}
}

static int flight(void *arg)
{
	int result;

	shared = open_cache(0);
	start_crowd();
	join_crowd(0, 0);
	cr_assert_eq(get_shared(NULL), 0);
	cr_assert_eq(shared_truth.asked, 1, "%u", shared_truth.asked);

	(void) direct(servers_redis(), "DEL t:shared");
	shared_truth.error = -E_CONFLICT;
	start_crowd();
	join_crowd(0, -E_CONFLICT);
	cr_assert_eq(shared_truth.asked, 2, "an error is shared, and not kept");

	shared_truth.error = 0;
	start_crowd();
	while (shared_truth.asked == 2)
		cr_assert_eq(fiber_sleep(MSEC), 0);
	fiber_cancel(crowd[0]);
	fiber_join(crowd[0], &result);
	cr_assert_eq(result, -ECANCELED);
	join_crowd(1, 0);
	cr_assert_eq(shared_truth.asked, 4, "the next in line has made it");
	close_cache(shared);
	return 0;
}

Test(cache, many_at_once_make_one, .init = servers_private_redis)
{
	fibers_run(flight, NULL);
}

static int away(void *arg)
{
	static const char *const groups[] = { "g" };
	struct cache *c = open_cache(MIB);
	struct truth t = { .text = "before" };

	until_l1(c, "away", &t, "before");
	servers_redis_stop();
	fibers_until(is_not_tracking, c, "the loss is seen");
	t.text = "after";
	cr_assert_eq(get(c, "away", &t, "after"), CACHE_MADE);
	cr_assert_eq(get(c, "away", &t, "after"), CACHE_MADE, "every look-up misses");
	cache_drop(c, groups, 1);
	servers_redis_start();
	fibers_until(is_tracking, c, "Redis is back");
	cr_assert_eq(get(c, "away", &t, "after"), CACHE_MADE,
		     "what Redis kept over its absence was dropped meanwhile");
	cr_assert_eq(get(c, "away", &t, "after"), CACHE_L2);
	close_cache(c);
	return 0;
}

/* As a notice of PostgreSQL has it: no fiber waits. */
static int ended(void *arg)
{
	static const char *const groups[] = { "g" };
	struct cache *c = open_cache(MIB), *other = open_cache(MIB);
	struct truth t = { .text = "one" };

	until_l1(c, "tiers", &t, "one");
	until_l1(other, "tiers", &t, "one");
	t.text = "two";
	cache_end(c, groups, 1);
	cr_assert_eq(get(c, "tiers", &t, "two"), CACHE_MADE, "neither tier says the old");
	cr_assert_eq(get(c, "tiers", &t, "two"), CACHE_L2, "it ends what was, not what comes");
	fibers_until(is_second, other, "the other loop to hear of it by Redis");
	close_cache(other);
	close_cache(c);
	return 0;
}

Test(cache, ends_from_the_loops_own_stack, .init = servers_private_redis)
{
	fibers_run(ended, NULL);
}

Test(cache, misses_without_redis_and_drops_what_it_owes, .init = servers_private_redis)
{
	fibers_run(away, NULL);
}

static int look_up(void *arg)
{
	const struct cache_entry e = { .key = STR_INIT("walk"), .ttl = MINUTE, .groups = { "w" } };
	static const char *const groups[] = { "w" };
	struct truth t = { .text = "walk", .takes = MSEC };
	struct arena a;
	struct str value;
	int r;

	arena_init(&a);
	r = cache_get(arg, &a, &e, make, &t, &value, NULL);
	if (r == 0)
		cache_drop(arg, groups, 1);
	arena_fini(&a);
	return r < 0 ? r : fiber_check();
}

static int everywhere(void *arg)
{
	struct cache *c = open_cache(MIB);

	cr_assert_geq(fibers_cancel_everywhere(look_up, c, NULL), 3);
	close_cache(c);
	return 0;
}

Test(cache, may_be_cancelled_anywhere, .init = servers_private_redis)
{
	fibers_run(everywhere, NULL);
}

Test(cache, keys_name_the_caller)
{
	struct arena a;
	struct str ann, bob, anon;

	arena_init(&a);
	ann = cache_key(&a, STR("product-list"), STR("7"), STR("page=1"));
	bob = cache_key(&a, STR("product-list"), STR("8"), STR("page=1"));
	anon = cache_key(&a, STR("product-list"), STR_NULL, STR("page=1"));
	cr_assert(str_starts(ann, STR("api:product-list:7:")));
	cr_assert_eq(ann.len, strlen("api:product-list:7:") + 16);
	cr_assert(!str_eq(ann, bob));
	cr_assert(str_starts(anon, STR("api:product-list:anon:")));
	cr_assert(!str_eq(ann, cache_key(&a, STR("product-list"), STR("7"), STR("page=2"))));
	arena_fini(&a);
}

Test(cache_table, is_bounded_and_forgets_the_oldest_use)
{
	struct cache_table t;
	static char large[4 * KIB];
	char key[16], value[500] = { 'x' };

	cache_table_init(&t, 16 * KIB);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cache_table_put(&t, str_c(key), str_make(value, sizeof(value)), 1000);
		cr_assert_leq(t.bytes, 16 * KIB);
		cr_assert_eq(cache_table_find(&t, STR("k0"), 0).len, sizeof(value),
			     "used all the time");
	}
	cr_assert_gt(t.evictions, 50);
	cr_assert(str_is_null(cache_table_find(&t, STR("k1"), 0)));
	cr_assert(str_is_null(cache_table_find(&t, STR("k99"), 1000)), "expired");
	cache_table_put(&t, STR("large"), str_make(large, sizeof(large)), 1000);
	cr_assert(str_is_null(cache_table_find(&t, STR("large"), 0)));
	cache_table_clear(&t);
	cr_assert_eq(t.bytes, 0);
	cr_assert_eq(map_count(&t.map), 0);
	cache_table_fini(&t);
}
