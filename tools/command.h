/*
 * command.h - what the files of the operator's command share: a table of commands, a table of
 * options each (base/option.h).
 *
 * To add a command: its function and option rows in a file, one row in apium.c.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "base/option.h"

struct command {
	const char *name;
	const char *words; /* "up|down|status [COUNT]" */
	const char *help;
	/* Words and options behind the name.  0, or an error with its reason; positive: the exit
	 * status. */
	int (*run)(int argc, char **argv);
};

/* The table in apium.c. */
extern const struct command commands[];
extern const size_t command_count;
/* Has its options printed or visited. */
void command_options(const struct command *);

struct arena;
struct json;
/* What an option says in JSON: an array, or an object.  -EINVAL with the sentence as the reason. */
int command_json(struct arena *, const char *option, const char *text, bool is_array,
		 struct json **ret) _must_check_;

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
int command_warm_cache(int argc, char **argv);
int command_drf_create_token(int argc, char **argv);
int command_dead(int argc, char **argv);
int command_call(int argc, char **argv);
int command_result(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_control(int argc, char **argv);
int command_status(int argc, char **argv);
int command_purge(int argc, char **argv);
int command_list(int argc, char **argv);
int command_events(int argc, char **argv);
int command_schedule(int argc, char **argv);

#endif
