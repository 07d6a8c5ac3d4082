/*
 * client.h - a database as a test opens it, and short words for statements that must succeed.
 */
#ifndef TESTS_UNIT_DB_CLIENT_H
#define TESTS_UNIT_DB_CLIENT_H

#include "db/db.h"
#include "fibers.h"

/* One shared, four exclusive connections, prepared statements; waits until all are ready.
 * Yields. */
struct db *client_open(void) may_yield;
struct db *client_open_with(const struct db_options *) may_yield;
/* Asserts that the pool is whole, closes, waits for the end.  Yields. */
void client_close(struct db *) may_yield;
void client_close_as_it_is(struct db *) may_yield;
/* Waits until nothing is lent and every connection is ready.  Yields. */
void client_until_whole(struct db *) may_yield;
/* The same, and every single connection answers a statement and a transaction.  Yields. */
void client_check_whole(void *db) may_yield;

/* One statement of the exclusive lane with a text made for it; must succeed. */
void run(struct db *, const char *sql) may_yield;
/* The first column of the first row. */
int64_t number(struct db *, const char *sql) may_yield;
/* The text of the first column of the first row, in the arena. */
struct str text(struct db *, struct arena *, const char *sql) may_yield;
/* Any lane, no values; its error. */
int try(struct db *, const struct db_statement *) may_yield;

#endif
