#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/settings.h"
#include "queue/worker_words.h"

static int read_words(struct worker_start *start, const char *line)
{
	static char copy[512]; /* what is excluded lies in it */
	char *argv[16], *rest = copy;
	int argc = 0;

	(void) snprintf(copy, sizeof(copy), "%s", line);
	for (char *word; (word = strsep(&rest, " ")) != NULL && argc < 16;)
		argv[argc++] = word;
	return worker_words_read(argc, argv, start);
}

Test(worker_words, options_become_settings)
{
	struct worker_start start;

	clearenv();
	cr_assert_eq(read_words(&start,
				"-Q a,b,c -c 3 --hostname=w1@%h -l WARNING -E --time-limit 5 "
				"--max-memory-per-child 2048 --purge -X b"),
		     0);
	cr_assert(start.purges);
	cr_assert_str_eq(start.excluded, "b");
	cr_assert_eq(settings_load(), 0, "%s", fail_reason(-E_BAD_SETTING));
	cr_assert_eq(worker_words_exclude(&start), 1);
	cr_assert_eq(settings_load(), 0);
	cr_assert_str_eq(settings.queues, "a,c");
	cr_assert_str_eq(settings.node, "w1@%h");
	cr_assert_str_eq(settings.log_level, "warn");
	cr_assert_eq(settings.concurrency, 3);
	cr_assert_eq(settings.time_limit, 5 * SEC);
	cr_assert_eq(settings.max_memory_per_child, (int64_t) (2 * MIB));
	cr_assert(settings.task_events);
}

Test(worker_words, a_name_without_a_host_is_a_host)
{
	struct worker_start start;

	clearenv();
	cr_assert_eq(read_words(&start, "-n images"), 0);
	cr_assert_eq(settings_load(), 0);
	cr_assert_str_eq(settings.node, "apium@images");
	cr_assert(!start.purges && start.excluded == NULL);
	cr_assert_eq(worker_words_exclude(&start), 0);
}

Test(worker_words, what_means_nothing_here_says_so)
{
	static const struct {
		const char *line, *sentence;
	} cases[] = {
		{ "-B",
		  "there is no --beat here: periodic tasks are sent by a program of their own; "
		  "start `apium beat`" },
		{ "-S x",
		  "there is no --statedb here: revoked ids are kept in Redis by themselves; "
		  "leave it away" },
		{ "-O best", "--optimization takes default or fair, not best" },
		{ "images", "a worker takes options only, not images" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct worker_start start;
		int r = read_words(&start, cases[i].line);

		cr_assert_eq(r, -EINVAL);
		cr_assert_str_eq(fail_reason(r), cases[i].sentence);
	}
}
