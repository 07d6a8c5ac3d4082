/*
 * auth.c - auth.purge_tokens.
 */
#include <inttypes.h>

#include "auth/login_history.h"
#include "auth/token_store.h"
#include "base/settings.h"
#include "workers/tasks.h"

/* Each statement is a transaction of its own: a job that is cut off has done a part, and the next does the rest. */
int auth_purge_tokens_body(struct job *job, const void *arguments)
{
	int64_t tokens = 0, events = 0;
	int r;

	(void) arguments;
	r = token_store_flush(job->db, &job->arena, &tokens);
	if (r == 0 && settings.login_history > 0)
		r = login_history_flush(job->db, &job->arena, (unsigned) settings.login_history,
					&events);
	if (r < 0)
		return r;
	return job_return_json(job,
			       arena_printf(&job->arena,
					    "{\"tokens\": %" PRId64 ", \"attempts\": %" PRId64 "}",
					    tokens, events));
}
