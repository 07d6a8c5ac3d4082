#include "queue/push.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "base/settings.h"
#include "base/world.h"
#include "help.h"
#include "servers.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

static int pushes(void *arg)
{
	struct redis *r = help_redis();
	const struct queue_keys *keys;
	struct queue_book book;
	struct push p = { .id = STR("i1"), .message = STR("m1"), .durability = TASK_OUTBOX };
	struct arena a;

	(void) arg;
	arena_init(&a);
	queue_book_init(&book);
	cr_assert_eq(queue_book_find(&book, STR("q"), &keys), 0);
	p.keys = keys;
	cr_assert_eq(push_call(r, &a, &p), PUSH_DONE);
	cr_assert_eq(push_call(r, &a, &p), PUSH_THERE_ALREADY);
	EQ(help_do(r, &a, "LRANGE q 0 -1"), "m1");
	EQ(help_do(r, &a, "HKEYS apium:{q}:live"), "i1");
	(void) help_do(r, &a, "SET apium:{q}:receipt:i2 E");
	p.id = STR("i2");
	cr_assert_eq(push_call(r, &a, &p), PUSH_HAS_ENDED);
	EQ(help_do(r, &a, "LLEN q"), "1");

	p = (struct push){ .keys = keys,
			   .id = STR("i3"),
			   .message = STR("m3"),
			   .priority = 7,
			   .durability = TASK_FAST };
	cr_assert_eq(push_call(r, &a, &p), PUSH_DONE);
	EQ(help_do(r, &a,
		   "LRANGE q\x06\x16"
		   "6 0 -1"),
	   "m3");
	EQ(help_do(r, &a, "HLEN apium:{q}:live"), "1");

	p.eta = now_realtime() + 1 * HOUR;
	cr_assert_eq(push_call(r, &a, &p), PUSH_DONE);
	p.durability = TASK_OUTBOX;
	p.id = STR("i4");
	cr_assert_eq(push_call(r, &a, &p), PUSH_DONE);
	EQ(help_do(r, &a, "ZCARD apium:{q}:schedule"), "2");
	EQ(help_do(r, &a, "LLEN q"), "1");
	p.id = STR("i5");
	p.eta = now_realtime() - 1 * HOUR;
	cr_assert_eq(push_call(r, &a, &p), PUSH_DONE);
	EQ(help_do(r, &a, "ZCARD apium:{q}:schedule"), "2");

	/* No replica: it is there, and nobody else has it. */
	settings.wait_replicas = 1;
	settings.wait_timeout = 100 * MSEC;
	p = (struct push){
		.keys = keys, .id = STR("i6"), .message = STR("m6"), .durability = TASK_WAITED
	};
	cr_assert_eq(push_call(r, &a, &p), -E_UNAVAILABLE);
	cr_assert_not_null(strstr(fail_reason(-E_UNAVAILABLE), "no replica"));
	EQ(help_do(r, &a, "LRANGE q 0 -1"), "m6 m1");
	queue_book_fini(&book);
	arena_fini(&a);
	help_close(r);
	return 0;
}

Test(push, each_durability)
{
	servers_private_redis();
	fibers_run(pushes, NULL);
}
