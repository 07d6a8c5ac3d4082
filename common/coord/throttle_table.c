#include "coord/throttle_table.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "base/world.h"

/* The stamps of one identity in one scope: a ring as large as the rate, oldest at `first`. */
struct stamps {
	struct list link; /* by last use, oldest first */
	char *key;
	size_t key_len;
	unsigned first, count, room;
	usec_t at[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map table;
static struct list used = LIST_INIT(used);

static void forget(struct stamps *s)
{
	map_remove(&table, str_make(s->key, s->key_len));
	list_remove(&s->link);
	free(s->key);
	free(s);
}

static struct stamps *add(struct str key, unsigned room)
{
	struct stamps *s;

	if (map_count(&table) >= THROTTLE_TABLE_MOST)
		forget(list_entry(list_first(&used), struct stamps, link));
	s = calloc(1, sizeof(*s) + room * sizeof(s->at[0]));
	must(s != NULL);
	s->key = malloc(key.len + 1);
	must(s->key != NULL);
	memcpy(s->key, key.at, key.len);
	s->key_len = key.len;
	s->room = room;
	list_init(&s->link);
	list_append(&used, &s->link);
	map_put(&table, str_make(s->key, s->key_len), s);
	return s;
}

static struct stamps *find(struct str key, unsigned room)
{
	struct stamps *s = map_find(&table, key);

	if (s != NULL && s->room != room) { /* another rate since */
		forget(s);
		s = NULL;
	}
	if (s == NULL)
		return add(key, room);
	list_remove(&s->link);
	list_append(&used, &s->link);
	return s;
}

static bool ask(struct stamps *s, usec_t period, usec_t *ret_wait)
{
	usec_t now = now_monotonic();

	while (s->count > 0 && s->at[s->first] <= now - period) {
		s->first = (s->first + 1) % s->room;
		s->count--;
	}
	if (s->count == s->room) {
		*ret_wait = s->at[s->first] + period - now;
		return false;
	}
	s->at[(s->first + s->count++) % s->room] = now;
	return true;
}

bool throttle_table_ask(struct str identity, const struct throttle_scope *scope, usec_t *ret_wait)
{
	_cleanup_(arena_fini) struct arena arena;
	struct str key;
	bool is_let;

	arena_init(&arena);
	key = arena_printf(&arena, "%s %.*s", scope->name, STR_ARG(identity));
	pthread_mutex_lock(&lock);
	is_let = ask(find(key, scope->rate.count), scope->rate.period, ret_wait);
	pthread_mutex_unlock(&lock);
	return is_let;
}
