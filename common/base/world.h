/*
 * world.h - time and chance, behind one struct that a test can replace.
 *
 * Nothing above the event loop may ask the kernel for either: a seeded run of the whole program
 * must see the same times and the same numbers again.
 *
 * Monotonic time starts anywhere and never goes back; use it for durations, deadlines and leases.
 * Real time is microseconds since 1970 UTC; use it only for what people or other programs read.
 */
#ifndef BASE_WORLD_H
#define BASE_WORLD_H

#include "base/macros.h"

struct world {
	usec_t (*monotonic)(void *arg);
	usec_t (*realtime)(void *arg);
	void (*random)(void *arg, void *at, size_t len);
	void *arg;
};

/* Replaces the world for the whole process; NULL brings the real one back.  Before threads
 * start. */
void world_set(const struct world *);

usec_t now_monotonic(void);
usec_t now_realtime(void);
void random_bytes(void *at, size_t len); /* from the kernel's generator, fit for secrets */
uint64_t random_below(uint64_t bound);   /* uniform in [0, bound); 0 if bound is 0 */

/* A world for tests: time stands still until moved, numbers follow from the seed. */
struct fake_world {
	struct world world;
	usec_t monotonic, realtime;
	uint64_t state;
};
void fake_world_init(struct fake_world *, uint64_t seed, usec_t realtime);
void fake_world_advance(struct fake_world *, usec_t by);

#endif
