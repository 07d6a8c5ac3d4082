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

/* What is offered in the format that the query or the path's suffix names; all if none is named. */
static struct str format_asked(struct request *rq, struct str suffix)
{
	if (suffix.len == 0 && str_find(rq->raw_query, STR("format")) >= 0)
		return request_query(rq, STR("format"));
	return suffix;
}

static bool is_format(const struct offer *offer, struct str format)
{
	return format.len == 0 || str_eq_c(format, offer->format);
}

int negotiate_offers(struct request *rq, struct str suffix, const struct offer *offers,
		     size_t count, struct negotiated *ret)
{
	struct str format = format_asked(rq, suffix);
	struct negotiated best = { .offer = count };
	int best_precedence = -1;
	bool is_asked = false;

	for (size_t k = count; k-- > 0;) {
		if (is_format(&offers[k], format))
			best.offer = k; /* the first one, if nothing else is asked */
	}
	if (best.offer == count)
		return fail(-E_NOT_FOUND, "Not found.");
	for (size_t i = 0; i < rq->header_count; i++) {
		struct str rest = rq->headers[i].value, range;

		if (!str_eq(rq->headers[i].name, STR("accept")))
			continue;
		is_asked = true;
		while (str_cut(&rest, ',', &range)) {
			struct media_type m = media_type_parse(range);
			int precedence = media_type_precedence(&m);

			for (size_t k = 0; k < count && precedence >= best_precedence; k++) {
				bool is_better = precedence > best_precedence || k < best.offer;

				if (!is_better || !is_format(&offers[k], format) ||
				    !media_type_matches(str_c(offers[k].type), &m))
					continue;
				best_precedence = precedence;
				best.offer = k;
				best.indent = str_is_null(m.parameters)
						      ? 0
						      : indent_of(rq, m.parameters);
			}
		}
	}
	if (is_asked && best_precedence < 0)
		return fail(-E_NOT_ACCEPTABLE, "Could not satisfy the request Accept header.");
	*ret = best;
	return 0;
}

int negotiate(struct request *rq, struct str suffix, unsigned *ret_indent)
{
	static const struct offer json = { "application/json", "json" };
	struct negotiated chosen;
	int r;

	r = negotiate_offers(rq, suffix, &json, 1, &chosen);
	if (r == 0)
		*ret_indent = chosen.indent;
	return r;
}
