#include "auth/identity_cache.h"

#include <stdlib.h>

#include "base/map.h"

#define ENTRIES_MOST 10000
#define CACHE_MAGIC  UINT32_C(0x49444341)

struct entry {
	struct list age;          /* in `by_age`, oldest first */
	struct identity identity; /* its texts lie behind the struct */
	char texts[];
};

struct identity_cache {
	uint32_t magic;
	bool is_listening;
	uint64_t changes;
	uint64_t rights_changes, rights_followed;
	uint64_t revocations; /* how many of the process's it has followed */
	struct map by_id;
	struct list by_age;
};

static uint64_t revocations;

void identity_cache_forget_everywhere(void)
{
	__atomic_add_fetch(&revocations, 1, __ATOMIC_SEQ_CST);
}

struct identity_cache *identity_cache_new(void)
{
	struct identity_cache *cache = calloc(1, sizeof(*cache));

	must(cache != NULL);
	cache->magic = CACHE_MAGIC;
	map_init(&cache->by_id);
	list_init(&cache->by_age);
	return cache;
}

static void forget(struct identity_cache *cache, struct entry *e)
{
	(void) map_remove(&cache->by_id, e->identity.id); /* it is `e` */
	list_remove(&e->age);
	free(e);
}

static void forget_all(struct identity_cache *cache)
{
	list_for_each (node, &cache->by_age)
		forget(cache, list_entry(node, struct entry, age));
}

struct identity_cache *identity_cache_free(struct identity_cache *cache)
{
	if (cache == NULL)
		return NULL;
	forget_all(cache);
	map_fini(&cache->by_id);
	cache->magic = 0;
	free(cache);
	return NULL;
}

void identity_cache_on_listening(void *arg, bool is_listening)
{
	struct identity_cache *cache = arg;

	OBJ_CHECK(cache, CACHE_MAGIC);
	cache->is_listening = is_listening;
	cache->changes++;
	cache->rights_changes++;
	forget_all(cache);
}

void identity_cache_on_notice(void *arg, struct str payload)
{
	struct identity_cache *cache = arg;

	OBJ_CHECK(cache, CACHE_MAGIC);
	if (str_eq(payload, STR("rights"))) {
		cache->rights_changes++;
		return;
	}
	cache->changes++;
	struct entry *e = map_find(&cache->by_id, payload);
	if (payload.len == 0)
		forget_all(cache);
	else if (e != NULL)
		forget(cache, e);
}

static void follow_revocations(struct identity_cache *cache)
{
	uint64_t now = __atomic_load_n(&revocations, __ATOMIC_SEQ_CST);

	if (cache->revocations == now)
		return;
	cache->revocations = now;
	cache->changes++;
	forget_all(cache);
}

const struct identity *identity_cache_find(struct identity_cache *cache, struct str id)
{
	follow_revocations(cache);
	const struct entry *e = map_find(&cache->by_id, id);

	return e == NULL ? NULL : &e->identity;
}

uint64_t identity_cache_changes(struct identity_cache *cache)
{
	follow_revocations(cache);
	return cache->changes;
}

static struct str copy_text(char **at, struct str text)
{
	struct str copy = str_make(memcpy(*at, text.at, text.len), text.len);

	*at += text.len;
	return copy;
}

void identity_cache_keep(struct identity_cache *cache, const struct identity *who, uint64_t changes)
{
	follow_revocations(cache);
	if (!cache->is_listening || changes != cache->changes ||
	    identity_cache_find(cache, who->id) != NULL)
		return;
	if (map_count(&cache->by_id) >= ENTRIES_MOST)
		forget(cache, list_entry(list_first(&cache->by_age), struct entry, age));
	struct entry *e = malloc(sizeof(*e) + who->id.len + who->email.len + who->username.len +
				 who->first_name.len + who->last_name.len);
	must(e != NULL);
	char *at = e->texts;
	e->identity = *who;
	e->identity.id = copy_text(&at, who->id);
	e->identity.email = copy_text(&at, who->email);
	e->identity.username = copy_text(&at, who->username);
	e->identity.first_name = copy_text(&at, who->first_name);
	e->identity.last_name = copy_text(&at, who->last_name);
	list_init(&e->age);
	list_append(&cache->by_age, &e->age);
	(void) map_put(&cache->by_id, e->identity.id, e); /* there was none */
}

bool identity_cache_is_listening(const struct identity_cache *cache)
{
	return cache->is_listening;
}

uint64_t identity_cache_rights_changes(const struct identity_cache *cache)
{
	return cache->rights_changes;
}

uint64_t identity_cache_rights_followed(const struct identity_cache *cache)
{
	return cache->rights_followed;
}

void identity_cache_follow_rights(struct identity_cache *cache, uint64_t changes)
{
	cache->rights_followed = MAX(cache->rights_followed, changes);
}
