/*
 * The body of a request, parsed when a handler asks for it.
 *
 * JSON's tree is many times larger than its text ("[0,0,0,…" about forty times), so a gate counts
 * the values before anything is built; it runs before the fiber, takes no memory and only records
 * what it finds.
 */
#include "http/internal.h"

#include "base/codec.h"
#include "base/error.h"
#include "http/media_type.h"
#include "http/multipart.h"

/* DRF takes what Python's recursion takes, some 980 levels; this is beyond what anybody means. */
#define JSON_DEPTH_MOST  128
#define JSON_VALUES_MOST 200000

const enum body_kind body_any[] = { BODY_JSON, BODY_FORM, BODY_MULTIPART, BODY_NONE };
const enum body_kind body_forms[] = { BODY_MULTIPART, BODY_FORM, BODY_NONE };

static const char *const types[] = {
	[BODY_JSON] = "application/json",
	[BODY_FORM] = "application/x-www-form-urlencoded",
	[BODY_MULTIPART] = "multipart/form-data",
};

static enum body_kind kind_of(struct str content_type, const enum body_kind *accepts)
{
	struct media_type type = media_type_parse(content_type);

	while (*accepts != BODY_NONE && !media_type_matches(str_c(types[*accepts]), &type))
		accepts++;
	return *accepts;
}

static struct str content_type(const struct request *rq)
{
	struct str type = request_header(rq, STR("content-type"));

	return str_is_null(type) ? STR("") : type;
}

/* Commas and brackets outside of strings: an upper bound of the values, also in what is not
 * JSON. */
static size_t count_values(struct str s)
{
	bool in_string = false;
	size_t n = 1;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
		} else if (c == '"') {
			in_string = true;
		} else {
			n += c == ',' || c == '[' || c == '{';
		}
	}
	return n;
}

static int record(struct request *rq, int code)
{
	rq->_body_error = code;
	rq->_body_reason = arena_c(&rq->arena, str_c(fail_reason(code)));
	return code;
}

void body_gate(struct request *rq)
{
	/* So short a text cannot hold too many. */
	if (rq->body_bytes.len < JSON_VALUES_MOST ||
	    kind_of(content_type(rq), body_any) != BODY_JSON)
		return;
	if (count_values(rq->body_bytes) > JSON_VALUES_MOST) {
		(void) fail(-E_BAD_REQUEST, "JSON parse error - More than %d values",
			    JSON_VALUES_MOST);
		(void) record(rq, -E_BAD_REQUEST); /* said when the body is asked for */
	}
}

static int parse_json(struct request *rq, struct body *body)
{
	struct json_error error;
	struct json *tree;
	int r = json_parse(&rq->arena, rq->body_bytes, JSON_STRICT, JSON_DEPTH_MOST, &tree, &error);

	if (r < 0)
		return fail(-E_BAD_REQUEST, "JSON parse error - %s", error.sentence);
	body->json = tree;
	return 0;
}

static size_t count_char(struct str s, char c)
{
	struct str piece;
	size_t n = 0;

	while (str_cut(&s, c, &piece))
		n++;
	return n;
}

/* The same form as a query, and Django reads it with the same code. */
static int parse_form(struct request *rq, struct body *body)
{
	size_t most = count_char(rq->body_bytes, '&'), n = 0;
	struct str rest = rq->body_bytes, piece;
	struct form_field *fields;

	if (most > FORM_FIELDS_MOST)
		return fail(-E_TOO_LARGE, "a form with %zu fields", most);
	fields = arena_array(&rq->arena, struct form_field, most);
	while (str_cut(&rest, '&', &piece)) {
		struct str name;

		if (piece.len == 0)
			continue;
		str_cut(&piece, '=', &name);
		if (str_is_null(piece))
			piece = STR("");
		fields[n++] = (struct form_field){
			.name = utf8_repair(&rq->arena, percent_decode(&rq->arena, name, true)),
			.value = utf8_repair(&rq->arena, percent_decode(&rq->arena, piece, true)),
		};
	}
	body->fields = fields;
	body->field_count = n;
	return 0;
}

static int parse(struct request *rq, struct body *body)
{
	switch (body->kind) {
	case BODY_JSON:
		return parse_json(rq, body);
	case BODY_FORM:
		return parse_form(rq, body);
	case BODY_MULTIPART:
		return multipart_parse(&rq->arena, content_type(rq), rq->body_bytes, body);
	case BODY_NONE:
		break;
	}
	return fail(-E_MEDIA_TYPE, "Unsupported media type \"%.*s\" in request.",
		    STR_ARG(str_slice(content_type(rq), 0, 256)));
}

static const struct json empty_object = { .type = JSON_OBJECT, .text = STR_INIT("{}") };

/* DRF's: no bytes need no type, and are an empty form only where a form was announced. */
static void empty_body(const struct request *rq, struct body *body)
{
	body->kind = kind_of(content_type(rq), body_any);
	if (body->kind == BODY_FORM || body->kind == BODY_MULTIPART)
		return;
	body->kind = BODY_JSON;
	body->json = &empty_object;
}

int request_body(struct request *rq, const enum body_kind *accepts, const struct body **ret)
{
	struct body *body;
	int r = 0;

	if (rq->_body_error < 0)
		return fail(rq->_body_error, "%s", rq->_body_reason);
	if (rq->_body == NULL) {
		body = arena_new(&rq->arena, struct body);
		if (rq->body_bytes.len == 0) {
			empty_body(rq, body);
		} else {
			body->kind = kind_of(content_type(rq), accepts);
			r = parse(rq, body);
		}
		if (r == -E_TOO_LARGE) {
			/* Django takes this for an attack and answers with its page, not DRF's
			 * JSON. */
			must(reply_page(rq, 400) == 0);
			r = -E_BAD_REQUEST;
		}
		if (r < 0)
			return record(rq, r);
		rq->_body = body;
	}
	*ret = rq->_body;
	return 0;
}

size_t body_types(const enum body_kind *accepts, const char *ret_types[3])
{
	size_t count = 0;

	while (accepts[count] != BODY_NONE) {
		ret_types[count] = types[accepts[count]];
		count++;
	}
	return count;
}
