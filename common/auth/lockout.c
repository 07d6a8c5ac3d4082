#include "auth/lockout.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/world.h"

#define PAIRS_MOST 10000
#define KEY_BYTES  16

static unsigned most_failures;
static usec_t cooloff;

/* --- in this process, while Redis is away --- */

struct pair {
	struct list age; /* in `by_age`, oldest first */
	unsigned attempts;
	usec_t until; /* monotonic; forgotten afterwards */
	char *key;    /* behind it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map pairs;
static struct list by_age;

static void forget(struct pair *p)
{
	(void) map_remove(&pairs, str_c(p->key)); /* it is `p` */
	list_remove(&p->age);
	free(p);
}

static struct pair *add(struct str key)
{
	struct pair *p = calloc(1, sizeof(*p) + key.len + 1);

	must(p != NULL);
	p->key = (char *) (p + 1);
	if (map_count(&pairs) >= PAIRS_MOST)
		forget(list_entry(list_first(&by_age), struct pair, age));
	memcpy(p->key, key.at, key.len);
	list_init(&p->age);
	list_append(&by_age, &p->age);
	(void) map_put(&pairs, str_c(p->key), p); /* there was none */
	return p;
}

/* How long it is locked; 0: it is not, and this attempt was counted. */
static usec_t attempt_here(struct str key)
{
	usec_t now = now_monotonic(), wait = 0;

	pthread_mutex_lock(&lock);
	struct pair *p = map_find(&pairs, key);
	if (p != NULL && p->until <= now) {
		forget(p);
		p = NULL;
	}
	if (p != NULL && p->attempts >= most_failures) {
		wait = p->until - now;
	} else {
		if (p == NULL)
			p = add(key);
		p->attempts++;
		p->until = now + cooloff;
	}
	pthread_mutex_unlock(&lock);
	return wait;
}

static void forgive_here(struct str key)
{
	pthread_mutex_lock(&lock);
	struct pair *p = map_find(&pairs, key);
	if (p != NULL)
		forget(p);
	pthread_mutex_unlock(&lock);
}

/* --- in Redis --- */

/* Milliseconds that it stays locked; 0: the attempt was counted. */
static struct redis_script attempt_script = {
	.name = "lockout",
	.text = "local n = tonumber(redis.call('GET', KEYS[1]) or '0')\n"
		"if n >= tonumber(ARGV[1]) then return math.max(redis.call('PTTL', KEYS[1]), 1) end\n"
		"redis.call('INCR', KEYS[1])\n"
		"redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
		"return 0\n",
};

static struct str redis_key(struct arena *arena, struct str key)
{
	return arena_printf(arena, "apium:lockout:%.*s", STR_ARG(key));
}

static int attempt_in_redis(struct redis *redis, struct arena *arena, struct str key,
			    usec_t *ret_wait)
{
	struct redis_reply *reply;
	int r;

	r = redis_eval(redis, arena, &attempt_script, 1,
		       REDIS_WORDS(redis_key(arena, key), arena_printf(arena, "%u", most_failures),
				   arena_printf(arena, "%ld", (long) (cooloff / MSEC))),
		       &reply);
	if (r == 0)
		*ret_wait = reply->integer * MSEC;
	return r;
}

/* --- both --- */

void lockout_setup(unsigned failures, usec_t time)
{
	most_failures = failures;
	cooloff = time;
	map_init(&pairs);
	list_init(&by_age);
}

/* Neither addresses nor accounts lie in Redis as they are, and a key has a bound. */
static struct str pair_key(struct arena *arena, struct str account, struct str address)
{
	_cleanup_(buf_fini) struct buf hex = BUF_INIT;
	unsigned char hash[KEY_BYTES];
	struct str both = arena_printf(arena, "%.*s\n%.*s", STR_ARG(account), STR_ARG(address));

	must(crypto_generichash(hash, sizeof(hash), (const unsigned char *) both.at, both.len, NULL,
				0) == 0);
	hex_encode(&hex, str_make(hash, sizeof(hash)));
	return arena_str(arena, buf_str(&hex));
}

int lockout_attempt(struct redis *redis, struct arena *arena, struct str account,
		    struct str address, usec_t *ret_wait)
{
	usec_t wait = 0;
	int r = -E_UNAVAILABLE;

	if (most_failures == 0)
		return 0;
	struct str key = pair_key(arena, account, address);
	if (redis_is_ready(redis))
		r = attempt_in_redis(redis, arena, key, &wait);
	if (r == -ECANCELED || r == -ETIMEDOUT)
		return r;
	if (r < 0)
		wait = attempt_here(key);
	if (wait == 0)
		return 0;
	*ret_wait = wait;
	return fail(-E_THROTTLED,
		    "Account locked: too many login attempts. Please try again later.");
}

int lockout_forgive(struct redis *redis, struct arena *arena, struct str account,
		    struct str address)
{
	struct redis_reply *reply;
	int r = 0;

	if (most_failures == 0)
		return 0;
	struct str key = pair_key(arena, account, address);
	forgive_here(key);
	if (redis_is_ready(redis))
		r = redis_call(redis, arena, REDIS_WORDS(STR("DEL"), redis_key(arena, key)),
			       &reply);
	/* A count that stays does no more than end by itself. */
	return r == -ECANCELED || r == -ETIMEDOUT ? r : 0;
}
