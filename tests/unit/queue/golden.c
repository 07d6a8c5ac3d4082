/*
 * golden.c - what Python Celery really wrote, through the scanner and the body's reader.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "help.h"
#include "queue/body.h"
#include "queue/message.h"

static const struct json *member(const struct json *object, const char *name)
{
	return json_get(object, str_c(name));
}

static struct json *load(struct arena *a, const char *name)
{
	char path[512];
	struct json_error e;
	struct json *tree;

	(void) snprintf(path, sizeof(path), "%s/celery/%s.json", TEST_GOLDEN, name);
	cr_assert_eq(json_parse(a, help_file(a, path), JSON_PYTHON, 200, &tree, &e), 0, "%s",
		     e.sentence);
	return tree;
}

/* The recorded tree and what the scanner found must be one. */
static void compare(struct arena *a, struct str raw, const struct json *recorded)
{
	static const struct {
		const char *name;
		enum message_field field;
	} headers[] = {
		{ "id", MESSAGE_ID },
		{ "task", MESSAGE_TASK },
		{ "eta", MESSAGE_ETA },
		{ "expires", MESSAGE_EXPIRES },
		{ "group", MESSAGE_GROUP },
		{ "root_id", MESSAGE_ROOT },
		{ "parent_id", MESSAGE_PARENT },
		{ "compression", MESSAGE_COMPRESSION },
	};
	const struct json *h = member(recorded, "headers"), *v;
	struct message m;
	int64_t n;

	cr_assert_eq(message_scan(raw, &m), 0, "%.*s", STR_ARG(raw));
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		struct str found = message_text(a, &m, headers[i].field);

		v = member(h, headers[i].name);
		if (v == NULL || v->type == JSON_NULL)
			cr_assert(str_is_null(found), "%s", headers[i].name);
		else
			cr_assert(str_eq(found, json_text(a, v)), "%s", headers[i].name);
	}
	v = member(h, "retries");
	if (v != NULL && json_to_i64(v, &n) == 0)
		cr_assert_eq(m.retries, n);
	cr_assert_eq(m.ignores_result, json_is_true(member(h, "ignore_result")));
	v = member(member(recorded, "properties"), "priority");
	if (v != NULL && json_to_i64(v, &n) == 0)
		cr_assert_eq(m.priority, MAX(n, INT64_C(0)));
}

static size_t each_message(struct arena *a, const struct json *theme,
			   void (*check)(struct arena *, struct str raw,
					 const struct json *envelope, const struct json *argument,
					 struct str name))
{
	size_t count = 0;

	for (const struct json *r = member(theme, "records")->first; r != NULL; r = r->next)
		for (const struct json *c = member(r, "commands")->first; c != NULL; c = c->next)
			for (const struct json *v = member(c, "args")->first; v != NULL;
			     v = v->next) {
				const struct json *raw = member(v, "raw"),
						  *json = member(v, "json");

				if (raw == NULL || json == NULL || member(json, "body") == NULL ||
				    member(json, "properties") == NULL)
					continue;
				check(a, json_text(a, raw), json, v,
				      json_text(a, member(r, "name")));
				count++;
			}
	return count;
}

static void check_v2(struct arena *a, struct str raw, const struct json *envelope,
		     const struct json *argument, struct str name)
{
	const struct json *recorded = member(argument, "body");
	struct message m;
	struct str text;

	compare(a, raw, envelope);
	cr_assert_eq(message_scan(raw, &m), 0);
	if (!str_eq_c(m.text[MESSAGE_CONTENT_TYPE], "application/json") || recorded == NULL ||
	    member(recorded, "text") == NULL)
		return;
	cr_assert_eq(body_text(a, &m, &text), 0, "%.*s: %s", STR_ARG(name), fail_reason(-EINVAL));
	cr_assert(str_eq(text, json_text(a, member(recorded, "text"))), "%.*s", STR_ARG(name));
}

Test(golden, every_recorded_message_is_read)
{
	struct arena a;

	arena_init(&a);
	cr_assert_gt(each_message(&a, load(&a, "producer"), check_v2), 30);
	arena_fini(&a);
}

static void check_v1(struct arena *a, struct str raw, const struct json *envelope,
		     const struct json *argument, struct str name)
{
	const struct json *job = member(member(argument, "body"), "json"), *v;
	struct message m;
	struct str v2;
	int64_t n;

	(void) envelope;
	cr_assert_eq(message_scan(raw, &m), 0);
	if (job == NULL || job->type != JSON_OBJECT)
		return;
	cr_assert(str_is_null(m.text[MESSAGE_TASK]));
	cr_assert_eq(message_from_v1(a, &m, &v2), 0, "%.*s: %s", STR_ARG(name),
		     fail_reason(-EINVAL));
	cr_assert_eq(message_scan(v2, &m), 0);
	cr_assert(str_eq(message_text(a, &m, MESSAGE_TASK), json_text(a, member(job, "task"))));
	cr_assert(str_eq(message_text(a, &m, MESSAGE_ID), json_text(a, member(job, "id"))));
	v = member(job, "eta");
	if (v != NULL && v->type == JSON_STRING)
		cr_assert(str_eq(message_text(a, &m, MESSAGE_ETA), json_text(a, v)));
	v = member(job, "retries");
	if (v != NULL && json_to_i64(v, &n) == 0)
		cr_assert_eq(m.retries, n);
	{
		struct json_error e;
		struct json *tree;
		struct str text;

		cr_assert_eq(body_text(a, &m, &text), 0);
		cr_assert_eq(json_parse(a, text, JSON_PYTHON, 200, &tree, &e), 0);
		cr_assert_eq(tree->count, 3);
		cr_assert(str_eq(tree->first->text, member(job, "args")->text));
		cr_assert(str_eq(tree->first->next->text, member(job, "kwargs")->text));
	}
}

Test(golden, protocol_1_becomes_protocol_2)
{
	struct arena a;

	arena_init(&a);
	cr_assert_gt(each_message(&a, load(&a, "protocol1"), check_v1), 3);
	arena_fini(&a);
}

/* Names of members, in order, of ours and of Python's; ours begin with "apium_". */
static void same_members(struct arena *a, const struct json *ours, const struct json *theirs)
{
	const struct json *o = ours->first;

	for (const struct json *t = theirs->first; t != NULL; t = t->next, o = o->next) {
		cr_assert_not_null(o, "%.*s is missing", STR_ARG(t->key));
		cr_assert(str_eq(json_key(a, o), json_key(a, t)), "%.*s, not %.*s", STR_ARG(o->key),
			  STR_ARG(t->key));
	}
	while (o != NULL && str_starts(o->key, STR("apium_")))
		o = o->next;
	cr_assert_null(o);
}

static bool has_compared;

static void check_shape(struct arena *a, struct str raw, const struct json *envelope,
			const struct json *argument, struct str name)
{
	struct message_new n = { .task = STR("diag.add"),
				 .id = STR("44dada09-1f21-468b-8203-47e7df4179f4"),
				 .kwargs = STR("{\"x\": 20, \"y\": 22}"),
				 .queue = STR("celery") };
	struct buf out = BUF_INIT;
	struct json_error e;
	struct json *ours;

	(void) raw;
	(void) argument;
	if (!str_eq_c(name, "delay-kwargs"))
		return;
	message_write(&out, &n);
	cr_assert_eq(json_parse(a, arena_str(a, buf_str(&out)), JSON_STRICT, 32, &ours, &e), 0,
		     "%s", e.sentence);
	same_members(a, ours, envelope);
	same_members(a, member(ours, "headers"), member(envelope, "headers"));
	same_members(a, member(ours, "properties"), member(envelope, "properties"));
	cr_assert(str_eq(member(ours, "body")->text, member(envelope, "body")->text));
	cr_assert(str_eq(member(member(ours, "headers"), "kwargsrepr")->text,
			 member(member(envelope, "headers"), "kwargsrepr")->text));
	has_compared = true;
	buf_fini(&out);
}

Test(golden, what_we_write_has_the_shape_of_what_python_writes)
{
	struct arena a;

	arena_init(&a);
	(void) each_message(&a, load(&a, "producer"), check_shape);
	cr_assert(has_compared);
	arena_fini(&a);
}
