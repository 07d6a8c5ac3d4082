/*
 * inspect.c - apium inspect, apium status: what workers say about themselves.
 */
#include <stdio.h>

#include "base/error.h"
#include "command.h"
#include "remote.h"

/* clang-format off */
static const struct remote_command inspections[] = {
	{ "active",        "", "Jobs that run." },
	{ "active_queues", "", "Queues that are consumed." },
	{ "clock",         "", "The logical clock." },
	{ "conf",          "[include_defaults=False]", "Settings.", { { "with_defaults", REMOTE_SWITCH } } },
	{ "memdump",       "[n_samples=10]", "Memory of a Python worker.", { { "samples", REMOTE_NUMBER } } },
	{ "memsample",     "", "Resident memory." },
	{ "objgraph",      "[object_type=Request] [num=200 [max_depth=10]]", "Objects of a Python worker.",
	  { { "type", REMOTE_TEXT }, { "num", REMOTE_NUMBER }, { "max_depth", REMOTE_NUMBER } } },
	{ "ping",          "", "Who is there?" },
	{ "query_task",    "[id1 [id2 [... [idN]]]]", "Where these jobs are.", .rest = "ids" },
	{ "registered",    "[attr1 [attr2 [... [attrN]]]]", "Tasks that are known.", .rest = "taskinfoitems" },
	{ "report",        "", "What helps to find a fault." },
	{ "reserved",      "", "Jobs that were fetched and have not begun." },
	{ "revoked",       "", "Ids that were revoked." },
	{ "scheduled",     "", "Jobs that wait for their time." },
	{ "stats",         "", "Counts, pool, broker, resources." },
};
/* clang-format on */

int command_inspect(int argc, char **argv)
{
	static const struct remote_book book = { "inspect", "Inspect", inspections,
						 ARRAY_SIZE(inspections) };
	struct remote_call call = { .on_reply = remote_say, .is_counted = true };

	return remote_command(&call, &book, argc, argv);
}

int command_status(int argc, char **argv)
{
	struct remote_call call = { .on_reply = remote_say_shortly,
				    .method = "ping",
				    .arguments = STR("{}") };
	const struct option options[] = { REMOTE_OPTIONS(&call) };
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words > 0)
		return fail(-EINVAL, "status takes no words, not %s", argv[0]);
	r = remote_run(&call);
	if (r == 0)
		remote_say_count(&call); /* also with --json, as Celery does */
	return r;
}
