#include <criterion/criterion.h>

#include "base/error.h"
#include "resource/event.h"

static const struct resource posts = { .name = "post", .table = "posts" };
static const struct resource tags = { .name = "tag", .table = "tags" };
static const struct resource *const both[] = { &posts, &tags };
static unsigned heard[2];

static void hear(struct request *rq, const struct row *row)
{
	(void) rq;
	heard[row->resource == &tags]++;
}

Test(event, a_listener_hears_of_its_table_and_its_event)
{
	struct request rq = { .magic = REQUEST_MAGIC };
	const struct row post = { .resource = &posts }, tag = { .resource = &tags };

	on_created("posts", hear);
	on_deleted("posts", hear);
	on_changed("tags", hear);
	event_tell(&rq, EVENT_CREATED, &post);
	event_tell(&rq, EVENT_CHANGED, &post);
	event_tell(&rq, EVENT_DELETED, &post);
	event_tell(&rq, EVENT_CREATED, &tag);
	cr_expect_eq(heard[0], 2);
	cr_expect_eq(heard[1], 0);
	event_tell(&rq, EVENT_CHANGED, &tag);
	cr_expect_eq(heard[1], 1);
	cr_expect_eq(event_check(both, 2), 0);
}

Test(event, a_table_that_is_not_there_is_refused)
{
	on_created("postes", hear);
	cr_expect_eq(event_check(both, 2), -EINVAL);
	cr_expect_str_eq(fail_reason(-EINVAL),
			 "a listener wants to know of the table postes, which no resource has");
}
