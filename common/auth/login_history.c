#include "auth/login_history.h"

#include "base/codec.h"

#define IP_MOST         45 /* characters of the columns */
#define AGENT_MOST      255
#define FLUSHED_AT_ONCE "5000"

static const struct db_statement add = {
	.sql = STR_INIT("INSERT INTO login_event (user_id, time, ip, agent, ok) "
			"VALUES ((SELECT id FROM users WHERE id = $1), now(), $2, $3, $4)"),
};

static const struct db_statement flush = {
	.sql = STR_INIT("DELETE FROM login_event WHERE id IN (SELECT id FROM login_event WHERE "
			"time < now() - make_interval(days => $1::int) LIMIT " FLUSHED_AT_ONCE ")"),
};

/* What a client sent, as text that PostgreSQL takes, of at most that many characters. */
static struct str cut(struct arena *arena, struct str text, size_t most)
{
	if (str_is_null(text))
		return STR("");
	text = utf8_repair(arena, text);
	struct str rest = text;
	for (size_t i = 0; i < most && rest.len > 0; i++)
		(void) utf8_next(&rest);
	return str_slice(text, 0, text.len - rest.len);
}

int login_history_add(struct db *db, struct arena *arena, struct str user_id, struct str ip,
		      struct str agent, bool is_right)
{
	struct db_rows rows;

	return db_query(db, arena, &add,
			DB_VALUES(user_id, cut(arena, ip, IP_MOST), cut(arena, agent, AGENT_MOST),
				  is_right ? STR("true") : STR("false")),
			&rows);
}

int login_history_flush(struct db *db, struct arena *arena, unsigned days, int64_t *ret_count)
{
	int64_t count = 0;
	struct db_rows rows;
	int r;

	do {
		struct arena_mark mark = arena_save(arena);

		r = db_query(db, arena, &flush, DB_VALUES(arena_printf(arena, "%u", days)), &rows);
		count += r < 0 ? 0 : rows.affected;
		arena_rewind(arena, mark);
	} while (r == 0 && rows.affected > 0);
	if (r == 0)
		*ret_count = count;
	return r;
}
