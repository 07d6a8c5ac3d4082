/*
 * Every task's body, cancelled at its 1st, 2nd, 3rd … wait until it ends before that: it says
 * -ECANCELED or is done, leaves nothing behind (fibers_run asserts the counters), and when it is run
 * whole at last its effects are there once.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vips/vips.h>

#include "base/error.h"
#include "help.h"
#include "proto/auth_purge_tokens.h"
#include "proto/diag.h"
#include "proto/email_send.h"
#include "proto/images_generate_variants.h"
#include "workers/shop_host.h"
#include "workers/tasks.h"

#define IMAGE "0190a0a0-0000-7000-8000-000000000003"

static char folder[] = "/tmp/apium-bodies-XXXXXX";

struct world_of_job {
	struct db *db;
	struct shop_host host;
	const struct task *task;
	int (*body)(struct job *, const void *);
	const char *kwargs;
	unsigned round;
};

static void on_closed(void *arg)
{
	fiber_wake(arg, 0);
}

static void open_host(struct world_of_job *w)
{
	static char mail_url[64];
	struct loop *loop = fiber_loop(fiber_current());

	(void) snprintf(mail_url, sizeof(mail_url), "file://%s", folder);
	w->db = help_db();
	w->host.storage.root = folder;
	cr_assert_eq(mailer_new(loop, mail_url, "from@example.com", &w->host.mailer), 0);
	cr_assert_eq(sandbox_pool_new(loop, TEST_WORKER, 1, &w->host.sandboxes), 0);
}

static void close_host(struct world_of_job *w)
{
	struct waiter waiter;

	waiter_init(&waiter);
	mailer_close(w->host.mailer, on_closed, &waiter);
	cr_assert_eq(fiber_park(&waiter, "mailer"), 0);
	waiter_init(&waiter);
	sandbox_pool_close(w->host.sandboxes, on_closed, &waiter);
	cr_assert_eq(fiber_park(&waiter, "sandboxes"), 0);
	help_db_close(w->db);
}

/* One delivery of the job; each round is a job of its own. */
static int deliver(void *arg)
{
	struct world_of_job *w = arg;
	struct json_error error;
	struct json *args, *kwargs;
	struct job job = { .magic = JOB_MAGIC,
			   .task = w->task,
			   .db = w->db,
			   .application = &w->host,
			   .attempt = 1,
			   .retry = w->task->retry };
	int r;

	arena_init(&job.arena);
	job.id = job.key = arena_printf(&job.arena, "job-%u", w->round);
	job.kwargs_json = str_c(w->kwargs);
	cr_assert_eq(json_parse(&job.arena, STR("[]"), JSON_STRICT, 4, &args, &error), 0);
	cr_assert_eq(json_parse(&job.arena, job.kwargs_json, JSON_STRICT, 8, &kwargs, &error), 0);
	void *arguments = arena_zalloc(&job.arena, MAX(w->task->arguments_size, (size_t) 1));
	r = task_bind(&job.arena, w->task, args, kwargs, arguments);
	cr_assert_eq(r, 0, "%s", fail_reason(r));
	r = w->body(&job, arguments);
	if (r < 0 && r != -ECANCELED)
		cr_log_error("%s: %s", w->task->name, fail_reason(r));
	arena_fini(&job.arena);
	return r;
}

/* A row to make variants of, and its file. */
static void make_image(struct world_of_job *w)
{
	struct arena arena;
	VipsImage *picture;
	void *bytes;
	size_t len;

	cr_assert_eq(VIPS_INIT("test"), 0);
	cr_assert_eq(vips_black(&picture, 400, 300, "bands", 3, NULL), 0);
	cr_assert_eq(vips_jpegsave_buffer(picture, &bytes, &len, NULL), 0);
	g_object_unref(picture);
	cr_assert_eq(storage_put(&w->host.storage, STR("products/a.jpg"), str_make(bytes, len)), 0);
	g_free(bytes);
	arena_init(&arena);
	(void) help_sql(
		w->db, &arena,
		"INSERT INTO users VALUES ('0190a0a0-0000-7000-8000-000000000001', '', NULL, false, "
		"'a@example.com', 'a', '', '', true, false, true, gen_random_uuid(), now(), now()) RETURNING 1");
	(void) help_sql(
		w->db, &arena,
		"INSERT INTO products (id, created_at, updated_at, is_deleted, owner_id, name, slug, description, "
		"price, eur_to_usd_rate, quantity, unit_discount, discount_percentage, stock, "
		"low_stock_threshold, status, is_active, is_published, view_count) VALUES "
		"('0190a0a0-0000-7000-8000-000000000002', now(), now(), false, "
		"'0190a0a0-0000-7000-8000-000000000001', 'p', 'p', '', 1, 1.1, 1, 0, 0, 0, 10, 'active', true, "
		"false, 0) RETURNING 1");
	(void) help_sql(
		w->db, &arena,
		"INSERT INTO product_images VALUES ('" IMAGE "', now(), now(), "
		"'0190a0a0-0000-7000-8000-000000000002', 'products/a.jpg', '', '', true, 0, 400, 300, "
		"'pending', '', '{}', '{}') RETURNING 1");
	arena_fini(&arena);
}

/* clang-format off */
static const struct {
	const struct task *task;
	int (*body)(struct job *, const void *);
	const char *kwargs;
	unsigned least; /* waits it has at least */
	const char *effect, *value; /* asked of the database afterwards */
} bodies[] = {
	{ &diag_noop_task,  diag_noop_body,  "{}",                         0, NULL, NULL },
	{ &diag_echo_task,  diag_echo_body,  "{\"a\": 1}",                 0, NULL, NULL },
	{ &diag_add_task,   diag_add_body,   "{\"x\": 1, \"y\": 2}",       0, NULL, NULL },
	{ &diag_sleep_task, diag_sleep_body, "{\"seconds\": 0.001}",       1, NULL, NULL },
	{ &diag_count_task, diag_count_body, "{\"key\": \"c\"}",           3, "SELECT count FROM diag_counter WHERE key = 'c'", "1" },
	{ &email_send_task, email_send_body,
	  "{\"subject\": \"s\", \"message\": \"m\", \"recipient_list\": [\"a@example.com\"]}", 1, NULL, NULL },
	{ &images_generate_variants_task, images_generate_variants_body, "{\"image_id\": \"" IMAGE "\"}",
	  5, "SELECT status FROM product_images", "ready" },
	{ &auth_purge_tokens_task, auth_purge_tokens_body, "{}",
	  1, "SELECT count(*) FROM token_blacklist_outstandingtoken WHERE expires_at < now()", "0" },
};
/* clang-format on */

/* One that has expired. */
static void make_token(struct world_of_job *w)
{
	struct arena arena;

	arena_init(&arena);
	help_sql(
		w->db, &arena,
		"INSERT INTO token_blacklist_outstandingtoken (token, jti, expires_at) VALUES ('t', 'j', now() - "
		"interval '1 hour') RETURNING 1");
	arena_fini(&arena);
}

static int every_body(void *arg)
{
	struct world_of_job w = { 0 };
	struct arena arena;

	(void) arg;
	open_host(&w);
	make_image(&w);
	make_token(&w);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		w.task = bodies[i].task;
		w.body = bodies[i].body;
		w.kwargs = bodies[i].kwargs;
		w.round++;
		unsigned cancelled = fibers_cancel_everywhere(deliver, &w, NULL);
		cr_expect_geq(cancelled, bodies[i].least, "%s was cancelled %u times", w.task->name,
			      cancelled);
		if (bodies[i].effect == NULL)
			continue;
		arena_init(&arena);
		struct str value = help_sql(w.db, &arena, bodies[i].effect);
		cr_expect(str_eq_c(value, bodies[i].value), "%s left %.*s", w.task->name,
			  STR_ARG(value));
		arena_fini(&arena);
	}
	close_host(&w);
	return 0;
}

Test(bodies, are_cancelled_at_every_wait, .timeout = 60)
{
	char command[sizeof(folder) + 16];

	cr_assert_not_null(mkdtemp(folder));
	fibers_run(every_body, NULL);
	(void) snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}
