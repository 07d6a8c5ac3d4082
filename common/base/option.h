/*
 * option.h - the words of a command line: a table of options for each command.
 *
 * A wrong word is answered with one sentence that names it and the nearest right one, never with the
 * whole help.  The same rows are the help, the manual page and the completions.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/str.h"

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_COUNT };

struct option {
	const char *name; /* "--queue" */
	enum option_kind kind;
	void *at;          /* bool, const char * or int64_t */
	const char *value; /* what the help calls it: "NAME" */
	const char *help;
	const char *brief; /* "-Q"; NULL: none */
};

/*
 * Reads options wherever they stand: `--name value`, `--name=value`, `-n value`, `-nvalue`.  "-" is a
 * word, and so is everything behind "--".  What is left are the words, in argv[0 … *ret_count).  0, or
 * -EINVAL with the sentence as the reason.  For "--help" alone: prints the table, -ECANCELED.  So a
 * command does nothing before it has called this.
 */
int options_parse(const struct option *, size_t count, int argc, char **argv, int *ret_count)
	_must_check_;
void options_print(const struct option *, size_t count);
/* From now on a table is not printed but visited, row by row; NULL: printed again. */
void options_visit(void (*visit)(void *arg, const struct option *), void *arg);

#endif
