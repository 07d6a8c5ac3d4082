#include "http/negotiate.h"

#include "http/media_type.h"

#define INDENT_MOST 8

/* DRF: int(), limited to 0..8; what is no number counts as absent. */
static unsigned indent_of(struct request *rq, struct str parameters)
{
	struct str text = parameter_find(&rq->arena, parameters, STR("indent"));
	int64_t n;

	if (str_is_null(text) || str_to_i64(str_trim(text), &n) < 0 || n < 0)
		return 0;
	return (unsigned) MIN(n, INDENT_MOST);
}

static bool is_json(struct str format)
{
	return str_eq(format, STR("json"));
}

/* An absent or empty format says nothing. */
static int format_check(struct request *rq, struct str suffix)
{
	struct str format = suffix;

	if (format.len == 0 && str_find(rq->raw_query, STR("format")) >= 0)
		format = request_query(rq, STR("format"));
	if (format.len == 0 || is_json(format))
		return 0;
	return fail(-E_NOT_FOUND, "Not found.");
}

int negotiate(struct request *rq, struct str suffix, unsigned *ret_indent)
{
	int best = -1;
	bool is_asked = false;
	unsigned indent = 0;
	int r = format_check(rq, suffix);

	if (r < 0)
		return r;
	for (size_t i = 0; i < rq->header_count; i++) {
		struct str rest = rq->headers[i].value, range;

		if (!str_eq(rq->headers[i].name, STR("accept")))
			continue;
		is_asked = true;
		while (str_cut(&rest, ',', &range)) {
			struct media_type m = media_type_parse(range);
			int precedence = media_type_precedence(&m);

			if (precedence <= best || !media_type_matches(STR("application/json"), &m))
				continue;
			best = precedence;
			indent = str_is_null(m.parameters) ? 0 : indent_of(rq, m.parameters);
		}
	}
	if (is_asked && best < 0)
		return fail(-E_NOT_ACCEPTABLE, "Could not satisfy the request Accept header.");
	*ret_indent = indent;
	return 0;
}
