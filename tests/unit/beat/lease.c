#include "beat/lease.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/error.h"
#include "help.h"

static int takes_turns(void *arg)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct lease one, two;
	struct arena arena;
	struct db *db = help_db();

	(void) arg;
	arena_init(&arena);
	lease_init(&one, 5 * SEC);
	lease_init(&two, 5 * SEC);
	cr_assert_str_neq(one.holder, two.holder);
	cr_assert_eq(lease_keep(&one, db, &arena), 0);
	cr_assert_eq(lease_keep(&two, db, &arena), 0);
	cr_assert(one.is_held && !two.is_held);
	cr_assert_eq(lease_keep(&one, db, &arena), 0);
	cr_assert(one.is_held);
	cr_assert_eq(one.term, 1);

	/* Over, but nobody has come yet: it is still taken up again by who had it. */
	help_sql(db, &arena, "UPDATE beat_leader SET until = clock_timestamp() RETURNING 1");
	cr_assert_eq(db_begin(db, &tx), 0);
	cr_assert_eq(lease_confirm(&one, &tx, &arena), -E_LOST);
	cr_assert_not(one.is_held);
	db_tx_end(&tx);
	cr_assert_eq(lease_keep(&two, db, &arena), 0);
	cr_assert(two.is_held);
	cr_assert_eq(two.term, 2);
	cr_assert_eq(lease_keep(&one, db, &arena), 0);
	cr_assert_not(one.is_held);

	/* Given up: the next need not wait.  Who does not hold it gives nothing up. */
	cr_assert_eq(lease_release(&one, db, &arena), 0);
	cr_assert_eq(lease_keep(&one, db, &arena), 0);
	cr_assert_not(one.is_held);
	cr_assert_eq(lease_release(&two, db, &arena), 0);
	cr_assert_not(two.is_held);
	cr_assert_eq(lease_keep(&one, db, &arena), 0);
	cr_assert(one.is_held);
	cr_assert_eq(one.term, 3);

	/* The server's clock went back: nobody waits for what it said before. */
	help_sql(
		db, &arena,
		"UPDATE beat_leader SET until = clock_timestamp() + interval '1 hour' RETURNING 1");
	cr_assert_eq(lease_keep(&two, db, &arena), 0);
	cr_assert(two.is_held);
	arena_fini(&arena);
	help_db_close(db);
	return 0;
}

Test(lease, is_held_by_one)
{
	fibers_run(takes_turns, NULL);
}

/* While the leader's transaction is open, nobody else becomes the leader. */
struct contest {
	struct db *db;
	struct lease other;
	bool has_ended;
};

static int takes_it(void *arg)
{
	struct contest *c = arg;
	struct arena arena;

	arena_init(&arena);
	cr_assert_eq(lease_keep(&c->other, c->db, &arena), 0);
	c->has_ended = true;
	arena_fini(&arena);
	return 0;
}

static int confirms(void *arg)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct contest c = { .db = help_db() };
	struct arena arena;
	struct lease lease;
	struct fiber *f;
	int result;

	(void) arg;
	arena_init(&arena);
	lease_init(&lease, 200 * MSEC);
	lease_init(&c.other, 5 * SEC);
	cr_assert_eq(lease_keep(&lease, c.db, &arena), 0);
	cr_assert_eq(db_begin(c.db, &tx), 0);
	cr_assert_eq(lease_confirm(&lease, &tx, &arena), 0);
	cr_assert_eq(fiber_sleep(300 * MSEC), 0); /* it is over by the clock */
	f = fiber_start(fiber_loop(fiber_current()), "other", fiber_deadline(), takes_it, &c);
	cr_assert_eq(fiber_sleep(100 * MSEC), 0);
	cr_assert_not(c.has_ended);
	cr_assert_eq(db_commit(&tx), 0);
	fiber_join(f, &result);
	cr_assert(c.other.is_held);
	arena_fini(&arena);
	help_db_close(c.db);
	return 0;
}

Test(lease, is_not_taken_during_a_transaction_that_confirmed_it)
{
	fibers_run(confirms, NULL);
}
