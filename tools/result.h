/*
 * result.h - the stored result of a job, waited for.
 */
#ifndef TOOLS_RESULT_H
#define TOOLS_RESULT_H

#include "session.h"

/*
 * Asks until it is final: what is published may come before anybody subscribes.  The document as it is
 * stored, and its status.  0, -ETIMEDOUT after `most`, or -EINVAL when it is no JSON.
 */
int result_wait(struct session *, struct str id, usec_t most, struct str *ret_document,
		struct str *ret_status) may_yield _must_check_;

#endif
