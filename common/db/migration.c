#include "db/migration.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define VERSION_DIGITS 12
#define MOST_FILE      (16 * MIB)

void migrations_init(struct migrations *m)
{
	*m = (struct migrations){ 0 };
	arena_init(&m->arena);
}

void migrations_fini(struct migrations *m)
{
	free(m->all);
	arena_fini(&m->arena);
}

static struct migration *find(struct migrations *m, struct str version)
{
	for (size_t i = 0; i < m->count; i++)
		if (str_eq_c(version, m->all[i].version))
			return &m->all[i];
	return NULL;
}

static struct migration *add(struct migrations *m, struct str version, struct str name)
{
	struct migration *one;

	if (m->count == m->cap) {
		m->cap = m->cap == 0 ? 32 : m->cap * 2;
		m->all = reallocarray(m->all, m->cap, sizeof(*m->all));
		must(m->all != NULL);
	}
	one = &m->all[m->count++];
	*one = (struct migration){
		.version = arena_c(&m->arena, version),
		.name = arena_c(&m->arena, name),
	};
	return one;
}

static int by_version(const void *a, const void *b)
{
	return strcmp(((const struct migration *) a)->version,
		      ((const struct migration *) b)->version);
}

/* "202601311200_name.up.sql" */
static int take_file(struct migrations *m, const char *folder, const char *file)
{
	struct str text = str_c(file), version, name;
	bool is_up = str_ends(text, STR(".up.sql")), is_down = str_ends(text, STR(".down.sql"));
	size_t digits = 0, end;
	struct migration *one;

	if (!str_ends(text, STR(".sql")))
		return 0;
	while (digits < text.len && isdigit((unsigned char) text.at[digits]))
		digits++;
	end = text.len - (is_up ? strlen(".up.sql") : strlen(".down.sql"));
	if ((!is_up && !is_down) || digits != VERSION_DIGITS || text.at[digits] != '_' ||
	    end <= digits + 1)
		return fail(-E_BAD_SETTING,
			    "%s/%s: a migration is called YYYYMMDDHHMM_name.up.sql or .down.sql",
			    folder, file);
	version = str_slice(text, 0, digits);
	name = str_slice(text, digits + 1, end);
	one = find(m, version);
	if (one == NULL)
		one = add(m, version, name);
	if (!str_eq_c(name, one->name))
		return fail(-E_BAD_SETTING, "%s: %s and %.*s have the same number %s", folder,
			    one->name, STR_ARG(name), one->version);
	if (is_up)
		one->has_up = true;
	else
		one->has_down = true;
	return 0;
}

int migrations_read_folder(struct migrations *m, const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int r = 0;

	if (dir == NULL)
		return fail(-E_BAD_SETTING, "migrations folder %s: %s", folder,
			    error_sentence(-errno));
	while (r == 0 && (entry = readdir(dir)) != NULL)
		r = take_file(m, folder, entry->d_name);
	closedir(dir);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m->count; i++)
		if (!m->all[i].has_up)
			return fail(-E_BAD_SETTING, "%s/%s_%s.down.sql has no .up.sql", folder,
				    m->all[i].version, m->all[i].name);
	if (m->count == 0)
		return 0; /* an empty folder has no array either, which qsort must not be given */
	qsort(m->all, m->count, sizeof(*m->all), by_version);
	return 0;
}

static void take_row(struct migrations *m, const PGresult *rows, int row)
{
	struct str version = str_c(PQgetvalue(rows, row, 0)),
		   name = str_c(PQgetvalue(rows, row, 1));
	struct migration *one = find(m, version);

	if (one == NULL)
		one = add(m, version, name); /* its file is gone */
	one->is_started = true;
	one->is_applied = !PQgetisnull(rows, row, 2);
	if (one->is_applied)
		one->applied_at = arena_c(&m->arena, str_c(PQgetvalue(rows, row, 2)));
}

int migrations_read_table(struct migrations *m, PGconn *pg)
{
	PGresult *result = PQexec(pg, "SELECT to_regclass('apium_migrations') IS NOT NULL");
	bool has_table = PQresultStatus(result) == PGRES_TUPLES_OK &&
			 PQgetvalue(result, 0, 0)[0] == 't';
	int r = 0;

	if (has_table) {
		PQclear(result);
		result = PQexec(
			pg, "SELECT version, name, to_char(finished_at AT TIME ZONE 'UTC', "
			    "'YYYY-MM-DD HH24:MI:SS\"Z\"') FROM apium_migrations ORDER BY version");
	}
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		r = fail(-E_SQL, "apium_migrations: %s", PQresultErrorMessage(result));
	for (int row = 0; r == 0 && has_table && row < PQntuples(result); row++)
		take_row(m, result, row);
	PQclear(result);
	qsort(m->all, m->count, sizeof(*m->all), by_version);
	return r;
}

int migration_read(const struct migration *m, const char *folder, const char *direction,
		   struct buf *out)
{
	_cleanup_(buf_fini) struct buf path = BUF_INIT;
	char piece[2048];
	FILE *file;
	size_t n;
	int r = 0;

	buf_printf(&path, "%s/%s_%s.%s.sql", folder, m->version, m->name, direction);
	file = fopen(path.at, "re");
	if (file == NULL)
		return fail(-errno, "%s: %s", path.at, error_sentence(-errno));
	while (out->len <= MOST_FILE && (n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(out, piece, n);
	if (ferror(file))
		r = fail(-EIO, "%s cannot be read", path.at);
	else if (out->len > MOST_FILE)
		r = fail(-E_BAD_SETTING, "%s is larger than 16 MiB", path.at);
	else if (memchr(out->at, '\0', out->len) != NULL)
		r = fail(-E_BAD_SETTING, "%s holds a NUL character", path.at);
	fclose(file);
	return r;
}
