/*
 * follow.c - what comes after a job is what a Python worker really did.
 */
#include "queue/follow.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/error.h"
#include "help.h"

#define EQ(value, expected)                                                                        \
	do {                                                                                       \
		struct str eq_value = (value);                                                     \
                                                                                                   \
		cr_assert(str_eq_c(eq_value, (expected)), "%.*s", STR_ARG(eq_value));              \
	} while (0)

struct parts {
	struct arena arena;
	struct queue_book book;
	struct follow follow;
};

static void open_parts(struct parts *p)
{
	arena_init(&p->arena);
	queue_book_init(&p->book);
	follow_init(&p->follow, &p->arena, &p->book);
}

static void close_parts(struct parts *p)
{
	follow_fini(&p->follow);
	queue_book_fini(&p->book);
	arena_fini(&p->arena);
}

static struct json *parse(struct parts *p, struct str text)
{
	struct json_error e;
	struct json *tree;

	cr_assert_eq(json_parse(&p->arena, text, JSON_PYTHON, 400, &tree, &e), 0, "%s", e.sentence);
	return tree;
}

static const struct json *member(const struct json *object, const char *name)
{
	return json_get(object, str_c(name));
}

static const struct json *record_of(struct parts *p, const char *theme, const char *name)
{
	char path[512];

	(void) snprintf(path, sizeof(path), "%s/celery/%s.json", TEST_GOLDEN, theme);
	for (const struct json *r = member(parse(p, help_file(&p->arena, path)), "records")->first;
	     r != NULL; r = r->next)
		if (str_eq_c(json_text(&p->arena, member(r, "name")), name))
			return r;
	cr_assert_fail("no record %s", name);
	return NULL;
}

/* The n-th command of this name by this process. */
static const struct json *command_of(struct parts *p, const struct json *record, const char *by,
				     const char *name, int n)
{
	for (const struct json *c = member(record, "commands")->first; c != NULL; c = c->next)
		if (str_eq_c(json_text(&p->arena, member(c, "by")), by) &&
		    str_eq_c(json_text(&p->arena, member(c, "command")), name) && n-- == 0)
			return member(c, "args")->first;
	cr_assert_fail("no such command");
	return NULL;
}

/* The job of a recorded message, and what its body says. */
static struct follow_job job_of(struct parts *p, const struct json *argument, struct body *body)
{
	struct str raw = json_text(&p->arena, member(argument, "raw")), text;
	struct message m;

	cr_assert_eq(message_scan(raw, &m), 0);
	cr_assert_eq(body_text(&p->arena, &m, &text), 0);
	cr_assert_eq(body_parse(&p->arena, text, body), 0);
	cr_assert_eq(follow_check(&p->arena, &body->embed), 0);
	return (struct follow_job){ .id = message_text(&p->arena, &m, MESSAGE_ID),
				    .group = message_text(&p->arena, &m, MESSAGE_GROUP),
				    .root_id = message_text(&p->arena, &m, MESSAGE_ROOT),
				    .group_index = m.group_index };
}

/* Of ours and of the recorded message: headers by which clients find their way, and the body. */
static void same_message(struct parts *p, const struct follow_effect *ours,
			 const struct json *recorded)
{
	static const char *const headers[] = { "task",      "id",       "root_id",
					       "parent_id", "argsrepr", "group_index" };
	const struct json *theirs = member(member(recorded->next, "json"), "headers"), *mine;
	struct message m;
	struct str text;

	cr_assert_eq(ours->kind, FOLLOW_PUSH);
	cr_assert(str_eq(ours->key, json_text(&p->arena, recorded)), "%.*s", STR_ARG(ours->key));
	cr_assert_eq(message_scan(ours->payload, &m), 0);
	mine = member(parse(p, ours->payload), "headers");
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		cr_assert(str_eq(json_raw(member(mine, headers[i])),
				 json_raw(member(theirs, headers[i]))),
			  "%s: %.*s", headers[i], STR_ARG(json_raw(member(mine, headers[i]))));
	cr_assert_eq(body_text(&p->arena, &m, &text), 0);
	cr_assert(
		str_eq(text, json_text(&p->arena, member(member(recorded->next, "body"), "text"))),
		"%.*s", STR_ARG(text));
}

Test(follow, the_next_step_of_a_chain)
{
	const struct json *record, *sent;
	struct follow_job job;
	struct body body;
	struct parts p;

	open_parts(&p);
	record = record_of(&p, "canvas-run", "chain");
	sent = command_of(&p, record, "producer", "LPUSH", 0);
	job = job_of(&p, sent->next, &body);
	cr_assert_eq(follow_success(&p.follow, &job, &body.embed, STR("3")), 0);
	cr_assert_eq(p.follow.count, 1);
	same_message(&p, &p.follow.effects[0], command_of(&p, record, "worker", "LPUSH", 0));
	EQ(buf_str(&p.follow.children), "[[\"00000000-0000-4000-8000-000000000002\", null], null]");
	cr_assert(str_is_null(p.follow.part.group));
	close_parts(&p);
}

Test(follow, a_callback_and_an_errback)
{
	const struct follow_failure failure = { .state = RESULT_FAILURE,
						.exception = &result_job_error,
						.message = STR("boom") };
	const struct json *record, *sent;
	struct follow_job job;
	struct body body;
	struct parts p;

	open_parts(&p);
	record = record_of(&p, "canvas-run", "link");
	job = job_of(&p, command_of(&p, record, "producer", "LPUSH", 0)->next, &body);
	cr_assert_eq(follow_success(&p.follow, &job, &body.embed, STR("5")), 0);
	cr_assert_eq(p.follow.count, 1);
	same_message(&p, &p.follow.effects[0], command_of(&p, record, "worker", "LPUSH", 0));
	close_parts(&p);

	open_parts(&p);
	record = record_of(&p, "canvas-run", "link-error-task");
	sent = command_of(&p, record, "producer", "LPUSH", 0);
	job = job_of(&p, sent->next, &body);
	cr_assert_eq(follow_failure(&p.follow, &job, &body.embed, &failure), 0);
	cr_assert_eq(p.follow.count, 1);
	same_message(&p, &p.follow.effects[0], command_of(&p, record, "worker", "LPUSH", 0));
	cr_assert_eq(p.follow.children.len, 0);
	close_parts(&p);
}

Test(follow, the_rest_of_a_failed_chain_fails_the_last_first)
{
	const struct follow_failure failure = { .state = RESULT_FAILURE,
						.exception = &result_job_error,
						.message = STR("boom") };
	const struct json *record;
	struct follow_job job;
	struct body body;
	struct parts p;

	open_parts(&p);
	record = record_of(&p, "canvas-run", "chain-fails");
	job = job_of(&p, command_of(&p, record, "producer", "LPUSH", 0)->next, &body);
	cr_assert_eq(follow_failure(&p.follow, &job, &body.embed, &failure), 0);
	cr_assert_eq(p.follow.count, 2);
	for (int i = 0; i < 2; i++) {
		/* The worker's first SETEX is the failed job's own. */
		const struct json *theirs = command_of(&p, record, "worker", "SETEX", 1 + i);
		const struct follow_effect *ours = &p.follow.effects[i];

		cr_assert_eq(ours->kind, FOLLOW_RESULT);
		cr_assert(str_eq(ours->key, json_text(&p.arena, theirs)));
		cr_assert(str_starts(ours->payload,
				     STR("{\"status\": \"FAILURE\", \"result\": {\"exc_type\": "
					 "\"JobError\", \"exc_message\": [\"boom\"]")));
	}
	close_parts(&p);
}

Test(follow, a_part_and_the_body_of_its_chord)
{
	const struct json *record, *counted, *sent;
	struct follow_job job;
	struct body body;
	struct parts p;

	open_parts(&p);
	record = record_of(&p, "chord-run", "chord");
	sent = command_of(&p, record, "producer", "LPUSH", 2);
	job = job_of(&p, sent->next, &body);
	cr_assert_eq(follow_success(&p.follow, &job, &body.embed, STR("4")), 0);
	cr_assert_eq(p.follow.count, 0);
	cr_assert_eq(p.follow.part.index, 2);
	/* sha, number of keys, six keys, id, member */
	counted = command_of(&p, record, "worker", "EVALSHA", 3);
	for (int i = 0; i < 9; i++)
		counted = counted->next;
	cr_assert(str_eq(p.follow.part.member, json_text(&p.arena, member(counted, "raw"))), "%.*s",
		  STR_ARG(p.follow.part.member));
	follow_fini(&p.follow);
	follow_init(&p.follow, &p.arena, &p.book);
	cr_assert_eq(follow_chord(&p.follow, &job, body.embed.chord->text, STR("[2, 3, 4]")), 0);
	cr_assert_eq(p.follow.count, 1);
	same_message(&p, &p.follow.effects[0], command_of(&p, record, "worker", "LPUSH", 0));
	close_parts(&p);
}

/* A chord begins in the middle of a chain: its size first, then its parts. */
Test(follow, a_chord_as_a_step)
{
	const struct json *record, *stored;
	struct follow_job job;
	struct str children;
	struct body body;
	struct parts p;

	open_parts(&p);
	record = record_of(&p, "chord-run", "chord-in-chain");
	job = job_of(&p, command_of(&p, record, "producer", "LPUSH", 0)->next, &body);
	cr_assert_eq(follow_success(&p.follow, &job, &body.embed, STR("2")), 0);
	cr_assert_eq(p.follow.count, 4);
	cr_assert_eq(p.follow.effects[0].kind, FOLLOW_DROP);
	cr_assert(str_eq(p.follow.effects[0].key,
			 json_text(&p.arena, command_of(&p, record, "worker", "DEL", 0))));
	cr_assert_eq(p.follow.effects[1].kind, FOLLOW_SET);
	cr_assert(str_eq(p.follow.effects[1].key,
			 json_text(&p.arena, command_of(&p, record, "worker", "SET", 0))));
	EQ(p.follow.effects[1].payload, "2");
	EQ(p.follow.effects[1].when, "86400");
	cr_assert_eq(p.follow.effects[2].kind, FOLLOW_PUSH);
	stored = command_of(&p, record, "worker", "SETEX", 0)->next->next;
	children = member(parse(&p, json_text(&p.arena, member(stored, "raw"))), "children")->text;
	cr_assert(str_eq(buf_str(&p.follow.children), str_slice(children, 1, children.len - 1)));
	close_parts(&p);
}

Test(follow, what_is_packed_is_unpacked)
{
	_cleanup_(buf_fini) struct buf packed = BUF_INIT;
	struct follow again;
	struct parts p;

	open_parts(&p);
	follow_add(&p.follow, FOLLOW_PUSH, STR("q"), STR(""), STR("one"));
	follow_add(&p.follow, FOLLOW_LATER, STR("z"), STR("12"), STR("two"));
	p.follow.part = (struct follow_part){
		.group = STR("g"), .id = STR("i"), .member = STR("[1]"), .index = -1, .size = 3
	};
	follow_pack(&packed, &p.follow);
	follow_init(&again, &p.arena, &p.book);
	cr_assert_eq(follow_unpack(&again, buf_str(&packed)), 0);
	cr_assert_eq(again.count, 2);
	EQ(again.effects[1].when, "12");
	EQ(again.effects[1].payload, "two");
	EQ(again.part.member, "[1]");
	cr_assert(str_is_null(again.part.body));
	cr_assert_eq(again.part.index, -1);
	cr_assert_eq(again.part.size, 3);
	for (size_t len = 0; len < packed.len; len++)
		cr_assert_eq(follow_unpack(&again, str_make(packed.at, len)), -EPROTO);
	follow_fini(&again);
	close_parts(&p);
}

Test(follow, what_follows_is_bounded)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	const struct follow_job job = { .id = STR("i"), .group_index = -1 };
	struct body body;
	struct parts p;

	open_parts(&p);
	/* A value of a MiB for each of fifty callbacks. */
	buf_add_c(&text, "[[], {}, {\"callbacks\": [{\"task\": \"t\"}");
	for (int i = 0; i < 50; i++)
		buf_add_c(&text, ", {\"task\": \"t\"}");
	buf_add_c(&text, "]}]");
	cr_assert_eq(body_parse(&p.arena, arena_str(&p.arena, buf_str(&text)), &body), 0);
	buf_clear(&text);
	buf_add_byte(&text, '"');
	for (size_t i = 0; i < MIB; i++)
		buf_add_byte(&text, 'x');
	buf_add_byte(&text, '"');
	cr_assert_eq(follow_success(&p.follow, &job, &body.embed, buf_str(&text)), -EINVAL);
	cr_assert_not_null(strstr(fail_reason(-EINVAL), "MiB"), "%s", fail_reason(-EINVAL));
	close_parts(&p);
}
