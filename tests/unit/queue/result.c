#include "queue/result.h"

#include <criterion/criterion.h>

#include "base/world.h"
#include "queue/node.h"

static struct fake_world world;

static void setup(void)
{
	fake_world_init(&world, 1, 1787220672345678);
	world_set(&world.world);
}

static void teardown(void)
{
	world_set(NULL);
}

TestSuite(result, .init = setup, .fini = teardown);

static void assert_document(struct buf *b, const char *expected)
{
	cr_assert_str_eq(b->at, expected);
	buf_fini(b);
}

Test(result, success_in_the_order_of_python)
{
	struct result_about about = { .id = STR("f3a6") };
	struct buf b = BUF_INIT;

	result_add_success(&b, &about, STR("4"));
	assert_document(
		&b, "{\"status\": \"SUCCESS\", \"result\": 4, \"traceback\": null, \"children\": "
		    "[], \"date_done\": \"2026-08-20T10:11:12.345678+00:00\", \"task_id\": "
		    "\"f3a6\"}");
	result_add_success(&b, &about, STR_NULL);
	cr_assert_not_null(strstr(b.at, "\"result\": null,"));
	buf_fini(&b);
}

Test(result, group_and_parent_stand_before_the_id)
{
	struct result_about about = { .id = STR("i\"1"), .group = STR("g"), .parent = STR("p") };
	struct buf b = BUF_INIT;

	result_add_success(&b, &about, STR("[]"));
	cr_assert_not_null(strstr(b.at, "+00:00\", \"group_id\": \"g\", \"parent_id\": \"p\", "
					"\"task_id\": \"i\\\"1\"}"),
			   "%s", b.at);
	buf_fini(&b);
}

Test(result, exceptions)
{
	struct result_about about = { .id = STR("1") };
	struct buf b = BUF_INIT;

	result_add_exception(&b, &about, RESULT_FAILURE, &result_job_error, STR("ř \"x\""));
	assert_document(&b, "{\"status\": \"FAILURE\", \"result\": {\"exc_type\": \"JobError\", "
			    "\"exc_message\": [\"\\u0159 \\\"x\\\"\"], \"exc_module\": \"apium\"}, "
			    "\"traceback\": \"Traceback (most recent call last):\\napium.JobError: "
			    "\\u0159 \\\"x\\\"\\n\", \"children\": [], \"date_done\": "
			    "\"2026-08-20T10:11:12.345678+00:00\", \"task_id\": \"1\"}");
	result_add_exception(&b, &about, RESULT_RETRY, &result_job_error, STR("again"));
	cr_assert_not_null(strstr(b.at, "\"date_done\": null"), "not finished: %s", b.at);
	buf_fini(&b);
	result_add_exception(&b, &about, RESULT_REVOKED, &result_revoked, STR("expired"));
	cr_assert_not_null(strstr(b.at, "\"status\": \"REVOKED\", \"result\": {\"exc_type\": "
					"\"TaskRevokedError\", \"exc_message\": [\"expired\"], "
					"\"exc_module\": \"celery.exceptions\"}"));
	buf_fini(&b);
}

Test(result, a_state_of_the_tasks_own)
{
	struct result_about about = { .id = STR("1") };
	struct buf b = BUF_INIT;

	result_add_custom(&b, &about, STR("PROGRESS"), STR("{\"current\": 1, \"total\": 2}"));
	assert_document(&b,
			"{\"status\": \"PROGRESS\", \"result\": {\"current\": 1, \"total\": 2}, "
			"\"traceback\": null, \"children\": [], \"date_done\": null, \"task_id\": "
			"\"1\"}");
}

Test(result, what_was_asked_for_stands_before_the_id)
{
	struct result_more more = { .name = STR("diag.add"),
				    .args_json = STR("[2]"),
				    .kwargs_json = STR("{\"y\": 3}"),
				    .queue = STR("celery"),
				    .retries = 1 };
	struct result_about about = { .id = STR("1"), .more = &more };
	struct buf b = BUF_INIT, expected = BUF_INIT;

	about.children = STR("[[[\"c\", null], null]]");
	result_add_success(&b, &about, STR("5"));
	buf_printf(&expected,
		   "\"children\": [[[\"c\", null], null]], \"date_done\": "
		   "\"2026-08-20T10:11:12.345678+00:00\", \"name\": \"diag.add\", \"args\": [2], "
		   "\"kwargs\": {\"y\": 3}, \"worker\": \"%.*s\", \"retries\": 1, \"queue\": "
		   "\"celery\", \"task_id\": \"1\"}",
		   STR_ARG(node_name()));
	cr_assert_not_null(strstr(b.at, expected.at), "%s", b.at);
	buf_fini(&b);
	buf_fini(&expected);
}

Test(result, started_names_its_process)
{
	struct result_about about = { .id = STR("1") };
	struct buf b = BUF_INIT;

	result_add_started(&b, &about, 4242);
	cr_assert_not_null(strstr(b.at, "\"status\": \"STARTED\", \"result\": {\"pid\": 4242, "
					"\"hostname\": \""));
	cr_assert_not_null(strstr(b.at, "\"date_done\": null"));
	buf_fini(&b);
}
