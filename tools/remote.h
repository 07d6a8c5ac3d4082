/*
 * remote.h - Celery's remote control, from the side that asks: `apium inspect`, `control`, `status`.
 *
 * A command is published on `/<db>.celery.pidbox`; whoever is meant answers by LPUSH to
 * `<oid>.reply.celery.pidbox`, if it finds our binding (queue/control.h is the other side).  Replies are
 * taken until the time is over, or as many have come as destinations were named.  List and binding are
 * removed at the end, also when it fails.
 *
 * Celery's own workers answer as well as ours.
 */
#ifndef TOOLS_REMOTE_H
#define TOOLS_REMOTE_H

#include "base/json.h"
#include "base/option.h"
#include "session.h"

/* Celery's: no worker has answered, or Redis does not (sysexits' EX_UNAVAILABLE). */
#define REMOTE_UNAVAILABLE 69

/* The words of one command: "rate_limit" takes task_name and rate_limit. */
struct remote_command {
	const char *name;
	const char *signature; /* for the help; "" */
	const char *help;
	/* What the words behind it are called, in order, and of which kind. */
	struct remote_argument {
		const char *name;
		enum { REMOTE_TEXT, REMOTE_NUMBER, REMOTE_SWITCH } kind;
	} arguments[5];
	const char *rest; /* the name of a list of all further words; NULL: there are none */
};

/* What all three have in common.  Filled by options. */
struct remote_call {
	const char *destination, *timeout; /* NULL: everybody, one second */
	bool is_json;
	const char *method;
	struct str arguments; /* JSON object */
	/* Told of each reply as it comes; may be NULL. */
	void (*on_reply)(struct remote_call *, struct str node, const struct json *value);
	/* All of them, as they came: [{"node": reply}, …] or {"node": reply, …} */
	struct buf all;
	bool is_list, is_counted; /* is_counted: say at the end how many have answered */
	size_t count;
	struct arena *arena; /* during the call */
	usec_t _most;
};

/* clang-format off */
/* Option rows for a table of one's own. */
#define REMOTE_OPTIONS(c)                                                                          \
	{ "--destination", OPTION_TEXT, &(c)->destination, "NAMES",                                \
	  "Only these workers, separated by commas.", "-d" },                                      \
	{ "--timeout", OPTION_TEXT, &(c)->timeout, "SECONDS",                                      \
	  "How long replies are waited for; default: 1.", "-t" },                                  \
	{ "--json", OPTION_FLAG, &(c)->is_json, NULL, "Print the replies as JSON.", "-j" }
/* clang-format on */

/* `apium control` and `apium inspect`: the word, as the list's heading has it, and what may stand behind it. */
struct remote_book {
	const char *word, *title;
	const struct remote_command *commands;
	size_t count;
};
/* Parses options, finds the row of the first word, takes the others as its arguments, and runs it; or
 * prints the list.  As remote_run; -EINVAL with the reason. */
int remote_command(struct remote_call *, const struct remote_book *, int argc, char **argv)
	_must_check_;
/* Asks, prints what was asked for; 0, REMOTE_UNAVAILABLE with the sentence printed, or negative. */
int remote_run(struct remote_call *) _must_check_;

/* What `celery inspect` prints of one reply, with its body or without. */
void remote_say(struct remote_call *, struct str node, const struct json *value);
void remote_say_shortly(struct remote_call *, struct str node, const struct json *value);
/* "\n2 nodes online." */
void remote_say_count(const struct remote_call *);

#endif
