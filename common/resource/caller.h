/*
 * caller.h - a condition on who asks, for a row of a table of permissions (ALLOW_IF):
 *
 *     has_perm('blog.change_post') and not in_group('guests') or superuser
 *
 * Words: signed_in, staff, superuser; has_perm('app.action_model'); in_group('name').  `not` binds before `and`,
 * `and` before `or`; parentheses.  Nobody (anonymous) is none of it.  auth/rights.h says where it comes from.
 */
#ifndef RESOURCE_CALLER_H
#define RESOURCE_CALLER_H

#include "auth/rights.h"

/* At start: 0, or -EINVAL with a sentence that names the place. */
int caller_check(const char *condition) _must_check_;

/* Reads the caller's rights if the condition asks for them.  Yields. */
int caller_meets(struct request *, struct db_at, const char *condition, bool *ret)
	may_yield _must_check_;

#endif
