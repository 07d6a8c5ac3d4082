/*
 * sweep.h - giving back what dead workers had in hand.
 *
 * A fiber of every supervisor looks at each queue's leases once a second.  A lease is a counter;
 * its owner is dead when the counter stood still for 15 s of *our* monotonic clock in which we saw
 * it all the time (a gap of more than 5 s, Redis away or we ourselves stopped, starts everybody's
 * time anew), or at once when its process ran on this machine and is gone (queue/whoami.h).
 *
 * The list is taken by a script that compares the counter once more, under a token of our own with
 * a lease of its own: a sweeper that dies is swept the same way.  Then 16 messages at a time, the
 * newest first, are marked as delivered before, counted as ended with a dead process, and pushed
 * back to the end from which they are taken next.
 */
#ifndef QUEUE_SWEEP_H
#define QUEUE_SWEEP_H

/* The fiber's body; `arg` is the supervisor. */
int sweep_keep(void *arg);

#endif
