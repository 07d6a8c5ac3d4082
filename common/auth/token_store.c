#include "auth/token_store.h"

#include "base/error.h"
#include "base/uuid.h"

#define FLUSHED_AT_ONCE "5000"

#define OUTSTANDING "token_blacklist_outstandingtoken"
#define SPENT       "token_blacklist_blacklistedtoken"

/* The UPDATE waits for whoever changes the user's row, and then looks again. */
static const struct db_statement sign_in = {
	.sql = STR_INIT(
		"WITH u AS (UPDATE users SET last_login = now() WHERE id = $1 AND is_active "
		"RETURNING id) "
		"INSERT INTO " OUTSTANDING " (user_id, jti, token, created_at, expires_at) "
		"SELECT id, $2, $3, to_timestamp($4::bigint), to_timestamp($5::bigint) FROM u"),
};

/* Held until the COMMIT against deactivation, which writes this row. */
static const struct db_statement lock_user = {
	.sql = STR_INIT("SELECT is_active FROM users WHERE id = $1 FOR SHARE"),
};

/*
 * A token that was never noted (made elsewhere with the same key) is noted first, as simplejwt does.
 * The UPDATE that changes nothing makes the second of two at once wait for the first; the INSERT
 * then meets the first one's row and does nothing.
 */
#define SPEND                                                                                        \
	"WITH known AS (INSERT INTO " OUTSTANDING                                                    \
	" (user_id, jti, token, created_at, expires_at) "                                            \
	"VALUES ((SELECT id FROM users WHERE id = $1::uuid), $2, $3, to_timestamp($4::bigint), "     \
	"to_timestamp($5::bigint)) ON CONFLICT (jti) DO UPDATE SET jti = EXCLUDED.jti RETURNING id)" \
	", spent AS (INSERT INTO " SPENT                                                             \
	" (token_id, blacklisted_at) SELECT id, now() FROM known "                                   \
	"ON CONFLICT (token_id) DO NOTHING RETURNING token_id) "

static const struct db_statement spend = {
	.sql = STR_INIT(SPEND "SELECT 1 FROM spent"),
};

static const struct db_statement rotate = {
	.sql = STR_INIT(SPEND
			"INSERT INTO " OUTSTANDING
			" (user_id, jti, token, created_at, expires_at) SELECT $1::uuid, $6, $7, "
			"to_timestamp($8::bigint), to_timestamp($9::bigint) FROM spent"),
};

static const struct db_statement find_spent = {
	.sql = STR_INIT("SELECT 1 FROM " SPENT " b JOIN " OUTSTANDING
			" o ON o.id = b.token_id WHERE o.jti = $1"),
	.lane = DB_SHARED,
};

static const struct db_statement spend_all = {
	.sql = STR_INIT("INSERT INTO " SPENT
			" (token_id, blacklisted_at) SELECT id, now() FROM " OUTSTANDING
			" WHERE user_id = $1 ON CONFLICT (token_id) DO NOTHING"),
};

static const struct db_statement flush = {
	.sql = STR_INIT("DELETE FROM " OUTSTANDING " WHERE id IN (SELECT id FROM " OUTSTANDING
			" WHERE expires_at <= now() LIMIT " FLUSHED_AT_ONCE ")"),
};

static struct str number(struct arena *arena, int64_t n)
{
	return arena_printf(arena, "%ld", (long) n);
}

/* Absent for what can be no key of ours. */
static struct str user_key(struct arena *arena, struct str user_id)
{
	struct str key;

	return uuid_normalise(arena, user_id, &key) < 0 ? STR_NULL : key;
}

static int refuse_spent(void)
{
	return fail(-E_BAD_TOKEN, "Token is blacklisted");
}

int token_store_sign_in(struct db *db, struct arena *arena, struct str user_id,
			struct token_pair *ret)
{
	struct token_pair pair;
	struct db_rows rows;
	int r;

	r = token_issue(arena, user_id, &pair);
	if (r < 0)
		return r;
	r = db_query(db, arena, &sign_in,
		     DB_VALUES(user_id, pair.refresh_jti, pair.refresh,
			       number(arena, pair.refresh_issued),
			       number(arena, pair.refresh_expires)),
		     &rows);
	if (r < 0)
		return r;
	if (rows.affected == 0)
		return fail(-E_NOT_FOUND, "user %.*s is gone or inactive", STR_ARG(user_id));
	*ret = pair;
	return 0;
}

static int refuse_without_account(struct db_tx *tx, struct arena *arena, struct str jti)
{
	struct db_rows rows;
	int r;

	r = db_tx_query(tx, arena, &find_spent, DB_VALUES(jti), &rows);
	if (r < 0)
		return r;
	if (rows.count > 0)
		return refuse_spent();
	return fail(-E_UNAUTHENTICATED, "No active account found for the given token.");
}

int token_store_rotate(struct db *db, struct arena *arena, struct str text,
		       const struct token_claims *claims, struct token_pair *ret)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct str user_id = user_key(arena, claims->user_id);
	struct token_pair pair;
	struct db_rows rows;
	int r;

	r = token_rotate(arena, claims, &pair);
	if (r == 0)
		r = db_begin(db, &tx);
	if (r == 0)
		r = db_tx_query(&tx, arena, &lock_user, DB_VALUES(user_id), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0 || !db_get_bool(&rows, 0, 0))
		return refuse_without_account(&tx, arena, claims->jti);
	r = db_tx_query(&tx, arena, &rotate,
			DB_VALUES(user_id, claims->jti, text, number(arena, claims->issued),
				  number(arena, claims->expires), pair.refresh_jti, pair.refresh,
				  number(arena, pair.refresh_issued),
				  number(arena, pair.refresh_expires)),
			&rows);
	if (r < 0)
		return r;
	if (rows.affected == 0)
		return refuse_spent();
	r = db_commit(&tx);
	if (r == 0)
		*ret = pair;
	return r;
}

int token_store_spend(struct db *db, struct arena *arena, struct str text,
		      const struct token_claims *claims)
{
	struct db_rows rows;
	int r;

	r = db_query(db, arena, &spend,
		     DB_VALUES(user_key(arena, claims->user_id), claims->jti, text,
			       number(arena, claims->issued), number(arena, claims->expires)),
		     &rows);
	if (r < 0)
		return r;
	return rows.count == 0 ? refuse_spent() : 0;
}

int token_store_is_spent(struct db *db, struct arena *arena, struct str jti)
{
	struct db_rows rows;
	int r;

	r = db_query(db, arena, &find_spent, DB_VALUES(jti), &rows);
	return r < 0 ? r : rows.count > 0;
}

int token_store_spend_all(struct db_tx *tx, struct arena *arena, struct str user_id)
{
	struct db_rows rows;

	return db_tx_query(tx, arena, &spend_all, DB_VALUES(user_id), &rows);
}

int token_store_flush(struct db *db, struct arena *arena, int64_t *ret_count)
{
	int64_t count = 0;
	struct db_rows rows;
	int r;

	do {
		struct arena_mark mark = arena_save(arena);

		r = db_query(db, arena, &flush, DB_NO_VALUES, &rows);
		count += r < 0 ? 0 : rows.affected;
		arena_rewind(arena, mark);
	} while (r == 0 && rows.affected > 0);
	if (r == 0)
		*ret_count = count;
	return r;
}
