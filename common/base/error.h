/*
 * error.h - one space of error numbers, and the sentence that goes with a failure.
 *
 * A function that can fail returns a negative int: -errno, a libuv code (on Unix the same numbers)
 * or one of errors.def.  The number says what kind; the reason, with names and values, is left in
 * the error record of the running fiber by fail().  The record belongs to whoever runs: the
 * scheduler swaps it together with the stack (loop/fiber.h), a plain thread has one of its own.
 *
 * Either return an error or log it, never both.  The dispatcher (of a request, of a job) logs.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <errno.h>
#include <stdarg.h>

#include "base/str.h"

enum error_number {
#define ERROR(name, number, http, task, sentence) name = (number),
#include "base/errors.def"
#undef ERROR
};

enum error_task { ERROR_RETRY, ERROR_DROP, ERROR_DIE };

struct error_row {
	int number;
	const char *name;
	int http;
	enum error_task task;
	const char *sentence;
};

struct error_record {
	int code;
	char reason[512]; /* NUL-terminated, cut at a character boundary */
};

/*
 * Where fail() writes.  NULL on a thread that has not failed yet; fail() then gives it a record of
 * its own.  Only the scheduler assigns it.
 */
extern _Thread_local struct error_record *error_current;

/* Registers rows beside the library's own (proto/errors.def); they must stay valid for ever. */
void error_register(const struct error_row *rows, size_t count);

/* NULL if the code is not ours (an errno, say). */
const struct error_row *error_find(int code);
/* The HTTP status, task policy and sentence of any code; errno values: 500 or 503, RETRY,
 * strerror. */
/* All rows in order, for documents: NULL behind the last. */
const struct error_row *error_row(size_t number);
int error_http(int code);
enum error_task error_task(int code);
const char *error_sentence(int code);
/* "E_CONFLICT", "ECONNREFUSED"; "E?" and the number for what nobody knows. */
const char *error_name(int code);

/* Leaves the reason and returns the code: `return fail(-E_CONFLICT, "post %s is a draft", id);` */
int fail(int code, const char *format, ...) _printf_(2, 3) _cold_;
int vfail(int code, const char *format, va_list) _printf_(2, 0) _cold_;
/* Puts words in front of the reason that stands: "reading settings.json: No such file …". */
int fail_in(int code, const char *format, ...) _printf_(2, 3) _cold_;
/* The reason of this code if one was left for it, else its sentence. */
const char *fail_reason(int code);
void fail_clear(void);

#endif
