/*
 * result.c - apium result, and waiting for one.
 */
#include "result.h"

#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "command.h"
#include "queue/keys.h"
#include "queue/repr.h"
#include "queue/result.h"

#define ASK_AGAIN (20 * MSEC)
#define DEPTH     200
#define WAIT_MOST HOUR

/* NULL: there is none yet. */
static int get(struct session *s, struct str id, struct json **ret)
{
	_cleanup_(buf_fini) struct buf key = BUF_INIT;
	struct redis_reply *reply;
	struct json_error error;
	struct str text;
	int r;

	*ret = NULL;
	queue_key_result(&key, id);
	r = redis_call(s->results, &s->arena, REDIS_WORDS(STR("GET"), buf_str(&key)), &reply);
	if (r < 0 || reply->type != REDIS_TEXT)
		return r;
	r = result_text(&s->arena, reply->text, &text);
	if (r < 0)
		return r;
	if (json_parse(&s->arena, text, JSON_PYTHON, DEPTH, ret, &error) < 0)
		return fail(-EINVAL, "the result is not JSON: %s", error.sentence);
	return 0;
}

static bool is_final(struct str status)
{
	return str_eq(status, STR("SUCCESS")) || str_eq(status, STR("FAILURE")) ||
	       str_eq(status, STR("REVOKED"));
}

static int wait_for(struct session *s, struct str id, usec_t most, struct json **ret)
{
	usec_t until = loop_now(s->loop) + most;
	int r;

	for (;;) {
		struct arena_mark mark = arena_save(&s->arena);
		struct json *result;

		r = get(s, id, &result);
		if (r < 0 && r != -E_UNAVAILABLE)
			return r;
		if (r == 0 && result != NULL &&
		    is_final(json_text(&s->arena, json_get(result, STR("status"))))) {
			*ret = result;
			return 0;
		}
		if (loop_now(s->loop) >= until)
			return fail(-ETIMEDOUT, "no result of %.*s within %lld s", STR_ARG(id),
				    (long long) (most / SEC));
		arena_rewind(&s->arena, mark);
		r = fiber_sleep(ASK_AGAIN);
		if (r < 0)
			return r;
	}
}

int result_wait(struct session *s, struct str id, usec_t most, struct str *ret_document,
		struct str *ret_status)
{
	struct json *result;
	int r = wait_for(s, id, most, &result);

	if (r < 0)
		return r;
	*ret_document = result->text;
	*ret_status = json_text(&s->arena, json_get(result, STR("status")));
	return 0;
}

/* The command. */

struct call {
	const char *id, *timeout;
	bool wants_traceback, is_json;
	usec_t most;
};

/* As Python prints it: a text as it is, None as nothing. */
static void print_value(struct arena *arena, const struct json *v)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	if (v != NULL && v->type == JSON_STRING)
		buf_add_str(&text, json_text(arena, v));
	else if (v != NULL && v->type != JSON_NULL)
		repr_add(&text, arena, v);
	printf("%.*s\n", STR_ARG(buf_str(&text)));
}

/* "ValueError: boom" */
static int refuse(struct arena *arena, const struct json *result)
{
	const struct json *e = json_get(result, STR("result"));
	const struct json *kind = json_get(e, STR("exc_type"));
	const struct json *message = json_get(e, STR("exc_message"));
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	for (const struct json *part =
		     message != NULL && message->type == JSON_ARRAY ? message->first : message;
	     part != NULL; part = message->type == JSON_ARRAY ? part->next : NULL) {
		buf_add_c(&text, text.len > 0 ? ", " : "");
		if (part->type == JSON_STRING)
			buf_add_str(&text, json_text(arena, part));
		else
			repr_add(&text, arena, part);
	}
	fprintf(stderr, "%.*s: %.*s\n",
		STR_ARG(kind == NULL ? STR("Exception") : json_text(arena, kind)),
		STR_ARG(buf_str(&text)));
	return 1;
}

static int do_result(struct session *s, void *arg)
{
	const struct call *c = arg;
	struct json *result;
	int r = c->wants_traceback ? get(s, str_c(c->id), &result)
				   : wait_for(s, str_c(c->id), c->most, &result);

	if (r < 0)
		return r;
	if (c->is_json && result != NULL)
		printf("%.*s\n", STR_ARG(result->text));
	else if (c->wants_traceback)
		print_value(&s->arena, json_get(result, STR("traceback")));
	else if (str_eq(json_text(&s->arena, json_get(result, STR("status"))), STR("SUCCESS")))
		print_value(&s->arena, json_get(result, STR("result")));
	else
		return refuse(&s->arena, result);
	return 0;
}

int command_result(int argc, char **argv)
{
	struct call c = { .most = WAIT_MOST };
	const struct option options[] = {
		{ "--traceback", OPTION_FLAG, &c.wants_traceback, NULL,
		  "Print the traceback instead, without waiting." },
		{ "--timeout", OPTION_TEXT, &c.timeout, "SECONDS",
		  "How long to wait for the end; default: an hour.", "-t" },
		{ "--json", OPTION_FLAG, &c.is_json, NULL, "Print the whole document.", "-j" },
	};
	double seconds;
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r < 0)
		return r;
	if (words != 1)
		return fail(-EINVAL, "result takes the id of one job");
	c.id = argv[0];
	if (c.timeout != NULL) {
		if (str_to_double(str_c(c.timeout), &seconds) < 0 || !(seconds >= 0) ||
		    seconds > 1e6)
			return fail(-EINVAL, "--timeout takes a number of seconds, not %s",
				    c.timeout);
		c.most = (usec_t) (seconds * (double) SEC);
	}
	return session_run_redis(do_result, &c, c.most + 30 * SEC);
}
