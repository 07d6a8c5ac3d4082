/*
 * diag.h - tasks for smoke checks, tests and benches (DESIGN §9).  They exist with APIUM_DIAG=on.
 */
#ifndef PROTO_DIAG_H
#define PROTO_DIAG_H

#include "queue/task.h"

/* clang-format off */
#define DIAG_ECHO_ARGUMENTS(ARG)                                                                   \
	ARG(ANY,  kwargs,  NULL,     "whatever; it is the result")
#define DIAG_ADD_ARGUMENTS(ARG)                                                                    \
	ARG(JSON, x,       NULL,     "a number")                                                   \
	ARG(JSON, y,       NULL,     "another")
#define DIAG_SLEEP_ARGUMENTS(ARG)                                                                  \
	ARG(REAL, seconds, NULL,     "how long to wait on a fiber")
#define DIAG_BURN_ARGUMENTS(ARG)                                                                   \
	ARG(REAL, seconds, NULL,     "how long to compute")
#define DIAG_SPIN_ARGUMENTS(ARG)                                                                   \
	ARG(REAL, seconds, NULL,     "how long to compute without yielding")
#define DIAG_FAIL_ARGUMENTS(ARG)                                                                   \
	ARG(INT,  times,   NULL,     "how many attempts fail")                                     \
	ARG(TEXT, error,   "\"diag.fail was asked to fail\"", "with what words")                   \
	ARG(JSON, retries, "null",   "retries that it has; null: as many as it takes, without wait")
#define DIAG_CRASH_ARGUMENTS(ARG)                                                                  \
	ARG(INT,  times,   NULL,     "how many attempts kill their process")
#define DIAG_COUNT_ARGUMENTS(ARG)                                                                  \
	ARG(TEXT, key,     NULL,     "the row of diag_counter to count in")
#define DIAG_PROGRESS_ARGUMENTS(ARG)                                                               \
	ARG(INT,  steps,   NULL,     "how many states to tell")
#define DIAG_CHILDREN_ARGUMENTS(ARG)                                                               \
	ARG(INT,  count,   NULL,     "how many jobs to ask for")
#define DIAG_CHORD_ARGUMENTS(ARG)                                                                  \
	ARG(INT,  parts,   NULL,     "how many parts its header has")
/* clang-format on */

struct diag_echo_arguments {
	DIAG_ECHO_ARGUMENTS(TASK_MEMBER_)
};
struct diag_add_arguments {
	DIAG_ADD_ARGUMENTS(TASK_MEMBER_)
};
struct diag_sleep_arguments {
	DIAG_SLEEP_ARGUMENTS(TASK_MEMBER_)
};
struct diag_burn_arguments {
	DIAG_BURN_ARGUMENTS(TASK_MEMBER_)
};
struct diag_spin_arguments {
	DIAG_SPIN_ARGUMENTS(TASK_MEMBER_)
};
struct diag_fail_arguments {
	DIAG_FAIL_ARGUMENTS(TASK_MEMBER_)
};
struct diag_crash_arguments {
	DIAG_CRASH_ARGUMENTS(TASK_MEMBER_)
};
struct diag_count_arguments {
	DIAG_COUNT_ARGUMENTS(TASK_MEMBER_)
};
struct diag_progress_arguments {
	DIAG_PROGRESS_ARGUMENTS(TASK_MEMBER_)
};

struct diag_children_arguments {
	DIAG_CHILDREN_ARGUMENTS(TASK_MEMBER_)
};

struct diag_chord_arguments {
	DIAG_CHORD_ARGUMENTS(TASK_MEMBER_)
};

extern const struct task diag_noop_task, diag_echo_task, diag_add_task, diag_sleep_task,
	diag_burn_task, diag_spin_task, diag_fail_task, diag_crash_task, diag_count_task,
	diag_progress_task, diag_children_task, diag_chord_task;

#endif
