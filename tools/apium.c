/*
 * apium.c - the operator's command.  `apium NAME …` runs a row of the table; `apium worker …`,
 * `apium gateway …` and `apium beat …` exec the programs of that name beside this one, as git does.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crash.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "command.h"
#include "loop/process.h"

/* clang-format off */
const struct command commands[] = {
	{ "migrate",         "up|down|status [COUNT]",               "Apply or undo the SQL files of migrations/.",      command_migrate },
	{ "createsuperuser", "--email ADDRESS --password-stdin",     "Make a user who may do everything.",               command_createsuperuser },
	{ "drf_create_token", "EMAIL [--reset]",                     "Make a key for `Authorization: Token …`.",         command_drf_create_token },
	{ "flush_expired_tokens", "",                                "Forget tokens and attempts that are too old.",     command_flush_expired_tokens },
	{ "settings",        "",                                     "Print every setting with its value and meaning.",  command_settings },
	{ "check",           "[--folder FOLDER]",                    "Say what is missing, and what to do about it.",    command_check },
	{ "enqueue",         "TASK [--args JSON] [--kwargs JSON] …", "Ask for a job.",                                   command_enqueue },
	{ "queues",          "",                                     "Print how much lies in each queue.",               command_queues },
	{ "dead",            "list|show|retry|purge [ID]",           "The dead letters of a queue.",                     command_dead },
	{ "schedule",        "list|show|add|… [NAME] …",             "List, make and change periodic jobs.",             command_schedule },
	{ "tasks",           "",                                     "Print what tasks there are and what they take.",   command_tasks },
	{ "routes",          "",                                     "Print everything that the gateway answers.",       command_routes },
	{ "docs",            "FOLDER",                               "Write the documents that follow from the tables.", command_docs },
};
/* clang-format on */
const size_t command_count = ARRAY_SIZE(commands);

static const char *const programs[] = { "worker", "gateway", "beat" };

static void print_help(void)
{
	printf("apium %s\n\n", APIUM_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  apium %-20s %-38s %s\n", commands[i].name, commands[i].words,
		       commands[i].help);
	printf("  apium %-20s %-38s %s\n", "worker|gateway|beat", "…", "Become that program.");
}

void command_options(const struct command *c)
{
	char help[] = "--help";
	char *argv[] = { help, NULL };

	/* One without options does not know the word, and says so to nobody. */
	(void) c->run(1, argv);
	fail_clear();
}

static int print_command(const struct command *c)
{
	printf("apium %s %s\n%s\n", c->name, c->words, c->help);
	command_options(c);
	return 0;
}

/* Does not return when the program is there. */
static int become(const char *name, char **argv)
{
	_cleanup_(buf_fini) struct buf path = BUF_INIT;
	int r;

	r = process_self_folder(&path);
	if (r < 0)
		return r;
	buf_printf(&path, "/apium-%s", name);
	argv[0] = path.at;
	execv(path.at, argv);
	return fail(-errno, "%s cannot be started: %s", path.at, error_sentence(-errno));
}

static int run(int argc, char **argv)
{
	const char *name = argv[1];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (strcmp(name, programs[i]) == 0)
			return become(name, argv + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		if (argc == 3 && strcmp(argv[2], "--help") == 0)
			return print_command(&commands[i]);
		r = settings_load();
		return r < 0 ? r : commands[i].run(argc - 2, argv + 2);
	}
	const char *near = str_nearest(name, commands, ARRAY_SIZE(commands), sizeof(commands[0]));
	return near != NULL
		       ? fail(-EINVAL, "there is no command %s; did you mean %s?", name, near)
		       : fail(-EINVAL, "there is no command %s; `apium help` lists them", name);
}

int main(int argc, char **argv)
{
	crash_setup("apium");
	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* OpenSSL writes without MSG_NOSIGNAL */
	log_setup(LOG_WARN, false, "apium");
	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		print_help();
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("apium %s\n", APIUM_VERSION);
		return 0;
	}
	int r = run(argc, argv);
	if (r < 0) {
		fprintf(stderr, "apium: %s\n", fail_reason(r));
		return r == -EINVAL || r == -E_BAD_SETTING ? 2 : 1;
	}
	return r;
}
