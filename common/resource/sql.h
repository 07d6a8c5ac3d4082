/*
 * sql.h - a statement while it is written: pieces of SQL from the tables, values as parameters.
 *
 * A resource's tables hold snippets, written over the alias `t` for their own row and with names for
 * what each request brings:
 *
 *     :caller   the key of whoever asks, NULL for nobody
 *     :staff    whether that is staff (boolean)
 *     :key      the key in the path
 *     :offset   of a page
 *     :host     the host that was asked, without its port
 *
 * and with words for what the caller may (auth/rights.h):
 *
 *     has_perm('blog.change_post')   a permission of his own or of a group's; every superuser's
 *     in_group('editors')
 *     granted('change')              a grant of this row (auth_grant), to him or to a group; every
 *                                    superuser's.  Only where rows and permissions are told
 *
 * sql_add_over copies a snippet, gives `t` the alias that the row has in this statement and turns each
 * name into a parameter, the same one wherever the name comes again.  Whatever a client sent goes in by
 * sql_add_value only.  Quoted texts and identifiers, and the casts' "::", are left alone.
 *
 * A finished statement is bound to a request when it is run.  One that holds no values of clients can be
 * kept for ever (and is prepared once per connection); others live in the request's arena.
 */
#ifndef RESOURCE_SQL_H
#define RESOURCE_SQL_H

#include "db/db.h"
#include "http/request.h"

enum sql_name {
	SQL_VALUE,
	SQL_CALLER,
	SQL_STAFF,
	SQL_KEY,
	SQL_OFFSET,
	SQL_HOST,
	SQL_NAMES,
	/* What words are made of. */
	SQL_PERMISSION, /* whether he has the one that `value` names */
	SQL_MEMBER,
	SQL_SUPERUSER,
};

/* More in one statement are refused: far beyond what a query string of 1,000 parameters asks for. */
#define SQL_SLOTS 2200

struct sql_slot {
	enum sql_name name;
	struct str value; /* SQL_VALUE, SQL_PERMISSION, SQL_MEMBER */
};

struct sql {
	struct buf text;
	struct sql_slot *slots;
	size_t count, room;
	unsigned place[SQL_NAMES]; /* 0: not used yet */
	const char *row_of; /* for granted(): the name of the resource whose row the alias is */
};
/* clang-format off */
#define SQL_INIT { .text = BUF_INIT }
/* clang-format on */
void sql_fini(struct sql *);

/* As it is. */
void sql_add(struct sql *, const char *text);
void sql_printf(struct sql *, const char *format, ...) _printf_(2, 3);
void sql_add_over(struct sql *, const char *snippet, const char *alias);
void sql_add_value(struct sql *, struct str value);
void sql_add_name(struct sql *, enum sql_name);

struct sql_statement {
	struct db_statement statement;
	const struct sql_slot *slots;
	size_t count;
	bool asks_for_rights;
};

/* The statement as it stands, in the arena.  `is_kept`: it will be run often, from the same memory. */
struct sql_statement sql_finish(const struct sql *, struct arena *, enum db_lane, bool is_kept);

/* What a request brings to the names. */
struct sql_context {
	struct str key, offset;
	const struct str *values; /* of a kept statement with places for values: in their order */
};

/* Runs it for this request, as db_at_query.  Yields. */
int sql_run(struct request *, struct db_at, const struct sql_statement *,
	    const struct sql_context *, struct db_rows *ret) may_yield _must_check_;

/* `text` with '%', '_' and '\' escaped for LIKE. */
struct str sql_like_text(struct arena *, struct str text);

/* The name in a snippet that does not exist, for the check at start; absent if all do. */
struct str sql_unknown_name(const char *snippet);
/* Whether a snippet (NULL: none) has a name or a word; one of the words; granted(). */
bool sql_has_names(const char *snippet);
bool sql_has_rights(const char *snippet);
bool sql_has_grants(const char *snippet);

#endif
