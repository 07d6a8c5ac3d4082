/*
 * migration.h - the list that migrate.c works on: the files of the folder, met with the rows of the
 * table.
 */
#ifndef DB_MIGRATION_H
#define DB_MIGRATION_H

#include <libpq-fe.h>

#include "base/arena.h"
#include "base/buf.h"

struct migration {
	const char *version; /* twelve digits */
	const char *name;
	bool has_up, has_down; /* files */
	bool is_started;       /* has a row */
	bool is_applied;       /* … that says it is done */
	const char *applied_at;
};

struct migrations {
	struct arena arena;
	struct migration *all; /* by version */
	size_t count, cap;
};

void migrations_init(struct migrations *);
void migrations_fini(struct migrations *);
/* 0 or negative with the reason. */
int migrations_read_folder(struct migrations *, const char *folder) _must_check_;
/* The table's rows; without the table nothing is applied. */
int migrations_read_table(struct migrations *, PGconn *) _must_check_;
/* The whole file; `direction` is "up" or "down". */
int migration_read(const struct migration *, const char *folder, const char *direction,
		   struct buf *out) _must_check_;

#endif
