/*
 * The order of checks on the fiber; it decides which error wins and is DRF's (reference: drf-wire
 * §1): negotiation, authentication, permission, throttle, method, and then the handler.
 */
#include "http/internal.h"

#include "base/error.h"
#include "http/negotiate.h"
#include "http/once.h"
#include "http/route.h"

/* "post-detail" is "Post Instance" to DRF, any other name its words with capitals. */
static void add_title(struct buf *out, struct str name)
{
	bool is_start = true;

	if (str_ends(name, STR("-detail"))) {
		add_title(out, str_slice(name, 0, name.len - STR("-detail").len));
		buf_add_c(out, " Instance");
		return;
	}
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];

		if (c == '-' || c == '_')
			c = ' ';
		else if (is_start && c >= 'a' && c <= 'z')
			c = (char) (c - 'a' + 'A');
		buf_add_byte(out, c);
		is_start = c == ' ';
	}
}

/* OPTIONS, without the fields of the view: those are the resource's to tell, by a row of its
 * own. */
static int reply_metadata(struct request *rq)
{
	_cleanup_(buf_fini) struct buf name = BUF_INIT;
	_cleanup_(buf_fini) struct buf out = BUF_INIT;

	add_title(&name, str_c(rq->view->first->name));
	buf_add_c(&out, "{\"name\":");
	json_escape_add(&out, buf_str(&name), JSON_ESCAPE_DRF);
	buf_add_c(&out, ",\"description\":\"\",\"renders\":[\"application/json\"],\"parses\":["
			"\"application/json\",\"application/x-www-form-urlencoded\","
			"\"multipart/form-data\"]}");
	return reply_json_take(rq, 200, &out);
}

/* Who is nobody is asked to say who he is before he hears that he may not. */
static int check_permission(struct request *rq, const struct route *rule)
{
	int r = rule->permit(rq);

	if (r == -E_FORBIDDEN && rq->caller == NULL && (rule->flags & ROUTE_NO_AUTHENTICATION) == 0)
		return fail(-E_UNAUTHENTICATED, "%s", error_sentence(-E_UNAUTHENTICATED));
	return r;
}

static int steps(struct request *rq)
{
	const struct route *rule = rq->route != NULL ? rq->route : rq->view->first;
	bool is_plain = (rule->flags & ROUTE_NO_NEGOTIATION) != 0;
	int r;

	if (!is_plain) {
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
	if (rq->route != NULL)
		return once_handle(rq);
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

int dispatch(struct request *rq)
{
	int r = steps(rq);

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
