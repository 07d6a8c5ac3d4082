/*
 * tokens.c - apium flush_expired_tokens, apium drf_create_token: simplejwt's and DRF's commands.
 */
#include <stdio.h>

#include "auth/login_history.h"
#include "auth/token_store.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/settings.h"
#include "base/world.h"
#include "command.h"
#include "session.h"

#define KEY_BYTES 20 /* 40 digits */

struct flushed {
	int64_t tokens, events;
};

static int flush(struct session *s, void *arg)
{
	struct flushed *f = arg;
	int r;

	r = token_store_flush(s->db, &s->arena, &f->tokens);
	if (r == 0 && settings.login_history > 0)
		r = login_history_flush(s->db, &s->arena, (unsigned) settings.login_history,
					&f->events);
	return r;
}

int command_flush_expired_tokens(int argc, char **argv)
{
	struct flushed f = { 0 };
	int r;

	if (argc > 0)
		return fail(-EINVAL, "flush_expired_tokens takes no words, not %s", argv[0]);
	r = session_run(flush, &f, HOUR);
	if (r == 0)
		printf("forgot %ld expired tokens and %ld attempts to log in\n", (long) f.tokens,
		       (long) f.events);
	return r;
}

struct creation {
	struct str email;
	bool is_new;
	char key[2 * KEY_BYTES + 1];
};

static const struct db_statement drop_token = {
	.sql = STR_INIT("DELETE FROM authtoken_token t USING users u "
			"WHERE u.id = t.user_id AND u.email = $1"),
};

/* The one that is there stays, and is what comes back. */
static const struct db_statement add_token = {
	.sql = STR_INIT(
		"INSERT INTO authtoken_token (key, created, user_id) "
		"SELECT $2, now(), id FROM users WHERE email = $1 "
		"ON CONFLICT (user_id) DO UPDATE SET user_id = EXCLUDED.user_id RETURNING key"),
};

static int create(struct session *s, void *arg)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct creation *c = arg;
	unsigned char bytes[KEY_BYTES];
	struct db_rows rows;
	int r;

	random_bytes(bytes, sizeof(bytes));
	hex_encode(&key, str_make(bytes, sizeof(bytes)));
	r = db_begin(s->db, &tx);
	if (r == 0 && c->is_new)
		r = db_tx_query(&tx, &s->arena, &drop_token, DB_VALUES(c->email), &rows);
	if (r == 0)
		r = db_tx_query(&tx, &s->arena, &add_token, DB_VALUES(c->email, buf_str(&key)),
				&rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_NOT_FOUND, "there is no user with the address %.*s",
			    STR_ARG(c->email));
	struct str made = db_get(&rows, 0, 0);
	must(made.len < sizeof(c->key));
	memcpy(c->key, made.at, made.len);
	return db_commit(&tx);
}

int command_drf_create_token(int argc, char **argv)
{
	struct creation c = { 0 };
	const struct option options[] = {
		{ "--reset", OPTION_FLAG, &c.is_new, NULL, "Make a new one; the old one ends." },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words != 1)
		return fail(-EINVAL, "drf_create_token takes one address of a user");
	c.email = str_c(argv[0]);
	r = session_run(create, &c, MINUTE);
	if (r == 0)
		printf("Generated token %s for user %s\n", c.key, argv[0]);
	return r;
}
