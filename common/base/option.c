#include "base/option.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* Its value, if that stands in the same word, goes to *ret_value, else that is absent. */
static const struct option *find_option(const struct option *options, size_t count,
					const char *word, struct str *ret_value)
{
	struct str rest = str_c(word), name;

	(void) str_cut(&rest, '=', &name);
	for (size_t i = 0; i < count; i++) {
		const struct option *o = &options[i];

		if (str_eq_c(name, o->name)) {
			*ret_value = rest;
			return o;
		}
		if (o->brief != NULL && strncmp(word, o->brief, 2) == 0 &&
		    (word[2] == '\0' || o->kind != OPTION_FLAG)) {
			*ret_value = word[2] == '\0' ? STR_NULL : str_c(word + 2);
			return o;
		}
	}
	return NULL;
}

static int set_option(const struct option *o, const char *value)
{
	uint64_t number;

	if (o->kind == OPTION_TEXT) {
		*(const char **) o->at = value;
		return 0;
	}
	if (str_to_u64(str_c(value), &number) < 0 || number > INT64_MAX)
		return fail(-EINVAL, "%s takes a whole number, not %s", o->name, value);
	*(int64_t *) o->at = (int64_t) number;
	return 0;
}

/* *at moves past what was taken. */
static int read_option(const struct option *options, size_t count, int argc, char **argv, int *at)
{
	struct str value;
	const struct option *o = find_option(options, count, argv[*at], &value);

	if (o == NULL) {
		const char *near = count == 0 || argv[*at][1] != '-'
					   ? NULL
					   : str_nearest(argv[*at], options, count,
							 sizeof(options[0]));

		return near != NULL
			       ? fail(-EINVAL, "there is no %s; did you mean %s?", argv[*at], near)
			       : fail(-EINVAL, "there is no %s", argv[*at]);
	}
	if (o->kind == OPTION_FLAG) {
		if (!str_is_null(value))
			return fail(-EINVAL, "%s takes no value", o->name);
		*(bool *) o->at = true;
		return 0;
	}
	if (!str_is_null(value))
		return set_option(o, value.at);
	if (*at + 1 >= argc)
		return fail(-EINVAL, "%s needs %s", o->name, o->value);
	return set_option(o, argv[++*at]);
}

int options_parse(const struct option *options, size_t count, int argc, char **argv, int *ret_count)
{
	bool is_behind = false;
	int words = 0;

	if (argc == 1 && strcmp(argv[0], "--help") == 0) {
		options_print(options, count);
		return -ECANCELED;
	}

	for (int at = 0; at < argc; at++) {
		if (is_behind || argv[at][0] != '-' || argv[at][1] == '\0') {
			argv[words++] = argv[at];
			continue;
		}
		is_behind = strcmp(argv[at], "--") == 0;
		if (is_behind)
			continue;
		int r = read_option(options, count, argc, argv, &at);

		if (r < 0)
			return r;
	}
	*ret_count = words;
	return 0;
}

static void (*visitor)(void *arg, const struct option *);
static void *visitor_arg;

void options_visit(void (*visit)(void *arg, const struct option *), void *arg)
{
	visitor = visit;
	visitor_arg = arg;
}

void options_print(const struct option *options, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct option *o = &options[i];
		char name[48];

		if (visitor != NULL) {
			visitor(visitor_arg, o);
			continue;
		}
		(void) snprintf(name, sizeof(name), "%s%s%s%s%s", o->brief == NULL ? "" : o->brief,
				o->brief == NULL ? "" : ", ", o->name,
				o->kind == OPTION_FLAG ? "" : " ",
				o->kind == OPTION_FLAG ? "" : o->value);
		printf("  %-28s %s\n", name, o->help);
	}
}
