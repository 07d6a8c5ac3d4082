/*
 * lease.h - who of many leads: one row in PostgreSQL, by PostgreSQL's clock.
 *
 * The holder renews it; when it is over, the first who asks has it, under a new term.  No lock of a
 * session, so that it works through a pooler in transaction mode.  The clocks of the machines do not
 * matter.  If the server's own clock goes back, a lease that reaches further than it was taken for is
 * over as well.
 *
 * Whoever does something as the leader asks lease_confirm in the same transaction: nobody else can
 * take the lease before that transaction has ended.
 */
#ifndef BEAT_LEASE_H
#define BEAT_LEASE_H

#include "db/db.h"

struct lease {
	char holder[96]; /* of this process, and of no other */
	usec_t hold;
	usec_t renewed_at; /* monotonic */
	int64_t term;
	bool is_held;
};

void lease_init(struct lease *, usec_t hold);
/* Takes it, or renews it once a quarter of it is gone; is_held says whether it is ours.  0, or what the
 * database said. */
int lease_keep(struct lease *, struct db *, struct arena *) may_yield _must_check_;
/* 0: ours until this transaction ends; -E_LOST. */
int lease_confirm(struct lease *, struct db_tx *, struct arena *) may_yield _must_check_;
/* Ends it at once, so that another need not wait. */
int lease_release(struct lease *, struct db *, struct arena *) may_yield _must_check_;

#endif
