/*
 * migrate.h - numbered SQL files, applied once each, in order, by one process at a time.
 *
 * Files: YYYYMMDDHHMM_name.up.sql and .down.sql.  Each runs in one transaction together with its row in
 * `apium_migrations`, unless its first line is "-- no-transaction" (CREATE INDEX CONCURRENTLY): such a file
 * is recorded as started and then as done.  An advisory lock keeps others out; `lock_timeout` is short and
 * tried again, so that a migration never queues up traffic behind itself.  Uses a blocking connection of its
 * own: this is a command's work, not a server's.
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include "base/buf.h"

struct migrate_options {
	const char *url;
	const char *folder;
	void (*say)(void *arg, const char *line); /* one line per file */
	void *arg;
};

/* All that are not applied yet, or up to `count` of them (0: all).  Number applied, or negative. */
int migrate_up(const struct migrate_options *, unsigned count) _must_check_;
/* The newest `count` applied ones.  Number undone, or negative. */
int migrate_down(const struct migrate_options *, unsigned count) _must_check_;
/* Says every file and whether it is applied.  Number not applied, or negative. */
int migrate_status(const struct migrate_options *) _must_check_;

#endif
