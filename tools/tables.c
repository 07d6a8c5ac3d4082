/*
 * tables.c - apium tasks, apium routes: what the tables of the application say.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/settings.h"
#include "command.h"
#include "proto/tasks.h"
#include "shop.h"

int command_tasks(int argc, char **argv)
{
	int r;

	if (argc > 0)
		return fail(-EINVAL, "tasks takes no words, not %s", argv[0]);
	r = tasks_register();
	for (size_t i = 0; r == 0 && i < task_count(); i++) {
		const struct task *t = task_at(i);

		printf("%s  (%s, %s)\n    %s\n", t->name, t->queue == NULL ? "default" : t->queue,
		       task_durability_names[t->durability], t->help);
		for (size_t k = 0; k < t->argument_count; k++)
			printf("      %-18s %s%s%s\n", t->arguments[k].name, t->arguments[k].help,
			       t->arguments[k].is_optional ? "; default " : "",
			       t->arguments[k].is_optional ? t->arguments[k].usual : "");
	}
	return r;
}

int command_routes(int argc, char **argv)
{
	struct route_table *table;
	const struct view *const *views;
	size_t count;
	int r;

	if (argc > 0)
		return fail(-EINVAL, "routes takes no words, not %s", argv[0]);
	table = route_table_new();
	r = shop_routes(table, settings.media_root, settings.static_root);
	if (r == 0)
		r = route_table_seal(table);
	count = r == 0 ? route_table_views(table, &views) : 0;
	for (size_t i = 0; i < count; i++)
		for (int m = 0; m < HTTP_METHODS; m++)
			if (views[i]->routes[m] != NULL)
				printf("%-8s %s%-50s %s\n", http_method_names[m],
				       views[i]->mount == ROUTE_API ? "/api/v1/" : "/",
				       views[i]->pattern, views[i]->routes[m]->name);
	table = route_table_free(table);
	return r;
}
