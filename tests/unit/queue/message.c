#include "queue/message.h"

#include <criterion/criterion.h>

#include "base/error.h"
#include "help.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

Test(message, finds_what_matters)
{
	static const char text[] =
		"{\"body\": \"Ym9keQ==\", \"content-encoding\": \"utf-8\", \"content-type\": "
		"\"application/json\", \"headers\": {\"lang\": \"py\", \"task\": \"t.a\", \"id\": "
		"\"id-1\", \"eta\": \"2026-01-01T00:00:00\", \"expires\": \"2027-01-01\", \"group\": "
		"\"g\", \"group_index\": 3, \"retries\": 7, \"timelimit\": [30, 20.5], \"root_id\": "
		"\"r\", \"parent_id\": \"p\", \"ignore_result\": true, \"stamps\": {\"id\": \"no\", "
		"\"x\": [\"}\", {\"task\": 1}]}, \"apium_key\": \"k\", \"apium_outbox\": true, "
		"\"redelivered\": true, \"compression\": \"application/zstd\", \"traceparent\": \"00-1\", "
		"\"apium_history\": [{\"attempt\": 1}]}, \"properties\": {\"correlation_id\": \"c\", "
		"\"delivery_info\": {\"exchange\": \"\", \"priority\": 1}, \"priority\": 6, "
		"\"body_encoding\": \"base64\"}}";
	struct message m;
	usec_t hard, soft;

	cr_assert_eq(message_scan(str_c(text), &m), 0);
	EQ(m.text[MESSAGE_BODY], "Ym9keQ==");
	EQ(m.text[MESSAGE_CONTENT_TYPE], "application/json");
	EQ(m.text[MESSAGE_TASK], "t.a");
	EQ(m.text[MESSAGE_ID], "id-1");
	EQ(m.text[MESSAGE_ETA], "2026-01-01T00:00:00");
	EQ(m.text[MESSAGE_EXPIRES], "2027-01-01");
	EQ(m.text[MESSAGE_GROUP], "g");
	EQ(m.text[MESSAGE_ROOT], "r");
	EQ(m.text[MESSAGE_PARENT], "p");
	EQ(m.text[MESSAGE_KEY], "k");
	EQ(m.text[MESSAGE_TRACEPARENT], "00-1");
	EQ(m.text[MESSAGE_COMPRESSION], "application/zstd");
	EQ(m.text[MESSAGE_BODY_ENCODING], "base64");
	EQ(m.history, "[{\"attempt\": 1}]");
	cr_assert_eq(m.retries, 7);
	cr_assert_eq(m.group_index, 3);
	cr_assert_eq(m.priority, 6);
	cr_assert(m.ignores_result && m.is_outbox && m.is_redelivered);
	cr_assert_eq(m.escaped, 0);
	message_limits(&m, &hard, &soft);
	cr_assert_eq(hard, 30 * SEC);
	cr_assert_eq(soft, 20 * SEC + 500 * MSEC);
}

Test(message, nulls_are_absent_and_the_last_of_two_wins)
{
	struct message m;
	usec_t hard, soft;

	cr_assert_eq(
		message_scan(STR("{\"headers\": {\"id\": \"a\", \"task\": null, \"id\": \"b\", "
				 "\"eta\": null, \"group\": 3, \"retries\": -4, \"timelimit\": "
				 "[null, null], \"ignore_result\": null}, \"body\": null}"),
			     &m),
		0);
	EQ(m.text[MESSAGE_ID], "b");
	cr_assert(str_is_null(m.text[MESSAGE_TASK]) && str_is_null(m.text[MESSAGE_ETA]));
	cr_assert(str_is_null(m.text[MESSAGE_GROUP]) && str_is_null(m.text[MESSAGE_BODY]));
	cr_assert_eq(m.retries, 0);
	cr_assert(!m.ignores_result);
	message_limits(&m, &hard, &soft);
	cr_assert(hard == 0 && soft == 0);
}

Test(message, white_space_and_order_are_free)
{
	struct message m;

	cr_assert_eq(
		message_scan(
			STR(" \n{ \"headers\"\t: {\r\n\"id\" :\"x\" , \"task\":\"t\"} ,\"body\""
			    ":\"e30=\"}\n "),
			&m),
		0);
	EQ(m.text[MESSAGE_ID], "x");
	EQ(m.text[MESSAGE_BODY], "e30=");
}

Test(message, escapes_are_noted_and_resolved)
{
	struct message m;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(
		message_scan(STR("{\"headers\": {\"id\": \"a\\\"b\\\\\", \"task\": \"\\u0159\"}, "
				 "\"body\": \"x\\/y\"}"),
			     &m),
		0);
	EQ(m.text[MESSAGE_ID], "a\\\"b\\\\");
	EQ(message_text(&a, &m, MESSAGE_ID), "a\"b\\");
	EQ(message_text(&a, &m, MESSAGE_TASK), "ř");
	EQ(message_text(&a, &m, MESSAGE_BODY), "x/y");
	cr_assert(str_is_null(message_text(&a, &m, MESSAGE_ETA)));
	arena_fini(&a);
}

Test(message, broken_ones_are_refused)
{
	static const char *const bad[] = {
		"",
		"null",
		"[]",
		"\"x\"",
		"{",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\":1",
		"{\"a\":1}x",
		"{a:1}",
		"{\"a\":\"x}",
		"{\"a\":\"x\\\"}",
		"{\"a\":[1,{\"b\":2]",
		"{\"headers\":{\"id\":\"x\"",
		"{\"headers\":{\"id\":5}}",
		"{\"headers\":{\"task\":[]}}",
		"{\"body\":{}}",
		"{\"headers\":{\"id\":\"x\\",
		"{\"a\":@}",
	};
	struct message m;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(message_scan(str_c(bad[i]), &m), -EINVAL, "%s", bad[i]);
}

/* Every cut of a good message is refused, and none reads beyond its end (the copy is exact, for
 * ASan). */
Test(message, torn_anywhere)
{
	struct arena a;
	struct str whole;
	struct message m;

	arena_init(&a);
	whole = help_envelope(&a, "t", "0123456789abcdef0123\\\"4567", "[[], {}, null]");
	cr_assert_eq(message_scan(whole, &m), 0);
	for (size_t len = 0; len < whole.len; len++) {
		char *copy = malloc(len + 1);

		memcpy(copy, whole.at, len);
		cr_assert_eq(message_scan(str_make(copy, len), &m), -EINVAL, "%zu", len);
		free(copy);
	}
	arena_fini(&a);
}

Test(message, depth_costs_nothing)
{
	enum { DEPTH = 200000 };
	char *text = calloc(2 * DEPTH + 64, 1);
	struct message m;
	size_t n = 0;

	cr_assert_not_null(text);

	n += (size_t) sprintf(text, "{\"x\":");
	memset(text + n, '[', DEPTH);
	memset(text + n + DEPTH, ']', DEPTH);
	n += 2 * DEPTH;
	n += (size_t) sprintf(text + n, ",\"body\":\"b\"}");
	cr_assert_eq(message_scan(str_make(text, n), &m), 0);
	EQ(m.text[MESSAGE_BODY], "b");
	free(text);
}
