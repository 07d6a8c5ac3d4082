#include "db/migrate.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/world.h"
#include "db/migration.h"
#include "db/sql.h"

/* Ours among the advisory locks of a database. */
#define LOCK_KEY      "4702396410532985697"
#define LOCK_PATIENCE (10 * MINUTE)
#define LOCK_TIMEOUT  (2 * SEC)
#define LOCK_TRIES    30
#define LOCK_PAUSE    (1 * SEC)

struct work {
	const struct migrate_options *options;
	PGconn *pg;
	bool is_locked;
	struct migrations migrations;
};

/* What is done with one migration. */
struct direction {
	const char *word; /* of the file's name */
	/* Records the end in the transaction of the file. */
	const char *record;
	/* Records the start, and the end, of a file without a transaction. */
	const char *start, *end;
	const char *said;
};

static const struct direction up = {
	.word = "up",
	.record =
		"INSERT INTO apium_migrations (version, name, finished_at) VALUES ($1, $2, now())",
	.start = "INSERT INTO apium_migrations (version, name) VALUES ($1, $2) "
		 "ON CONFLICT (version) DO UPDATE SET started_at = now()",
	.end = "UPDATE apium_migrations SET finished_at = now() WHERE version = $1 AND name = $2",
	.said = "applied",
};

static const struct direction down = {
	.word = "down",
	.record = "DELETE FROM apium_migrations WHERE version = $1 AND name = $2",
	.start = "UPDATE apium_migrations SET finished_at = NULL WHERE version = $1 AND name = $2",
	.end = "DELETE FROM apium_migrations WHERE version = $1 AND name = $2",
	.said = "undone",
};

static void say(const struct work *w, const struct migration *m, const char *what)
{
	_cleanup_(buf_fini) struct buf line = BUF_INIT;

	if (w->options->say == NULL)
		return;
	buf_printf(&line, "%s %s: %s", m->version, m->name, what);
	w->options->say(w->options->arg, line.at);
}

static void say_line(const struct work *w, const char *line)
{
	if (w->options->say != NULL)
		w->options->say(w->options->arg, line);
}

static void pause_for(usec_t duration)
{
	struct timespec t = { .tv_sec = duration / SEC, .tv_nsec = duration % SEC * 1000 };

	nanosleep(&t, NULL);
}

/* One statement of ours, without a file. */
static int run(struct work *w, const char *sql, const struct migration *m)
{
	const char *const values[] = { m == NULL ? NULL : m->version, m == NULL ? NULL : m->name };
	PGresult *result = PQexecParams(w->pg, sql, m == NULL ? 0 : 2, NULL, values, NULL, NULL, 0);
	ExecStatusType status = PQresultStatus(result);
	int r = 0;

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		r = fail(-E_SQL, "%s: %s", sql, PQresultErrorMessage(result));
	PQclear(result);
	return r;
}

/* The server counts the position of an error in characters, from one. */
static int line_of(struct str text, const char *position)
{
	uint64_t characters;
	int line = 1;

	if (position == NULL || str_to_u64(str_c(position), &characters) < 0)
		return 0;
	for (size_t i = 0; i < text.len && characters > 1; i++) {
		line += text.at[i] == '\n';
		characters -= (text.at[i] & 0xc0) != 0x80;
	}
	return line;
}

/* A text of a file, which begins at line `first`. */
static int run_text(struct work *w, const struct migration *m, const struct direction *d,
		    struct str sql, int first)
{
	_cleanup_(arena_fini) struct arena arena;
	const char *sqlstate;
	PGresult *result;
	int line, r = 0;

	arena_init(&arena);
	result = PQexec(w->pg, arena_c(&arena, sql));
	switch (PQresultStatus(result)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		break;
	case PGRES_FATAL_ERROR:
		sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		line = line_of(sql, PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION));
		if (sqlstate != NULL && strcmp(sqlstate, "55P03") == 0)
			r = fail(-E_UNAVAILABLE, "%s_%s.%s.sql: a lock is not to be had",
				 m->version, m->name, d->word);
		else
			r = fail(-E_SQL, "%s_%s.%s.sql:%d: %s", m->version, m->name, d->word,
				 line == 0 ? first : first + line - 1,
				 PQresultErrorMessage(result));
		break;
	default:
		r = fail(-E_SQL, "%s_%s.%s.sql: COPY is not possible here", m->version, m->name,
			 d->word);
	}
	PQclear(result);
	return r;
}

static int try_in_transaction(struct work *w, const struct migration *m, const struct direction *d,
			      struct str sql)
{
	usec_t timeout = w->options->lock_timeout == 0 ? LOCK_TIMEOUT : w->options->lock_timeout;
	char set[64];
	int r;

	snprintf(set, sizeof(set), "SET LOCAL lock_timeout = %lld", (long long) (timeout / MSEC));
	r = run(w, "BEGIN", NULL);
	if (r == 0)
		r = run(w, set, NULL);
	if (r == 0)
		r = run_text(w, m, d, sql, 1);
	if (r == 0 && PQtransactionStatus(w->pg) != PQTRANS_INTRANS)
		r = fail(
			-E_SQL,
			"%s_%s.%s.sql ends the transaction by itself, so that it cannot be undone whole",
			m->version, m->name, d->word);
	if (r == 0)
		r = run(w, d->record, m);
	if (r == 0)
		r = run(w, "COMMIT", NULL);
	if (r < 0 && PQtransactionStatus(w->pg) != PQTRANS_IDLE)
		PQclear(PQexec(
			w->pg,
			"ROLLBACK")); /* whatever it says, the first error is the one to tell */
	return r;
}

static int in_transaction(struct work *w, const struct migration *m, const struct direction *d,
			  struct str sql)
{
	unsigned tries = w->options->lock_tries == 0 ? LOCK_TRIES : w->options->lock_tries;
	int r;

	for (;;) {
		r = try_in_transaction(w, m, d, sql);
		if (r != -E_UNAVAILABLE || --tries == 0)
			return r;
		say(w, m, "waits for a lock");
		pause_for((usec_t) random_below(
			(uint64_t) LOCK_PAUSE)); /* lets the traffic through */
	}
}

static int without_transaction(struct work *w, const struct migration *m, const struct direction *d,
			       struct str sql)
{
	struct str rest = sql, statement;
	int r = run(w, d->start, m);

	while (r == 0 && db_sql_next(&rest, &statement)) {
		int line = 1;

		for (const char *p = sql.at; p < statement.at; p++)
			line += *p == '\n';
		r = run_text(w, m, d, statement, line);
	}
	return r < 0 ? r : run(w, d->end, m);
}

static bool says_no_transaction(struct str sql)
{
	struct str line;

	str_cut(&sql, '\n', &line);
	return str_eq_c(str_trim(line), "-- no-transaction");
}

static int move(struct work *w, const struct migration *m, const struct direction *d)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	int r = migration_read(m, w->options->folder, d->word, &text);

	if (r < 0)
		return r;
	if (says_no_transaction(buf_str(&text)))
		r = without_transaction(w, m, d, buf_str(&text));
	else
		r = in_transaction(w, m, d, buf_str(&text));
	if (r == 0)
		say(w, m, d->said);
	return r;
}

static void ignore_notice(void *arg _unused_, const PGresult *result _unused_) {}

static int work_open(struct work *w, const struct migrate_options *options)
{
	int r;

	*w = (struct work){ .options = options };
	migrations_init(&w->migrations);
	r = migrations_read_folder(&w->migrations, options->folder);
	if (r < 0)
		return r;
	w->pg = PQconnectdb(options->url);
	if (PQstatus(w->pg) != CONNECTION_OK)
		return fail(-E_UNAVAILABLE, "database: %s", PQerrorMessage(w->pg));
	PQsetNoticeReceiver(w->pg, ignore_notice, NULL);
	return run(w, "SET client_encoding TO 'UTF8'", NULL);
}

static void work_close(struct work *w)
{
	/* The end of the session gives the lock back too, but a moment later. */
	if (w->is_locked)
		PQclear(PQexec(w->pg, "SELECT pg_advisory_unlock(" LOCK_KEY ")"));
	PQfinish(w->pg);
	migrations_fini(&w->migrations);
}

/*
 * Asked for again and again instead of waited for: a session that waits in a statement holds a
 * snapshot, which a CREATE INDEX CONCURRENTLY of the lock's holder would wait for in turn.
 */
static int take_lock(struct work *w)
{
	usec_t until = now_monotonic() + LOCK_PATIENCE;
	bool is_mine, is_told = false;

	for (;;) {
		PGresult *result = PQexec(w->pg, "SELECT pg_try_advisory_lock(" LOCK_KEY ")");

		if (PQresultStatus(result) != PGRES_TUPLES_OK) {
			int r = fail(-E_SQL, "migration lock: %s", PQresultErrorMessage(result));

			PQclear(result);
			return r;
		}
		is_mine = PQgetvalue(result, 0, 0)[0] == 't';
		PQclear(result);
		w->is_locked = is_mine;
		if (is_mine)
			return 0;
		if (now_monotonic() > until)
			return fail(-E_UNAVAILABLE,
				    "another migration has been running for too long");
		if (!is_told)
			say_line(w, "another migration is running, waiting for it");
		is_told = true;
		pause_for(50 * MSEC + (usec_t) random_below(100 * MSEC));
	}
}

/* Locked, with the table made and read. */
static int prepare(struct work *w)
{
	int r = take_lock(w);

	if (r == 0)
		r = run(w,
			"CREATE TABLE IF NOT EXISTS apium_migrations ("
			"version text PRIMARY KEY, name text NOT NULL, "
			"started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz)",
			NULL);
	if (r == 0)
		r = migrations_read_table(&w->migrations, w->pg);
	return r;
}

static int apply(struct work *w, unsigned count)
{
	int done = 0, r = prepare(w);

	for (size_t i = 0; r == 0 && i < w->migrations.count; i++) {
		const struct migration *m = &w->migrations.all[i];

		if (m->is_applied || !m->has_up)
			continue;
		if (count != 0 && (unsigned) done == count)
			break;
		if (m->is_started)
			say(w, m, "was started before and did not end, again");
		r = move(w, m, &up);
		done += r == 0;
	}
	return r < 0 ? r : done;
}

static int undo(struct work *w, unsigned count)
{
	int done = 0, r = prepare(w);

	for (size_t i = w->migrations.count; r == 0 && i > 0 && (unsigned) done < count; i--) {
		const struct migration *m = &w->migrations.all[i - 1];

		if (!m->is_started)
			continue;
		if (!m->has_down)
			r = fail(-E_BAD_SETTING, "%s_%s has no .down.sql", m->version, m->name);
		else
			r = move(w, m, &down);
		done += r == 0;
	}
	return r < 0 ? r : done;
}

int migrate_up(const struct migrate_options *options, unsigned count)
{
	struct work w;
	int r = work_open(&w, options);

	if (r == 0)
		r = apply(&w, count);
	work_close(&w);
	return r;
}

int migrate_down(const struct migrate_options *options, unsigned count)
{
	struct work w;
	int r = work_open(&w, options);

	if (r == 0)
		r = undo(&w, count);
	work_close(&w);
	return r;
}

static void say_state(struct work *w, const struct migration *m)
{
	_cleanup_(buf_fini) struct buf what = BUF_INIT;

	if (m->is_applied)
		buf_printf(&what, "applied %s%s", m->applied_at,
			   m->has_up ? "" : ", its file is missing");
	else
		buf_add_c(&what, m->is_started ? "started, did not end" : "not applied");
	say(w, m, what.at);
}

int migrate_status(const struct migrate_options *options)
{
	struct work w;
	int missing = 0, r = work_open(&w, options);

	if (r == 0)
		r = migrations_read_table(&w.migrations, w.pg);
	for (size_t i = 0; r == 0 && i < w.migrations.count; i++) {
		say_state(&w, &w.migrations.all[i]);
		missing += !w.migrations.all[i].is_applied;
	}
	work_close(&w);
	return r < 0 ? r : missing;
}
