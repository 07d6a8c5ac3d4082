/*
 * offload.h - a function on another thread, awaited by a fiber.
 *
 * For what blocks or burns: files, name look-ups, password hashes.  A pool has its own threads and
 * a bounded line, so that one kind of work never delays another.  The function runs on the worker's
 * own stack; it must not touch the loop, fibers, or anything of the caller except `arg`.
 *
 * A wait cannot be abandoned half-way: on cancellation the fiber still waits for the thread and
 * then returns -ECANCELED, so `arg` may lie in the caller's arena, but not on its stack if it is
 * large.
 */
#ifndef LOOP_OFFLOAD_H
#define LOOP_OFFLOAD_H

#include "loop/fiber.h"

struct offload_pool;

/* `most_waiting` bounds the line; 0 means 1,024.  Stacks of 256 KiB.  Logs and errors of what runs
 * there are those of the fiber that waits. */
int offload_pool_new(const char *name, unsigned threads, size_t most_waiting,
		     struct offload_pool **ret) _must_check_;
/* Waits for the threads to finish what runs; nothing may be queued any more. */
struct offload_pool *offload_pool_free(struct offload_pool *);
/* The process's pool for files and the like; made on first use with 4 threads. */
struct offload_pool *offload_files(void);

/*
 * Yields.  The function's result; -E_UNAVAILABLE when the line is full; -ECANCELED, -ETIMEDOUT when
 * the fiber was cancelled or ran out of time before the function began (it then never runs) or
 * meanwhile.
 */
int offload(struct offload_pool *, int (*run)(void *), void *arg) may_yield _must_check_;

#endif
