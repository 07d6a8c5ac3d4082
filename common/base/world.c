#include "base/world.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static usec_t read_clock(clockid_t clock)
{
	struct timespec t;

	must(clock_gettime(clock, &t) == 0);
	return t.tv_sec * SEC + t.tv_nsec / 1000;
}

static usec_t real_monotonic(void *arg)
{
	return read_clock(CLOCK_MONOTONIC);
}

static usec_t real_realtime(void *arg)
{
	return read_clock(CLOCK_REALTIME);
}

static void kernel_random(void *at, size_t len)
{
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0) {
			must(errno == EINTR);
			continue;
		}
		at = (char *) at + n;
		len -= (size_t) n;
	}
}

/*
 * Identifiers take 16 bytes at a time, many times per millisecond: they share one system call among
 * several.  What was handed out is wiped, and a fork forgets the rest, or both sides would use it.
 */
#define POOL_SIZE 256
static _Thread_local struct {
	size_t left;
	uint8_t bytes[POOL_SIZE];
} pool;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void pool_forget(void)
{
	pool.left = 0;
}

static void pool_setup(void)
{
	must(pthread_atfork(NULL, NULL, pool_forget) == 0);
}

static void real_random(void *arg, void *at, size_t len)
{
	if (len > POOL_SIZE / 4) {
		kernel_random(at, len);
		return;
	}
	if (pool.left < len) {
		pthread_once(&pool_once, pool_setup);
		kernel_random(pool.bytes, POOL_SIZE);
		pool.left = POOL_SIZE;
	}
	pool.left -= len;
	memcpy(at, pool.bytes + pool.left, len);
	explicit_bzero(pool.bytes + pool.left, len);
}

static const struct world real_world = { real_monotonic, real_realtime, real_random, NULL };
static const struct world *world = &real_world;

void world_set(const struct world *w)
{
	world = w == NULL ? &real_world : w;
}

usec_t now_monotonic(void)
{
	return world->monotonic(world->arg);
}

usec_t now_realtime(void)
{
	return world->realtime(world->arg);
}

void random_bytes(void *at, size_t len)
{
	world->random(world->arg, at, len);
}

uint64_t random_below(uint64_t bound)
{
	uint64_t n, uneven;

	if (bound == 0)
		return 0;
	/* The lowest 2^64 mod bound values would make small results likelier: they are drawn
	 * again. */
	uneven = -bound % bound;
	do
		random_bytes(&n, sizeof(n));
	while (n < uneven);
	return n % bound;
}

static usec_t fake_monotonic(void *arg)
{
	return ((struct fake_world *) arg)->monotonic;
}

static usec_t fake_realtime(void *arg)
{
	return ((struct fake_world *) arg)->realtime;
}

/* SplitMix64: every seed, zero too, gives a full-period sequence. */
static void fake_random(void *arg, void *at, size_t len)
{
	struct fake_world *f = arg;

	while (len > 0) {
		uint64_t z = f->state += UINT64_C(0x9e3779b97f4a7c15);
		size_t n = MIN(len, sizeof(z));

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
		memcpy(at, &z, n);
		at = (char *) at + n;
		len -= n;
	}
}

void fake_world_init(struct fake_world *f, uint64_t seed, usec_t realtime)
{
	*f = (struct fake_world){
		.world = { fake_monotonic, fake_realtime, fake_random, f },
		.monotonic = SEC,
		.realtime = realtime,
		.state = seed,
	};
}

void fake_world_advance(struct fake_world *f, usec_t by)
{
	must(by >= 0);
	f->monotonic += by;
	f->realtime += by;
}
