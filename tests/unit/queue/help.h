/*
 * help.h - what several suites of the queue need.
 */
#ifndef TESTS_UNIT_QUEUE_HELP_H
#define TESTS_UNIT_QUEUE_HELP_H

#include "db/db.h"
#include "fibers.h"
#include "redis/redis.h"

/* A fresh connection, ready; closed again with help_close.  Yields. */
struct redis *help_redis(void) may_yield;
void help_close(struct redis *) may_yield;
/* A pool on a fresh database of this process that has our tables.  Yields. */
struct db *help_db(void) may_yield;
void help_db_close(struct db *) may_yield;

/* One command that must succeed; words separated by spaces.  Its reply as text: nil is "(nil)", an
 * array its elements separated by spaces.  Yields. */
struct str help_do(struct redis *, struct arena *, const char *command) may_yield;
/* One value of one statement that must succeed.  Yields. */
struct str help_sql(struct db *, struct arena *, const char *sql) may_yield;

/* A file, whole. */
struct str help_file(struct arena *, const char *path);
/* A message of Python's making. */
struct str help_envelope(struct arena *, const char *task, const char *id, const char *body);

#endif
