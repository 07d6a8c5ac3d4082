#include "coord/cache.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/world.h"
#include "coord/cache_table.h"
#include "coord/courtesy.h"

#define GENERATION 16
/* L1 asks Redis again after this, where the entry does not say otherwise: so long may a notice be lost (a peer
 * that vanished without a word). */
#define L1_MOST    MINUTE
/* A longer value is made anew each time. */
#define VALUE_MOST MIB

#define CHANNEL "__redis__:invalidate"

struct cache {
	struct loop *loop;
	struct arena arena; /* of the prefix */
	struct str prefix;
	struct redis *data;    /* reads and writes; tracked */
	struct redis *notices; /* subscribed to what the other one's tracking finds */
	int64_t notices_id;    /* 0: not subscribed */
	int64_t tracked_id;    /* what tracking was last asked to redirect to */
	bool is_tracking;
	uint64_t changes; /* notices and losses: what was read before one is not put into L1 */
	struct cache_table table;
	struct map flights;
	struct map ends; /* of groups that were asked for: key -> struct group_ends */
	uint64_t losses; /* times that every group may have ended unheard */
	struct map owed; /* generations that Redis must forget and was not told: key -> itself */
	struct cache_stats stats;
	unsigned closing;
	void (*on_closed)(void *);
	void *on_closed_arg;
};

/* --- what this loop knows of ends --- */

struct group_ends {
	uint64_t count;
	size_t key_len;
	char key[];
};

static void note_end(struct cache *c, struct str key)
{
	struct group_ends *e = map_find(&c->ends, key);

	if (e != NULL)
		e->count++;
}

/* Names of groups come from tables, not from clients: they are few. */
static uint64_t ends_of(struct cache *c, struct str key)
{
	struct group_ends *e = map_find(&c->ends, key);

	if (e == NULL) {
		e = calloc(1, sizeof(*e) + key.len);
		must(e != NULL);
		memcpy(e->key, key.at, key.len);
		e->key_len = key.len;
		map_put(&c->ends, str_make(e->key, e->key_len), e);
	}
	return e->count;
}

/* --- L1 kept true; on the loop's stack --- */

static void distrust(struct cache *c)
{
	c->is_tracking = false;
	c->changes++;
	c->losses++;
	cache_table_clear(&c->table);
}

static void on_tracking(void *arg, int error, const struct redis_reply *reply)
{
	struct cache *c = arg;

	if (error == 0 && reply->type == REDIS_STATUS)
		c->is_tracking = c->notices_id != 0 && c->tracked_id == c->notices_id;
	else if (error == 0)
		log_warn("the cache stays without L1: CLIENT TRACKING: %.*s", STR_ARG(reply->text));
}

/* Once both connections are up, in whichever order; without L1 too, because a notice also ends the
 * joining of look-ups.  NOLOOP: what this connection writes itself is not in L1, or is taken out of it
 * when it is written. */
static void start_tracking(struct cache *c)
{
	char id[24];
	int r;

	distrust(c);
	if (c->notices_id == 0 || !redis_is_ready(c->data))
		return;
	snprintf(id, sizeof(id), "%" PRId64, c->notices_id);
	c->tracked_id = c->notices_id;
	r = redis_send(c->data,
		       REDIS_WORDS(STR("CLIENT"), STR("TRACKING"), STR("ON"), STR("REDIRECT"),
				   str_c(id), STR("NOLOOP")),
		       on_tracking, c);
	if (r < 0)
		log_warn("the cache stays without L1: %s", fail_reason(r));
}

static void on_data_state(void *arg, uint64_t generation)
{
	struct cache *c = arg;

	if (generation == 0)
		distrust(c);
	else
		start_tracking(c);
}

static void on_id(void *arg, int error, const struct redis_reply *reply)
{
	struct cache *c = arg;

	if (error == 0 && reply->type == REDIS_INTEGER)
		c->notices_id = -reply->integer; /* until it is subscribed */
}

static void invalidate(struct cache *c, const struct redis_reply *keys)
{
	c->changes++;
	c->stats.invalidations++;
	if (keys->type != REDIS_ARRAY) { /* FLUSHALL, FLUSHDB */
		c->losses++;
		cache_table_clear(&c->table);
		return;
	}
	for (size_t i = 0; i < keys->count; i++) {
		note_end(c, keys->elements[i].text);
		cache_table_drop(&c->table, keys->elements[i].text);
	}
}

/* ["subscribe", channel, 1], then ["message", channel, [key, …] or nil]. */
static void on_notice(void *arg, int error, const struct redis_reply *reply)
{
	struct cache *c = arg;

	if (error < 0 || reply->type != REDIS_ARRAY || reply->count != 3)
		return;
	if (str_eq(reply->elements[0].text, STR("message"))) {
		invalidate(c, &reply->elements[2]);
	} else if (c->notices_id < 0) {
		c->notices_id = -c->notices_id;
		start_tracking(c);
	}
}

static void on_notices_state(void *arg, uint64_t generation)
{
	_cleanup_(buf_fini) struct buf subscribe = BUF_INIT;
	struct cache *c = arg;
	int r;

	c->notices_id = 0;
	distrust(c);
	if (generation == 0)
		return;
	redis_format(&subscribe, REDIS_WORDS(STR("SUBSCRIBE"), STR(CHANNEL)));
	r = redis_send(c->notices, REDIS_WORDS(STR("CLIENT"), STR("ID")), on_id, c);
	if (r == 0)
		r = redis_send_raw(c->notices, buf_str(&subscribe), REDIS_ENDLESS, on_notice, c);
	if (r < 0)
		log_warn("the cache stays without L1: %s", fail_reason(r));
}

/* --- life --- */

static void fini_with_values(struct map *m)
{
	const struct map_slot *slot;

	for (size_t at = 0; (slot = map_next(m, &at)) != NULL;)
		free(slot->value);
	map_fini(m);
}

static void cache_free(struct cache *c)
{
	must(map_count(&c->flights) == 0);
	fini_with_values(&c->owed);
	fini_with_values(&c->ends);
	map_fini(&c->flights);
	cache_table_fini(&c->table);
	arena_fini(&c->arena);
	free(c);
}

static void on_connection_closed(void *arg)
{
	struct cache *c = arg;
	void (*on_closed)(void *) = c->on_closed;
	void *on_closed_arg = c->on_closed_arg;

	if (--c->closing > 0)
		return;
	cache_free(c);
	if (on_closed != NULL)
		on_closed(on_closed_arg);
}

void cache_close(struct cache *c, void (*on_closed)(void *), void *arg)
{
	c->on_closed = on_closed;
	c->on_closed_arg = arg;
	c->closing = 2;
	redis_close(c->notices, on_connection_closed, c);
	redis_close(c->data, on_connection_closed, c);
}

int cache_open(struct loop *loop, const struct cache_options *o, struct cache **ret)
{
	struct redis_options data = { .url = o->redis_url,
				      .name = "apium-cache",
				      .on_state = on_data_state };
	struct redis_options notices = { .url = o->redis_url,
					 .name = "apium-cache-notices",
					 .on_state = on_notices_state };
	struct cache *c = calloc(1, sizeof(*c));
	int r;

	must(c != NULL);
	arena_init(&c->arena);
	c->loop = loop;
	c->prefix = arena_str(&c->arena, o->prefix == NULL ? STR("") : str_c(o->prefix));
	cache_table_init(&c->table, o->most_bytes);
	map_init(&c->flights);
	map_init(&c->ends);
	map_init(&c->owed);
	data.arg = notices.arg = c;
	r = redis_open(loop, &data, &c->data);
	if (r < 0) {
		cache_free(c);
		return r;
	}
	must(redis_open(loop, &notices, &c->notices) == 0); /* the same url */
	*ret = c;
	return 0;
}

void cache_stats(const struct cache *c, struct cache_stats *ret)
{
	*ret = c->stats;
	ret->evictions = c->table.evictions;
	ret->bytes = c->table.bytes;
	ret->entries = map_count(&c->table.map);
	ret->is_tracking = c->is_tracking;
}

struct str cache_key(struct arena *arena, struct str endpoint, struct str user, struct str variant)
{
	_cleanup_(buf_fini) struct buf hash = BUF_INIT;
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, (const unsigned char *) variant.at, variant.len);
	hex_encode(&hash, str_make((const char *) digest, 8));
	return arena_printf(arena, "api:%.*s:%.*s:%.*s", STR_ARG(endpoint),
			    STR_ARG(str_is_null(user) ? STR("anon") : user), (int) hash.len,
			    hash.at);
}

/* --- groups --- */

static struct str group_key(struct arena *arena, struct str prefix, const char *group)
{
	return arena_printf(arena, "%.*sapium:cache:group:%s", STR_ARG(prefix), group);
}

static struct str new_generation(struct arena *arena)
{
	uint64_t number;

	random_bytes(&number, sizeof(number));
	return arena_printf(arena, "%016" PRIx64, number);
}

static void owe(struct cache *c, struct str key)
{
	char *copy;

	if (map_find(&c->owed, key) != NULL)
		return;
	copy = malloc(key.len);
	must(copy != NULL);
	memcpy(copy, key.at, key.len);
	map_put(&c->owed, str_make(copy, key.len), copy);
}

/* Leaves before the look-up that follows on the same connection. */
static void pay(struct cache *c, struct arena *arena)
{
	const struct map_slot *slot;

	for (size_t at = 0; (slot = map_next(&c->owed, &at)) != NULL; at = 0) {
		char *copy = slot->value;

		if (!redis_is_ready(c->data) ||
		    redis_send(c->data, REDIS_WORDS(STR("SET"), slot->key, new_generation(arena)),
			       NULL, NULL) < 0)
			return;
		cache_table_drop(&c->table, slot->key);
		map_remove(&c->owed, slot->key);
		free(copy);
	}
}

static int send_drop(struct redis *redis, struct arena *arena, const struct str *keys, size_t count)
{
	struct str words[1 + 2 * CACHE_GROUPS];
	struct redis_reply *reply;

	must(count <= CACHE_GROUPS);
	words[0] = STR("MSET");
	for (size_t i = 0; i < count; i++) {
		words[1 + 2 * i] = keys[i];
		words[2 + 2 * i] = new_generation(arena);
	}
	return courtesy_call(redis, arena, words, 1 + 2 * count, &reply);
}

static void drop_some(struct cache *c, const char *const *groups, size_t count)
{
	_cleanup_(arena_fini) struct arena arena;
	struct str keys[CACHE_GROUPS];

	arena_init(&arena);
	c->changes++;
	for (size_t i = 0; i < count; i++) {
		keys[i] = group_key(&arena, c->prefix, groups[i]);
		note_end(c, keys[i]);
		cache_table_drop(&c->table, keys[i]);
	}
	if (send_drop(c->data, &arena, keys, count) == 0)
		return;
	c->stats.unasked++;
	for (size_t i = 0; i < count; i++)
		owe(c, keys[i]);
}

void cache_drop(struct cache *c, const char *const *groups, size_t count)
{
	for (size_t n; count > 0; groups += n, count -= n) {
		n = MIN(count, (size_t) CACHE_GROUPS);
		drop_some(c, groups, n);
	}
}

void cache_end(struct cache *c, const char *const *groups, size_t count)
{
	_cleanup_(arena_fini) struct arena arena;

	arena_init(&arena);
	c->changes++;
	for (size_t i = 0; i < count; i++) {
		struct str key = group_key(&arena, c->prefix, groups[i]);

		note_end(c, key);
		cache_table_drop(&c->table, key);
		owe(c, key);
	}
	pay(c, &arena);
}

/* --- one look-up --- */

struct lookup {
	struct cache *cache;
	struct arena *arena;
	const struct cache_entry *entry;
	struct str keys[1 + CACHE_GROUPS]; /* the value's, then the generations' */
	size_t groups;
	struct str generations; /* of all groups, one behind the other; absent: not known */
	uint64_t ends; /* of its groups, when it began: more of them now, and it is of the past */
};

static uint64_t ends_now(const struct lookup *l)
{
	uint64_t sum = l->cache->losses;

	for (size_t i = 0; i < l->groups; i++)
		sum += ends_of(l->cache, l->keys[1 + i]);
	return sum;
}

static struct str generation_at(struct str generations, size_t i)
{
	return str_slice(generations, i * GENERATION, (i + 1) * GENERATION);
}

static void lookup_init(struct lookup *l, struct cache *c, struct arena *arena,
			const struct cache_entry *e)
{
	*l = (struct lookup){ .cache = c, .arena = arena, .entry = e };
	l->keys[0] = arena_printf(arena, "%.*s%.*s", STR_ARG(c->prefix), STR_ARG(e->key));
	while (l->groups < CACHE_GROUPS && e->groups[l->groups] != NULL) {
		l->keys[1 + l->groups] = group_key(arena, c->prefix, e->groups[l->groups]);
		l->groups++;
	}
	l->ends = ends_now(l);
}

static bool find_in_table(struct lookup *l, struct str *ret)
{
	struct cache_table *t = &l->cache->table;
	usec_t now = now_monotonic();
	struct str kept = cache_table_find(t, l->keys[0], now);

	if (str_is_null(kept))
		return false;
	for (size_t i = 0; i < l->groups; i++)
		if (!str_eq(cache_table_find(t, l->keys[1 + i], now), generation_at(kept, i)))
			return false;
	*ret = arena_str(l->arena, str_slice(kept, l->groups * GENERATION, kept.len));
	return true;
}

/* The generations as text, or absent when one is not there. */
static struct str read_generations(struct lookup *l, const struct redis_reply *elements)
{
	_cleanup_(buf_fini) struct buf all = BUF_INIT;

	for (size_t i = 0; i < l->groups; i++) {
		if (elements[i].text.len != GENERATION)
			return STR_NULL;
		buf_add_str(&all, elements[i].text);
	}
	return l->groups == 0 ? STR("") : arena_str(l->arena, buf_str(&all));
}

/* Groups that nobody has used yet, or that Redis has forgotten, begin with a new generation. */
static int begin_groups(struct lookup *l)
{
	struct str words[1 + CACHE_GROUPS];
	struct redis_reply *reply;
	int r = 0;

	words[0] = STR("MGET");
	for (size_t i = 0; r == 0 && i < l->groups; i++) {
		words[1 + i] = l->keys[1 + i];
		r = redis_send(
			l->cache->data,
			REDIS_WORDS(STR("SET"), words[1 + i], new_generation(l->arena), STR("NX")),
			NULL, NULL);
	}
	if (r == 0)
		r = courtesy_call(l->cache->data, l->arena, words, 1 + l->groups, &reply);
	if (r < 0)
		return r;
	if (reply->type == REDIS_ARRAY && reply->count == l->groups)
		l->generations = read_generations(l, reply->elements);
	return 0;
}

/* 1 with the value; 0 or negative without.  Learns the generations. */
static int find_in_redis(struct lookup *l, struct str *ret)
{
	struct cache *c = l->cache;
	struct str words[2 + CACHE_GROUPS], found;
	struct redis_reply *reply;
	size_t lead = l->groups * GENERATION;
	uint64_t changes = c->changes;
	int r;

	words[0] = STR("MGET");
	memcpy(words + 1, l->keys, (1 + l->groups) * sizeof(words[0]));
	r = courtesy_call(c->data, l->arena, words, 2 + l->groups, &reply);
	if (r < 0)
		return r;
	if (reply->type != REDIS_ARRAY || reply->count != 1 + l->groups)
		return fail(-E_REDIS, "the cache's MGET has another answer than an array");
	l->generations = read_generations(l, reply->elements + 1);
	if (str_is_null(l->generations))
		return begin_groups(l);
	found = reply->elements[0].text;
	if (str_is_null(found) || found.len < lead ||
	    !str_eq(str_slice(found, 0, lead), l->generations))
		return 0;
	*ret = str_slice(found, lead, found.len);
	if (c->is_tracking && changes == c->changes) {
		usec_t most = l->entry->l1_ttl > 0 ? l->entry->l1_ttl : L1_MOST;
		usec_t expires = now_monotonic() + MIN(l->entry->ttl, most);

		cache_table_put(&c->table, l->keys[0], found, expires);
		for (size_t i = 0; i < l->groups; i++)
			cache_table_put(&c->table, l->keys[1 + i], generation_at(l->generations, i),
					expires);
	}
	return 1;
}

/* Nobody waits for it.  L1 gets it when it is read, because only that is tracked. */
static void store(struct lookup *l, struct str value)
{
	struct str text, time;
	int r;

	if (str_is_null(l->generations) || value.len > VALUE_MOST)
		return;
	text = arena_printf(l->arena, "%.*s%.*s", STR_ARG(l->generations), STR_ARG(value));
	time = arena_printf(l->arena, "%" PRId64, (int64_t) (l->entry->ttl / MSEC));
	r = redis_send(l->cache->data, REDIS_WORDS(STR("SET"), l->keys[0], text, STR("PX"), time),
		       NULL, NULL);
	if (r < 0)
		l->cache->stats.unasked++;
}

static int find_or_make(struct lookup *l, cache_maker *make, void *arg, struct str *ret,
			enum cache_tier *ret_tier)
{
	struct cache *c = l->cache;
	int r;

	pay(c, l->arena);
	r = find_in_redis(l, ret);
	if (r > 0) {
		c->stats.l2_hits++;
		*ret_tier = CACHE_L2;
		return 0;
	}
	if (r < 0)
		c->stats.unasked++;
	r = make(arg, l->arena, ret);
	if (r < 0)
		return r;
	c->stats.made++;
	*ret_tier = CACHE_MADE;
	return 0;
}

/* --- single flight --- */

struct flight {
	struct list waiters;
	size_t holders; /* fibers that look at it */
	uint64_t ends;  /* as of the look-up that began it */
	char *key;
	size_t key_len;
	int result;
	struct error_record error;
	struct buf value;
};

#define YOUR_TURN 1

/* Where there is one of the past, its waiters stay with it. */
static struct flight *flight_new(struct cache *c, struct str key, uint64_t ends)
{
	struct flight *f = calloc(1, sizeof(*f));

	must(f != NULL);
	list_init(&f->waiters);
	buf_init(&f->value);
	f->holders = 1;
	f->ends = ends;
	f->key = malloc(key.len);
	must(f->key != NULL);
	memcpy(f->key, key.at, key.len);
	f->key_len = key.len;
	map_remove(&c->flights, key); /* the slot's key lies in the old one */
	map_put(&c->flights, str_make(f->key, f->key_len), f);
	return f;
}

/* Else somebody came after a write, and makes, or has made, what is newer. */
static bool flight_is_newest(const struct cache *c, const struct flight *f)
{
	return map_find(&c->flights, str_make(f->key, f->key_len)) == f;
}

static void flight_drop(struct flight *f)
{
	if (--f->holders > 0)
		return;
	buf_fini(&f->value);
	free(f->key);
	free(f);
}

/* YOUR_TURN: the hold is kept.  Else the result of whoever made it, or the own end. */
static int flight_wait(struct flight *f, struct arena *arena, struct str *ret)
{
	struct waiter w;
	int r;

	waiter_init(&w);
	list_append(&f->waiters, &w.link);
	f->holders++;
	r = fiber_park(&w, "cache: somebody else makes it");
	if (r == YOUR_TURN)
		return r;
	if (r == 0) {
		r = f->result;
		if (r < 0)
			r = fail(r, "%s", f->error.reason);
		else
			*ret = arena_str(arena, buf_str(&f->value));
	}
	flight_drop(f);
	return r;
}

/* The result for those who wait; or, when it says nothing but that this fiber has to end, the turn
 * for the first of them. */
static void flight_end(struct cache *c, struct flight *f, int r, struct str value)
{
	struct list *node;

	if ((r == -ECANCELED || r == -ETIMEDOUT) && (node = list_pop(&f->waiters)) != NULL) {
		fiber_wake(list_entry(node, struct waiter, link), YOUR_TURN);
		flight_drop(f);
		return;
	}
	if (flight_is_newest(c, f))
		map_remove(&c->flights, str_make(f->key, f->key_len));
	f->result = r;
	if (r < 0)
		snprintf(f->error.reason, sizeof(f->error.reason), "%s", fail_reason(r));
	else if (!list_is_empty(&f->waiters))
		buf_add_str(&f->value, value);
	while ((node = list_pop(&f->waiters)) != NULL)
		fiber_wake(list_entry(node, struct waiter, link), 0);
	flight_drop(f);
}

int cache_get(struct cache *c, struct arena *arena, const struct cache_entry *e, cache_maker *make,
	      void *arg, struct str *ret_value, enum cache_tier *ret_tier)
{
	enum cache_tier tier = CACHE_L1;
	struct str value = STR_NULL;
	struct lookup l;
	struct flight *f;
	int r;

	lookup_init(&l, c, arena, e);
	if (find_in_table(&l, &value)) {
		c->stats.l1_hits++;
		goto found;
	}
	f = map_find(&c->flights, l.keys[0]);
	if (f != NULL && f->ends == l.ends) {
		r = flight_wait(f, arena, &value);
		if (r < 0)
			return r;
		if (r == 0) {
			c->stats.shared++;
			tier = CACHE_SHARED;
			goto found;
		}
	} else {
		f = flight_new(c, l.keys[0], l.ends);
	}
	r = find_or_make(&l, make, arg, &value, &tier);
	if (r == 0 && tier == CACHE_MADE && flight_is_newest(c, f))
		store(&l, value);
	flight_end(c, f, r, value);
	if (r < 0)
		return r;
found:
	*ret_value = value;
	if (ret_tier != NULL)
		*ret_tier = tier;
	return 0;
}
