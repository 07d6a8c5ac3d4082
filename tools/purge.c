/*
 * purge.c - apium purge: what waits in queues is thrown away (queue/purge.h), after a question.
 */
#include "queue/purge.h"

#include <stdio.h>

#include "base/error.h"
#include "base/settings.h"
#include "command.h"
#include "session.h"

#define TIME_MOST HOUR

struct call {
	const char *queues, *excluded;
	bool is_forced;
	struct buf names; /* ", " between them */
	size_t count;
	int64_t purged;
};

static bool is_listed(const char *list, struct str name)
{
	struct str rest = str_c(list == NULL ? "" : list), item;

	while (settings_next_item(&rest, &item))
		if (str_eq(item, name))
			return true;
	return false;
}

static void choose(struct call *c)
{
	struct str rest = str_c(c->queues == NULL ? settings.queues : c->queues), name;

	while (settings_next_item(&rest, &name)) {
		if (is_listed(c->excluded, name))
			continue;
		buf_printf(&c->names, "%s%.*s", c->count++ > 0 ? ", " : "", STR_ARG(name));
	}
}

static const char *plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

/* No answer is no. */
static bool is_confirmed(const struct call *c)
{
	char answer[16];

	printf("WARNING:This will remove all tasks from queue%s: %s.\n"
	       "         There is no undo for this operation!\n\n"
	       "(to skip this prompt use the -f option)\n"
	       "Are you sure you want to delete all tasks? [y/N]: ",
	       plural((int64_t) c->count), c->names.at);
	fflush(stdout);
	return fgets(answer, sizeof(answer), stdin) != NULL &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

static int do_purge(struct session *s, void *arg)
{
	struct call *c = arg;
	struct str rest = buf_str(&c->names), name;
	struct queue_keys keys;
	int r = 0;

	while (r == 0 && settings_next_item(&rest, &name)) {
		r = queue_keys_init(&keys, &s->arena, name);
		if (r == 0)
			r = queue_purge(s->redis, s->db, &s->arena, &keys, &c->purged);
	}
	if (r < 0)
		return r;
	if (c->purged > 0)
		printf("Purged %lld message%s from %zu known task queue%s.\n",
		       (long long) c->purged, plural(c->purged), c->count,
		       plural((int64_t) c->count));
	else
		printf("No messages purged from %zu queue%s.\n", c->count,
		       plural((int64_t) c->count));
	return 0;
}

int command_purge(int argc, char **argv)
{
	struct call c = { .names = BUF_INIT };
	const struct option options[] = {
		{ "--queues", OPTION_TEXT, &c.queues, "NAMES",
		  "Instead of APIUM_QUEUES, separated by commas.", "-Q" },
		{ "--exclude-queues", OPTION_TEXT, &c.excluded, "NAMES", "But not these.", "-X" },
		{ "--force", OPTION_FLAG, &c.is_forced, NULL, "Without a question.", "-f" },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words > 0)
		return fail(-EINVAL, "purge takes no words, not %s; --queues names queues",
			    argv[0]);
	choose(&c);
	if (c.count == 0)
		r = fail(-EINVAL, "no queue is left to purge");
	else if (!c.is_forced && !is_confirmed(&c))
		r = fail(-ECANCELED, "aborted, nothing was purged");
	else
		r = session_run(do_purge, &c, TIME_MOST);
	buf_fini(&c.names);
	return r;
}
