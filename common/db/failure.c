#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "db/db-internal.h"

/* A fiber's failure is kept until it fails again, or this many other fibers have failed since. */
#define MOST_FAILURES 256

/* SQLSTATEs that are more than "the statement was refused"; a class when two characters.  First
 * one wins. */
static const struct {
	const char *sqlstate;
	int error;
} meanings[] = {
	{ "23505", -E_UNIQUE },        { "23503", -E_FOREIGN_KEY },
	{ "40001", -E_SERIALIZATION }, { "40P01", -E_SERIALIZATION }, /* deadlock */
	{ "57P", -E_UNAVAILABLE }, /* shut down, crashed, starting, idle too long */
	{ "08", -E_UNAVAILABLE },  /* connection */
	{ "53", -E_UNAVAILABLE },  /* out of disk, memory, connections */
};

struct failure_record {
	struct list link;
	const struct fiber *fiber;
	struct db_failure failure;
};

static void copy_field(const PGresult *result, int field, char *to, size_t size)
{
	const char *text = PQresultErrorField(result, field);

	snprintf(to, size, "%s", text == NULL ? "" : text);
}

int db_failure_read(const PGresult *result, struct db_failure *ret)
{
	copy_field(result, PG_DIAG_SQLSTATE, ret->sqlstate, sizeof(ret->sqlstate));
	copy_field(result, PG_DIAG_CONSTRAINT_NAME, ret->constraint, sizeof(ret->constraint));
	copy_field(result, PG_DIAG_COLUMN_NAME, ret->column, sizeof(ret->column));
	copy_field(result, PG_DIAG_MESSAGE_PRIMARY, ret->message, sizeof(ret->message));
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (strncmp(ret->sqlstate, meanings[i].sqlstate, strlen(meanings[i].sqlstate)) == 0)
			return meanings[i].error;
	return -E_SQL;
}

static struct failure_record *record_of(const struct db *db, const struct fiber *fiber)
{
	list_for_each (l, &db->failures) {
		struct failure_record *record = list_entry(l, struct failure_record, link);

		if (record->fiber == fiber)
			return record;
	}
	return NULL;
}

static struct failure_record *record_for(struct db *db, const struct fiber *fiber)
{
	struct failure_record *record = record_of(db, fiber);

	if (record == NULL && db->failure_count == MOST_FAILURES)
		record = list_entry(db->failures.prev, struct failure_record, link);
	if (record == NULL) {
		record = malloc(sizeof(*record));
		must(record != NULL);
		list_init(&record->link);
		db->failure_count++;
	}
	record->fiber = fiber;
	list_remove(&record->link);
	list_prepend(&db->failures, &record->link);
	return record;
}

int db_failure_report(struct db *db, const struct db_call *call)
{
	const struct db_failure *f = &call->failure;

	if (!call->has_failure) {
		struct failure_record *before = record_of(db, fiber_current());

		if (before != NULL)
			before->failure = (struct db_failure){ 0 };
		return fail(call->error,
			    "database: the connection was lost with the statement under way");
	}
	record_for(db, fiber_current())->failure = *f;
	return fail(call->error, "database: %s (%s)", f->message, f->sqlstate);
}

const struct db_failure *db_failure(struct db *db)
{
	static const struct db_failure none;
	const struct failure_record *record = record_of(db, fiber_current());

	return record == NULL ? &none : &record->failure;
}

void db_failure_fini(struct db *db)
{
	for (struct list *l; (l = list_pop(&db->failures)) != NULL;)
		free(list_entry(l, struct failure_record, link));
}
