#include "beat/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/uuid.h"
#include "base/world.h"

#define HOST_MOST 40

void lease_init(struct lease *l, usec_t hold)
{
	char host[HOST_MOST + 1] = "", chance[UUID_TEXT + 1];
	struct uuid uuid = uuid_v4();

	(void) gethostname(host, HOST_MOST);
	uuid_format(&uuid, chance);
	*l = (struct lease){ .hold = hold };
	(void) snprintf(l->holder, sizeof(l->holder), "%s.%d.%.8s", host, (int) getpid(), chance);
}

int lease_keep(struct lease *l, struct db *db, struct arena *arena)
{
	static const struct db_statement keep = {
		.sql = STR_INIT(
			"INSERT INTO beat_leader AS l (holder, term, hold, until) VALUES ($1, 1, $2::interval, "
			"clock_timestamp() + $2::interval) ON CONFLICT (id) DO UPDATE SET "
			"holder = EXCLUDED.holder, hold = EXCLUDED.hold, until = EXCLUDED.until, "
			"term = l.term + (l.holder <> EXCLUDED.holder)::int "
			"WHERE l.holder = EXCLUDED.holder OR l.until < clock_timestamp() "
			"OR l.until > clock_timestamp() + l.hold RETURNING term")
	};
	usec_t now = now_monotonic();
	struct db_rows rows;
	int r;

	if (l->is_held && now - l->renewed_at < l->hold / 4)
		return 0;
	r = db_query(db, arena, &keep,
		     DB_VALUES(str_c(l->holder),
			       arena_printf(arena, "%" PRId64 " microseconds", l->hold)),
		     &rows);
	if (r < 0)
		return r;
	l->renewed_at = now;
	l->is_held = rows.count > 0;
	if (l->is_held)
		l->term = db_get_i64(&rows, 0, 0);
	return 0;
}

int lease_confirm(struct lease *l, struct db_tx *tx, struct arena *arena)
{
	static const struct db_statement confirm = {
		.sql = STR_INIT("SELECT 1 FROM beat_leader WHERE holder = $1 AND term = $2 "
				"AND until > clock_timestamp() FOR SHARE")
	};
	struct db_rows rows;
	int r = db_tx_query(tx, arena, &confirm,
			    DB_VALUES(str_c(l->holder), arena_printf(arena, "%" PRId64, l->term)),
			    &rows);

	if (r < 0)
		return r;
	if (rows.count > 0)
		return 0;
	l->is_held = false;
	return fail(-E_LOST, "another process leads");
}

int lease_release(struct lease *l, struct db *db, struct arena *arena)
{
	static const struct db_statement release = {
		.sql = STR_INIT(
			"UPDATE beat_leader SET until = clock_timestamp() - interval '1 second' "
			"WHERE holder = $1")
	};
	struct db_rows rows;

	if (!l->is_held)
		return 0;
	l->is_held = false;
	return db_query(db, arena, &release, DB_VALUES(str_c(l->holder)), &rows);
}
