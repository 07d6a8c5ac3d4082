#include "coord/replica.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/metric.h"
#include "base/world.h"

/* A look at both takes no longer, or it counts as none. */
#define LOOK_MOST  (2 * SEC)
/* What is waited for marks: then a reader goes to the primary, and a writer looks at the standby. */
#define MARKS_MOST (200 * MSEC)

struct replica {
	struct loop *loop;
	struct db *primary, *standby;
	struct redis *redis;
	usec_t lag_most;
	struct fiber *looks;

	int64_t replayed;    /* by the standby; 0: unknown, or it is none */
	int64_t floor;       /* must be replayed before anybody is served */
	uint64_t generation; /* of the connection to Redis for which the floor holds; 0: none */
	int64_t target;      /* the primary's place at `target_at` */
	usec_t target_at,
		level; /* level: the standby has all that was written until then; 0: never */
	bool is_told;  /* that it is no standby */

	void (*on_closed)(void *arg);
	void *arg;
};

/* --- what both are at --- */

static int ask_place(struct db *db, struct arena *a, const struct db_statement *s, int64_t *ret)
{
	struct db_rows rows;
	int r = db_query(db, a, s, DB_NO_VALUES, &rows);

	if (r == 0)
		*ret = db_is_null(&rows, 0, 0) ? 0 : db_get_i64(&rows, 0, 0);
	return r;
}

static int ask_primary(struct replica *p, struct arena *a, int64_t *ret)
{
	static const struct db_statement ask = {
		.sql = STR_INIT("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"),
		.lane = DB_SHARED,
	};

	return ask_place(p->primary, a, &ask, ret);
}

static int ask_standby(struct replica *p, struct arena *a, int64_t *ret)
{
	static const struct db_statement ask = {
		.sql = STR_INIT("SELECT CASE WHEN pg_is_in_recovery() "
				"THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"),
		.lane = DB_SHARED,
	};

	return ask_place(p->standby, a, &ask, ret);
}

static void take_standby(struct replica *p, int64_t replayed)
{
	if (replayed == 0 && !p->is_told)
		log_warn(
			"what DATABASE_REPLICA_URL names is no standby: everything is read from DATABASE_URL");
	p->is_told = replayed == 0;
	p->replayed = replayed;
	if (replayed >= p->target)
		p->level = p->target_at;
}

/* The floor first: a commit whose mark was lost with Redis lies below it. */
static int look(struct replica *p, struct arena *a)
{
	FIBER_DEADLINE(LOOK_MOST);
	uint64_t generation = redis_generation(p->redis);
	usec_t asked_at = now_monotonic();
	int64_t written = 0, replayed = 0;
	int r;

	r = ask_primary(p, a, &written);
	if (r == 0 && generation != p->generation) {
		p->floor = written;
		p->generation = generation;
	}
	if (r == 0 && p->level >= p->target_at) {
		p->target = written;
		p->target_at = asked_at;
	}
	r = ask_standby(p, a, &replayed);
	if (r == 0)
		take_standby(p, replayed);
	return r;
}

/* A look that fails changes nothing: what is known gets older, until it is too old. */
static int keep_looking(void *arg)
{
	struct replica *p = arg;
	struct arena a;
	int r;

	do {
		arena_init(&a);
		(void) look(p, &a);
		arena_fini(&a);
		r = fiber_sleep(REPLICA_POLL);
	} while (r == 0);
	return 0;
}

static bool serves(const struct replica *p)
{
	struct db_stats standby;

	db_stats(p->standby, &standby);
	return standby.ready_shared > 0 && p->replayed > 0 && p->replayed >= p->floor &&
	       p->generation != 0 && p->generation == redis_generation(p->redis) && p->level > 0 &&
	       now_monotonic() - p->level <= p->lag_most;
}

/* --- marks --- */

static struct str key_of(struct arena *a, struct str name)
{
	return arena_printf(a, "apium:wrote:%.*s", STR_ARG(name));
}

/* The highest of them; 0: none. */
static int read_marks(struct replica *p, struct arena *a, const struct str *names, size_t count,
		      int64_t *ret)
{
	FIBER_DEADLINE(MARKS_MOST);
	struct str words[1 + REPLICA_NAMES] = { STR("MGET") };
	struct redis_reply *reply;
	int64_t most = 0;
	int r;

	must(count <= REPLICA_NAMES);
	for (size_t i = 0; i < count; i++)
		words[1 + i] = key_of(a, names[i]);
	r = redis_call(p->redis, a, words, 1 + count, &reply);
	if (r < 0)
		return r;
	for (size_t i = 0; i < reply->count; i++) {
		int64_t mark;

		if (reply->elements[i].type == REDIS_NIL)
			continue;
		r = str_to_i64(reply->elements[i].text, &mark);
		if (r < 0)
			return r;
		most = MAX(most, mark);
	}
	*ret = most;
	return 0;
}

struct db *replica_reader(struct replica *p, struct arena *a, const struct str *names, size_t count)
{
	int64_t mark;

	if (serves(p) && read_marks(p, a, names, count, &mark) == 0 && serves(p) &&
	    mark <= p->replayed) {
		metric_add(METRIC_replica_reads, 1);
		return p->standby;
	}
	metric_add(METRIC_replica_avoided, 1);
	return p->primary;
}

static int write_marks(struct replica *p, struct arena *a, const struct str *names, size_t count,
		       int64_t place)
{
	FIBER_DEADLINE(MARKS_MOST);
	struct str text = arena_printf(a, "%" PRId64, place);
	struct str life = arena_printf(a, "%" PRId64, (int64_t) (2 * p->lag_most / MSEC));
	struct redis_reply *reply;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = redis_call(p->redis, a,
			       REDIS_WORDS(STR("SET"), key_of(a, names[i]), text, STR("PX"), life),
			       &reply);
	return r;
}

/* Until everybody may read from the standby what was written before `place`. */
static int await_replay(struct replica *p, int64_t place)
{
	FIBER_DEADLINE(REPLICA_PATIENCE);
	int r = 0;

	while (p->replayed < place && r == 0)
		r = fiber_sleep(REPLICA_POLL);
	return r;
}

void replica_wrote(struct replica *p, struct arena *a, const struct str *names, size_t count)
{
	/* The commit stands: whoever has gone away must not keep others from being told. */
	FIBER_SHIELD(2 * REPLICA_PATIENCE);
	int64_t place = INT64_MAX;
	int r;

	r = ask_primary(p, a, &place);
	if (r == 0)
		r = write_marks(p, a, names, count, place);
	if (r < 0)
		r = await_replay(p, place);
	if (r < 0)
		log_warn(
			"a standby may be read by somebody who has just written: no mark, and it is behind: %s",
			fail_reason(r));
}

/* --- its life --- */

static void on_fiber_end(void *arg, int result)
{
	struct replica *p = arg;

	(void) result;
	db_close(p->standby, p->on_closed, p->arg);
	free(p);
}

int replica_open(struct loop *loop, const struct replica_options *o, struct replica **ret)
{
	struct replica *p = calloc(1, sizeof(*p));
	int r;

	must(p != NULL);
	r = db_open(loop, &o->standby, &p->standby);
	if (r < 0) {
		free(p);
		return r;
	}
	p->loop = loop;
	p->primary = o->primary;
	p->redis = o->redis;
	p->lag_most = o->lag_most;
	p->target = INT64_MAX; /* the first look sets it: level and target_at are equal */
	p->looks = fiber_start(loop, "replica", loop_now(loop) + FIBER_NO_LIMIT, keep_looking, p);
	must(p->looks != NULL); /* among the first fibers of a process */
	*ret = p;
	return 0;
}

void replica_close(struct replica *p, void (*on_closed)(void *arg), void *arg)
{
	p->on_closed = on_closed;
	p->arg = arg;
	fiber_detach(p->looks, on_fiber_end, p);
	fiber_cancel(p->looks);
}
