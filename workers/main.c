/*
 * apium-worker: the application's tasks and roles; the rest is the library's (queue/worker.h).
 */
#include "base/settings.h"
#include "image/sandbox.h"
#include "proto/auth_purge_tokens.h"
#include "proto/diag.h"
#include "proto/email_send.h"
#include "proto/images_generate_variants.h"
#include "queue/worker.h"
#include "workers/shop_host.h"
#include "workers/tasks.h"

/* Those of every worker first: with or without the others, their numbers are the same. */
static const struct task_body bodies[] = {
#define TASK(name) { &name##_task, name##_body },
#define DIAG(name)
#include "proto/tasks.def"
#undef TASK
#define TASK(name)
#undef DIAG
#define DIAG(name) { &name##_task, name##_body },
#include "proto/tasks.def"
#undef TASK
#undef DIAG
};

enum {
#define TASK(name)
#define DIAG(name) COUNT_OF_##name,
#include "proto/tasks.def"
#undef TASK
#undef DIAG
	DIAG_COUNT,
};

static int tasks(const struct task_body **ret_bodies, size_t *ret_count)
{
	*ret_bodies = bodies;
	*ret_count = ARRAY_SIZE(bodies) - (settings.diag ? 0 : DIAG_COUNT);
	return 0;
}

static int sandbox(int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return sandbox_main();
}

static const struct worker_role roles[] = {
	{ "sandbox", "decodes pictures for a host, and can do nothing else", sandbox },
};

int main(int argc, char **argv)
{
	static const struct worker_program program = {
		.name = "apium-worker",
		.tasks = tasks,
		.roles = roles,
		.role_count = ARRAY_SIZE(roles),
		.host_open = shop_host_open,
	};

	return worker_main(argc, argv, &program);
}
