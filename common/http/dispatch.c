/*
 * The order of checks on the fiber; it decides which error wins and is DRF's (reference: drf-wire
 * §1): negotiation, authentication, permission, throttle, method, and then the handler.
 */
#include "http/internal.h"

#include "base/error.h"
#include "http/negotiate.h"
#include "http/once.h"
#include "http/route.h"

/* Words with capitals behind each blank. */
static void add_words(struct buf *out, struct str name)
{
	bool is_start = true;

	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i] == '-' ? ' ' : name.at[i];

		if (is_start && c >= 'a' && c <= 'z')
			c = (char) (c - 'a' + 'A');
		buf_add_byte(out, c == '_' ? ' ' : c);
		is_start = c == ' ';
	}
}

/* The last word of a pattern that is no parameter: an action is called by its function's name, "my_posts" is
 * "My posts"; other views by their class's, "verify-email" is "Verify Email". */
static void add_end_of_path(struct buf *out, struct str pattern)
{
	struct str segment, last = pattern;

	while (str_cut(&pattern, '/', &segment)) {
		if (segment.len > 0 && segment.at[0] != '{')
			last = segment;
	}
	add_words(out, last);
}

/* "post-list" is "Post List" to DRF, "post-detail" "Post Instance". */
static void add_title(struct buf *out, const struct route *first)
{
	struct str name = str_c(first->name);

	if (first->title != NULL) {
		buf_add_c(out, first->title);
	} else if (str_ends(name, STR("-list"))) {
		add_words(out, name);
	} else if (str_ends(name, STR("-detail"))) {
		add_words(out, str_slice(name, 0, name.len - STR("-detail").len));
		buf_add_c(out, " Instance");
	} else {
		add_end_of_path(out, str_c(first->pattern));
	}
}

static void put_parsers(struct json_writer *w, const enum body_kind *accepts)
{
	const char *types[3];
	size_t count = body_types(accepts, types);

	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		json_put_c(w, types[i]);
	json_end_array(w);
}

/* OPTIONS, as DRF's SimpleMetadata; the fields are the resource's to tell. */
static int reply_metadata(struct request *rq)
{
	const struct route *first = rq->view->first;
	_cleanup_(buf_fini) struct buf name = BUF_INIT;
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;
	int r = 0;

	add_title(&name, first);
	json_writer_init(&w, &out, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("name"));
	json_put_str(&w, buf_str(&name));
	json_put_key(&w, STR("description"));
	json_put_c(&w, first->description != NULL ? first->description : "");
	json_put_key(&w, STR("renders"));
	json_begin_array(&w);
	json_put_c(&w, "application/json");
	json_end_array(&w);
	json_put_key(&w, STR("parses"));
	put_parsers(&w, first->accepts != NULL ? first->accepts : body_any);
	if (rq->server->options.describe != NULL)
		r = rq->server->options.describe(rq, &w);
	if (r < 0)
		return r;
	json_end_object(&w);
	if (reply_is_set(rq))
		reply_reset(rq);
	return reply_json_take(rq, 200, &out);
}

/* Who is nobody is asked to say who he is before he hears that he may not. */
static int check_permission(struct request *rq, const struct route *rule)
{
	bool is_other = rq->route == NULL && rule->permit_other != NULL;
	int r = is_other ? rule->permit_other(rq) : rule->permit(rq);

	if (r == -E_FORBIDDEN && rq->caller == NULL && (rule->flags & ROUTE_NO_AUTHENTICATION) == 0)
		return fail(-E_UNAUTHENTICATED, "%s", error_sentence(-E_UNAUTHENTICATED));
	return r;
}

static int steps(struct request *rq)
{
	const struct route *rule = rq->route != NULL ? rq->route : rq->view->first;
	bool is_plain = (rule->flags & ROUTE_NO_NEGOTIATION) != 0;
	int r;

	if (!is_plain && ((rule->flags & ROUTE_OWN_TYPES) == 0 || rq->route == NULL)) {
		r = negotiate(rq, rq->_format, &rq->_indent);
		if (r < 0)
			return r;
	}
	if ((rule->flags & ROUTE_NO_AUTHENTICATION) == 0 &&
	    rq->server->options.authenticate != NULL) {
		r = rq->server->options.authenticate(rq);
		if (r < 0)
			return r;
	}
	r = check_permission(rq, rule);
	if (r < 0)
		return r;
	if (rq->server->options.throttle != NULL) {
		r = rq->server->options.throttle(rq);
		if (r < 0)
			return r;
	}
	if (rq->route != NULL) {
		r = once_handle(rq);
		return r == -E_UNAVAILABLE && request_left_standby(rq) ? once_handle(rq) : r;
	}
	if (rq->method == HTTP_OPTIONS && !is_plain)
		return reply_metadata(rq);
	return -E_METHOD;
}

/* The one place where a failed request is logged. */
static void log_failure(struct request *rq, int code)
{
	int status = reply_status(rq);

	if (status < 500 || code == -ECANCELED)
		return;
	log_event(status == 500 ? LOG_ERROR : LOG_WARN, fail_reason(code),
		  LOG_STR("error", str_c(error_name(code))), LOG_INT("status", status));
}

static int answer(struct request *rq)
{
	int r = steps(rq);

	/* What was refused has written nothing that its client looks for; a failure may have. */
	if (!request_is_safe(rq) && (reply_status(rq) < 400 || reply_status(rq) >= 500))
		request_wrote(rq);

	if (r >= 0 && !reply_is_set(rq))
		r = fail(-E_INTERNAL, "the handler of \"%s\" gave no answer",
			 rq->view->first->name);
	if (r >= 0)
		return 0;
	/* A success that was announced before the failure did not happen. */
	if (reply_status(rq) < 400)
		reply_reset(rq);
	must(reply_error(rq, r) == 0);
	log_failure(rq, r);
	return r;
}

int dispatch(struct request *rq)
{
	int r = answer(rq);

	if ((rq->view->first->flags & ROUTE_OWN_TYPES) != 0)
		reply_header(rq, STR("Vary"), STR("Accept"));
	return r;
}
