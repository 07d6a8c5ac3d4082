/*
 * login_history.h - every attempt to log in with a password, in the table login_event.
 */
#ifndef AUTH_LOGIN_HISTORY_H
#define AUTH_LOGIN_HISTORY_H

#include "db/db.h"

/* user_id absent: nobody has that address.  What is longer than the columns is cut.  Yields. */
int login_history_add(struct db *, struct arena *, struct str user_id, struct str ip,
		      struct str agent, bool is_right) may_yield _must_check_;
/* Forgets attempts older than that, a few thousand a statement; how many.  Yields. */
int login_history_flush(struct db *, struct arena *, unsigned days, int64_t *ret_count)
	may_yield _must_check_;

#endif
