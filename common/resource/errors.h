/*
 * errors.h - what is wrong with an input: messages per field, as DRF groups them.
 *
 * Fields stand in the order in which they were first blamed, messages in the order in which they
 * were added.  Everything lies in the request's arena.
 */
#ifndef RESOURCE_ERRORS_H
#define RESOURCE_ERRORS_H

#include "base/json.h"
#include "http/request.h"

struct errors {
	struct request *rq;
	bool is_bare; /* as one of several: its messages stand alone, without a name */
	struct error_entry *first, *last;
};

void errors_init(struct errors *, struct request *);
/* `field` NULL: "non_field_errors".  Words are copied, the name is borrowed. */
void errors_add(struct errors *, const char *field, const char *format, ...) _printf_(3, 4);
/* What a client sent, between two words: it may have characters that end a text of printf's. */
void errors_quote(struct errors *, const char *field, const char *before, struct str sent,
		  const char *after);
bool errors_any(const struct errors *);
bool errors_has(const struct errors *, const char *field);
/*
 * Errors one level below: what is wrong inside this field, as {"field":{"0":["…"]}}.  Made when first
 * asked for; shown if there is any in it, and if nothing is said of the field itself.
 */
struct errors *errors_within(struct errors *, const char *field);
/* The same with errors that are somebody else's: of the object under this name; of the items of its list, as
 * an array with {} for the good ones.  Borrowed: they may grow. */
void errors_adopt_one(struct errors *, const char *field, struct errors *);
void errors_adopt(struct errors *, const char *field, struct errors *const *items, size_t count);
/* Takes back what was said of this field. */
void errors_forget(struct errors *, const char *field);
/* In the order of a table's fields; others come last, in the order in which they were blamed. */
struct field;
void errors_sort(struct errors *, const struct field *, size_t count);
/* The message added first; absent without one. */
struct str errors_first(const struct errors *);
/* {"field":["…"],…}; {} without any. */
void errors_put(const struct errors *, struct json_writer *);
/* 400 with them as the body; returns 0. */
int reply_errors(struct request *, const struct errors *) _must_check_;

#endif
