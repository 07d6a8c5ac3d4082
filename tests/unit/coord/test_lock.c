#include "coord/lock.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/world.h"
#include "redis/client.h"
#include "servers.h"

static struct lock *take(struct redis *r, const char *name, usec_t hold)
{
	const struct lock_options options = { .name = str_c(name), .hold = hold };
	struct lock *l = NULL;
	int e = lock_take(r, &options, &l);

	cr_assert_eq(e, 0, "%s: %s", name, fail_reason(e));
	cr_assert(lock_is_held(l));
	return l;
}

static int take_error(struct redis *r, const char *name, usec_t wait)
{
	const struct lock_options options = { .name = str_c(name), .wait = wait };
	struct lock *l = NULL;
	int e = lock_take(r, &options, &l);

	cr_assert_lt(e, 0);
	cr_assert_null(l, "written on failure");
	return e;
}

static bool is_gone(void *key)
{
	char command[64];

	snprintf(command, sizeof(command), "EXISTS lock:%s", (const char *) key);
	return atoi(direct(servers_redis(), command)) == 0;
}

static int one_holder(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct lock *l = take(r, "one", 0), *next;
	uint64_t fence = lock_fence(l);
	usec_t start = now_monotonic();

	cr_assert_gt(atoi(direct(servers_redis(), "PTTL lock:one")), 9000);
	cr_assert_eq(take_error(r, "one", 0), -E_CONFLICT);
	cr_assert_str_eq(fail_reason(-E_CONFLICT), "Could not acquire lock for one");
	cr_assert_eq(take_error(r, "one", 200 * MSEC), -E_CONFLICT);
	cr_assert_geq(now_monotonic() - start, 200 * MSEC);
	lock_release(l);
	fibers_until(is_gone, "one", "the key is gone");
	next = take(r, "one", 0);
	cr_assert_gt(lock_fence(next), fence);
	lock_release(next);
	cr_assert_null(lock_release(NULL));
	client_close(r);
	return 0;
}

Test(lock, has_one_holder_and_growing_fences)
{
	fibers_run(one_holder, NULL);
}

static struct lock *given_up;

static int release_later(void *arg)
{
	int r = fiber_sleep(150 * MSEC);

	given_up = lock_release(given_up);
	return r;
}

static int waits(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	const struct lock_options options = { .name = STR_INIT("waits"), .wait = 10 * SEC };
	struct fiber *f;
	struct lock *l;

	given_up = take(r, "waits", 0);
	f = fiber_start(fiber_loop(fiber_current()), "other", fiber_deadline(), release_later,
			NULL);
	fiber_detach(f, NULL, NULL);
	cr_assert_eq(lock_take(r, &options, &l), 0);
	lock_release(l);
	client_close(r);
	return 0;
}

Test(lock, is_waited_for)
{
	fibers_run(waits, NULL);
}

static int renewed(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct lock *l = take(r, "renewed", 300 * MSEC);
	usec_t end = now_monotonic() + 1200 * MSEC;

	while (now_monotonic() < end) {
		cr_assert_eq(fiber_sleep(20 * MSEC), 0);
		cr_assert(lock_is_held(l));
		cr_assert_eq(atoi(direct(servers_redis(), "EXISTS lock:renewed")), 1);
	}
	lock_release(l);
	fibers_until(is_gone, "renewed", "the key is gone");
	client_close(r);
	return 0;
}

Test(lock, is_renewed_while_it_is_held)
{
	fibers_run(renewed, NULL);
}

static bool is_lost(void *l)
{
	return !lock_is_held(l);
}

static int stolen(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct lock *l = take(r, "stolen", 600 * MSEC);

	(void) direct(servers_redis(), "SET lock:stolen other");
	fibers_until(is_lost, l, "the loss is seen");
	lock_release(l);
	(void) direct(servers_redis(), "PING");
	cr_assert_str_eq(direct(servers_redis(), "GET lock:stolen"), "other", "not ours to delete");
	client_close(r);
	return 0;
}

Test(lock, knows_when_it_was_lost_and_leaves_anothers_key)
{
	fibers_run(stolen, NULL);
}

static int hold_for_ever(void *arg)
{
	const struct lock_options options = { .name = STR_INIT("cancels"),
					      .hold = 300 * MSEC,
					      .cancels_holder = true };
	_cleanup_(lock_releasep) struct lock *l = NULL;
	int e = lock_take(arg, &options, &l);

	cr_assert_eq(e, 0);
	return fiber_sleep(30 * SEC);
}

static int without_redis(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);
	struct fiber *f = fiber_start(fiber_loop(fiber_current()), "holder", fiber_deadline(),
				      hold_for_ever, r);
	char name[] = "cancels";
	int result;

	while (is_gone(name))
		cr_assert_eq(fiber_sleep(5 * MSEC), 0);
	servers_redis_stop();
	client_until_lost(r);
	fiber_join(f, &result);
	cr_assert_eq(result, -ECANCELED, "its holder is stopped when it cannot be renewed");
	cr_assert_eq(take_error(r, "cancels", 0), -E_UNAVAILABLE);
	servers_redis_start();
	client_close(r);
	return 0;
}

Test(lock, cancels_its_holder_when_it_cannot_be_renewed)
{
	servers_private_redis();
	fibers_run(without_redis, NULL);
}

static int take_and_release(void *arg)
{
	const struct lock_options options = { .name = STR_INIT("walk") };
	_cleanup_(lock_releasep) struct lock *l = NULL;

	return lock_take(arg, &options, &l);
}

static void check_free(void *arg)
{
	/* Sent in order with what the cancelled run has sent. */
	struct lock *l = take(arg, "walk", 0);

	lock_release(l);
}

static int everywhere(void *arg)
{
	struct redis *r = client_open(servers_redis(), NULL);

	(void) direct(servers_redis(), "SCRIPT FLUSH");
	cr_assert_geq(fibers_cancel_everywhere(take_and_release, r, check_free), 1);
	client_close(r);
	return 0;
}

Test(lock, leaves_nothing_when_its_taking_is_cancelled)
{
	servers_private_redis();
	fibers_run(everywhere, NULL);
}
