/*
 * migrate.c - apium migrate, apium settings.
 */
#include "db/migrate.h"

#include <stdio.h>

#include "base/error.h"
#include "base/settings.h"
#include "command.h"

static void say(void *arg, const char *line)
{
	(void) arg;
	printf("%s\n", line);
}

int command_migrate(int argc, char **argv)
{
	const char *folder = "migrations";
	const struct option options[] = {
		{ "--folder", OPTION_TEXT, &folder, "FOLDER", "Where the SQL files lie." },
	};
	uint64_t count = 0;
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words < 1 || words > 2 ||
	    (words == 2 && (str_to_u64(str_c(argv[1]), &count) < 0 || count > 10000)))
		return fail(-EINVAL,
			    "migrate takes up, down or status, and perhaps a number of files");
	const struct migrate_options migrate = {
		.url = settings.database_direct_url[0] != '\0' ? settings.database_direct_url
							       : settings.database_url,
		.folder = folder,
		.say = say,
	};
	if (strcmp(argv[0], "up") == 0)
		r = migrate_up(&migrate, (unsigned) count);
	else if (strcmp(argv[0], "down") == 0)
		r = migrate_down(&migrate, words == 2 ? (unsigned) count : 1);
	else if (strcmp(argv[0], "status") == 0)
		r = migrate_status(&migrate);
	else
		return fail(-EINVAL, "migrate takes up, down or status, not %s", argv[0]);
	return r < 0 ? r : 0;
}

int command_settings(int argc, char **argv)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	if (argc > 0)
		return fail(-EINVAL, "settings takes no words, not %s", argv[0]);
	settings_print(&text);
	fwrite(text.at, 1, text.len, stdout);
	return 0;
}
