/*
 * superuser.c - apium createsuperuser: one row of users, by a blocking connection.
 */
#include <libpq-fe.h>
#include <stdio.h>

#include "auth/password.h"
#include "base/error.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "command.h"

/* A password is one line; its line end is not part of it. */
static int read_password(struct arena *arena, struct str *ret)
{
	const size_t size = PASSWORD_MOST + 2;
	char *line = arena_alloc(arena, size);

	if (fgets(line, (int) size, stdin) == NULL)
		return fail(-EINVAL, "there is no password on standard input");
	struct str password = str_c(line);
	while (password.len > 0 &&
	       (password.at[password.len - 1] == '\n' || password.at[password.len - 1] == '\r'))
		password.len--;
	if (password.len == 0)
		return fail(-EINVAL, "the password on standard input is empty");
	*ret = password;
	return 0;
}

static void connection_finish(PGconn **connection)
{
	PQfinish(*connection);
}

static int insert(const char *email, const char *username, const char *password)
{
	_cleanup_(connection_finish) PGconn *connection = PQconnectdb(settings.database_url);
	char id[UUID_TEXT + 1], token[UUID_TEXT + 1];
	struct uuid key = uuid_v7(), random = uuid_v4();

	if (PQstatus(connection) != CONNECTION_OK)
		return fail(-E_UNAVAILABLE, "no connection to PostgreSQL: %s",
			    PQerrorMessage(connection));
	uuid_format(&key, id);
	uuid_format(&random, token);
	const char *const values[] = { id, password, email, token, username };
	PGresult *result = PQexecParams(
		connection,
		"INSERT INTO users (id, password, is_superuser, email, username, first_name, "
		"last_name, is_active, is_staff, email_verified, email_verification_token, "
		"date_joined, updated_at) VALUES ($1, $2, true, $3::text, coalesce($5, left(split_part($3::text, '@', 1), 150)), '', '', true, "
		"true, true, $4, now(), now())",
		ARRAY_SIZE(values), NULL, values, NULL, NULL, 0);
	bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	int r = 0;
	if (!is_done && state != NULL && strcmp(state, "23505") == 0)
		r = strcmp(PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME),
			   "users_email_key") == 0
			    ? fail(-E_UNIQUE, "a user with the address %s exists already", email)
			    : fail(-E_UNIQUE,
				   "that username is taken: give another with --username");
	else if (!is_done)
		r = fail(-E_SQL, "%s", PQresultErrorMessage(result));
	PQclear(result);
	return r;
}

int command_createsuperuser(int argc, char **argv)
{
	const char *email = NULL, *username = NULL;
	bool from_stdin = false;
	const struct option options[] = {
		{ "--email", OPTION_TEXT, &email, "ADDRESS", "The address to log in with." },
		{ "--username", OPTION_TEXT, &username, "NAME",
		  "Shown to others; usually what stands before the @." },
		{ "--password-stdin", OPTION_FLAG, &from_stdin, NULL,
		  "Read the password from standard input." },
	};
	_cleanup_(arena_fini) struct arena arena;
	struct str password, encoded;
	int words, r;

	arena_init(&arena);
	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words > 0 || email == NULL || !from_stdin)
		return fail(-EINVAL, "createsuperuser needs --email ADDRESS and --password-stdin");
	r = read_password(&arena, &password);
	if (r == 0)
		r = password_hash_blocking(&arena, password, &encoded);
	if (r == 0)
		r = insert(email, username, arena_c(&arena, encoded));
	if (r == 0)
		printf("%s may do everything now\n", email);
	return r;
}
