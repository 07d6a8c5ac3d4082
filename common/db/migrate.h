/*
 * migrate.h - numbered SQL files, applied once each, in order, by one process at a time.
 *
 * Files: YYYYMMDDHHMM_name.up.sql and .down.sql.  Each runs in one transaction together with its
 * row in `apium_migrations`; so it must not contain BEGIN or COMMIT of its own.  A file whose first
 * line is "-- no-transaction" (CREATE INDEX CONCURRENTLY) runs statement by statement instead
 * (sql.h) and is recorded as started and then as done.  If it fails in between it is run again by
 * the next migrate_up: write its statements so that they can be repeated (DROP INDEX IF EXISTS
 * before CREATE INDEX CONCURRENTLY, which leaves an invalid index when it fails).
 *
 * An advisory lock keeps others out; who comes second waits, and then finds nothing left to do.  In
 * a transaction `lock_timeout` is short and tried again, so that a migration never queues up
 * traffic behind itself.
 *
 * Uses a blocking connection of its own: this is a command's work, not a server's.  It must go to
 * PostgreSQL itself, not through a pooler in transaction mode (DATABASE_DIRECT_URL).
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include "base/buf.h"

struct migrate_options {
	const char *url;
	const char *folder;
	void (*say)(void *arg, const char *line); /* one line per file */
	void *arg;
	usec_t lock_timeout; /* 0: two seconds */
	unsigned lock_tries; /* 0: thirty */
};

/*
 * Negative: -E_BAD_SETTING (the folder or a file's name), -E_UNAVAILABLE (no connection, or the
 * locks were not to be had), -E_SQL (a statement failed; file, line and the server's words are the
 * reason), -errno.
 */

/* All that are not applied yet, or up to `count` of them (0: all).  Number applied, or negative. */
int migrate_up(const struct migrate_options *, unsigned count) _must_check_;
/* The newest `count` applied ones.  Number undone, or negative. */
int migrate_down(const struct migrate_options *, unsigned count) _must_check_;
/* Says every file and whether it is applied.  Number not applied, or negative.  Changes nothing. */
int migrate_status(const struct migrate_options *) _must_check_;

#endif
