#include "base/settings.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/map.h"

struct settings settings;

/* A row's member must have the type that its word stands for: a wrong row does not compile. */
#define MEMBER_TEXT(m)    _Generic((m), const char * : &(m))
#define MEMBER_CHOICE(m)  MEMBER_TEXT(m)
#define MEMBER_COUNT(m)   _Generic((m), int64_t : &(m))
#define MEMBER_SECONDS(m) _Generic((m), usec_t : &(m))
#define MEMBER_BYTES(m)   _Generic((m), int64_t : &(m))
#define MEMBER_SWITCH(m)  _Generic((m), bool : &(m))

/* Short names for the columns of the table only. */
#define SECRET     SETTING_SECRET
#define CORES      SETTING_CORES
#define RELOADABLE SETTING_RELOADABLE
static const struct setting own_rows[] = {
#define SETTING(name, type, member, usual, least, most, flags, help)                               \
	{ name, SETTING_##type, MEMBER_##type(settings.member), usual, least, most, flags, help },
#include "base/settings.def"
#undef SETTING
};
#undef SECRET
#undef CORES
#undef RELOADABLE

#define MOST_TABLES 8
static struct {
	const struct setting *rows;
	size_t count;
} tables[MOST_TABLES] = { { own_rows, ARRAY_SIZE(own_rows) } };
static size_t table_count = 1;

extern char **environ;

void settings_register(const struct setting *rows, size_t count)
{
	must(table_count < MOST_TABLES);
	tables[table_count].rows = rows;
	tables[table_count].count = count;
	table_count++;
}

/* `for (size_t t = 0, i = 0; (row = next_row(&t, &i)) != NULL;)` visits every row of every
 * table. */
static const struct setting *next_row(size_t *table, size_t *index)
{
	while (*table < table_count && *index == tables[*table].count) {
		++*table;
		*index = 0;
	}
	return *table < table_count ? &tables[*table].rows[(*index)++] : NULL;
}

/* Thousandths at most matter; the type's unit is the microsecond. */
static int parse_seconds(struct str text, int64_t *ret)
{
	double seconds;
	int r;

	r = str_to_double(text, &seconds);
	if (r < 0)
		return r;
	if (seconds < -1e12 || seconds > 1e12)
		return -ERANGE;
	*ret = (int64_t) (seconds * (double) SEC + (seconds < 0 ? -0.5 : 0.5));
	return 0;
}

static int parse_bytes(struct str text, int64_t *ret)
{
	static const struct {
		struct str suffix;
		int64_t factor;
	} units[] = {
		{ STR_INIT("KiB"), (int64_t) KIB },
		{ STR_INIT("MiB"), (int64_t) MIB },
		{ STR_INIT("GiB"), (int64_t) GIB },
	};
	int64_t n, factor = 1;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (str_ends(text, units[i].suffix)) {
			factor = units[i].factor;
			text.len -= units[i].suffix.len;
			text = str_trim(text);
			break;
		}
	}
	r = str_to_i64(text, &n);
	if (r < 0)
		return r;
	return __builtin_mul_overflow(n, factor, ret) ? -ERANGE : 0;
}

static int parse_switch(struct str text, bool *ret)
{
	static const struct {
		const char *word;
		bool is_on;
	} words[] = {
		{ "on", true },   { "true", true },   { "yes", true }, { "1", true },
		{ "off", false }, { "false", false }, { "no", false }, { "0", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (str_eq_nocase(text, str_c(words[i].word))) {
			*ret = words[i].is_on;
			return 0;
		}
	}
	return -EINVAL;
}

/* The allowed words of a CHOICE stand in its help: "… one of |a|b|c|." */
static struct str choices(const struct setting *row)
{
	const char *from = strstr(row->help, "one of |");
	const char *to = from == NULL ? NULL : strrchr(from, '|');

	if (to == NULL || to == from + 7)
		return STR_NULL;
	return str_make(from + 8, (size_t) (to - from) - 8);
}

static bool is_choice(const struct setting *row, struct str text)
{
	struct str rest = choices(row), word;

	while (str_cut(&rest, '|', &word))
		if (str_eq(word, text))
			return true;
	return false;
}

static int fail_bounds(const struct setting *row, const char *text)
{
	const char *unit = row->type == SETTING_SECONDS ? " seconds"
			   : row->type == SETTING_BYTES ? " bytes"
							: "";

	return fail(-E_BAD_SETTING, "%s: \"%s\" is not between %lld and %lld%s", row->name, text,
		    (long long) row->least, (long long) row->most, unit);
}

static int check_bounds(const struct setting *row, const char *text, int64_t value, int64_t unit)
{
	bool has_bounds = row->least != 0 || row->most != 0;

	if (has_bounds && (value < row->least * unit || value > row->most * unit))
		return fail_bounds(row, text);
	return 0;
}

/* Those that this process may use: a container often has fewer than the machine. */
static int64_t processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	return CPU_COUNT(&set);
}

static int set_number(const struct setting *row, const char *text)
{
	static const char *const what[] = {
		[SETTING_COUNT] = "a whole number",
		[SETTING_SECONDS] = "a number of seconds",
		[SETTING_BYTES] = "a number of bytes (such as 4096, 64KiB, 12MiB)",
	};
	struct str trimmed = str_trim(str_c(text));
	bool is_seconds = row->type == SETTING_SECONDS;
	int64_t value;
	int r;

	r = is_seconds                   ? parse_seconds(trimmed, &value)
	    : row->type == SETTING_BYTES ? parse_bytes(trimmed, &value)
					 : str_to_i64(trimmed, &value);
	if (r == -ERANGE)
		return fail_bounds(row, text);
	if (r < 0)
		return fail(-E_BAD_SETTING, "%s: \"%s\" is not %s", row->name, text,
			    what[row->type]);
	r = check_bounds(row, text, value, is_seconds ? SEC : 1);
	if (r < 0)
		return r;
	if (value == 0 && (row->flags & SETTING_CORES))
		value = processors();
	if (is_seconds)
		*(usec_t *) row->at = value;
	else
		*(int64_t *) row->at = value;
	return 0;
}

/* `text` must outlive the settings: a default, or the environment's own copy. */
static int set(const struct setting *row, const char *text)
{
	struct str trimmed = str_trim(str_c(text));
	struct str words;

	switch (row->type) {
	case SETTING_TEXT:
		*(const char **) row->at = text;
		return 0;
	case SETTING_CHOICE:
		if (!is_choice(row, str_c(text))) {
			words = choices(row);
			return fail(-E_BAD_SETTING, "%s: \"%s\" is none of %.*s", row->name, text,
				    STR_ARG(words));
		}
		*(const char **) row->at = text;
		return 0;
	case SETTING_SWITCH:
		if (parse_switch(trimmed, row->at) < 0)
			return fail(-E_BAD_SETTING, "%s: \"%s\" is neither on nor off", row->name,
				    text);
		return 0;
	case SETTING_COUNT:
	case SETTING_SECONDS:
	case SETTING_BYTES:
		return set_number(row, text);
	}
	must_not_reach("a setting of no known type");
}

const struct setting *settings_row(size_t number)
{
	const struct setting *row = NULL;

	for (size_t t = 0, i = 0, n = 0; n <= number; n++) {
		row = next_row(&t, &i);
		if (row == NULL)
			break;
	}
	return row;
}

static const struct setting *find(struct str name)
{
	const struct setting *row;

	for (size_t t = 0, i = 0; (row = next_row(&t, &i)) != NULL;)
		if (str_eq_c(name, row->name))
			return row;
	return NULL;
}

/* A reason may not tell a secret: the value of a secret row is left out of it. */
static int hide_secret(const struct setting *row, int r)
{
	if (r < 0 && (row->flags & SETTING_SECRET))
		return fail(r, "%s: its value (***) cannot be used", row->name);
	return r;
}

#define COMMAND_LINE "APIUM_COMMAND_LINE"

/* The nearest name over all tables. */
static const char *nearest(const char *name)
{
	const char *names[256];
	const struct setting *row;
	size_t count = 0;

	for (size_t t = 0, i = 0; (row = next_row(&t, &i)) != NULL && count < ARRAY_SIZE(names);)
		names[count++] = row->name;
	return str_nearest(name, names, count, sizeof(names[0]));
}

static int check_unknown(const char *entry)
{
	struct str rest = str_c(entry), name;
	char text[128];
	const char *meant;

	if (!str_cut(&rest, '=', &name) || !str_starts(name, STR("APIUM_")) ||
	    str_starts(name, STR("APIUM_TEST_")) || str_eq_c(name, COMMAND_LINE) ||
	    find(name) != NULL)
		return 0;
	snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
	meant = nearest(text);
	if (meant == NULL)
		return fail(-E_BAD_SETTING, "%s is no setting", text);
	return fail(-E_BAD_SETTING, "%s is no setting; did you mean %s?", text, meant);
}

/* The file. */

#define FILE_MOST (256 * KIB)

/* What the file says, by name; texts of its own, which settings are made of. */
struct said {
	struct map by_name;
};

static void said_fini(struct said *s)
{
	const struct map_slot *slot;

	for (size_t at = 0; (slot = map_next(&s->by_name, &at)) != NULL;)
		free(slot->value);
	map_fini(&s->by_name);
}

static char *copy_of(struct str s)
{
	char *copy = strndup(s.at == NULL ? "" : s.at, s.len);

	must(copy != NULL);
	return copy;
}

/* Texts that settings have or had: another thread may still read one whose row has another by now. */
struct kept {
	struct kept *next;
	char text[];
};

static struct kept *kept;

static const char *keep(const char *text)
{
	size_t size = strlen(text) + 1;
	struct kept *k = malloc(sizeof(*k) + size);

	must(k != NULL);
	memcpy(k->text, text, size);
	k->next = kept;
	kept = k;
	return k->text;
}

static int take_line(struct said *s, const char *path, int number, struct str line)
{
	const struct setting *row;
	struct str name;
	char text[128];

	line = str_trim(line);
	if (line.len == 0 || line.at[0] == '#')
		return 0;
	if (!str_cut(&line, '=', &name) || str_is_null(line))
		return fail(-E_BAD_SETTING, "%s:%d: there is no \"=\"", path, number);
	name = str_trim(name);
	line = str_trim(line);
	if (line.len >= 2 && line.at[0] == '"' && line.at[line.len - 1] == '"')
		line = str_slice(line, 1, line.len - 1);
	row = find(name);
	if (row == NULL) {
		const char *meant;

		(void) snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
		meant = nearest(text);
		return meant == NULL
			       ? fail(-E_BAD_SETTING, "%s:%d: %s is no setting", path, number, text)
			       : fail(-E_BAD_SETTING, "%s:%d: %s is no setting; did you mean %s?",
				      path, number, text, meant);
	}
	free(map_put(&s->by_name, str_c(row->name),
		     copy_of(line))); /* the last one of a name counts */
	return 0;
}

static int read_file(struct said *s)
{
	const char *path = getenv("APIUM_SETTINGS_FILE");
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	struct str rest, line;
	char piece[1024];
	size_t n;
	FILE *file;
	int r = 0;

	if (path == NULL || path[0] == '\0')
		return 0;
	file = fopen(path, "re");
	if (file == NULL)
		return fail(-E_BAD_SETTING, "APIUM_SETTINGS_FILE=%s cannot be read: %s", path,
			    error_sentence(-errno));
	while (text.len <= FILE_MOST && (n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(&text, piece, n);
	if (ferror(file) || text.len > FILE_MOST)
		r = fail(-E_BAD_SETTING, "APIUM_SETTINGS_FILE=%s cannot be read, or is too long",
			 path);
	fclose(file);
	rest = buf_str(&text);
	for (int number = 1; r == 0 && str_cut(&rest, '\n', &line); number++)
		r = take_line(s, path, number, line);
	return r;
}

/* The command line. */

int settings_say(const char *name, const char *value)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	const char *before = getenv(COMMAND_LINE);

	if (strchr(value, '\n') != NULL)
		return fail(-E_BAD_SETTING, "%s: the value has more than one line", name);
	buf_printf(&text, "%s%s=%s\n", before == NULL ? "" : before, name, value);
	must(setenv(COMMAND_LINE, text.at, true) == 0);
	return 0;
}

static int read_command_line(struct said *s)
{
	const char *text = getenv(COMMAND_LINE);
	struct str rest = str_c(text == NULL ? "" : text), line;
	int r = 0;

	for (int number = 1; r == 0 && str_cut(&rest, '\n', &line); number++)
		r = take_line(s, COMMAND_LINE, number, line);
	return r;
}

/* Both, the stronger last. */
static int read_said(struct said *s)
{
	int r = read_file(s);

	return r < 0 ? r : read_command_line(s);
}

/* Contradictions. */

static bool share_an_item(const char *one, const char *other)
{
	struct str a = str_c(one), item;

	while (settings_next_item(&a, &item)) {
		struct str b = str_c(other), its;

		while (settings_next_item(&b, &its))
			if (str_eq(item, its))
				return true;
	}
	return false;
}

/* Whether a folder is the other one or lies below it, as the paths are written. */
static bool lies_in(const char *folder, const char *other)
{
	size_t len = strlen(other);

	while (len > 1 && other[len - 1] == '/')
		len--;
	return strncmp(folder, other, len) == 0 && (folder[len] == '\0' || folder[len] == '/');
}

static int check_rules(void)
{
#define RULE(first, second, holds, sentence)                                                       \
	if (!(holds))                                                                              \
		return fail(-E_BAD_SETTING, "%s and %s contradict each other: %s", (first),        \
			    (second), (sentence));
#include "base/settings_rules.def"
#undef RULE
	return 0;
}

/* `text` of a row: the command line's or the file's word, else the environment's, else the default. */
static const char *text_of(const struct setting *row, const struct said *said)
{
	const char *text = map_find(&said->by_name, str_c(row->name));

	if (text == NULL)
		text = getenv(row->name);
	return text == NULL ? row->usual : text;
}

int settings_load(void)
{
	_cleanup_(said_fini) struct said said = { 0 };
	const struct setting *row;
	int r;

	/* NULL after clearenv(). */
	for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
		r = check_unknown(*entry);
		if (r < 0)
			return r;
	}
	r = read_said(&said);
	if (r < 0)
		return r;
	for (size_t t = 0, i = 0; (row = next_row(&t, &i)) != NULL;) {
		const char *text = text_of(row, &said);

		/* The environment may be changed under us (setenv in a test). */
		if (row->type == SETTING_TEXT || row->type == SETTING_CHOICE)
			text = keep(text);
		r = hide_secret(row, set(row, text));
		if (r < 0)
			return r;
	}
	return check_rules();
}

union setting_value {
	const char *text;
	int64_t number;
	bool is_on;
};

static void print_value(struct buf *out, const struct setting *row);

static bool is_same(const struct setting *one, const struct setting *other)
{
	_cleanup_(buf_fini) struct buf a = BUF_INIT, b = BUF_INIT;

	print_value(&a, one);
	print_value(&b, other);
	return str_eq(buf_str(&a), buf_str(&b));
}

/* All rows once: with `applies` those that may change do, and the others are spoken of. */
static int reload_rows(const struct said *said, bool applies)
{
	const struct setting *row;

	for (size_t t = 0, i = 0; (row = next_row(&t, &i)) != NULL;) {
		struct setting probe = *row;
		union setting_value value;
		int r;

		probe.at = &value;
		r = hide_secret(row, set(&probe, text_of(row, said)));
		if (r < 0)
			return r;
		if (!applies || is_same(row, &probe))
			continue;
		if ((row->flags & SETTING_RELOADABLE) == 0) {
			log_warn("%s has another value now, which a start would take; ignoring",
				 row->name);
			continue;
		}
		log_info("%s has a new value", row->name);
		r = set(row, row->type == SETTING_TEXT || row->type == SETTING_CHOICE
				     ? keep(value.text)
				     : text_of(row, said));
		must(r == 0); /* it was, a moment ago */
	}
	return 0;
}

int settings_reload(void)
{
	_cleanup_(said_fini) struct said said = { 0 };
	int r = read_said(&said);

	if (r == 0)
		r = reload_rows(&said, false);
	return r < 0 ? r : reload_rows(&said, true);
}

void settings_on_hangup(void)
{
	int r = settings_reload();

	if (r < 0) {
		log_warn("settings stay as they are: %s", fail_reason(r));
		fail_clear();
		return;
	}
	log_set_level(log_level_from_name(settings.log_level));
	log_info("settings were read again");
}

static int check_row(const struct setting *row, struct map *seen)
{
	if (row->name == NULL || row->help == NULL || row->help[0] == '\0')
		return fail(-E_BAD_SETTING, "a setting without a name or help: %s",
			    row->name == NULL ? "?" : row->name);
	if (map_put(seen, str_c(row->name), (void *) (uintptr_t) row) != NULL)
		return fail(-E_BAD_SETTING, "%s stands in the tables twice", row->name);
	if (row->at == NULL)
		return fail(-E_BAD_SETTING, "%s has nowhere to go", row->name);
	if (row->least > row->most)
		return fail(-E_BAD_SETTING, "%s: its bounds are the wrong way round", row->name);
	if (row->type == SETTING_CHOICE && str_is_null(choices(row)))
		return fail(-E_BAD_SETTING, "%s: its help does not say \"one of |…|\"", row->name);
	if ((row->flags & SETTING_CORES) && row->type != SETTING_COUNT)
		return fail(-E_BAD_SETTING, "%s: only a COUNT can stand for the processors",
			    row->name);
	return 0;
}

int settings_check(void)
{
	_cleanup_(map_fini) struct map seen = { 0 };
	const struct setting *row;
	int r;

	for (size_t t = 0, i = 0; (row = next_row(&t, &i)) != NULL;) {
		union setting_value nowhere;
		struct setting probe = *row;

		r = check_row(row, &seen);
		if (r < 0)
			return r;
		probe.at = &nowhere;
		r = set(&probe, row->usual);
		if (r < 0)
			return fail_in(r, "bad default");
	}
	return 0;
}

bool settings_is_development(void)
{
	return strcmp(settings.env, "development") == 0 || strcmp(settings.env, "test") == 0;
}

int settings_check_secret(void)
{
	const struct setting *row = find(STR("APIUM_SECRET_KEY"));

	if (settings_is_development())
		return 0;
	if (strcmp(settings.secret_key, row->usual) == 0)
		return fail(
			-E_BAD_SETTING,
			"APIUM_SECRET_KEY must be set: its default is only for APIUM_ENV=development");
	if (strlen(settings.secret_key) < 32)
		return fail(-E_BAD_SETTING, "APIUM_SECRET_KEY must have at least 32 characters");
	return 0;
}

static void print_seconds(struct buf *out, usec_t value)
{
	buf_add_i64(out, value / SEC);
	if (value % SEC != 0) {
		buf_printf(out, ".%06lld", (long long) (value % SEC));
		while (out->at[out->len - 1] == '0')
			buf_truncate(out, out->len - 1);
	}
}

static void print_value(struct buf *out, const struct setting *row)
{
	switch (row->type) {
	case SETTING_TEXT:
	case SETTING_CHOICE:
		buf_add_c(out, *(const char **) row->at);
		break;
	case SETTING_COUNT:
	case SETTING_BYTES:
		buf_add_i64(out, *(int64_t *) row->at);
		break;
	case SETTING_SECONDS:
		print_seconds(out, *(usec_t *) row->at);
		break;
	case SETTING_SWITCH:
		buf_add_c(out, *(bool *) row->at ? "on" : "off");
		break;
	}
}

void settings_print(struct buf *out)
{
	const struct setting *row;

	for (size_t t = 0, i = 0; (row = next_row(&t, &i)) != NULL;) {
		bool is_secret = row->flags & SETTING_SECRET;

		buf_printf(out, "%s=", row->name);
		if (is_secret)
			buf_add_c(out, "***");
		else
			print_value(out, row);
		buf_printf(out, "\n    # %s (default: %s)\n", row->help,
			   row->usual[0] == '\0' ? "empty" : row->usual);
	}
}

bool settings_next_item(struct str *rest, struct str *ret_item)
{
	struct str item;

	while (str_cut(rest, ',', &item)) {
		item = str_trim(item);
		if (item.len > 0) {
			*ret_item = item;
			return true;
		}
	}
	return false;
}
