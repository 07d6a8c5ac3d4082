/*
 * list.c - apium list bindings: which queue gets what is sent to which exchange (kombu's sets).
 */
#include <stdio.h>

#include "base/error.h"
#include "command.h"
#include "queue/keys.h"
#include "session.h"

#define SETS "_kombu.binding."

static void print_row(struct str queue, struct str exchange, struct str key)
{
	printf("%-28.*s %-28.*s %.*s\n", STR_ARG(queue), STR_ARG(exchange), STR_ARG(key));
}

static int print_set(struct session *s, struct str key, struct str exchange)
{
	struct redis_reply *members;
	int r = redis_call(s->redis, &s->arena, REDIS_WORDS(STR("SMEMBERS"), key), &members);

	for (size_t i = 0; r == 0 && i < members->count; i++) {
		struct str routing_key, queue;

		if (queue_binding_read(members->elements[i].text, &routing_key, &queue))
			print_row(queue, exchange, routing_key);
	}
	return r;
}

static int do_bindings(struct session *s, void *arg)
{
	_cleanup_(buf_fini) struct buf pattern = BUF_INIT;
	struct str cursor = STR("0");
	struct redis_reply *reply;
	size_t prefix;
	int r;

	(void) arg;
	queue_key_broker(&pattern, SETS);
	prefix = pattern.len;
	buf_add_byte(&pattern, '*');
	print_row(STR("Queue"), STR("Exchange"), STR("Routing Key"));
	print_row(STR("----------------"), STR("----------------"), STR("----------------"));
	do {
		r = redis_call(s->redis, &s->arena,
			       REDIS_WORDS(STR("SCAN"), cursor, STR("MATCH"), buf_str(&pattern),
					   STR("COUNT"), STR("500")),
			       &reply);
		if (r == 0 && (reply->type != REDIS_ARRAY || reply->count != 2))
			r = fail(-E_REDIS, "SCAN: an answer of another kind");
		if (r < 0)
			return r;
		cursor = reply->elements[0].text;
		for (size_t i = 0; r == 0 && i < reply->elements[1].count; i++) {
			struct str key = reply->elements[1].elements[i].text;

			r = print_set(s, key, str_slice(key, prefix, key.len));
		}
	} while (r == 0 && !str_eq_c(cursor, "0"));
	return r;
}

int command_list(int argc, char **argv)
{
	if (argc != 1 || strcmp(argv[0], "bindings") != 0)
		return fail(-EINVAL, "list takes one word: bindings");
	return session_run_redis(do_bindings, NULL, 60 * SEC);
}
