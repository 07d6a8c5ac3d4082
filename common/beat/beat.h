/*
 * beat.h - an application's beat program: it asks for jobs when their time has come.
 *
 *   apium-beat            any number of processes; one leads, the others wait for its lease to end
 *   apium-beat health     exit status 0 while the beat that keeps APIUM_HEALTH_FILE reaches PostgreSQL
 *   apium-beat --version
 *
 * main() declares a struct beat_program and calls beat_main, as worker programs do with
 * queue/worker.h.
 *
 * A look, at least once a second: keep the lease (beat/lease.h); as the leader, decide what has come
 * (beat/tick.h), one transaction for each schedule; sleep until the next planned time.  All that is
 * known lies in PostgreSQL, all time is PostgreSQL's: a process may die or be stopped at any step,
 * and the clock of its machine may say what it wants.
 *
 *     waiting <--> leading      the lease is ours; at each beginning the declarations become rows
 *
 * Redis is only told: a job whose push fails is pushed by a relay (queue/relay.h).
 *
 * SIGTERM and SIGINT: the transaction under way is committed or rolled back, the lease given up, exit
 * 0.  SIGHUP reads the settings file, and the files of TLS to Redis, again.
 */
#ifndef BEAT_BEAT_H
#define BEAT_BEAT_H

#include "beat/periodic.h"

struct beat_program {
	const char *name; /* "apium-beat" */
	const char *version;
	const struct schedule *schedules; /* in code; others are rows only */
	size_t schedule_count;
	const struct task *const *tasks; /* whose arguments it can check */
	size_t task_count;
	/* For what no table can say: once settings are loaded.  0 or negative with a sentence; may be
	 * NULL. */
	int (*prepare)(void);
};

/* clang-format off */
#define BEAT_SCHEDULES(rows_) .schedules = (rows_), .schedule_count = ARRAY_SIZE(rows_)
/* clang-format on */

/* Returns the exit status. */
int beat_main(int argc, char **argv, const struct beat_program *);

#endif
