#include "loop/offload.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crash.h"
#include "loop/fiber-internal.h"

#define STACK_SIZE   (256 * KIB)
#define THREADS_MOST 256

/* Lies on the waiting fiber's stack, which cannot go before the thread is done with it. */
struct job {
	struct list link; /* in the line; in no list once it has begun */
	int (*run)(void *);
	void *arg;
	int result;
	bool is_done; /* the loop's thread alone looks at it */
	struct loop *loop;
	struct post post;
	struct waiter waiter;
	struct error_record *error;
	const struct log_context *log;
};

struct offload_pool {
	pthread_mutex_t lock;
	pthread_cond_t has_work;
	struct list line; /* jobs not begun, under the lock */
	size_t waiting, most_waiting;
	bool is_ending;
	unsigned thread_count;
	char name[16];
	pthread_t threads[];
};

static void on_done(struct post *p)
{
	struct job *job = container_of(p, struct job, post);

	job->is_done = true;
	fiber_wake(&job->waiter, job->result);
}

static void run_job(struct job *job)
{
	/* The fiber that waits is not running: its records are the thread's meanwhile, so that what
	 * the function says of its failure is found where the caller looks. */
	error_current = job->error;
	log_context = job->log;
	job->result = job->run(job->arg);
	error_current = NULL;
	log_context = NULL;
	loop_post(job->loop, &job->post); /* the job may be gone when this returns */
}

static void *work(void *arg)
{
	struct offload_pool *pool = arg;

	pthread_setname_np(pthread_self(), pool->name);
	crash_thread_setup();
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct list *link = list_pop(&pool->line);

		if (link != NULL) {
			pool->waiting--;
			pthread_mutex_unlock(&pool->lock);
			run_job(list_entry(link, struct job, link));
			pthread_mutex_lock(&pool->lock);
		} else if (pool->is_ending) {
			break;
		} else {
			pthread_cond_wait(&pool->has_work, &pool->lock);
		}
	}
	pthread_mutex_unlock(&pool->lock);
	crash_thread_fini();
	return NULL;
}

/* Signals are the loops' business; only what the thread itself does wrong comes here. */
static void block_signals(sigset_t *ret_before)
{
	static const int own_faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(own_faults); i++)
		sigdelset(&all, own_faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

static int start_threads(struct offload_pool *pool, unsigned count)
{
	pthread_attr_t attributes;
	sigset_t before;
	int r = 0;

	pthread_attr_init(&attributes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
#endif
	block_signals(&before);
	while (r == 0 && pool->thread_count < count) {
		r = pthread_create(&pool->threads[pool->thread_count], &attributes, work, pool);
		if (r == 0)
			pool->thread_count++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

int offload_pool_new(const char *name, unsigned threads, size_t most_waiting,
		     struct offload_pool **ret)
{
	struct offload_pool *pool;
	int r;

	must(threads > 0 && threads <= THREADS_MOST);
	pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
	must(pool != NULL);
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	pool->most_waiting = most_waiting == 0 ? 1024 : most_waiting;
	list_init(&pool->line);
	must(pthread_mutex_init(&pool->lock, NULL) == 0);
	must(pthread_cond_init(&pool->has_work, NULL) == 0);
	r = start_threads(pool, threads);
	if (r < 0) {
		offload_pool_free(pool);
		return fail(r, "starting the threads of %s: %s", name, error_sentence(r));
	}
	*ret = pool;
	return 0;
}

struct offload_pool *offload_pool_free(struct offload_pool *pool)
{
	if (pool == NULL)
		return NULL;
	pthread_mutex_lock(&pool->lock);
	must(list_is_empty(&pool->line));
	pool->is_ending = true;
	pthread_cond_broadcast(&pool->has_work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->has_work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
	return NULL;
}

static struct offload_pool *files_pool;
static pthread_once_t files_once = PTHREAD_ONCE_INIT;

static void make_files_pool(void)
{
	must(offload_pool_new("files", 4, 0, &files_pool) == 0);
}

struct offload_pool *offload_files(void)
{
	pthread_once(&files_once, make_files_pool);
	return files_pool;
}

static bool enqueue(struct offload_pool *pool, struct job *job)
{
	bool has_room;

	pthread_mutex_lock(&pool->lock);
	must(!pool->is_ending);
	has_room = pool->waiting < pool->most_waiting;
	if (has_room) {
		list_append(&pool->line, &job->link);
		pool->waiting++;
		pthread_cond_signal(&pool->has_work);
	}
	pthread_mutex_unlock(&pool->lock);
	return has_room;
}

/* False if it has begun. */
static bool withdraw(struct offload_pool *pool, struct job *job)
{
	bool is_waiting;

	pthread_mutex_lock(&pool->lock);
	is_waiting = !list_is_empty(&job->link);
	if (is_waiting) {
		list_remove(&job->link);
		pool->waiting--;
	}
	pthread_mutex_unlock(&pool->lock);
	return is_waiting;
}

int offload(struct offload_pool *pool, int (*run)(void *), void *arg)
{
	struct job job = {
		.run = run,
		.arg = arg,
		.loop = loop_current(),
		.error = error_current,
		.log = log_context,
		.post.run = on_done,
	};
	int r;

	r = fiber_check();
	if (r < 0)
		return r;
	waiter_init(&job.waiter);
	list_init(&job.link);
	if (!enqueue(pool, &job))
		return fail(-E_UNAVAILABLE, "%s: %zu jobs are waiting already", pool->name,
			    pool->most_waiting);
	loop_hold(job.loop);
	r = fiber_park(&job.waiter, pool->name);
	/* Interrupted.  What has begun must be waited for: it uses our memory. */
	if (!job.is_done && !withdraw(pool, &job)) {
		waiter_init(&job.waiter);
		(void) fiber_park_uninterrupted(&job.waiter, pool->name); /* r says why we leave */
	}
	loop_release(job.loop);
	return r;
}
