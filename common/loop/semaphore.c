/* The semaphore of loop/fiber.h. */
#include "loop/fiber.h"

void semaphore_init(struct semaphore *s, size_t free)
{
	s->free = free;
	list_init(&s->waiters);
}

int semaphore_take(struct semaphore *s, const char *why)
{
	struct waiter w;
	int r;

	/* Cancellation is sticky also where there is nothing to wait for. */
	r = fiber_check();
	if (r < 0)
		return r;
	if (semaphore_try(s))
		return 0;
	waiter_init(&w);
	list_append(&s->waiters, &w.link);
	r = fiber_park(&w, why);
	list_remove(&w.link);
	return r;
}

bool semaphore_try(struct semaphore *s)
{
	/* Nobody is overtaken: while somebody waits, what is given is handed over and `free` stays
	 * 0. */
	if (s->free == 0)
		return false;
	s->free--;
	return true;
}

void semaphore_give(struct semaphore *s)
{
	struct list *link = list_pop(&s->waiters);

	/* Handed over: `free` stays 0, so that nobody can come in between.  A cancelled waiter is
	 * not in the list any more. */
	if (link != NULL)
		fiber_wake(list_entry(link, struct waiter, link), 0);
	else
		s->free++;
}
