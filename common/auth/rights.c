#include "auth/rights.h"

#include "auth/identity_cache.h"
#include "base/error.h"
#include "coord/cache.h"

#define KEPT_FOR HOUR

static const char *const group_of_all[] = { "user_perms" };

/* {"groups": {"editors": true}, "permissions": ["blog.change_post"]} */
static const struct db_statement find = {
	.sql = STR_INIT(
		"SELECT json_build_object('groups', (SELECT coalesce(json_object_agg(g.name, true), '{}') "
		"FROM users_groups m JOIN auth_group g ON g.id = m.group_id WHERE m.user_id = $1), "
		"'permissions', (SELECT coalesce(json_agg(p.codename), '[]') FROM auth_permission p "
		"WHERE p.id IN (SELECT d.permission_id FROM users_user_permissions d WHERE d.user_id = $1 "
		"UNION SELECT a.permission_id FROM users_groups m JOIN auth_group_permissions a "
		"ON a.group_id = m.group_id WHERE m.user_id = $1)))"),
	.lane = DB_SHARED,
};

struct rights {
	const struct json *groups, *permissions;
	bool is_superuser;
};

struct asking {
	struct request *rq;
	struct db_at at;
};

static int read_tables(void *arg, struct arena *arena, struct str *ret_value)
{
	const struct asking *a = arg;
	struct db_rows rows;
	int r;

	r = db_at_query(a->at, arena, &find, DB_VALUES(a->rq->caller->id), &rows);
	if (r == 0)
		*ret_value = db_get(&rows, 0, 0);
	return r;
}

/* Drops what is kept if somebody wrote the tables since this loop last did so. */
static void follow_changes(struct request *rq)
{
	struct identity_cache *heard = rq->thread->identities;
	uint64_t changes = identity_cache_rights_changes(heard);

	if (identity_cache_rights_followed(heard) == changes)
		return;
	cache_drop(rq->thread->cache, group_of_all, ARRAY_SIZE(group_of_all));
	identity_cache_follow_rights(heard, changes);
}

static int read_text(struct request *rq, struct db_at at, struct str *ret)
{
	/* Never from a standby: a right that was taken away must not come back into the cache. */
	struct asking a = { .rq = rq, .at = { .db = rq->thread->db, .tx = at.tx } };
	const struct cache_entry entry = {
		.key = arena_printf(&rq->arena, "user_perms:%.*s", STR_ARG(rq->caller->id)),
		.ttl = KEPT_FOR,
		.groups = { group_of_all[0] },
	};

	if (rq->thread->cache == NULL || !identity_cache_is_listening(rq->thread->identities))
		return read_tables(&a, &rq->arena, ret);
	follow_changes(rq);
	return cache_get(rq->thread->cache, &rq->arena, &entry, read_tables, &a, ret, NULL);
}

int rights_read(struct request *rq, struct db_at at, const struct rights **ret)
{
	struct json_error error;
	struct json *tree;
	struct str text;
	int r;

	if (rq->caller == NULL || rq->caller->rights != NULL) {
		*ret = rights_of(rq);
		return 0;
	}
	r = read_text(rq, at, &text);
	if (r < 0)
		return r;
	if (json_parse(&rq->arena, text, JSON_STRICT, 8, &tree, &error) < 0)
		must_not_reach("PostgreSQL's json that is not JSON");
	struct rights *rights = arena_new(&rq->arena, struct rights);
	rights->groups = json_get(tree, STR("groups"));
	rights->permissions = json_get(tree, STR("permissions"));
	rights->is_superuser = rq->caller->is_superuser;
	rq->caller->rights = rights;
	*ret = rights;
	return 0;
}

const struct rights *rights_of(const struct request *rq)
{
	must(rq->caller == NULL || rq->caller->rights != NULL);
	return rq->caller == NULL ? NULL : rq->caller->rights;
}

bool rights_has_permission(const struct rights *rights, struct str codename)
{
	if (rights == NULL || rights->is_superuser)
		return rights != NULL;
	for (const struct json *one = rights->permissions->first; one != NULL; one = one->next) {
		if (str_eq(one->text, codename)) /* the table's check: nothing is escaped */
			return true;
	}
	return false;
}

bool rights_is_member(const struct rights *rights, struct str group)
{
	return rights != NULL && json_get(rights->groups, group) != NULL;
}

void rights_forget(struct request *rq)
{
	if (rq->thread->cache != NULL)
		cache_drop(rq->thread->cache, group_of_all, ARRAY_SIZE(group_of_all));
}
