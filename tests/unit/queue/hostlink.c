#include "queue/hostlink.h"

#include <criterion/criterion.h>

#include "help.h"

Test(hostlink, a_job_goes_through)
{
	struct link_job job = { .number = 3,
				.generation = 9,
				.task = 2,
				.flags = LINK_HAS_KEY,
				.queue = 1,
				.deaths = 2,
				.retries = 5,
				.group_index = 4,
				.hard_limit = 7 * SEC };
	struct link_job back;
	struct message m, got;
	struct buf out = BUF_INIT;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(message_scan(help_envelope(&a, "t", "a\\\"b", "[[], {}, null]"), &m), 0);
	m.text[MESSAGE_KEY] = STR("");
	link_add_job(&out, &job, &m);
	cr_assert_eq(link_take_job(buf_str(&out), &back, &got), 0);
	cr_assert_eq(back.number, 3);
	cr_assert_eq(back.generation, 9);
	cr_assert_eq(back.task, 2);
	cr_assert_eq(back.queue, 1);
	cr_assert_eq(back.deaths, 2);
	cr_assert_eq(back.retries, 5);
	cr_assert_eq(got.group_index, 4);
	cr_assert_eq(back.hard_limit, 7 * SEC);
	cr_assert(str_eq(got.text[MESSAGE_BODY], m.text[MESSAGE_BODY]));
	cr_assert(str_eq_c(message_text(&a, &got, MESSAGE_ID), "a\"b"), "escapes go along");
	cr_assert(!str_is_null(got.text[MESSAGE_KEY]) && got.text[MESSAGE_KEY].len == 0);
	cr_assert(str_is_null(got.text[MESSAGE_GROUP]));
	cr_assert(str_is_null(got.text[MESSAGE_TASK]), "the number is enough");
	for (size_t len = 0; len < out.len; len++)
		cr_assert_lt(link_take_job(str_make(out.at, len), &back, &got), 0, "%zu", len);
	buf_add_byte(&out, 'x');
	cr_assert_lt(link_take_job(buf_str(&out), &back, &got), 0, "longer than it says");
	buf_fini(&out);
	arena_fini(&a);
}

Test(hostlink, packed_texts)
{
	const struct str texts[] = { STR("one"), STR_NULL, STR(""), STR("four") };
	struct str got[ARRAY_SIZE(texts)], rest;
	struct buf out = BUF_INIT;

	link_pack(&out, texts, ARRAY_SIZE(texts));
	buf_add_c(&out, "more");
	rest = buf_str(&out);
	cr_assert_eq(link_unpack(&rest, got, ARRAY_SIZE(texts)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cr_assert(str_eq(got[i], texts[i]));
		cr_assert_eq(str_is_null(got[i]), str_is_null(texts[i]));
	}
	cr_assert(str_eq_c(rest, "more"));
	for (size_t len = 0; len + 4 < out.len; len++) {
		rest = str_make(out.at, len);
		cr_assert_lt(link_unpack(&rest, got, ARRAY_SIZE(texts)), 0, "%zu", len);
	}
	buf_fini(&out);
}
