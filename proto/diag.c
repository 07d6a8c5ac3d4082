#include "proto/diag.h"

#define TASK_ARGUMENTS_STRUCT struct diag_echo_arguments
static const struct task_argument echo_arguments[] = { DIAG_ECHO_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_add_arguments
static const struct task_argument add_arguments[] = { DIAG_ADD_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_sleep_arguments
static const struct task_argument sleep_arguments[] = { DIAG_SLEEP_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_burn_arguments
static const struct task_argument burn_arguments[] = { DIAG_BURN_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_spin_arguments
static const struct task_argument spin_arguments[] = { DIAG_SPIN_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_fail_arguments
static const struct task_argument fail_arguments[] = { DIAG_FAIL_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_crash_arguments
static const struct task_argument crash_arguments[] = { DIAG_CRASH_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_count_arguments
static const struct task_argument count_arguments[] = { DIAG_COUNT_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_progress_arguments
static const struct task_argument progress_arguments[] = { DIAG_PROGRESS_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_children_arguments
static const struct task_argument children_arguments[] = { DIAG_CHILDREN_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT
#define TASK_ARGUMENTS_STRUCT struct diag_chord_arguments
static const struct task_argument chord_arguments[] = { DIAG_CHORD_ARGUMENTS(TASK_ROW_) };
#undef TASK_ARGUMENTS_STRUCT

#define ARGUMENTS(name)                                                                            \
	.arguments = name##_arguments, .argument_count = ARRAY_SIZE(name##_arguments),             \
	.arguments_size = sizeof(struct diag_##name##_arguments)

const struct task diag_noop_task = {
	.name = "diag.noop",
	.help = "Does nothing, with whatever arguments.",
	.ignores_arguments = true,
	.retry = TASK_RETRY_USUAL,
};

const struct task diag_echo_task = {
	.name = "diag.echo",
	.help = "Returns its keyword arguments.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(echo),
};

const struct task diag_add_task = {
	.name = "diag.add",
	.help = "Adds two numbers.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(add),
};

const struct task diag_sleep_task = {
	.name = "diag.sleep",
	.help = "Waits on a fiber.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(sleep),
};

const struct task diag_burn_task = {
	.name = "diag.burn",
	.help = "Computes in a process of its own.",
	.where = TASK_ALONE,
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(burn),
};

const struct task diag_spin_task = {
	.name = "diag.spin",
	.help = "Computes beside other jobs without yielding, as no task should.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(spin),
};

const struct task diag_fail_task = {
	.name = "diag.fail",
	.help = "Fails its first attempts, then returns the number of the attempt.",
	.retry = { .times = -1 },
	ARGUMENTS(fail),
};

const struct task diag_crash_task = {
	.name = "diag.crash",
	.help = "Kills its process on its first attempts, then returns the number of the attempt.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(crash),
};

const struct task diag_count_task = {
	.name = "diag.count",
	.help = "Counts once per job, however often it is delivered; returns the count.",
	.retry = { .times = 20, .first = 100 * MSEC, .most = 5 * SEC },
	ARGUMENTS(count),
};

const struct task diag_progress_task = {
	.name = "diag.progress",
	.help = "Tells its progress step by step.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(progress),
};

const struct task diag_children_task = {
	.name = "diag.children",
	.help = "Asks for jobs of diag.noop; they are its children.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(children),
};

const struct task diag_chord_task = {
	.name = "diag.chord",
	.help = "Asks for a chord of diag.add, from C; returns the id of its body, which returns all sums.",
	.retry = TASK_RETRY_USUAL,
	ARGUMENTS(chord),
};
