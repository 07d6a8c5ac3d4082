#include "session.h"

#include "base/error.h"
#include "base/settings.h"

struct run {
	struct session session;
	int (*work)(struct session *, void *arg);
	void *arg;
	int result;
	char reason[sizeof(((struct error_record *) 0)->reason)];
	bool has_database;
	unsigned open; /* stores that are not closed yet */
};

static void on_closed(void *arg)
{
	struct run *run = arg;

	if (--run->open == 0)
		loop_stop(run->session.loop);
}

static void on_producer_closed(void *arg)
{
	struct run *run = arg;

	if (run->session.db != NULL)
		db_close(run->session.db, on_closed, run);
	redis_close(run->session.redis, on_closed, run);
	if (run->session.results != run->session.redis)
		redis_close(run->session.results, on_closed, run);
}

/* The reason ends with the fiber; the command's caller wants it. */
static int body(void *arg)
{
	struct run *run = arg;

	run->result = run->work(&run->session, run->arg);
	if (run->result < 0)
		memcpy(run->reason, fail_reason(run->result), strlen(fail_reason(run->result)) + 1);
	return run->result;
}

static void on_end(void *arg, int result)
{
	struct run *run = arg;

	(void) result; /* kept by body */
	if (run->session.producer != NULL)
		producer_close(run->session.producer, on_producer_closed, run);
	else
		on_producer_closed(run);
}

static int open_stores(struct run *run)
{
	struct session *s = &run->session;
	const struct db_options db = { .url = settings.database_url,
				       .shared = 1,
				       .exclusive = 1,
				       .is_prepared = false,
				       .application = "apium" };
	const struct redis_options redis = { .url = settings.redis_url, .name = "apium" };
	const struct redis_options results = { .url = settings.result_url, .name = "apium" };
	int r;

	r = redis_open(s->loop, &redis, &s->redis);
	if (r < 0)
		return r;
	run->open++;
	s->results = s->redis;
	if (settings.result_url[0] != '\0') {
		r = redis_open(s->loop, &results, &s->results);
		if (r < 0)
			return r;
		run->open++;
	}
	if (!run->has_database)
		return 0;
	r = db_open(s->loop, &db, &s->db);
	if (r < 0)
		return r;
	run->open++;
	const struct producer_options producer = { .loop = s->loop,
						   .db = s->db,
						   .redis = s->redis };
	return producer_new(&producer, &s->producer);
}

static int run_with(int (*work)(struct session *, void *arg), void *arg, usec_t most,
		    bool has_database)
{
	struct run run = { .work = work, .arg = arg, .has_database = has_database };
	struct session *s = &run.session;
	int r;

	r = loop_new(&s->loop);
	if (r < 0)
		return fail(r, "no event loop: %s", error_sentence(r));
	r = open_stores(&run);
	if (r < 0)
		return r; /* the process ends: a setting is wrong */
	arena_init(&s->arena);
	struct fiber *f = fiber_start(s->loop, "command", loop_now(s->loop) + most, body, &run);
	must(f != NULL);
	fiber_detach(f, on_end, &run);
	r = loop_run(s->loop);
	must(r == 0);
	arena_fini(&s->arena);
	s->loop = loop_free(s->loop);
	return run.result < 0 ? fail(run.result, "%s", run.reason) : run.result;
}

int session_run(int (*work)(struct session *, void *arg), void *arg, usec_t most)
{
	return run_with(work, arg, most, true);
}

int session_run_redis(int (*work)(struct session *, void *arg), void *arg, usec_t most)
{
	return run_with(work, arg, most, false);
}
