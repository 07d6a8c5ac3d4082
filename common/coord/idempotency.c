#include "coord/idempotency.h"

#include <inttypes.h>
#include <sodium.h>

#include "base/codec.h"
#include "base/error.h"

#define KEY_MOST 255

/* Ours among the advisory locks: the seed of the hash. */
static const struct db_statement try_lock = {
	.sql = STR_INIT("SELECT pg_try_advisory_xact_lock(hashtextextended("
			"$1::text || E'\\n' || $2::text, 20261127))"),
};
static const struct db_statement find_row = {
	.sql = STR_INIT(
		"SELECT fingerprint = $3::bytea, status, location, body "
		"FROM idempotency_key WHERE owner = $1 AND key = $2 AND expires_at > now()"),
};
/* An own row that has expired is written over; so it is left out of those that are removed, because
 * one statement may not do both. */
static const struct db_statement insert_row = {
	.sql = STR_INIT(
		"WITH expired AS (DELETE FROM idempotency_key WHERE (owner, key) IN ("
		"SELECT owner, key FROM idempotency_key WHERE expires_at <= now() "
		"AND (owner, key) <> ($1, $2) ORDER BY expires_at LIMIT 2 FOR UPDATE SKIP LOCKED)) "
		"INSERT INTO idempotency_key AS k "
		"(owner, key, fingerprint, status, location, body, expires_at) "
		"VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7::float8)) "
		"ON CONFLICT (owner, key) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, "
		"status = EXCLUDED.status, location = EXCLUDED.location, body = EXCLUDED.body, "
		"expires_at = EXCLUDED.expires_at WHERE k.expires_at <= now()"),
};

static unsigned char hash_key[crypto_auth_hmacsha256_KEYBYTES];

void idempotency_setup(struct str secret)
{
	static const char purpose[] = "apium idempotency fingerprint";
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, (const unsigned char *) secret.at, secret.len);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *) purpose, sizeof(purpose));
	crypto_auth_hmacsha256_final(&state, hash_key);
}

bool idempotency_key_is_sane(struct str key)
{
	for (size_t i = 0; i < key.len; i++)
		if (key.at[i] < ' ' || key.at[i] > '~')
			return false;
	return key.len > 0 && key.len <= KEY_MOST;
}

/* With its length in front, so that no two sets of parts are the same bytes. */
static void add_part(crypto_auth_hmacsha256_state *state, struct str part)
{
	uint64_t len = part.len;

	crypto_auth_hmacsha256_update(state, (const unsigned char *) &len, sizeof(len));
	if (part.len > 0)
		crypto_auth_hmacsha256_update(state, (const unsigned char *) part.at, part.len);
}

void idempotency_fingerprint(struct str method, struct str path, struct str content_type,
			     struct str body, uint8_t ret[IDEMPOTENCY_FINGERPRINT])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, hash_key, sizeof(hash_key));
	add_part(&state, method);
	add_part(&state, path);
	add_part(&state, content_type);
	add_part(&state, body);
	crypto_auth_hmacsha256_final(&state, ret);
}

static struct str bytea(struct arena *arena, const uint8_t *bytes, size_t len)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	buf_add_c(&text, "\\x");
	hex_encode(&text, str_make((const char *) bytes, len));
	return arena_str(arena, buf_str(&text));
}

int idempotency_find(struct db_at at, struct arena *arena, const struct idempotency *i,
		     struct idempotency_answer *ret)
{
	struct db_rows rows;
	int r;

	r = db_at_query(
		at, arena, &find_row,
		DB_VALUES(i->owner, i->key, bytea(arena, i->fingerprint, sizeof(i->fingerprint))),
		&rows);
	if (r < 0 || rows.count == 0)
		return r;
	if (!db_get_bool(&rows, 0, 0))
		return fail(-E_MISUSED_KEY, "%s", error_sentence(-E_MISUSED_KEY));
	*ret = (struct idempotency_answer){
		.status = (int) db_get_i64(&rows, 0, 1),
		.location = db_get(&rows, 0, 2),
		.body = db_get(&rows, 0, 3),
	};
	return 1;
}

int idempotency_begin(struct db_tx *tx, struct arena *arena, const struct idempotency *i)
{
	struct idempotency_answer answer;
	struct db_rows rows;
	int r;

	r = db_tx_query(tx, arena, &try_lock, DB_VALUES(i->owner, i->key), &rows);
	if (r < 0)
		return r;
	if (!db_get_bool(&rows, 0, 0))
		return fail(-E_CONFLICT,
			    "A request with this Idempotency-Key is still being worked on.");
	/* A statement of its own, so that it sees what the lock's last holder has committed. */
	r = idempotency_find((struct db_at){ .db = tx->db, .tx = tx }, arena, i, &answer);
	if (r > 0)
		return fail(-E_CONFLICT,
			    "A request with this Idempotency-Key has just been worked on.");
	return r;
}

int idempotency_finish(struct db_tx *tx, struct arena *arena, const struct idempotency *i,
		       const struct idempotency_answer *answer, usec_t ttl)
{
	struct db_rows rows;

	return db_tx_query(
		tx, arena, &insert_row,
		DB_VALUES(i->owner, i->key, bytea(arena, i->fingerprint, sizeof(i->fingerprint)),
			  arena_printf(arena, "%d", answer->status), answer->location, answer->body,
			  arena_printf(arena, "%" PRId64, (int64_t) (ttl / SEC))),
		&rows);
}
