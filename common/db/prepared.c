#include <stdio.h>
#include <stdlib.h>

#include "db/db-internal.h"

/*
 * Found by the place of the text, which is much faster than by the text and the same thing for
 * constants; the text is compared all the same, so that a caller that breaks the promise (memory
 * used again for another text) gets a new name and not another statement's rows.
 *
 * A server keeps every prepared statement's plan in memory; beyond this many, texts go without a
 * name.
 */
#define MOST_PREPARED 1000

void db_prepared_init(struct db_prepared_set *s)
{
	map_init(&s->by_place);
	list_init(&s->all);
	s->last_serial = s->count = 0;
}

void db_prepared_clear(struct db_prepared_set *s)
{
	for (struct list *l; (l = list_pop(&s->all)) != NULL;)
		free(list_entry(l, struct db_prepared, link));
	map_fini(&s->by_place);
	db_prepared_init(s);
}

static struct db_prepared *add(struct db_prepared_set *s, struct str sql)
{
	struct db_prepared *p = malloc(sizeof(*p) + sql.len);

	must(p != NULL);
	*p = (struct db_prepared){ .at = sql.at };
	memcpy(p + 1, sql.at, sql.len);
	p->text = str_make(p + 1, sql.len);
	list_init(&p->link);
	list_append(&s->all, &p->link);
	s->count++;
	map_put(&s->by_place, str_make(&p->at, sizeof(p->at)), p);
	return p;
}

struct db_prepared *db_prepared_find(struct db_prepared_set *s, struct str sql)
{
	struct db_prepared *p = map_find(&s->by_place, str_make(&sql.at, sizeof(sql.at)));

	if (p != NULL && str_eq(p->text, sql))
		return p;
	if (p != NULL)
		map_remove(&s->by_place, str_make(&p->at, sizeof(p->at)));
	if (s->count == MOST_PREPARED)
		return NULL;
	return add(s, sql);
}

void db_prepared_rename(struct db_prepared_set *s, struct db_prepared *p)
{
	p->serial = ++s->last_serial;
	snprintf(p->name, sizeof(p->name), "apium_%u", p->serial);
}
