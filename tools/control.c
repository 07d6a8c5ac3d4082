/*
 * control.c - apium control: what workers are told.
 */
#include "base/error.h"
#include "command.h"
#include "remote.h"

/* clang-format off */
static const struct remote_command controls[] = {
	{ "add_consumer",    "<queue> [exchange [type [routing_key]]]", "Consume another queue.",
	  { { "queue", REMOTE_TEXT }, { "exchange", REMOTE_TEXT }, { "exchange_type", REMOTE_TEXT }, { "routing_key", REMOTE_TEXT } } },
	{ "autoscale",       "[max [min]]", "New bounds of --autoscale.", { { "max", REMOTE_NUMBER }, { "min", REMOTE_NUMBER } } },
	{ "cancel_consumer", "<queue>", "Consume a queue no longer.", { { "queue", REMOTE_TEXT } } },
	{ "disable_events",  "", "Send no events of tasks." },
	{ "election",        "", "Hold an election (Celery's gossip)." },
	{ "enable_events",   "", "Send events of tasks." },
	{ "heartbeat",       "", "Send a heartbeat now." },
	{ "pool_grow",       "[N=1]", "More slots.", { { "n", REMOTE_NUMBER } } },
	{ "pool_restart",    "", "Restart the pool of a Python worker." },
	{ "pool_shrink",     "[N=1]", "Fewer slots.", { { "n", REMOTE_NUMBER } } },
	{ "rate_limit",      "<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>", "How often a task may begin.",
	  { { "task_name", REMOTE_TEXT }, { "rate_limit", REMOTE_TEXT } } },
	{ "revoke",          "[id1 [id2 [... [idN]]]]", "These jobs are not to begin.", .rest = "task_id" },
	{ "revoke_by_stamped_headers", "[key1=value1 [key2=value2 [... [keyN=valueN]]]]", "Nor those with these stamps.", .rest = "headers" },
	{ "shutdown",        "", "End, in order." },
	{ "terminate",       "<signal> [id1 [id2 [... [idN]]]]", "These jobs are to end, also if they run.",
	  { { "signal", REMOTE_TEXT } }, .rest = "task_id" },
	{ "time_limit",      "<task_name> <soft_secs> [hard_secs]", "Limits of a task.",
	  { { "task_name", REMOTE_TEXT }, { "soft", REMOTE_NUMBER }, { "hard", REMOTE_NUMBER } } },
};
/* clang-format on */

int command_control(int argc, char **argv)
{
	_cleanup_(buf_fini) struct buf arguments = BUF_INIT;
	struct remote_call call = { .on_reply = remote_say, .is_list = true };
	const struct option options[] = {
		REMOTE_OPTIONS(&call),
		{ "--list", OPTION_FLAG, &call.is_listing, NULL, "Print the commands and end." },
	};
	const struct remote_command *command;
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (call.is_listing) {
		remote_list("Control", controls, ARRAY_SIZE(controls));
		return 0;
	}
	if (words < 1)
		return fail(-EINVAL, "control needs a command; `apium control --list` names them");
	command = remote_find("control", controls, ARRAY_SIZE(controls), argv[0]);
	if (command == NULL)
		return -EINVAL;
	r = remote_arguments(&arguments, command, words - 1, argv + 1);
	if (r < 0)
		return r;
	call.method = command->name;
	call.arguments = buf_str(&arguments);
	return remote_run(&call);
}
