#include "http/internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/error.h"

/* Django's template for its own pages, with its line feed in front. */
#define PAGE(title, details)                                                                       \
	STR_INIT("\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>" title                  \
		 "</title>\n</head>\n<body>\n  <h1>" title "</h1><p>" details                      \
		 "</p>\n</body>\n</html>\n")

static const struct {
	int status;
	struct str html;
} pages[] = {
	{ 500, PAGE("Server Error (500)", "") },
	{ 400, PAGE("Bad Request (400)", "") },
	{ 403, PAGE("403 Forbidden", "") },
	{ 404, PAGE("Not Found", "The requested resource was not found on this server.") },
};

bool reply_is_set(const struct request *rq)
{
	return rq->_reply->kind != REPLY_NONE;
}

int reply_status(const struct request *rq)
{
	return reply_is_set(rq) ? rq->_reply->status : 0;
}

struct str reply_json_text(const struct request *rq)
{
	const struct reply *reply = rq->_reply;

	return reply->kind == REPLY_BODY && reply->is_json ? reply->body : STR_NULL;
}

void reply_reset(struct request *rq)
{
	rq->_reply->kind = REPLY_NONE;
	rq->_reply->header_count = 0;
	rq->_reply->ends = false;
}

/* A plain view does not look like DRF's. */
static enum reply_dress usual_dress(const struct request *rq)
{
	if (rq->view == NULL || (rq->view->first->flags & ROUTE_NO_NEGOTIATION) != 0)
		return DRESS_PAGE;
	return DRESS_VIEW;
}

static void set_body(struct request *rq, int status, struct str type, struct str body)
{
	struct reply *reply = rq->_reply;

	reply->kind = REPLY_BODY;
	reply->dress = usual_dress(rq);
	reply->status = status;
	reply->type = type;
	reply->body = body;
	reply->is_json = false;
}

int reply_json(struct request *rq, int status, struct str json)
{
	if (reply_is_set(rq))
		return 0;
	set_body(rq, status, STR("application/json"), arena_str(&rq->arena, json));
	rq->_reply->is_json = true;
	return 0;
}

int reply_json_take(struct request *rq, int status, struct buf *json)
{
	size_t len;
	char *at;

	if (reply_is_set(rq))
		return 0;
	at = buf_detach(json, &len);
	arena_defer(&rq->arena, free, at);
	set_body(rq, status, STR("application/json"), str_make(at, len));
	rq->_reply->is_json = true;
	return 0;
}

int reply_text(struct request *rq, int status, const char *content_type, struct str text)
{
	if (reply_is_set(rq))
		return 0;
	set_body(rq, status, arena_str(&rq->arena, str_c(content_type)),
		 arena_str(&rq->arena, text));
	return 0;
}

int reply_empty(struct request *rq, int status)
{
	if (reply_is_set(rq))
		return 0;
	set_body(rq, status, STR_NULL, STR(""));
	rq->_reply->kind = REPLY_EMPTY;
	return 0;
}

int reply_page(struct request *rq, int status)
{
	size_t i = 0;

	if (reply_is_set(rq))
		return 0;
	while (i < ARRAY_SIZE(pages) && pages[i].status != status)
		i++;
	must(i < ARRAY_SIZE(pages));
	set_body(rq, status, STR("text/html; charset=utf-8"), pages[i].html);
	rq->_reply->dress = DRESS_PAGE;
	return 0;
}

int reply_redirect(struct request *rq, struct str location)
{
	if (reply_is_set(rq))
		return 0;
	set_body(rq, 301, STR("text/html; charset=utf-8"), STR(""));
	rq->_reply->dress = DRESS_REDIRECT;
	reply_header(rq, STR("Location"), location);
	return 0;
}

int reply_preflight(struct request *rq)
{
	if (reply_is_set(rq))
		return 0;
	set_body(rq, 200, STR("text/html; charset=utf-8"), STR(""));
	rq->_reply->dress = DRESS_PREFLIGHT;
	return 0;
}

int reply_detail(struct request *rq, int status, struct str text)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	if (reply_is_set(rq))
		return 0;
	buf_add_c(&b, "{\"detail\":");
	json_escape_add(&b, text, JSON_ESCAPE_DRF);
	buf_add_byte(&b, '}');
	return reply_refusal(rq, status, buf_str(&b));
}

static void close_file(void *fd)
{
	close((int) (intptr_t) fd);
}

int reply_file_part(struct request *rq, int status, int fd, uint64_t offset, uint64_t length,
		    const char *content_type)
{
	struct reply *reply = rq->_reply;

	arena_defer(&rq->arena, close_file, (void *) (intptr_t) fd);
	if (reply_is_set(rq))
		return 0;
	set_body(rq, status, arena_str(&rq->arena, str_c(content_type)), STR_NULL);
	reply->kind = REPLY_FILE;
	reply->fd = fd;
	reply->offset = offset;
	reply->length = length;
	return 0;
}

void reply_header(struct request *rq, struct str name, struct str value)
{
	struct reply *reply = rq->_reply;
	size_t i = 0;

	while (i < reply->header_count && !str_eq_nocase(reply->headers[i].name, name))
		i++;
	must(i < REPLY_HEADERS);
	if (i == reply->header_count)
		reply->header_count++;
	reply->headers[i].name = arena_str(&rq->arena, name);
	reply->headers[i].value = arena_str(&rq->arena, value);
}

uint64_t reply_length(const struct reply *reply)
{
	return reply->kind == REPLY_FILE ? reply->length : reply->body.len;
}

/* What the client is told of an error.  Our own faults keep their reasons for the log. */
static struct str sentence(struct request *rq, int code, int status)
{
	if (code == -E_METHOD)
		return arena_printf(&rq->arena, "Method \"%.*s\" not allowed.",
				    STR_ARG(utf8_repair(&rq->arena, rq->method_text)));
	if (status < 500) /* may quote what the client sent */
		return utf8_repair(&rq->arena, str_c(fail_reason(code)));
	if (code == -ETIMEDOUT)
		return str_c(error_sentence(-E_DEADLINE));
	return str_c(error_sentence(error_find(code) != NULL ? code : -E_UNAVAILABLE));
}

int reply_error(struct request *rq, int code)
{
	int status = error_http(code);

	if (reply_is_set(rq))
		return 0;
	if (status == 500)
		return reply_page(rq, 500);
	if (status == 503)
		reply_header(rq, STR("Retry-After"), STR("1"));
	return reply_detail(rq, status, sentence(rq, code, status));
}
