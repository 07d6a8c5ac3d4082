#include "coord/courtesy.h"

#include "base/error.h"
#include "base/world.h"

#define PATIENCE (250 * MSEC)
#define PAUSE    SEC

static _Thread_local usec_t silent_until;

static int check_reachable(const struct redis *r)
{
	if (!redis_is_ready(r) || now_monotonic() < silent_until)
		return fail(-E_UNAVAILABLE, "Redis does not answer");
	return 0;
}

static int note_silence(int r)
{
	if (r == -ETIMEDOUT)
		silent_until = now_monotonic() + PAUSE;
	return r;
}

int courtesy_call(struct redis *redis, struct arena *arena, const struct str *words, size_t count,
		  struct redis_reply **ret_reply)
{
	FIBER_DEADLINE(PATIENCE);
	int r = check_reachable(redis);

	return r < 0 ? r : note_silence(redis_call(redis, arena, words, count, ret_reply));
}

int courtesy_eval(struct redis *redis, struct arena *arena, struct redis_script *script,
		  size_t keys, const struct str *words, size_t count,
		  struct redis_reply **ret_reply)
{
	FIBER_DEADLINE(PATIENCE);
	int r = check_reachable(redis);

	return r < 0 ? r
		     : note_silence(
			       redis_eval(redis, arena, script, keys, words, count, ret_reply));
}
