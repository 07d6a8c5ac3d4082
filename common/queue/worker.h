/*
 * worker.h - an application's worker program: its tasks, and the roles its executable can play.
 *
 *   apium-worker [OPTION …]           the supervisor (queue/supervisor.h); options: worker_words.h
 *   apium-worker host …               started by the supervisor (queue/host.h)
 *   apium-worker health               exit status 0 if the supervisor of this machine polls
 *                                     (queue/health.h)
 *   apium-worker <role> …             the application's own roles, `sandbox` say
 *
 * main() declares a struct worker_program and calls worker_main.
 */
#ifndef QUEUE_WORKER_H
#define QUEUE_WORKER_H

#include "queue/task.h"

struct loop;

struct worker_role {
	const char *name;
	const char *help;
	/* argv[0] is the role's name.  Returns the exit status. */
	int (*main)(int argc, char **argv);
};

/* What a host has before its first job. */
struct worker_host {
	struct loop *loop;
	struct db *db;
	struct redis *redis;
	struct producer *producer;
	unsigned slots;
};

struct worker_program {
	const char *name;               /* "apium-worker" */
	const struct task_body *bodies; /* its tasks … */
	size_t body_count;
	/* … or, when they depend on settings, which are loaded by then: instead of `bodies`.  0 or
	 * -E_BAD_SETTING. */
	int (*tasks)(const struct task_body **ret_bodies, size_t *ret_count);
	const struct worker_role *roles;
	size_t role_count;
	/* Hangs what the bodies need into job->application; may be NULL.  On the loop's stack,
	 * before the loop runs.  0 or negative, then the host ends. */
	int (*host_open)(const struct worker_host *, void **ret_application);
};

/* clang-format off */
#define WORKER_BODIES(rows_) .bodies = (rows_), .body_count = ARRAY_SIZE(rows_)
/* clang-format on */

int worker_main(int argc, char **argv, const struct worker_program *);
/* Its tasks, whichever way it names them. */
int worker_tasks(const struct worker_program *, const struct task_body **ret_bodies,
		 size_t *ret_count) _must_check_;

#endif
