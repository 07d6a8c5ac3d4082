/*
 * sql.h - where one statement of an SQL file ends.
 *
 * Knows what may hide a semicolon: quotes (with E'' escapes), quoted names, dollar quotes, comments
 * (those in C style nest).  Does not know the body of CREATE FUNCTION … BEGIN ATOMIC; write such a
 * body in dollar quotes.
 */
#ifndef DB_SQL_H
#define DB_SQL_H

#include "base/str.h"

/* The next statement, without its semicolon, and *rest after it; what is only space and comments
 * is passed over.  False at the end. */
bool db_sql_next(struct str *rest, struct str *ret_statement);

#endif
