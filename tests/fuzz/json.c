#include "fuzz.h"

#include "http/internal.h"

/* What was read and written is read again, and written the same. */
static void fuzz_round(struct arena *a, const struct json *tree)
{
	_cleanup_(buf_fini) struct buf once = BUF_INIT;
	_cleanup_(buf_fini) struct buf twice = BUF_INIT;
	_cleanup_(buf_fini) struct buf spread = BUF_INIT;
	struct json_error error;
	struct json_writer w;
	struct json *again;

	json_writer_init(&w, &once, JSON_ESCAPE_ASCII, false);
	json_put_tree(&w, tree);
	must(json_parse(a, buf_str(&once), JSON_STRICT, 128, &again, &error) == 0);
	json_writer_init(&w, &twice, JSON_ESCAPE_ASCII, false);
	json_put_tree(&w, again);
	must(str_eq(buf_str(&once), buf_str(&twice)));
	json_indent(&spread, buf_str(&once), 4);
	must(json_parse(a, buf_str(&spread), JSON_STRICT, 128, &again, &error) == 0);
}

void fuzz_json(struct str input)
{
	_cleanup_(arena_fini) struct arena a;
	const struct header type = { STR("content-type"), STR("application/json") };
	struct reply reply = { 0 };
	struct request rq = { .magic = REQUEST_MAGIC,
			      .headers = &type,
			      .header_count = 1,
			      .body_bytes = input,
			      ._reply = &reply };
	const struct body *body;
	struct json_error error;
	struct json *tree;

	arena_init(&rq.arena);
	arena_init(&a);
	body_gate(&rq);
	if (request_body(&rq, body_any, &body) == 0 && body->kind == BODY_JSON)
		fuzz_round(&rq.arena, body->json);
	must(json_parse(&a, input, JSON_PYTHON, 32, &tree, &error) <= 0);
	arena_fini(&rq.arena);
}
