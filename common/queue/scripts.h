/*
 * scripts.h - every Lua text that runs inside Redis.
 *
 * Rules: no payload goes through Lua on the way from LPUSH to acknowledgement (it would cost more
 * than all the rest); each script is O(log n) or works on a bounded chunk; what acknowledges begins
 * with the fence.
 *
 * The fence.  A lane's in-flight list is taken from it by renaming, and a string stays in its
 * place: LLEN then fails with WRONGTYPE before anything was changed.  A list shorter than `need`
 * (what the lane holds) means that Redis lost data: -LOST, nothing was changed either.
 *
 * What takes jobs out of Redis, or moves them within it, is flagged allow-oom (so Redis 7.0 or
 * newer): a queue that filled the memory must still drain.
 *
 * Two kinds, because of how places are counted.  *Lane scripts* name a place in the list, which is
 * right only in the order in which the lane sent them; they are loaded when a connection begins and
 * called by their hash, and NOSCRIPT is a loss like any other (the lane resyncs).  The others may
 * be sent again.
 */
#ifndef QUEUE_SCRIPTS_H
#define QUEUE_SCRIPTS_H

#include "redis/redis.h"

/*
 * KEYS | ARGV.  Where the first key is `fly`, the lane fills it and the first two arguments: `need`,
 * what the list must hold, and the job's place in it.
 */
/* clang-format off */
enum lane_script {
	SCRIPT_RESULTS,  /* fly result… | need ttl, then for each result: place document */
	SCRIPT_END,      /* fly live receipt_of_id receipt_of_key result crash dead letters |
	                    need place id is_outbox value_of_id value_of_key receipt_ttl document ttl
	                    is_counted letter record now */
	SCRIPT_STEP,     /* the keys of SCRIPT_END, j t s d c group of a chord, a key for each effect |
	                    the arguments of SCRIPT_END, effects, group ('' of no chord) member score
	                    mark token claim size, for each effect: kind when payload
	                    -> 1; not ended: { 1, 0, is_list } the chord is complete and claimed,
	                    { 0, ms } somebody else has claimed it, { -1, 0 } a check failed */
	SCRIPT_SCHEDULE, /* fly schedule result | need place "at"|"in" ms member document ttl
	                    -> ms from now */
	SCRIPT_FORWARD,  /* fly target | need place */
	SCRIPT_RELEASE,  /* fly queue | need place */
	SCRIPT_CRASHED,  /* fly crash | need place id is_alone message ttl
	                    -> { deaths, deaths alone } */
	SCRIPT_MOVE,     /* list fly workers | token n -> messages.  What LMOVE does, for a Redis out
	                    of memory, which refuses LMOVE itself; acknowledges nothing */
	LANE_SCRIPTS,
};
/* clang-format on */

/*
 * Loads the lane scripts.  on_loaded: 0, or negative (E_REDIS: refused; E_UNAVAILABLE: the
 * connection is lost).  Returns -E_UNAVAILABLE when the connection is not ready; then on_loaded is
 * not called.
 */
int scripts_load(struct redis *, void (*on_loaded)(void *arg, int error), void *arg) _must_check_;
/* Its hash; "" before the first scripts_load. */
struct str scripts_hash(enum lane_script);
const char *scripts_text(enum lane_script);

/* KEYS workers fly | token -> the counter; 0: the lease was taken away. */
extern struct redis_script script_lease;
/* KEYS workers fly:old fly:new | old new counter; counter "" when the owner itself takes ->
 * elements (the same when the same is asked again); -1: the counter moved meanwhile; -2: somebody
 * else took it before. */
extern struct redis_script script_take;
/* KEYS fly queue crash | old token, ttl, then for the newest elements, oldest first: id message (''
 * and '' where finished) -> messages given back. */
extern struct redis_script script_give_back;
/* KEYS workers fly | token -> elements that are left; at 0 the lease is gone and the list
 * fenced. */
extern struct redis_script script_leave;
/* KEYS schedule list0 list3 list6 list9 | most -> { moved, ms until the next or -1 } */
extern struct redis_script script_due;
/* KEYS result | document ttl is_final -> 1 stored and published, 0 a better one is there.  What the
 * scripts that store results beside an acknowledgement do. */
extern struct redis_script script_tell;
/* What SCRIPT_STEP does in a Redis that holds results only: KEYS result, j t s d c group, a key for
 * each effect | document ttl effects group member score mark token claim size, for each effect:
 * kind when payload -> as SCRIPT_STEP. */
extern struct redis_script script_results_step;
/* KEYS live list schedule receipt | id, due in ms or 0, message (with due: member) -> 1 pushed, 0
 * there already, 2 has ended */
extern struct redis_script script_push;

#endif
