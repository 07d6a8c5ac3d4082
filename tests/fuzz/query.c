#include "fuzz.h"

#include "base/codec.h"
#include "http/internal.h"
#include "http/multipart.h"

static void fuzz_form(struct request *rq)
{
	const struct header type = { STR("content-type"),
				     STR("application/x-www-form-urlencoded") };
	const struct body *body;

	rq->headers = &type;
	rq->header_count = 1;
	rq->body_bytes = rq->raw_query;
	if (request_body(rq, body_any, &body) == 0)
		must(body->field_count <= FORM_FIELDS_MOST);
}

void fuzz_query(struct str input)
{
	struct reply reply = { 0 };
	struct request rq = { .magic = REQUEST_MAGIC, .raw_query = input, ._reply = &reply };
	struct form_field f;
	size_t cursor = 0, seen = 0;

	arena_init(&rq.arena);
	while (request_query_next(&rq, &cursor, &f) && seen++ < 1000) {
		struct str last = request_query(&rq, f.name);

		must(utf8_find_invalid(f.name) < 0 && utf8_find_invalid(f.value) < 0);
		/* What was repaired is longer than it was, and is not found by its new name. */
		must(!str_is_null(last) || str_find(f.name, STR("\xef\xbf\xbd")) >= 0);
	}
	fuzz_form(&rq);
	arena_fini(&rq.arena);
}
