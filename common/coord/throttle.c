#include "coord/throttle.h"

#include <inttypes.h>

#include "base/error.h"
#include "coord/courtesy.h"
#include "coord/throttle_table.h"

/* A log holds as many stamps as its rate allows, so a rate has a bound. */
#define RATE_MOST 1000000

static struct throttle_stats stats;

static void count(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

void throttle_stats(struct throttle_stats *ret)
{
	ret->asked = __atomic_load_n(&stats.asked, __ATOMIC_RELAXED);
	ret->refused = __atomic_load_n(&stats.refused, __ATOMIC_RELAXED);
	ret->unasked = __atomic_load_n(&stats.unasked, __ATOMIC_RELAXED);
	ret->local = __atomic_load_n(&stats.local, __ATOMIC_RELAXED);
}

/* DRF's periods: the first letter counts. */
static usec_t period_of(char letter)
{
	static const struct {
		char letter;
		usec_t period;
	} periods[] = { { 's', SEC }, { 'm', MINUTE }, { 'h', HOUR }, { 'd', DAY } };

	for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
		if (periods[i].letter == letter)
			return periods[i].period;
	return 0;
}

int rate_parse(struct str text, struct rate *ret)
{
	struct str rest = str_trim(text), number = STR_NULL;
	uint64_t most;
	usec_t period;

	if (rest.len == 0) {
		*ret = (struct rate){ 0 };
		return 0;
	}
	str_cut(&rest, '/', &number);
	period = rest.len > 0 ? period_of(rest.at[0]) : 0;
	if (period == 0 || str_to_u64(number, &most) < 0 || most == 0 || most > RATE_MOST)
		return fail(-E_BAD_SETTING,
			    "\"%.*s\" is no rate: a number from 1 to %d, a slash and a period "
			    "that begins with s, m, h or d, such as 100/min",
			    STR_ARG(text), RATE_MOST);
	*ret = (struct rate){ .count = (unsigned) most, .period = period };
	return 0;
}

/*
 * Keys are the scopes' logs, arguments each one's limit and period.  The answer: how many refused,
 * and the longest wait of those, -1 when none is known.  A stamp is taken off once, so the loop's
 * steps are paid for by those who logged.
 */
static struct redis_script ask_script = {
	.name = "throttle",
	.text = "local t = redis.call('TIME')\n"
		"local now = t[1] * 1000000 + t[2]\n"
		"local refused, longest = 0, -1\n"
		"for i, key in ipairs(KEYS) do\n"
		"  local limit, period = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])\n"
		"  local oldest = redis.call('LINDEX', key, 0)\n"
		"  while oldest and tonumber(oldest) <= now - period do\n"
		"    redis.call('LPOP', key)\n"
		"    oldest = redis.call('LINDEX', key, 0)\n"
		"  end\n"
		"  local count = redis.call('LLEN', key)\n"
		"  if count < limit then\n"
		"    redis.call('RPUSH', key, string.format('%.0f', now))\n"
		"    redis.call('PEXPIRE', key, period / 1000)\n"
		"  else\n"
		"    refused = refused + 1\n"
		"    local room = limit - count + 1\n"
		"    if room > 0 then\n"
		"      longest = math.max(longest, (tonumber(oldest) + period - now) / room)\n"
		"    end\n"
		"  end\n"
		"end\n"
		"return { refused, math.ceil(longest) }\n",
};

static int refuse(usec_t wait, unsigned *ret_wait)
{
	count(&stats.refused);
	*ret_wait = wait <= 0 ? 0 : (unsigned) ((wait + SEC - 1) / SEC);
	return fail(-E_THROTTLED, "%s", error_sentence(-E_THROTTLED));
}

/* Redis is away: what must count is counted here, everybody else may. */
static int ask_table(struct str identity, const struct throttle_scope *const *scopes, size_t n,
		     unsigned *ret_wait)
{
	usec_t longest = -1, wait;
	bool is_refused = false;

	count(&stats.unasked);
	for (size_t i = 0; i < n; i++) {
		if (!scopes[i]->is_kept_locally)
			continue;
		count(&stats.local);
		if (!throttle_table_ask(identity, scopes[i], &wait)) {
			is_refused = true;
			longest = MAX(longest, wait);
		}
	}
	return is_refused ? refuse(longest, ret_wait) : 0;
}

int throttle_ask(struct redis *redis, struct arena *arena, struct str identity,
		 const struct throttle_scope *const *scopes, size_t n, unsigned *ret_wait)
{
	const struct throttle_scope *limited[THROTTLE_SCOPES];
	struct str words[3 * THROTTLE_SCOPES];
	struct redis_reply *reply;
	size_t keys = 0;
	int r;

	must(n <= THROTTLE_SCOPES);
	for (size_t i = 0; i < n; i++)
		if (scopes[i]->rate.count > 0)
			limited[keys++] = scopes[i];
	if (keys == 0)
		return 0;
	for (size_t i = 0; i < keys; i++) {
		const struct throttle_scope *s = limited[i];

		words[i] = arena_printf(arena, "throttle:{%.*s}:%s", STR_ARG(identity), s->name);
		words[keys + 2 * i] = arena_printf(arena, "%u", s->rate.count);
		words[keys + 2 * i + 1] = arena_printf(arena, "%" PRId64, (int64_t) s->rate.period);
	}
	count(&stats.asked);
	r = courtesy_eval(redis, arena, &ask_script, keys, words, 3 * keys, &reply);
	if (r < 0)
		return ask_table(identity, limited, keys, ret_wait);
	must(reply->type == REDIS_ARRAY && reply->count == 2);
	return reply->elements[0].integer > 0 ? refuse(reply->elements[1].integer, ret_wait) : 0;
}

/* A counter without an end (a client of the old kind died between its two commands) gets one. */
static struct redis_script window_script = {
	.name = "window",
	.text = "local n = redis.call('INCR', KEYS[1])\n"
		"if n == 1 or redis.call('PTTL', KEYS[1]) < 0 then\n"
		"  redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
		"end\n"
		"return n\n",
};

int window_take(struct redis *redis, struct arena *arena, struct str user, struct str action,
		unsigned limit, usec_t window)
{
	struct str key = arena_printf(arena, "rate_limit:%.*s:%.*s", STR_ARG(user),
				      STR_ARG(action));
	struct str time = arena_printf(arena, "%" PRId64, (int64_t) (window / MSEC));
	struct redis_reply *reply;
	int r;

	count(&stats.asked);
	r = courtesy_eval(redis, arena, &window_script, 1, REDIS_WORDS(key, time), &reply);
	if (r < 0) {
		count(&stats.unasked);
		return 0;
	}
	if (reply->integer <= (int64_t) limit)
		return 0;
	count(&stats.refused);
	return fail(-E_THROTTLED, "Limit %u per %" PRId64 "s exceeded", limit,
		    (int64_t) (window / SEC));
}
