#include "queue/worker_words.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/option.h"
#include "base/settings.h"

struct word {
	const char *name, *brief;
	const char *value; /* what the help calls it; NULL: a flag */
	const char *help;
	const char *setting; /* that it sets; NULL: none */
	/* Celery's value as the setting has it, appended.  0, or -EINVAL with a reason.  NULL: as it
	 * is; a flag's: "on". */
	int (*translate)(const char *value, struct buf *out);
	const char *refusal; /* NULL: it is taken */
};

static int log_level(const char *value, struct buf *out)
{
	static const struct {
		const char *theirs, *ours;
	} levels[] = {
		{ "DEBUG", "debug" }, { "INFO", "info" },   { "WARNING", "warn" },
		{ "WARN", "warn" },   { "ERROR", "error" }, { "CRITICAL", "error" },
		{ "FATAL", "error" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (str_eq_nocase(str_c(value), str_c(levels[i].theirs))) {
			buf_add_c(out, levels[i].ours);
			return 0;
		}
	return fail(-EINVAL, "--loglevel takes DEBUG, INFO, WARNING, ERROR or CRITICAL, not %s",
		    value);
}

static int kibibytes(const char *value, struct buf *out)
{
	buf_printf(out, "%sKiB", value);
	return 0;
}

/* As Celery: what has no host gets this one's, "images" is apium@images. */
static int node(const char *value, struct buf *out)
{
	buf_printf(out, "%s%s", strchr(value, '@') == NULL ? "apium@" : "", value);
	return 0;
}

static int pool(const char *value, struct buf *out)
{
	(void) out;
	if (strcmp(value, "prefork") == 0)
		return 0;
	return fail(
		-EINVAL,
		"--pool %s is not here: jobs run on fibers of one process, and those of CPU-bound "
		"tasks alone in one each; leave it away and say --concurrency",
		value);
}

static int optimization(const char *value, struct buf *out)
{
	(void) out;
	if (strcmp(value, "fair") == 0 || strcmp(value, "default") == 0)
		return 0;
	return fail(-EINVAL, "--optimization takes default or fair, not %s", value);
}

#define DAEMON                                                                                     \
	"a worker stays in the foreground; let systemd (deploy/systemd) or a container do that"
#define BEAT "periodic tasks are sent by a program of their own; start `apium beat`"

/* clang-format off */
static const struct word words[] = {
	{ "--queues",               "-Q", "NAMES",   "Queues to consume, separated by commas.",            "APIUM_QUEUES" },
	{ "--exclude-queues",       "-X", "NAMES",   "Those of APIUM_QUEUES that are left out." },
	{ "--concurrency",          "-c", "COUNT",   "Jobs that run at once on fibers.",                   "APIUM_CONCURRENCY" },
	{ "--autoscale",            NULL, "MAX,MIN", "Slots follow the load between these two.",           "APIUM_AUTOSCALE" },
	{ "--hostname",             "-n", "NAME",    "The worker's name: %h is the host, %n its first part, %d the rest.", "APIUM_NODE", node },
	{ "--loglevel",             "-l", "LEVEL",   "DEBUG, INFO, WARNING, ERROR or CRITICAL.",           "APIUM_LOG_LEVEL", log_level },
	{ "--task-events",          "-E", NULL,      "Send events of tasks from the start.",               "APIUM_TASK_EVENTS" },
	{ "--events",               NULL, NULL,      "The same.",                                          "APIUM_TASK_EVENTS" },
	{ "--time-limit",           NULL, "SECONDS", "Hard limit of a job without one of its own.",        "APIUM_TIME_LIMIT" },
	{ "--soft-time-limit",      NULL, "SECONDS", "Soft limit of a job without one of its own.",        "APIUM_SOFT_TIME_LIMIT" },
	{ "--max-tasks-per-child",  NULL, "COUNT",   "Jobs after which a process that runs them alone is replaced.", "APIUM_MAX_TASKS_PER_CHILD" },
	{ "--max-memory-per-child", NULL, "KIB",     "Memory beyond which it is replaced when its job has ended.",   "APIUM_MAX_MEMORY_PER_CHILD", kibibytes },
	{ "--purge",                NULL, NULL,      "Throw away what waits in the queues, before anything is fetched." },
	{ "--discard",              NULL, NULL,      "The same." },
	{ "--pool",                 "-P", "NAME",    "Only prefork, which is what there is.",              NULL, pool },
	{ "--optimization",         "-O", "NAME",    "default or fair: it is always fair.",                NULL, optimization },
	{ "--without-gossip",       NULL, NULL,      "It is always so." },
	{ "--without-mingle",       NULL, NULL,      "It is always so." },

	{ "--without-heartbeat",    NULL, NULL,  "", .refusal = "monitors know by heartbeats that a worker lives, and they cost nothing; leave it away" },
	{ "--heartbeat-interval",   NULL, "N",   "", .refusal = "connections to Redis have no heartbeats; leave it away" },
	{ "--prefetch-multiplier",  NULL, "N",   "", .refusal = "no more is fetched than there are free slots; leave it away and say --concurrency" },
	{ "--disable-prefetch",     NULL, NULL,  "", .refusal = "no more is fetched than there are free slots; leave it away" },
	{ "--statedb",              "-S", "F",   "", .refusal = "revoked ids are kept in Redis by themselves; leave it away" },
	{ "--include",              "-I", "M",   "", .refusal = "tasks are compiled in (workers/tasks/); leave it away" },
	{ "--app",                  "-A", "M",   "", .refusal = "tasks are compiled in (workers/tasks/); leave it away" },
	{ "--broker",               "-b", "URL", "", .refusal = "a password would show in the list of processes; set REDIS_URL" },
	{ "--result-backend",       NULL, "URL", "", .refusal = "a password would show in the list of processes; set APIUM_RESULT_URL" },
	{ "--pool-start-method",    NULL, "M",   "", .refusal = "processes are always started anew, never forked; leave it away" },
	{ "--beat",                 "-B", NULL,  "", .refusal = BEAT },
	{ "--schedule",             "-s", "F",   "", .refusal = BEAT },
	{ "--schedule-filename",    NULL, "F",   "", .refusal = BEAT },
	{ "--scheduler",            NULL, "N",   "", .refusal = BEAT },
	{ "--detach",               "-D", NULL,  "", .refusal = DAEMON },
	{ "--pidfile",              NULL, "F",   "", .refusal = DAEMON },
	{ "--uid",                  NULL, "U",   "", .refusal = DAEMON },
	{ "--gid",                  NULL, "G",   "", .refusal = DAEMON },
	{ "--umask",                NULL, "M",   "", .refusal = DAEMON },
	{ "--executable",           NULL, "F",   "", .refusal = DAEMON },
	{ "--workdir",              NULL, "F",   "", .refusal = DAEMON },
	{ "--logfile",              "-f", "F",   "", .refusal = "the log goes to standard error; redirect that" },
};
/* clang-format on */
#define WORDS ARRAY_SIZE(words)

struct given {
	bool flag;
	const char *value;
};

static void make_options(struct option *options, struct given *given)
{
	for (size_t i = 0; i < WORDS; i++) {
		const struct word *w = &words[i];

		options[i] = (struct option){ .name = w->name,
					      .brief = w->brief,
					      .kind = w->value == NULL ? OPTION_FLAG : OPTION_TEXT,
					      .at = w->value == NULL ? (void *) &given[i].flag
								     : (void *) &given[i].value,
					      .value = w->value,
					      .help = w->help };
	}
}

void worker_words_print(void)
{
	struct option options[WORDS];
	struct given given[WORDS] = { 0 };
	size_t taken = 0;

	make_options(options, given);
	while (taken < WORDS && words[taken].refusal == NULL)
		taken++;
	options_print(options, taken);
}

static int take(const struct word *w, const struct given *given)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	const char *value = w->value == NULL ? "on" : given->value;
	int r = 0;

	if (w->refusal != NULL)
		return fail(-EINVAL, "there is no %s here: %s", w->name, w->refusal);
	if (w->translate != NULL)
		r = w->translate(value, &text);
	if (r < 0 || w->setting == NULL)
		return r;
	return settings_say(w->setting, w->translate == NULL ? value : text.at);
}

int worker_words_read(int argc, char **argv, struct worker_start *ret)
{
	struct option options[WORDS];
	struct given given[WORDS] = { 0 };
	int left = 0, r;

	if (argc == 1 && strcmp(argv[0], "--help") == 0) {
		worker_words_print();
		return -ECANCELED;
	}
	make_options(options, given);
	r = options_parse(options, WORDS, argc, argv, &left);
	if (r == 0 && left > 0)
		r = fail(-EINVAL, "a worker takes options only, not %s", argv[0]);
	*ret = (struct worker_start){ 0 };
	for (size_t i = 0; i < WORDS && r == 0; i++) {
		if (!given[i].flag && given[i].value == NULL)
			continue;
		r = take(&words[i], &given[i]);
		if (strcmp(words[i].name, "--purge") == 0 ||
		    strcmp(words[i].name, "--discard") == 0)
			ret->purges = true;
		else if (strcmp(words[i].name, "--exclude-queues") == 0)
			ret->excluded = given[i].value;
	}
	return r;
}

static bool is_listed(const char *list, struct str name)
{
	struct str rest = str_c(list), item;

	while (settings_next_item(&rest, &item))
		if (str_eq(item, name))
			return true;
	return false;
}

int worker_words_exclude(const struct worker_start *start)
{
	_cleanup_(buf_fini) struct buf left = BUF_INIT;
	struct str rest = str_c(settings.queues), item;
	int r;

	if (start->excluded == NULL)
		return 0;
	while (settings_next_item(&rest, &item))
		if (!is_listed(start->excluded, item))
			buf_printf(&left, "%s%.*s", left.len > 0 ? "," : "", STR_ARG(item));
	if (left.len == 0)
		return fail(-E_BAD_SETTING, "--exclude-queues leaves no queue of %s",
			    settings.queues);
	r = settings_say("APIUM_QUEUES", left.at);
	return r < 0 ? r : 1;
}
