/*
 * identity_cache.h - who a user key is, kept by an event loop until the row changes.
 *
 * Every authenticated request needs the caller's row; it seldom changes.  A trigger on `users`
 * notifies the channel "apium_users" whenever what an identity holds changes, whoever changes it,
 * and each loop listens beside its shared lane (db.h).  Nothing is kept while it does not listen
 * (before the first connection, after a loss, behind a pooler in transaction mode), so a missed
 * notice cannot leave an old identity behind.
 *
 * A row that was read before a change and arrives after its notice must not be kept: whoever asks
 * takes the cache's `changes` before reading and gives it back with the row.
 *
 * What remains is the time a notice takes from one process to another, well under a millisecond
 * here: a request that overtakes it still meets the old row.  So a handler that takes somebody's
 * access away says so itself before it answers, to all loops of its process.  At most 10,000 entries; the oldest go
 * first.
 */
#ifndef AUTH_IDENTITY_CACHE_H
#define AUTH_IDENTITY_CACHE_H

#include "auth/identity.h"

#define IDENTITY_CHANNEL "apium_users"

struct identity_cache;

struct identity_cache *identity_cache_new(void);
struct identity_cache *identity_cache_free(struct identity_cache *);

/* For struct db_options. */
void identity_cache_on_listening(void *cache, bool is_listening);
void identity_cache_on_notice(void *cache, struct str payload);

/* Borrowed until the next turn of the loop; NULL: not kept. */
const struct identity *identity_cache_find(struct identity_cache *, struct str id);
uint64_t identity_cache_changes(struct identity_cache *);
/* Copies. */
void identity_cache_keep(struct identity_cache *, const struct identity *, uint64_t changes);

/* From any thread: every cache of this process forgets all before it is next asked.  For what is
 * rare and must hold at once: a user was deactivated or deleted, and the COMMIT came back. */
void identity_cache_forget_everywhere(void);

/*
 * For rights.h: the channel also says "rights" when somebody wrote the tables of groups and permissions.
 * `changes` counts these, and every time that some may have been missed; `followed` is what the last
 * one who acted upon it had seen.
 */
bool identity_cache_is_listening(const struct identity_cache *);
uint64_t identity_cache_rights_changes(const struct identity_cache *);
uint64_t identity_cache_rights_followed(const struct identity_cache *);
void identity_cache_follow_rights(struct identity_cache *, uint64_t changes);

#endif
