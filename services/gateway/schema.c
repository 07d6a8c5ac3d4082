/*
 * schema.c - /api/schema/tasks/: what each task takes, for producers.
 */
#include "queue/task_schema.h"
#include "shop.h"

int schema_tasks(struct request *rq)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	task_schema_add(&text);
	return reply_json_take(rq, 200, &text);
}
