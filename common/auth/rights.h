/*
 * rights.h - what a caller may do beyond being staff: the groups that he is in, and the permissions that he or
 * one of them has, as Django's auth has them.
 *
 * Tables: auth_group, auth_permission (codename "blog.change_post"), auth_group_permissions, users_groups,
 * users_user_permissions.  Grants of single rows (auth_grant) are not read here: resources ask for them
 * in the statement that reads the row (resource/sql.h, granted()).
 *
 * A superuser has every permission; he is in the groups that he is in, no others.
 *
 * Read once per request, when a table first asks.  With the cache on, the set is kept as
 * user_perms:<id>, in two tiers, and its version is the generation of the group "user_perms"
 * (coord/cache.h): one write ends everybody's.  Whoever writes the tables, also another program, is
 * heard of by a trigger and the channel of identity_cache.h; while a loop does not listen there it
 * reads the tables.  What remains is the time a notice takes, as for identities.  Without the cache
 * it is one statement in each request that asks.
 */
#ifndef AUTH_RIGHTS_H
#define AUTH_RIGHTS_H

#include "auth/identity.h"
#include "db/db.h"

struct rights;

/* The caller's, in the request's arena; NULL for nobody.  0 or a negative error.  Yields. */
int rights_read(struct request *, struct db_at, const struct rights **ret) may_yield _must_check_;
/* The same once it has been read; NULL for nobody. */
const struct rights *rights_of(const struct request *);

/* NULL has none and is in none. */
bool rights_has_permission(const struct rights *, struct str codename);
bool rights_is_member(const struct rights *, struct str group);

/* After the COMMIT of a change of these tables, before the answer: what is kept of anybody ends.  Yields. */
void rights_forget(struct request *) may_yield;

#endif
