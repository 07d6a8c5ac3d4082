#include "coord/lock.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/world.h"

#define USUAL_HOLD (10 * SEC)
#define TOKEN      16
/* Between two attempts: 100 ms on average, so that those who wait do not ask in step. */
#define POLL       (50 * MSEC)
#define POLL_MORE  (100 * MSEC)

struct lock {
	struct redis *redis;
	struct loop *loop;
	struct arena arena; /* of the texts */
	struct str name, key, token, hold_text;
	usec_t hold;
	uint64_t fence;
	struct timer timer;
	usec_t renewed; /* when the last renewal that succeeded was sent */
	usec_t sent;    /* the one under way */
	bool is_renewing;
	bool is_lost;
	bool is_released;     /* freed by the answer that is awaited */
	struct fiber *holder; /* NULL: not to be cancelled */
};

static struct redis_script take_script = {
	.name = "lock take",
	.text = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then\n"
		"  return redis.call('INCR', KEYS[2])\n"
		"end\n"
		"return 0\n",
};
static struct redis_script renew_script = {
	.name = "lock renew",
	.text = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
		"  return redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
		"end\n"
		"return 0\n",
};
static struct redis_script release_script = {
	.name = "lock release",
	.text = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
		"  return redis.call('DEL', KEYS[1])\n"
		"end\n"
		"return 0\n",
};

static struct lock *lock_new(struct redis *redis, const struct lock_options *o)
{
	struct lock *l = calloc(1, sizeof(*l));
	_cleanup_(buf_fini) struct buf token = BUF_INIT;
	char bytes[TOKEN];

	must(l != NULL);
	arena_init(&l->arena);
	random_bytes(bytes, sizeof(bytes));
	hex_encode(&token, str_make(bytes, sizeof(bytes)));
	l->redis = redis;
	l->loop = fiber_loop(fiber_current());
	l->name = arena_str(&l->arena, o->name);
	l->key = arena_printf(&l->arena, "lock:%.*s", STR_ARG(o->name));
	l->token = arena_str(&l->arena, buf_str(&token));
	l->hold = o->hold == 0 ? USUAL_HOLD : o->hold;
	l->hold_text = arena_printf(&l->arena, "%" PRId64, (int64_t) (l->hold / MSEC));
	l->holder = o->cancels_holder ? fiber_current() : NULL;
	return l;
}

static void lock_free(struct lock *l)
{
	arena_fini(&l->arena);
	free(l);
}

/* Nobody waits for it: a key that stays ends with its time. */
static void delete_key(struct lock *l)
{
	int r = redis_send_script(l->redis, &release_script, 1, REDIS_WORDS(l->key, l->token), NULL,
				  NULL);

	if (r < 0)
		log_warn("lock %.*s stays until its time is over: %s, ignoring", STR_ARG(l->name),
			 fail_reason(r));
}

/* --- renewal, on the loop's stack --- */

static void lose(struct lock *l, const char *why)
{
	timer_stop(&l->timer);
	l->is_lost = true;
	log_warn("lock %.*s is lost: %s", STR_ARG(l->name), why);
	if (l->holder != NULL)
		fiber_cancel(l->holder);
}

static void on_renewed(void *arg, int error, const struct redis_reply *reply)
{
	struct lock *l = arg;

	l->is_renewing = false;
	if (l->is_released) {
		lock_free(l);
		return;
	}
	if (l->is_lost || error < 0 || reply->type == REDIS_ERROR)
		return; /* asked again while there is time */
	if (reply->integer == 1)
		l->renewed = l->sent;
	else
		lose(l, "its key is another's or gone");
}

static void on_due(struct timer *t)
{
	struct lock *l = container_of(t, struct lock, timer);
	usec_t now = now_monotonic(), end = l->renewed + l->hold;

	if (now >= end) {
		lose(l, "it could not be renewed in time");
		return;
	}
	if (!l->is_renewing) {
		l->sent = now;
		l->is_renewing = redis_send_script(l->redis, &renew_script, 1,
						   REDIS_WORDS(l->key, l->token, l->hold_text),
						   on_renewed, l) == 0;
	}
	timer_start(l->loop, t, MIN(now + l->hold / 3, end), on_due);
}

/* --- for the holder --- */

/* 1: taken. */
static int try_once(struct lock *l)
{
	_cleanup_(arena_fini) struct arena arena;
	struct redis_reply *reply;
	struct str fence;
	int r;

	arena_init(&arena);
	fence = arena_printf(&arena, "apium:fence:%.*s", STR_ARG(l->name));
	l->renewed = now_monotonic();
	r = redis_eval(l->redis, &arena, &take_script, 2,
		       REDIS_WORDS(l->key, fence, l->token, l->hold_text), &reply);
	if (r < 0) {
		delete_key(l); /* it may have run all the same */
		return r;
	}
	l->fence = (uint64_t) reply->integer;
	return reply->integer > 0;
}

static int take(struct lock *l, usec_t wait)
{
	usec_t end = now_monotonic() + wait;
	int r;

	for (;;) {
		r = try_once(l);
		if (r != 0)
			return r;
		if (now_monotonic() >= end)
			return fail(-E_CONFLICT, "Could not acquire lock for %.*s",
				    STR_ARG(l->name));
		r = fiber_sleep(POLL + (usec_t) random_below(POLL_MORE));
		if (r < 0)
			return r;
	}
}

int lock_take(struct redis *redis, const struct lock_options *options, struct lock **ret)
{
	struct lock *l = lock_new(redis, options);
	int r = take(l, options->wait);

	if (r < 0) {
		lock_free(l);
		return r;
	}
	timer_start(l->loop, &l->timer, l->renewed + l->hold / 3, on_due);
	*ret = l;
	return 0;
}

bool lock_is_held(const struct lock *l)
{
	return !l->is_lost && now_monotonic() < l->renewed + l->hold;
}

uint64_t lock_fence(const struct lock *l)
{
	return l->fence;
}

struct lock *lock_release(struct lock *l)
{
	if (l == NULL)
		return NULL;
	timer_stop(&l->timer);
	delete_key(l);
	l->is_released = true;
	l->holder = NULL;
	if (!l->is_renewing)
		lock_free(l);
	return NULL;
}
