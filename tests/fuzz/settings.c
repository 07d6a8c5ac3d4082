#include "fuzz.h"

#include <stdlib.h>

#include "base/settings.h"

#define LINES_MOST 8

static void set_one(struct arena *a, struct str line)
{
	struct str name;

	str_cut(&line, '=', &name);
	if (name.len == 0 || str_is_null(line) || memchr(line.at, '\0', line.len) != NULL ||
	    memchr(name.at, '\0', name.len) != NULL)
		return;
	must(setenv(arena_c(a, name), arena_c(a, line), 1) == 0);
}

/* Lines NAME=value are the environment. */
void fuzz_settings(struct str input)
{
	_cleanup_(arena_fini) struct arena a;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct str rest = input, line;
	int r;

	arena_init(&a);
	clearenv();
	for (unsigned i = 0; i < LINES_MOST && str_cut(&rest, '\n', &line); i++)
		set_one(&a, line);
	r = settings_load();
	must(r == 0 || r == -E_BAD_SETTING);
	if (r < 0)
		must(fail_reason(r)[0] != '\0');
	else
		settings_print(&text);
	clearenv();
}
