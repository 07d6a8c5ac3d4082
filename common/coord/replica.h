/*
 * replica.h - reads from a standby of PostgreSQL, never behind what the one who asks has written.
 *
 * A standby replays the primary's log a moment later.  Who has written leaves a mark: the place in that
 * log (an LSN) behind their commit, in Redis under each of their names, where every gateway finds it.  Who
 * reads is served from the standby if it has replayed beyond their marks, else from the primary.
 *
 * What keeps the promise when something is missing:
 *   - Redis away, or an answer of it that is late: the primary.
 *   - A mark that could not be written: the writer waits until the standby has replayed their commit, for
 *     REPLICA_PATIENCE at most, and then says so in the log.
 *   - Redis back after a loss: marks of the time before may be gone, so the standby serves nobody until it
 *     has replayed what the primary had written by then (`floor`).
 *   - Marks end after twice the lag that is allowed: a standby that is further behind than `lag_most`
 *     serves nobody, so none is missed.
 *   - What stands under that URL is no standby (any more): the primary, and a warning.
 *
 * What Redis forgets without ending our connection (FLUSHALL) it forgets: marks of the last moment too.
 *
 * The mark is the writer's only: what others write may be seen a moment later, as with any standby, and so
 * is what a job writes that the writer has asked for.  Whatever is kept in a cache must come from the
 * primary: an old list would be kept under a new key.
 *
 * The standby's place is asked each REPLICA_POLL, so a writer reads from the primary at least that long.
 *
 * Keys: "apium:wrote:<name>", a decimal LSN.
 */
#ifndef COORD_REPLICA_H
#define COORD_REPLICA_H

#include "db/db.h"
#include "redis/redis.h"

#define REPLICA_POLL     (50 * MSEC)
#define REPLICA_PATIENCE (2 * SEC)
/* Names of one who asks: the account, and the address from which they came before they had one. */
#define REPLICA_NAMES    2

struct replica;

struct replica_options {
	struct db *primary;
	struct db_options standby; /* opened here */
	struct redis *redis;
	usec_t lag_most; /* a standby that is further behind is not read */
};

/* One for each loop.  0, or -E_BAD_SETTING (the standby's URL). */
int replica_open(struct loop *, const struct replica_options *, struct replica **ret) _must_check_;
/* No fiber may be in its calls; on_closed runs when the last socket is gone. */
void replica_close(struct replica *, void (*on_closed)(void *arg), void *arg);

/* Where these names may read: the standby or the primary; never NULL, valid as long as the replica.  Never
 * fails: who cannot be answered for reads from the primary. */
struct db *replica_reader(struct replica *, struct arena *, const struct str *names, size_t count)
	may_yield;
/* After their commit, before their answer. */
void replica_wrote(struct replica *, struct arena *, const struct str *names, size_t count)
	may_yield;

#endif
