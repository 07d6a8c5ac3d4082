#include "queue/revoked.h"

#include <stdlib.h>

struct entry {
	struct list link;
	usec_t at;
	size_t len;
	char id[];
};

static struct str id_of(const struct entry *e)
{
	return str_make(e->id, e->len);
}

void revoked_init(struct revoked *r)
{
	map_init(&r->_by_id);
	list_init(&r->_oldest_first);
}

static void drop(struct revoked *r, struct entry *e)
{
	(void) map_remove(&r->_by_id, id_of(e));
	list_remove(&e->link);
	free(e);
}

void revoked_fini(struct revoked *r)
{
	list_for_each (node, &r->_oldest_first)
		drop(r, list_entry(node, struct entry, link));
	map_fini(&r->_by_id);
}

static void forget_old(struct revoked *r, usec_t now)
{
	struct list *first;

	while ((first = list_first(&r->_oldest_first)) != NULL) {
		struct entry *e = list_entry(first, struct entry, link);

		if (now - e->at < REVOKED_FOR && map_count(&r->_by_id) <= REVOKED_MOST)
			return;
		drop(r, e);
	}
}

void revoked_add(struct revoked *r, struct str id, usec_t now)
{
	struct entry *e = map_find(&r->_by_id, id);

	if (e == NULL) {
		e = malloc(sizeof(*e) + id.len);
		must(e != NULL);
		e->len = id.len;
		memcpy(e->id, id.at, id.len);
		list_init(&e->link);
		(void) map_put(&r->_by_id, id_of(e), e);
	}
	e->at = now;
	list_remove(&e->link);
	list_append(&r->_oldest_first, &e->link);
	forget_old(r, now);
}

bool revoked_has(struct revoked *r, struct str id, usec_t now)
{
	if (list_is_empty(&r->_oldest_first)) /* as nearly always */
		return false;
	forget_old(r, now);
	return map_find(&r->_by_id, id) != NULL;
}

size_t revoked_count(const struct revoked *r)
{
	return map_count(&r->_by_id);
}

void revoked_visit(const struct revoked *r, void (*visit)(void *, struct str), void *arg)
{
	for (struct list *node = r->_oldest_first.next; node != &r->_oldest_first;
	     node = node->next)
		visit(arg, id_of(list_entry(node, struct entry, link)));
}
