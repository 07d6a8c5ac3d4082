/*
 * log.h - one line per event on standard error: level, time, sentence, key=value pairs.
 *
 * The context (request id, job id, fiber) is attached by whoever runs the code, not by the caller:
 * the scheduler swaps `log_context` with the stack.  Format `text` or `json` by APIUM_LOG.  A line
 * is written with one write(2) and cut at 8 KiB.  Never yields, never fails.
 *
 * Warnings that are survived end in "…, ignoring".  Secrets never reach a log: settings that are
 * secret print as "***", tokens and bodies are not logged.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/trace.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_context {
	const char *what;    /* "request", "job", "fiber"; NULL: nothing attached */
	char id[64];         /* request id, job id */
	char name[64];       /* "GET /api/v1/products/", "email.send" */
	const char *name_as; /* its key: "task"; NULL: "name" */
	struct trace trace;
};

extern _Thread_local const struct log_context *log_context; /* NULL: none */

void log_setup(enum log_level most, bool as_json, const char *program);
/* "error", "warn", "info" or "debug", as APIUM_LOG_LEVEL allows; LOG_INFO for anything else. */
enum log_level log_level_from_name(const char *);
/* Another level, from any thread. */
void log_set_level(enum log_level most);
bool log_is_on(enum log_level);
/* Tests read what was logged: a function that gets every finished line instead of fd 2, or NULL. */
void log_divert(void (*line)(void *arg, enum log_level, struct str), void *arg);

void log_write(enum log_level, const char *format, ...) _printf_(2, 3);
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_is_on(LOG_DEBUG) ? log_write(LOG_DEBUG, __VA_ARGS__) : (void) 0)

/*
 * Structured fields: `log_event(LOG_INFO, "job done", LOG_STR("task", name), LOG_INT("us", took));`
 * The pairs follow the sentence in text and are members in JSON.
 */
struct log_pair {
	const char *key;
	enum { LOG_PAIR_STR, LOG_PAIR_INT } kind;
	struct str text;
	int64_t number;
};
#define LOG_STR(k, v) ((struct log_pair){ .key = (k), .kind = LOG_PAIR_STR, .text = (v) })
#define LOG_INT(k, v) ((struct log_pair){ .key = (k), .kind = LOG_PAIR_INT, .number = (v) })
#define log_event(level, sentence, ...)                                                            \
	log_event_pairs((level), (sentence), (const struct log_pair[]){ __VA_ARGS__ },             \
			ARRAY_SIZE(((const struct log_pair[]){ __VA_ARGS__ })))
void log_event_pairs(enum log_level, const char *sentence, const struct log_pair *, size_t count);

#endif
