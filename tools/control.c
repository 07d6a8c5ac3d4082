/*
 * control.c - apium control: what workers are told.
 */
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
	static const struct remote_book book = { "control", "Control", controls,
						 ARRAY_SIZE(controls) };
	struct remote_call call = { .on_reply = remote_say, .is_list = true };

	return remote_command(&call, &book, argc, argv);
}
