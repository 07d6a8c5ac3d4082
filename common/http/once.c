#include "http/once.h"

#include "base/error.h"
#include "base/settings.h"
#include "coord/idempotency.h"
#include "http/internal.h"

/* Of one request, in its arena. */
struct once {
	struct idempotency id;
	bool is_stored;
};

static bool is_storable(const struct request *rq)
{
	return (rq->route->flags & ROUTE_NOT_STORED) == 0;
}

bool request_keeps_answer(const struct request *rq)
{
	return rq->_once != NULL && is_storable(rq);
}

static void replay(struct request *rq, const struct idempotency_answer *a)
{
	reply_reset(rq);
	reply_header(rq, STR("Idempotency-Replayed"), STR("true"));
	if (!str_is_null(a->location))
		reply_header(rq, STR("Location"), a->location);
	must((str_is_null(a->body) ? reply_empty(rq, a->status)
				   : reply_json(rq, a->status, a->body)) == 0);
}

/* 1: answered. */
static int look(struct request *rq)
{
	struct idempotency_answer answer;
	int r;

	if (!is_storable(rq))
		return 0;
	r = idempotency_find((struct db_at){ .db = rq->thread->db }, &rq->arena, &rq->_once->id,
			     &answer);
	if (r > 0)
		replay(rq, &answer);
	return r;
}

/* Files and texts of other types are not: nobody's POST answers with one. */
static bool answer_of(const struct request *rq, struct idempotency_answer *ret)
{
	const struct reply *reply = rq->_reply;

	if (reply->kind != REPLY_EMPTY && !(reply->kind == REPLY_BODY && reply->is_json))
		return false;
	if (reply->status >= 500)
		return false;
	*ret = (struct idempotency_answer){
		.status = reply->status,
		.body = reply->kind == REPLY_EMPTY ? STR_NULL : reply->body,
	};
	for (size_t i = 0; i < reply->header_count; i++)
		if (str_eq_nocase(reply->headers[i].name, STR("location")))
			ret->location = reply->headers[i].value;
	return true;
}

int request_begin(struct request *rq, struct db_tx *ret)
{
	int r = db_begin(rq->thread->db, ret);

	if (r < 0 || rq->_once == NULL)
		return r;
	return idempotency_begin(ret, &rq->arena, &rq->_once->id);
}

int request_commit(struct request *rq, struct db_tx *tx)
{
	struct idempotency_answer answer;
	bool is_kept = request_keeps_answer(rq) && answer_of(rq, &answer);
	int r = 0;

	if (is_kept)
		r = idempotency_finish(tx, &rq->arena, &rq->_once->id, &answer,
				       settings.idempotency_ttl);
	if (r == 0)
		r = db_commit(tx);
	if (r == 0 && is_kept)
		rq->_once->is_stored = true;
	return r;
}

/* The effect is there, so the answer stands whether it can be stored or not. */
static void store_behind(struct request *rq)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	int r = request_begin(rq, &tx);

	if (r == 0)
		r = request_commit(rq, &tx);
	if (r < 0)
		log_warn("the answer is not stored for its Idempotency-Key: %s, ignoring",
			 fail_reason(r));
}

static int handle_keyed(struct request *rq)
{
	int r, status;

	r = look(rq);
	if (r != 0)
		return MIN(r, 0);
	r = rq->route->handle(rq);
	status = r < 0 && !reply_is_set(rq) ? error_http(r) : reply_status(rq);
	if (rq->_once->is_stored || !is_storable(rq) || status >= 500)
		return r;
	if (r >= 0 && status < 400) {
		store_behind(rq);
		return r;
	}
	/* Refused.  What the second look says counts only if it finds the answer. */
	struct error_record refusal = *error_current;
	if (look(rq) > 0)
		return 0;
	*error_current = refusal;
	return r;
}

int once_handle(struct request *rq)
{
	struct str key = request_header(rq, STR("idempotency-key"));
	struct str path;

	if (rq->method != HTTP_POST || str_is_null(key))
		return rq->route->handle(rq);
	if (!idempotency_key_is_sane(key))
		return fail(-E_BAD_REQUEST,
			    "Idempotency-Key must be 1 to 255 printable ASCII characters.");
	rq->_once = arena_new(&rq->arena, struct once);
	rq->_once->id.owner = request_owner(rq);
	rq->_once->id.key = key;
	path = arena_printf(&rq->arena, "%.*s?%.*s", STR_ARG(rq->path), STR_ARG(rq->raw_query));
	idempotency_fingerprint(rq->method_text, path, request_header(rq, STR("content-type")),
				rq->body_bytes, rq->_once->id.fingerprint);
	return handle_keyed(rq);
}
