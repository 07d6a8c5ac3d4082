#include <criterion/criterion.h>

#include "base/error.h"
#include "base/json.h"
#include "help.h"
#include "queue/body.h"
#include "queue/message.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

Test(message_write, what_is_written_is_read)
{
	struct message_new n = { .task = STR("email.send"),
				 .id = STR("i-1"),
				 .kwargs = STR("{\"to\": \"\\u0159@example.com\"}"),
				 .queue = STR("mail"),
				 .key = STR("k-1"),
				 .parent_id = STR("p"),
				 .traceparent = STR("00-abc"),
				 .eta = 1767323045 * SEC,
				 .priority = 6,
				 .ignores_result = true,
				 .is_outbox = true };
	struct buf out = BUF_INIT;
	struct message m;
	struct arena a;
	struct str text;

	arena_init(&a);
	message_write(&out, &n);
	cr_assert_eq(message_scan(buf_str(&out), &m), 0);
	EQ(m.text[MESSAGE_TASK], "email.send");
	EQ(m.text[MESSAGE_ID], "i-1");
	EQ(m.text[MESSAGE_ROOT], "i-1");
	EQ(m.text[MESSAGE_PARENT], "p");
	EQ(m.text[MESSAGE_KEY], "k-1");
	EQ(m.text[MESSAGE_TRACEPARENT], "00-abc");
	EQ(m.text[MESSAGE_ETA], "2026-01-02T03:04:05+00:00");
	cr_assert_eq(m.priority, 6);
	cr_assert(m.ignores_result && m.is_outbox && !m.is_redelivered);
	cr_assert_eq(body_text(&a, &m, &text), 0);
	EQ(text,
	   "[[], {\"to\": \"\\u0159@example.com\"}, {\"callbacks\": null, \"errbacks\": null, "
	   "\"chain\": null, \"chord\": null}]");
	buf_fini(&out);
	arena_fini(&a);
}

Test(message_write, kwargs_are_shown_as_python_shows_them)
{
	static const struct {
		const char *kwargs, *shown;
	} cases[] = {
		{ "{}", "{}" },
		{ "{\"a\": 1, \"b\": [true, false, null, 1.5], \"c\": {\"d\": \"e\"}}",
		  "{'a': 1, 'b': [True, False, None, 1.5], 'c': {'d': 'e'}}" },
		{ "{\"a\": {\"b\": {\"c\": {\"d\": 1}}}}", "{'a': {'b': {'c': {...}}}}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct message_new n = { .task = STR("t"),
					 .id = STR("i"),
					 .kwargs = str_c(cases[i].kwargs),
					 .queue = STR("q") };
		struct buf out = BUF_INIT;
		struct json_error e;
		struct json *tree;
		struct arena a;

		arena_init(&a);
		message_write(&out, &n);
		cr_assert_eq(json_parse(&a, buf_str(&out), JSON_STRICT, 32, &tree, &e), 0);
		EQ(json_text(&a, json_get(json_get(tree, STR("headers")), STR("kwargsrepr"))),
		   cases[i].shown);
		buf_fini(&out);
		arena_fini(&a);
	}
}

Test(message_write, a_change_leaves_the_rest_as_it_is)
{
	static const char text[] =
		"{\"body\": \"e30=\", \"x\": 1.50, \"headers\": {\"task\": \"t\", \"retries\": 2, \"big\": "
		"1180591620717411303424, \"odd\": \"\\ud800\", \"id\": \"i\"}, \"properties\": {\"a\": NaN}}";
	struct message_change c = { .retries = 3,
				    .is_redelivered = true,
				    .history = STR("{\"attempt\": 1}") };
	struct buf out = BUF_INIT;
	struct arena a;

	arena_init(&a);
	cr_assert_eq(message_rewrite(&a, str_c(text), &c, &out), 0, "%s", fail_reason(-EINVAL));
	EQ(buf_str(&out),
	   "{\"body\": \"e30=\", \"x\": 1.50, \"headers\": {\"task\": \"t\", \"retries\": 3, \"big\": "
	   "1180591620717411303424, \"odd\": \"\\ud800\", \"id\": \"i\", \"redelivered\": true, "
	   "\"apium_history\": [{\"attempt\": 1}]}, \"properties\": {\"a\": NaN}}");
	buf_fini(&out);
	arena_fini(&a);
}

Test(message_write, history_keeps_the_last_ten)
{
	struct buf text = BUF_INIT, next = BUF_INIT;
	struct message m;
	struct arena a;

	arena_init(&a);
	buf_add_c(&text, "{\"headers\": {\"task\": \"t\", \"id\": \"i\"}, \"body\": \"e30=\"}");
	for (int i = 1; i <= 13; i++) {
		struct message_change c = MESSAGE_CHANGE_NONE;

		c.history = arena_printf(&a, "{\"n\": %d}", i);
		buf_clear(&next);
		cr_assert_eq(message_rewrite(&a, buf_str(&text), &c, &next), 0);
		buf_clear(&text);
		buf_add_str(&text, buf_str(&next));
	}
	cr_assert_eq(message_scan(buf_str(&text), &m), 0);
	cr_assert(str_starts(m.history, STR("[{\"n\": 4}, {\"n\": 5}")), "%.*s",
		  STR_ARG(m.history));
	cr_assert(str_ends(m.history, STR("{\"n\": 13}]")));
	buf_fini(&text);
	buf_fini(&next);
	arena_fini(&a);
}

Test(message_write, what_is_no_json_cannot_be_changed)
{
	struct message_change c = MESSAGE_CHANGE_NONE;
	struct buf out = BUF_INIT;
	struct arena a;

	arena_init(&a);
	/* The scanner steps over it; a writer may not. */
	cr_assert_eq(message_rewrite(&a, STR("{\"headers\": {\"task\": \"t\", \"x\": 1.2.3}}"), &c,
				     &out),
		     -EINVAL);
	cr_assert_eq(out.len, 0);
	buf_fini(&out);
	arena_fini(&a);
}

Test(message_write, a_body_that_is_no_job_is_no_protocol_1)
{
	static const char *const bad[] = { "[]", "{}", "{\"task\": ", "\"x\"",
					   "{\"task\": \"t\", \"id\": 1}" };
	struct message m;
	struct str v2;
	struct arena a;

	arena_init(&a);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		m = (struct message){ .raw = STR("{}") };
		m.text[MESSAGE_BODY] = str_c(bad[i]);
		cr_assert_eq(message_from_v1(&a, &m, &v2), -EINVAL, "%s", bad[i]);
	}
	arena_fini(&a);
}

Test(message_write, a_note_is_shaped_as_celery_writes_replies)
{
	struct message_note note = { .body = STR("{\"n\": {\"ok\": \"pong\"}}"),
				     .headers = STR("{\"ticket\": \"t\", \"clock\": 3}"),
				     .exchange = STR("reply.celery.pidbox"),
				     .routing_key = STR("oid") };
	struct buf b = BUF_INIT;

	message_write_note(&b, &note);
	cr_assert_not_null(
		strstr(b.at,
		       "{\"body\": \"eyJuIjogeyJvayI6ICJwb25nIn19\", \"content-encoding\": "
		       "\"utf-8\", \"content-type\": \"application/json\", \"headers\": "
		       "{\"ticket\": \"t\", \"clock\": 3}, \"properties\": {\"delivery_mode\": "
		       "1, \"delivery_info\": {\"exchange\": \"reply.celery.pidbox\", "
		       "\"routing_key\": \"oid\"}, \"priority\": 0, \"body_encoding\": "
		       "\"base64\", \"delivery_tag\": \""),
		"%s", b.at);
	buf_fini(&b);
}

Test(message_write, values_are_shown_as_python_shows_them)
{
	struct arena a;
	struct str long_one;

	arena_init(&a);
	cr_assert(str_eq_c(message_repr(&a, STR("{\"a\": [null, true, 1.5, \"x\"]}")),
			   "{'a': [None, True, 1.5, 'x']}"));
	long_one = arena_printf(&a, "\"%0*d\"", 5000, 0);
	cr_assert_leq(message_repr(&a, long_one).len, 1030);
	cr_assert(str_ends(message_repr(&a, long_one), STR("...'")));
	arena_fini(&a);
}
