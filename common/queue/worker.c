#include "queue/worker.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crash.h"
#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"
#include "queue/canvas_tasks.h"
#include "queue/health.h"
#include "queue/host.h"
#include "queue/supervisor.h"
#include "queue/worker_words.h"

#define HEAP_KEPT  (64 * MIB)
#define HEAP_STEP  (1 * MIB)
/* As shells and Celery's command say it: the command line is wrong. */
#define EXIT_USAGE 2

static int usage(const struct worker_program *p, const char *word)
{
	fprintf(stderr, "%s: unknown role %s; there are: host, health", p->name, word);
	for (size_t i = 0; i < p->role_count; i++)
		fprintf(stderr, ", %s", p->roles[i].name);
	fprintf(stderr, "; and none, which is the supervisor\n");
	return EXIT_FAILURE;
}

static enum log_level level(void)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(settings.log_level, names[i]) == 0)
			return (enum log_level) i;
	return LOG_INFO;
}

/* The program's own, and behind them those that Celery brings (queue/canvas_tasks.h). */
static struct {
	struct task_body *at;
	size_t count;
} all_tasks;

int worker_tasks(const struct worker_program *p, const struct task_body **ret_bodies,
		 size_t *ret_count)
{
	const struct task_body *own = p->bodies;
	size_t count = p->body_count;
	int r = p->tasks == NULL ? 0 : p->tasks(&own, &count);

	if (r < 0)
		return r;
	if (all_tasks.at == NULL) {
		all_tasks.at = calloc(count + canvas_task_count, sizeof(*own));
		must(all_tasks.at != NULL);
		if (count > 0)
			memcpy(all_tasks.at, own, count * sizeof(*own));
		memcpy(all_tasks.at + count, canvas_tasks, canvas_task_count * sizeof(*own));
		all_tasks.count = count + canvas_task_count;
	}
	*ret_bodies = all_tasks.at;
	*ret_count = all_tasks.count;
	return 0;
}

/* The tasks' declarations: what supervisor and host number in the same way. */
static int register_tasks(const struct worker_program *p)
{
	const struct task_body *bodies;
	const struct task **tasks;
	size_t count;
	int r = worker_tasks(p, &bodies, &count);

	if (r < 0)
		return r;
	tasks = calloc(count + 1, sizeof(*tasks));
	must(tasks != NULL);
	for (size_t i = 0; i < count; i++)
		tasks[i] = bodies[i].task;
	r = task_register(tasks, count);
	free(tasks);
	return r;
}

static const struct worker_role *find_role(const struct worker_program *p, const char *name)
{
	for (size_t i = 0; i < p->role_count; i++)
		if (strcmp(p->roles[i].name, name) == 0)
			return &p->roles[i];
	return NULL;
}

/* Settings, and what the command line says about them. */
static int load(int argc, char **argv, struct worker_start *ret_start)
{
	int r = worker_words_read(argc, argv, ret_start);

	if (r == 0)
		r = settings_load();
	if (r == 0)
		r = worker_words_exclude(ret_start);
	return r > 0 ? settings_load() : r;
}

int worker_main(int argc, char **argv, const struct worker_program *p)
{
	const char *role = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
	const struct worker_role *own = role == NULL ? NULL : find_role(p, role);
	struct worker_start start = { 0 };
	int r;

	if (role == NULL && argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("%s %s\n", p->name, APIUM_VERSION);
		return EXIT_SUCCESS;
	}

	/* Each job has an arena: without this, what a turn frees would go back to the kernel and be
	 * faulted in again by the next one. */
	(void) mallopt(M_TRIM_THRESHOLD, (int) HEAP_KEPT);
	(void) mallopt(M_TOP_PAD, (int) HEAP_STEP);
	crash_setup(p->name);
	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* OpenSSL writes without MSG_NOSIGNAL */
	health_settings();
	r = role == NULL ? load(argc - 1, argv + 1, &start) : settings_load();
	if (r == -ECANCELED)
		return EXIT_SUCCESS; /* help */
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", p->name, fail_reason(r));
		return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
	}
	log_setup(level(), strcmp(settings.log_format, "json") == 0, p->name);
	if (own != NULL)
		return own->main(argc - 1, argv + 1);
	if (role != NULL && strcmp(role, "health") == 0)
		return health_main();
	if (role != NULL && strcmp(role, "host") != 0)
		return usage(p, role);
	r = register_tasks(p);
	if (r < 0) {
		log_error("%s", fail_reason(r));
		return EXIT_FAILURE;
	}
	return role == NULL ? supervisor_main(p, &start) : host_main(p, argc - 1, argv + 1);
}
