#include "coord/cache_table.h"

#include <stdlib.h>

struct kept {
	struct list link;
	struct str key, value; /* in `text` */
	usec_t expires;
	char text[];
};

/* What an entry costs beside its texts, roughly: itself and its slot. */
#define OVERHEAD (sizeof(struct kept) + 2 * sizeof(struct map_slot))

void cache_table_init(struct cache_table *t, size_t most_bytes)
{
	*t = (struct cache_table){ .most = most_bytes };
	map_init(&t->map);
	list_init(&t->used);
}

static size_t cost(const struct kept *k)
{
	return OVERHEAD + k->key.len + k->value.len;
}

static void drop(struct cache_table *t, struct kept *k)
{
	map_remove(&t->map, k->key);
	list_remove(&k->link);
	t->bytes -= cost(k);
	free(k);
}

void cache_table_clear(struct cache_table *t)
{
	list_for_each (node, &t->used)
		drop(t, list_entry(node, struct kept, link));
}

void cache_table_fini(struct cache_table *t)
{
	cache_table_clear(t);
	map_fini(&t->map);
}

void cache_table_drop(struct cache_table *t, struct str key)
{
	struct kept *k = map_find(&t->map, key);

	if (k != NULL)
		drop(t, k);
}

void cache_table_put(struct cache_table *t, struct str key, struct str value, usec_t expires)
{
	size_t size = key.len + value.len;
	struct kept *k;

	cache_table_drop(t, key);
	if (OVERHEAD + size > t->most / 8)
		return;
	while (t->bytes + OVERHEAD + size > t->most) {
		drop(t, list_entry(list_first(&t->used), struct kept, link));
		t->evictions++;
	}
	k = malloc(sizeof(*k) + size);
	must(k != NULL);
	memcpy(k->text, key.at, key.len);
	if (value.len > 0)
		memcpy(k->text + key.len, value.at, value.len);
	k->key = str_make(k->text, key.len);
	k->value = str_make(k->text + key.len, value.len);
	k->expires = expires;
	list_init(&k->link);
	list_append(&t->used, &k->link);
	map_put(&t->map, k->key, k);
	t->bytes += cost(k);
}

struct str cache_table_find(struct cache_table *t, struct str key, usec_t now)
{
	struct kept *k = map_find(&t->map, key);

	if (k == NULL)
		return STR_NULL;
	if (now >= k->expires) {
		drop(t, k);
		return STR_NULL;
	}
	list_remove(&k->link);
	list_append(&t->used, &k->link);
	return k->value;
}
