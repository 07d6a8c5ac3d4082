/*
 * command.h - what the files of the operator's command share: a table of commands, a table of
 * options each.
 *
 * To add a command: its function and option rows in a file, one row in apium.c.  A wrong word is
 * answered with one sentence that names it and the nearest right one, never with the whole help.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "base/str.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_COUNT };

struct option {
	const char *name; /* "--queue" */
	enum option_kind kind;
	void *at;          /* bool, const char * or int64_t */
	const char *value; /* what the help calls it: "NAME" */
	const char *help;
};

/*
 * Reads options wherever they stand; what is left are the words, in argv[0 … *ret_count).  0, or
 * -EINVAL with the sentence as the reason.  For "--help" alone: prints the table, -ECANCELED.  So a
 * command does nothing before it has called this.
 */
int options_parse(const struct option *, size_t count, int argc, char **argv, int *ret_count)
	_must_check_;
void options_print(const struct option *, size_t count);
/* From now on a table is not printed but visited, row by row; NULL: printed again. */
void options_visit(void (*visit)(void *arg, const struct option *), void *arg);

struct command {
	const char *name;
	const char *words; /* "up|down|status [COUNT]" */
	const char *help;
	int (*run)(int argc, char **argv); /* words and options behind the name; 0, or an error with
					      its reason */
};

/* The table in apium.c. */
extern const struct command commands[];
extern const size_t command_count;
/* Has its options printed or visited. */
void command_options(const struct command *);

int command_docs(int argc, char **argv);
int command_tasks(int argc, char **argv);
int command_routes(int argc, char **argv);
int command_migrate(int argc, char **argv);
int command_createsuperuser(int argc, char **argv);
int command_groups(int argc, char **argv);
int command_grant(int argc, char **argv);
int command_revoke_grant(int argc, char **argv);
int command_settings(int argc, char **argv);
int command_check(int argc, char **argv);
int command_enqueue(int argc, char **argv);
int command_queues(int argc, char **argv);
int command_flush_expired_tokens(int argc, char **argv);
int command_drf_create_token(int argc, char **argv);
int command_dead(int argc, char **argv);

#endif
