#include "queue/retry.h"

#include "base/world.h"

usec_t retry_ceiling(const struct task_retry *p, int64_t retries)
{
	usec_t wait = p->first;

	must(retries >= 0);
	if (p->first <= 0)
		return 0;
	/* Doubling step by step: a shift by the retries of a stranger's message would overflow. */
	while (retries-- > 0 && wait < p->most)
		wait = wait > p->most / 2 ? p->most : wait * 2;
	return MIN(wait, p->most);
}

usec_t retry_wait(const struct task_retry *p, int64_t retries)
{
	return (usec_t) random_below((uint64_t) retry_ceiling(p, retries) + 1);
}

bool retry_is_left(const struct task_retry *p, int64_t retries)
{
	return p->times < 0 || retries < p->times;
}
