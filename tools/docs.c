/*
 * docs.c - apium docs FOLDER: the documents that follow from the tables, written anew.
 *
 * Each is a row.  `./dev docs` writes them into docs/; `./dev lint` fails when they are not what the
 * tables say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/metric.h"
#include "base/settings.h"
#include "command.h"
#include "proto/tasks.h"
#include "queue/health.h"
#include "queue/worker_words.h"

#define HEAD "<!-- Written by `./dev docs` from %s: change it there. -->\n\n"

/* In a table's cell a bar would end it. */
static void add_cell(struct buf *out, const char *text)
{
	buf_add_c(out, "| ");
	for (const char *c = text; *c != '\0'; c++)
		buf_printf(out, *c == '|' ? "\\|" : "%c", *c);
	buf_add_byte(out, ' ');
}

static void settings_md(struct buf *out)
{
	static const char *const types[] = {
		[SETTING_TEXT] = "text",       [SETTING_COUNT] = "count",
		[SETTING_SECONDS] = "seconds", [SETTING_BYTES] = "bytes",
		[SETTING_SWITCH] = "on, off",  [SETTING_CHOICE] = "word",
	};
	const struct setting *row;

	buf_printf(out, HEAD "# Settings\n\n", "common/base/settings.def");
	buf_add_c(
		out,
		"Environment variables; the file named by `APIUM_SETTINGS_FILE` wins over them. "
		"Those marked *reload* are taken anew at SIGHUP; those marked *secret* are "
		"never printed.\n\n| name | type | default | | meaning |\n|---|---|---|---|---|\n");
	for (size_t i = 0; (row = settings_row(i)) != NULL; i++) {
		bool is_secret = row->flags & SETTING_SECRET;

		buf_printf(out, "| `%s` | %s | %s%s%s | %s%s", row->name, types[row->type],
			   row->usual[0] != '\0' ? "`" : "", row->usual,
			   row->usual[0] != '\0' ? "`" : "", is_secret ? "secret " : "",
			   row->flags & SETTING_RELOADABLE ? "reload " : "");
		add_cell(out, row->help);
		buf_add_c(out, "|\n");
	}
}

static void errors_md(struct buf *out)
{
	static const char *const tasks[] = {
		[ERROR_RETRY] = "tried again", [ERROR_DROP] = "dropped", [ERROR_DIE] = "dead letter"
	};
	const struct error_row *row;

	buf_printf(out, HEAD "# Errors\n\n", "common/base/errors.def");
	buf_add_c(out,
		  "What Apium itself names. The status is the HTTP answer when a request ends with "
		  "it; the next column is what becomes of a job whose body returns it.\n\n"
		  "| name | number | status | a job is | sentence |\n|---|---|---|---|---|\n");
	for (size_t i = 0; (row = error_row(i)) != NULL; i++) {
		buf_printf(out, "| `%s` | %d | %d | %s ", row->name, row->number, row->http,
			   tasks[row->task]);
		add_cell(out, row->sentence);
		buf_add_c(out, "|\n");
	}
}

static void metrics_md(struct buf *out)
{
	static const char *const kinds[] = { [METRIC_COUNTER] = "counter",
					     [METRIC_GAUGE] = "gauge",
					     [METRIC_HISTOGRAM] = "histogram" };

	buf_printf(out, HEAD "# Metrics\n\n", "common/base/metrics.def");
	buf_add_c(
		out,
		"On `APIUM_METRICS_LISTEN` of gateway, worker and beat, at `/metrics`. A program shows "
		"those that it has something to say about.\n\n"
		"| name | kind | labels | meaning |\n|---|---|---|---|\n");
	for (int m = 0; m < METRIC_COUNT; m++) {
		const struct metric_row *row = metric_row((enum metric) m);

		buf_printf(out, "| `%s` | %s | %s ", row->exported, kinds[row->kind], row->labels);
		add_cell(out, row->help);
		buf_add_c(out, "|\n");
	}
}

static void tasks_md(struct buf *out)
{
	buf_printf(out, HEAD "# Tasks\n\n", "proto/");
	buf_add_c(out, "Those named `diag.…` exist with `APIUM_DIAG=on`. The same as JSON Schema: "
		       "`GET /api/schema/tasks/`.\n");
	for (size_t i = 0; i < task_count(); i++) {
		const struct task *t = task_at(i);

		buf_printf(out, "\n## %s\n\n%s\n\nQueue `%s`, kept by `%s`, runs %s, ", t->name,
			   t->help, t->queue == NULL ? "default" : t->queue,
			   task_durability_names[t->durability],
			   t->where == TASK_ALONE ? "alone in a process" : "beside others");
		if (t->retry.times < 0)
			buf_add_c(out, "retried without bound");
		else
			buf_printf(out, "%d retries", t->retry.times);
		if (t->time_limit > 0)
			buf_printf(out, ", at most %lld s", (long long) (t->time_limit / SEC));
		buf_add_c(out, ".\n");
		if (t->argument_count > 0)
			buf_add_c(out, "\n| argument | default | meaning |\n|---|---|---|\n");
		for (size_t k = 0; k < t->argument_count; k++) {
			const struct task_argument *a = &t->arguments[k];

			buf_printf(out, "| `%s` | %s ", a->name, a->is_optional ? a->usual : "");
			add_cell(out, a->help);
			buf_add_c(out, "|\n");
		}
	}
}

/* Manual pages: man(7). */

static void add_roff(struct buf *out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		buf_printf(out, *c == '-' ? "\\-" : *c == '\\' ? "\\e" : "%c", *c);
}

static void man_option(void *out, const struct option *o)
{
	buf_add_c(out, ".TP\n.B ");
	if (o->brief != NULL) {
		add_roff(out, o->brief);
		buf_add_c(out, ", ");
	}
	add_roff(out, o->name);
	if (o->kind != OPTION_FLAG)
		buf_printf(out, " \\fI%s\\fR", o->value);
	buf_add_c(out, "\n");
	add_roff(out, o->help);
	buf_add_c(out, "\n");
}

static void man_head(struct buf *out, const char *name, const char *what)
{
	buf_printf(out,
		   ".\\\" Written by ./dev docs from the tables: change it there.\n"
		   ".TH %s 1 \"\" \"Apium " APIUM_VERSION "\"\n.SH NAME\n",
		   name);
	add_roff(out, name);
	buf_add_c(out, " \\- ");
	add_roff(out, what);
	buf_add_c(out, "\n");
}

static void man_environment(struct buf *out)
{
	const struct setting *row;

	buf_add_c(out, ".SH ENVIRONMENT\n");
	for (size_t i = 0; (row = settings_row(i)) != NULL; i++) {
		buf_printf(out, ".TP\n.B %s\n", row->name);
		add_roff(out, row->help);
		if (row->usual[0] != '\0' && (row->flags & SETTING_SECRET) == 0) {
			buf_add_c(out, " Default: ");
			add_roff(out, row->usual);
			buf_add_c(out, ".");
		}
		buf_add_c(out, "\n");
	}
}

static void man_apium(struct buf *out)
{
	man_head(out, "apium", "the operator's command of Apium");
	buf_add_c(out, ".SH SYNOPSIS\n.B apium\n.I COMMAND\n.RI [ WORDS ]\n.SH COMMANDS\n");
	for (size_t i = 0; i < command_count; i++) {
		buf_add_c(out, ".SS ");
		add_roff(out, commands[i].name);
		buf_add_c(out, " ");
		add_roff(out, commands[i].words);
		buf_add_c(out, "\n");
		add_roff(out, commands[i].help);
		buf_add_c(out, "\n");
		options_visit(man_option, out);
		command_options(&commands[i]);
		options_visit(NULL, NULL);
	}
	buf_add_c(
		out,
		".SH EXIT STATUS\n0: done. 1: it failed. 2: a word, an option or a setting is wrong. "
		"69: no worker has answered.\n"
		".SH SEE ALSO\n.BR apium\\-gateway (1),\n.BR apium\\-worker (1),\n.BR apium\\-beat (1)\n");
}

static void man_gateway(struct buf *out)
{
	man_head(out, "apium-gateway", "answers HTTP requests");
	buf_add_c(out, ".SH SYNOPSIS\n.B apium\\-gateway\n.RB [ \\-\\-version ]\n.SH SIGNALS\n"
		       ".TP\n.B SIGTERM, SIGINT\nDrains and ends; a second one ends at once.\n"
		       ".TP\n.B SIGHUP\nReads the settings file again, its certificate, and the "
		       "files of TLS to Redis.\n"
		       ".TP\n.B SIGUSR1\nLogs what each fiber waits for.\n");
	man_environment(out);
}

static void man_worker(struct buf *out)
{
	man_head(out, "apium-worker", "runs jobs");
	buf_add_c(
		out,
		".SH SYNOPSIS\n.B apium\\-worker\n.RB [ health ]\n.RI [ OPTIONS ]\n.SH DESCRIPTION\n"
		"Without a word: the supervisor, which starts the processes that run tasks. "
		"With\n.BR health :\nexit status 0 when the supervisor that keeps APIUM_HEALTH_FILE polls.\n"
		".SH OPTIONS\nThey have the names that those of\n.B celery worker\nhave, and are stronger than "
		"the environment and the settings file.\n");
	options_visit(man_option, out);
	worker_words_print();
	options_visit(NULL, NULL);
	buf_add_c(
		out,
		".SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nDrains and ends; a second one does not wait.\n"
		".TP\n.B SIGHUP\nReads the settings file and the files of TLS to Redis again, in every "
		"process.\n"
		".TP\n.B SIGUSR1\nLogs what each fiber waits for.\n");
	man_environment(out);
}

static void man_beat(struct buf *out)
{
	man_head(out, "apium-beat", "asks for jobs when their time has come");
	buf_add_c(
		out,
		".SH SYNOPSIS\n.B apium\\-beat\n.RB [ health ]\n.RB [ \\-\\-version ]\n.SH DESCRIPTION\n"
		"Any number may run; one leads, and another when that one has gone. Schedules stand in the "
		"program's code and in PostgreSQL\n.RB ( \"apium schedule\" ).\nWith\n.BR health :\n"
		"exit status 0 when the beat that keeps APIUM_HEALTH_FILE reaches PostgreSQL.\n"
		".SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nGives the lead up and ends.\n"
		".TP\n.B SIGHUP\nReads the settings file and the files of TLS to Redis again.\n"
		".TP\n.B SIGUSR1\nLogs what each fiber waits for.\n");
	man_environment(out);
}

/* Completions. */

static void name_option(void *out, const struct option *o)
{
	buf_printf(out, " %s", o->name);
}

static void bash(struct buf *out)
{
	buf_add_c(out, "# Written by ./dev docs from the tables: change it there.\n_apium() {\n"
		       "\tlocal word=${COMP_WORDS[COMP_CWORD]} words\n"
		       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords=\"");
	for (size_t i = 0; i < command_count; i++)
		buf_printf(out, "%s ", commands[i].name);
	buf_add_c(out, "worker gateway beat help\"\n\telse\n\t\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < command_count; i++) {
		buf_printf(out, "\t\t%s) words=\"--help", commands[i].name);
		options_visit(name_option, out);
		command_options(&commands[i]);
		options_visit(NULL, NULL);
		buf_add_c(out, "\" ;;\n");
	}
	buf_add_c(out, "\t\tworker) words=\"--help");
	options_visit(name_option, out);
	worker_words_print();
	options_visit(NULL, NULL);
	buf_add_c(out, "\" ;;\n");
	buf_add_c(out, "\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
		       "complete -o default -F _apium apium\n");
}

static void zsh_option(void *out, const struct option *o)
{
	buf_printf(out, " '%s[", o->name);
	for (const char *c = o->help; *c != '\0'; c++)
		buf_printf(out, *c == '\'' ? "'\\''" : *c == ']' || *c == '[' ? "\\%c" : "%c", *c);
	buf_printf(out, "]%s%s:'", o->kind == OPTION_FLAG ? "" : ":",
		   o->kind == OPTION_FLAG ? "" : o->value);
}

static void zsh(struct buf *out)
{
	buf_add_c(out, "#compdef apium\n# Written by ./dev docs from the tables: change it there.\n"
		       "if ((CURRENT == 2)); then\n\tlocal -a names=(\n");
	for (size_t i = 0; i < command_count; i++)
		buf_printf(out, "\t\t'%s:%s'\n", commands[i].name, commands[i].help);
	buf_add_c(out, "\t)\n\t_describe command names\nelse\n\tcase $words[2] in\n");
	for (size_t i = 0; i < command_count; i++) {
		buf_printf(out, "\t%s) _arguments '--help[Print the options.]'", commands[i].name);
		options_visit(zsh_option, out);
		command_options(&commands[i]);
		options_visit(NULL, NULL);
		buf_add_c(out, " '*:word:_files' ;;\n");
	}
	buf_add_c(out, "\tworker) _arguments '--help[Print the options.]'");
	options_visit(zsh_option, out);
	worker_words_print();
	options_visit(NULL, NULL);
	buf_add_c(out, " ;;\n");
	buf_add_c(out, "\tesac\nfi\n");
}

/* clang-format off */
static const struct document {
	const char *path;
	void (*add)(struct buf *);
} documents[] = {
	{ "errors.md",             errors_md },
	{ "generated/settings.md", settings_md },
	{ "generated/metrics.md",  metrics_md },
	{ "generated/tasks.md",    tasks_md },
	{ "man/apium.1",           man_apium },
	{ "man/apium-gateway.1",   man_gateway },
	{ "man/apium-worker.1",    man_worker },
	{ "man/apium-beat.1",     man_beat },
	{ "completions/apium.bash", bash },
	{ "completions/_apium",    zsh },
};
static const char *const folders[] = { "", "generated", "man", "completions" };
/* clang-format on */

static int write_document(const char *folder, const struct document *d)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT, path = BUF_INIT;
	FILE *file;
	bool is_written;

	d->add(&text);
	buf_printf(&path, "%s/%s", folder, d->path);
	file = fopen(path.at, "we");
	if (file == NULL)
		return fail(-errno, "%s cannot be written: %s", path.at, error_sentence(-errno));
	is_written = fwrite(text.at, 1, text.len, file) == text.len;
	if (fclose(file) != 0 || !is_written)
		return fail(-EIO, "%s cannot be written", path.at);
	return 0;
}

int command_docs(int argc, char **argv)
{
	int r;

	if (argc != 1 || argv[0][0] == '-')
		return fail(-EINVAL, "docs takes the folder to write into");
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_(buf_fini) struct buf path = BUF_INIT;

		buf_printf(&path, "%s/%s", argv[0], folders[i]);
		if (mkdir(path.at, 0777) < 0 && errno != EEXIST)
			return fail(-errno, "%s cannot be made: %s", path.at,
				    error_sentence(-errno));
	}
	settings.diag = true; /* all of them are documented */
	r = tasks_register();
	health_settings(); /* the worker's */
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(documents); i++)
		r = write_document(argv[0], &documents[i]);
	return r;
}
