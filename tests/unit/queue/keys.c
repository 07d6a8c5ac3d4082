#include "queue/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/error.h"
#include "base/settings.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

Test(keys, names_of_a_plain_queue)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;
	struct queue_keys k;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(queue_keys_init(&k, &a, STR("default")), 0);
	EQ(k.queue, "default");
	EQ(k.lists[0], "default");
	EQ(k.lists[1], "default\x06\x16"
		       "3");
	EQ(k.lists[2], "default\x06\x16"
		       "6");
	EQ(k.lists[3], "default\x06\x16"
		       "9");
	EQ(k.workers, "apium:{default}:workers");
	EQ(k.schedule, "apium:{default}:schedule");
	EQ(k.crash, "apium:{default}:crash");
	EQ(k.dead, "apium:{default}:dead");
	EQ(k.letters, "apium:{default}:letters");
	EQ(k.live, "apium:{default}:live");
	EQ(k.epoch, "apium:{default}:epoch");
	queue_key_fly(&b, &k, STR("w.1.0"));
	EQ(buf_str(&b), "apium:{default}:fly:w.1.0");
	buf_clear(&b);
	queue_key_receipt(&b, &k, STR("id"));
	EQ(buf_str(&b), "apium:{default}:receipt:id");
	buf_clear(&b);
	queue_key_result(&b, STR("id"));
	EQ(buf_str(&b), "celery-task-meta-id");
	arena_fini(&a);
}

Test(keys, a_hash_tag_of_its_own_is_kept)
{
	struct queue_keys k;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(queue_keys_init(&k, &a, STR("{img}.thumbs")), 0);
	EQ(k.workers, "apium:{img}.thumbs:workers");
	arena_fini(&a);
}

Test(keys, bad_names_are_refused)
{
	static const char *const bad[] = { "", "a b", "a\nb", "x{", "}x", "{}x", "a{}b" };
	char longer[QUEUE_NAME_MOST + 2];
	struct queue_keys k;
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(queue_keys_init(&k, &a, str_c(bad[i])), -E_BAD_SETTING, "%s", bad[i]);
	memset(longer, 'q', sizeof(longer));
	cr_assert_eq(queue_keys_init(&k, &a, str_make(longer, QUEUE_NAME_MOST)), 0);
	cr_assert_eq(queue_keys_init(&k, &a, str_make(longer, QUEUE_NAME_MOST + 1)),
		     -E_BAD_SETTING);
	arena_fini(&a);
}

Test(keys, priorities_have_steps)
{
	static const struct {
		int64_t priority;
		int step;
	} cases[] = { { -5, 0 }, { 0, 0 }, { 2, 0 }, { 3, 1 },  { 5, 1 },
		      { 6, 2 },  { 8, 2 }, { 9, 3 }, { 10, 3 }, { 255, 3 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(queue_step(cases[i].priority), cases[i].step, "%d",
			     (int) cases[i].priority);
	cr_assert_eq(queue_step_priority(2), 6);
}

Test(keys, a_book_makes_each_once_and_is_bounded)
{
	const struct queue_keys *one, *again;
	struct queue_book book;
	char name[16];

	queue_book_init(&book);
	cr_assert_eq(queue_book_find(&book, STR("default"), &one), 0);
	cr_assert_eq(queue_book_find(&book, STR("default"), &again), 0);
	cr_assert_eq(one, again);
	cr_assert_eq(queue_book_find(&book, STR("a b"), &again), -E_BAD_SETTING);
	for (int i = 1; i < QUEUE_BOOK_MOST; i++) {
		(void) snprintf(name, sizeof(name), "q%d", i);
		cr_assert_eq(queue_book_find(&book, str_c(name), &again), 0);
	}
	cr_assert_eq(queue_book_find(&book, STR("one-more"), &again), -E_BAD_SETTING);
	cr_assert_eq(queue_book_find(&book, STR("q7"), &again), 0);
	queue_book_fini(&book);
}

Test(keys, prefixes_stand_before_everything)
{
	struct queue_keys k;
	struct arena a;
	struct buf key = BUF_INIT, member = BUF_INIT;

	arena_init(&a);
	settings.key_prefix = "t1:";
	settings.result_prefix = "r";
	cr_assert_eq(queue_keys_init(&k, &a, STR("mail")), 0);
	EQ(k.queue, "mail");
	EQ(k.lists[0], "t1:mail");
	EQ(k.lists[1], "t1:mail\x06\x16"
		       "3");
	EQ(k.schedule, "apium:{t1:mail}:schedule");
	queue_key_result(&key, STR("id"));
	EQ(buf_str(&key), "r_celery-task-meta-id");
	buf_clear(&key);
	queue_binding(&key, &member, "_kombu.binding.", STR("mail"));
	EQ(buf_str(&key), "t1:_kombu.binding.mail");
	EQ(buf_str(&member), "mail\x06\x16\x06\x16mail");
	settings.key_prefix = settings.result_prefix = "";
	buf_fini(&key);
	buf_fini(&member);
	arena_fini(&a);
}
