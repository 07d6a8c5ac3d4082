/*
 * throttle_table.h - the sliding log in this process, for scopes that must count while Redis is
 * away.
 *
 * One table for all threads, behind a lock that is held for a look-up.  At most 10,000 identities
 * and scopes: beyond it the one that asked longest ago is forgotten.  Times are this process's own,
 * monotonic.
 */
#ifndef COORD_THROTTLE_TABLE_H
#define COORD_THROTTLE_TABLE_H

#include "coord/throttle.h"

#define THROTTLE_TABLE_MOST 10000

/* True: logged.  False: refused, with the time to wait; negative when it is not known. */
bool throttle_table_ask(struct str identity, const struct throttle_scope *, usec_t *ret_wait);

#endif
