/*
 * The envelope around errors that an application's exception handler may put there (C-15):
 * {"error": {"status_code": 400, "message": "…", "errors": {…}}}, where `message` is the detail, else the
 * first message there is, and a body that is a list stands under non_field_errors.
 */
#include "http/internal.h"

/* What clients never nest deeper: fields, rows of a list, their messages. */
#define DEPTH_MOST 32

static struct str first_message(struct arena *arena, const struct json *tree)
{
	while ((tree->type == JSON_OBJECT || tree->type == JSON_ARRAY) && tree->first != NULL)
		tree = tree->first;
	return tree->type == JSON_STRING ? json_text(arena, tree) : tree->text;
}

static struct str message_of(struct arena *arena, const struct json *tree)
{
	const struct json *detail = json_get(tree, STR("detail"));

	return detail != NULL && detail->type == JSON_STRING ? json_text(arena, detail)
							     : first_message(arena, tree);
}

int reply_refusal(struct request *rq, int status, struct str json)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_error error;
	struct json_writer w;
	struct json *tree;

	if (!rq->server->options.has_error_envelope)
		return reply_json(rq, status, json);
	must(json_parse(&rq->arena, json, JSON_STRICT, DEPTH_MOST, &tree, &error) == 0);
	json_writer_init(&w, &out, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("error"));
	json_begin_object(&w);
	json_put_key(&w, STR("status_code"));
	json_put_i64(&w, status);
	json_put_key(&w, STR("message"));
	json_put_str(&w, message_of(&rq->arena, tree));
	json_put_key(&w, STR("errors"));
	if (tree->type == JSON_OBJECT) {
		json_put_tree(&w, tree);
	} else {
		json_begin_object(&w);
		json_put_key(&w, STR("non_field_errors"));
		json_put_tree(&w, tree);
		json_end_object(&w);
	}
	json_end_object(&w);
	json_end_object(&w);
	return reply_json_take(rq, status, &out);
}
