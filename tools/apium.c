/*
 * apium.c - the operator's command.  `apium NAME …` runs a row of the table; `apium worker …`,
 * `apium gateway …` and `apium beat …` exec the programs of that name beside this one, as git does.
 */
#include <signal.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/crash.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "command.h"
#include "exec.h"

/* clang-format off */
const struct command commands[] = {
	{ "migrate",         "up|down|status [COUNT]",               "Apply or undo the SQL files of migrations/.",      command_migrate },
	{ "createsuperuser", "--email ADDRESS --password-stdin",     "Make a user who may do everything.",               command_createsuperuser },
	{ "groups",          "list|show|create|drop|add|remove [NAME] [ADDRESS]", "Who is in which group.",           command_groups },
	{ "grant",           "PERMISSION --user ADDRESS|--group NAME [--on …]", "Let somebody do something.",         command_grant },
	{ "revoke-grant",    "PERMISSION --user ADDRESS|--group NAME [--on …]", "Take that away again.",              command_revoke_grant },
	{ "drf_create_token", "EMAIL [--reset]",                     "Make a key for `Authorization: Token …`.",         command_drf_create_token },
	{ "flush_expired_tokens", "",                                "Forget tokens and attempts that are too old.",     command_flush_expired_tokens },
	{ "warm-cache",      "--as ADDRESS [--url URL] [--most COUNT]", "Have the gateway fill its cache.",       command_warm_cache },
	{ "settings",        "",                                     "Print every setting with its value and meaning.",  command_settings },
	{ "check",           "[--folder FOLDER]",                    "Say what is missing, and what to do about it.",    command_check },
	{ "enqueue",         "TASK [--args JSON] [--kwargs JSON] …", "Ask for a job.",                                   command_enqueue },
	{ "call",            "TASK [-a JSON] [-k JSON] …",           "Send a message for any task, as Celery does.",    command_call },
	{ "result",          "ID [--traceback]",                     "Print what became of a job.",                     command_result },
	{ "status",          "[-d NAMES]",                           "Print which workers are there.",                  command_status },
	{ "inspect",         "COMMAND [WORDS] [-d NAMES] …",         "Ask workers about themselves.",                   command_inspect },
	{ "control",         "COMMAND [WORDS] [-d NAMES] …",         "Tell workers what to do.",                        command_control },
	{ "events",          "[--dump]",                             "Watch workers and jobs.",                         command_events },
	{ "purge",           "[-Q NAMES] [-X NAMES] [-f]",           "Throw away what waits in queues.",                command_purge },
	{ "list",            "bindings",                             "Print which queues are bound to what.",           command_list },
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

/* Global options of Celery's command, which stand before the name: what to say instead. */
static const struct {
	const char *name, *brief, *sentence;
} refused[] = {
	{ "--app", "-A", "tasks are compiled in; leave it away" },
	{ "--broker", "-b", "a password would show in the list of processes; set REDIS_URL" },
	{ "--result-backend", NULL,
	  "a password would show in the list of processes; set APIUM_RESULT_URL" },
	{ "--config", NULL, "settings are environment variables; `apium settings` lists them" },
	{ "--loader", NULL, "settings are environment variables; `apium settings` lists them" },
	{ "--workdir", NULL, "change into the folder first" },
};

static int refuse_option(const char *word)
{
	struct str rest = str_c(word), name;

	(void) str_cut(&rest, '=', &name);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (str_eq_c(name, refused[i].name) ||
		    (refused[i].brief != NULL && strncmp(word, refused[i].brief, 2) == 0))
			return fail(-EINVAL, "there is no %s here: %s", refused[i].name,
				    refused[i].sentence);
	return fail(-EINVAL, "there is no %s; `apium help` lists the commands", word);
}

static int run(int argc, char **argv)
{
	const char *name = argv[1];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		if (strcmp(name, programs[i]) == 0)
			return exec_program(name, argv + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		if (argc == 3 && strcmp(argv[2], "--help") == 0)
			return print_command(&commands[i]);
		r = settings_load();
		return r < 0 ? r : commands[i].run(argc - 2, argv + 2);
	}
	if (name[0] == '-')
		return refuse_option(name);
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
