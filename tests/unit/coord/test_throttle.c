#include "coord/throttle.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "coord/throttle_table.h"
#include "base/world.h"
#include "redis/client.h"
#include "servers.h"

static const struct throttle_scope narrow = { "narrow", { 2, 300 * MSEC }, false };
static const struct throttle_scope wide = { "wide", { 3, MINUTE }, false };
static const struct throttle_scope local = { "local", { 2, MINUTE }, true };
static const struct throttle_scope free_scope = { "free", { 0, 0 }, true };

static int ask(struct redis *r, const char *identity, const struct throttle_scope *one,
	       const struct throttle_scope *other, unsigned *ret_wait)
{
	const struct throttle_scope *const scopes[] = { one, other };
	struct arena a;
	int e;

	arena_init(&a);
	e = throttle_ask(r, &a, str_c(identity), scopes, other == NULL ? 1 : 2, ret_wait);
	arena_fini(&a);
	return e;
}

Test(throttle, rates_are_drfs)
{
	struct rate rate;

	cr_assert_eq(rate_parse(STR("100/day"), &rate), 0);
	cr_assert(rate.count == 100 && rate.period == DAY);
	cr_assert_eq(rate_parse(STR("3/min"), &rate), 0);
	cr_assert(rate.count == 3 && rate.period == MINUTE);
	cr_assert_eq(rate_parse(STR("5/second"), &rate), 0);
	cr_assert(rate.count == 5 && rate.period == SEC);
	cr_assert_eq(rate_parse(STR(" 7/h "), &rate), 0);
	cr_assert(rate.count == 7 && rate.period == HOUR);
	cr_assert_eq(rate_parse(STR(""), &rate), 0);
	cr_assert_eq(rate.count, 0);
	for (const char *const *bad =
		     (const char *const[]){ "100", "/min", "x/min", "-1/min", "0/min", "5/",
					    "5/year", "99999999/s", NULL };
	     *bad != NULL; bad++)
		cr_assert_eq(rate_parse(str_c(*bad), &rate), -E_BAD_SETTING, "%s", *bad);
}

static int refuses_and_recovers(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	unsigned wait = 77;
	int e;

	cr_assert_eq(ask(r, "ann", &narrow, NULL, &wait), 0);
	cr_assert_eq(ask(r, "ann", &narrow, NULL, &wait), 0);
	cr_assert_eq(ask(r, "ann", &narrow, NULL, &wait), -E_THROTTLED);
	cr_assert_eq(wait, 1, "rounded up, not %u", wait);
	cr_assert_eq(ask(r, "bob", &narrow, NULL, &wait), 0, "another identity");
	/* A refusal is not logged: asking all the time does not put the end off. */
	for (usec_t end = now_monotonic() + 5 * SEC; now_monotonic() < end;) {
		e = ask(r, "ann", &narrow, NULL, &wait);
		if (e == 0)
			break;
		cr_assert_eq(fiber_sleep(5 * MSEC), 0);
	}
	cr_assert_eq(e, 0, "it never recovered");
	cr_assert_eq(atoi(direct(servers_redis(), "LLEN throttle:{ann}:narrow")) <= 2, 1);
	client_close(r);
	return 0;
}

Test(throttle, refuses_and_recovers)
{
	fibers_run(refuses_and_recovers, NULL);
}

static int others_log(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	unsigned wait;

	cr_assert_eq(ask(r, "cid", &local, &wide, &wait), 0);
	cr_assert_eq(ask(r, "cid", &local, &wide, &wait), 0);
	cr_assert_eq(ask(r, "cid", &local, &wide, &wait), -E_THROTTLED, "local is full");
	cr_assert(wait > 55 && wait <= 60, "%u", wait);
	cr_assert_eq(ask(r, "cid", &wide, NULL, &wait), -E_THROTTLED, "wide has logged all three");
	cr_assert_eq(ask(r, "cid", &free_scope, NULL, &wait), 0);
	client_close(r);
	return 0;
}

Test(throttle, a_scope_that_accepts_logs_although_another_refuses)
{
	fibers_run(others_log, NULL);
}

static int fails_open(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct throttle_stats before, after;
	usec_t start;
	unsigned wait;

	throttle_stats(&before);
	servers_redis_stop();
	client_until_lost(r);
	start = now_monotonic();
	for (int i = 0; i < 10; i++)
		cr_assert_eq(ask(r, "dan", &wide, NULL, &wait), 0);
	cr_assert_lt(now_monotonic() - start, 100 * MSEC, "nobody waits for it");
	cr_assert_eq(ask(r, "dan", &local, &wide, &wait), 0);
	cr_assert_eq(ask(r, "dan", &local, &wide, &wait), 0);
	cr_assert_eq(ask(r, "dan", &local, &wide, &wait), -E_THROTTLED);
	cr_assert(wait > 55 && wait <= 60, "%u", wait);
	cr_assert_eq(ask(r, "eve", &local, &wide, &wait), 0);
	throttle_stats(&after);
	cr_assert_eq(after.unasked - before.unasked, 14);
	cr_assert_eq(after.local - before.local, 4);
	servers_redis_start();
	client_until_ready(r);
	cr_assert_eq(ask(r, "dan", &local, NULL, &wait), 0, "Redis has not seen them");
	client_close(r);
	return 0;
}

Test(throttle, fails_open_without_redis_but_for_what_is_kept_here)
{
	servers_private_redis();
	fibers_run(fails_open, NULL);
}

Test(throttle, the_table_forgets_the_one_that_asked_longest_ago)
{
	struct throttle_scope one = { "one", { 1, HOUR }, true };
	char name[32];
	usec_t wait;

	cr_assert(throttle_table_ask(STR("first"), &one, &wait));
	cr_assert(!throttle_table_ask(STR("first"), &one, &wait));
	for (int i = 0; i < THROTTLE_TABLE_MOST; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		cr_assert(throttle_table_ask(str_c(name), &one, &wait));
	}
	cr_assert(throttle_table_ask(STR("first"), &one, &wait), "forgotten");
	cr_assert(!throttle_table_ask(str_c(name), &one, &wait), "the last one is still known");
}

static int cancelled(void *arg)
{
	unsigned wait;

	return ask(arg, "fay", &wide, NULL, &wait) == -E_THROTTLED ? 0 : fiber_check();
}

static int everywhere(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);

	(void) direct(servers_redis(), "SCRIPT FLUSH");
	cr_assert_geq(fibers_cancel_everywhere(cancelled, r, NULL), 1);
	client_close(r);
	return 0;
}

Test(throttle, may_be_cancelled_anywhere)
{
	servers_private_redis();
	fibers_run(everywhere, NULL);
}

static int window(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct arena a;

	arena_init(&a);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(window_take(r, &a, STR("ann"), STR("export"), 3, MINUTE), 0);
	int64_t left = atoi(direct(servers_redis(), "PTTL rate_limit:ann:export"));
	cr_assert(left > 50000 && left <= 60000);
	(void) direct(servers_redis(), "PEXPIRE rate_limit:ann:export 30000");
	cr_assert_eq(window_take(r, &a, STR("ann"), STR("export"), 3, MINUTE), -E_THROTTLED);
	cr_assert_str_eq(fail_reason(-E_THROTTLED), "Limit 3 per 60s exceeded");
	left = atoi(direct(servers_redis(), "PTTL rate_limit:ann:export"));
	cr_assert(left > 0 && left <= 30000, "a hit does not put the end off");
	/* A counter that never ends would lock its user out for ever. */
	(void) direct(servers_redis(), "PERSIST rate_limit:ann:export");
	cr_assert_eq(window_take(r, &a, STR("ann"), STR("export"), 3, MINUTE), -E_THROTTLED);
	cr_assert_gt(atoi(direct(servers_redis(), "PTTL rate_limit:ann:export")), 0);
	arena_fini(&a);
	client_close(r);
	return 0;
}

Test(throttle, a_window_ends_by_its_first_hit)
{
	fibers_run(window, NULL);
}
