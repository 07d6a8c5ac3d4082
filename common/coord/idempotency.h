/*
 * idempotency.h - a POST with an Idempotency-Key has its effect once; who asks again gets the stored
 * answer.
 *
 * The truth is a row in PostgreSQL (table idempotency_key), written in the handler's own transaction, so
 * that effect and answer commit together.  Life of a key:
 *
 *   begin   an advisory transaction lock on (caller, key) is tried; held by another: -E_CONFLICT (409,
 *           still running).  A row with the same fingerprint: its stored answer; with another: -E_MISUSED_KEY
 *           (422).
 *   finish  inside the same transaction, before COMMIT: status, headers worth keeping and body.
 *
 * The fingerprint is HMAC-SHA256 over method, path, content type and body under a key derived from
 * APIUM_SECRET_KEY, so that the table tells nothing about bodies.  Answers that carry tokens are never
 * stored (routes marked ROUTE_NOT_STORED: there a key only excludes doubles while the first runs).
 * Only 2xx and 4xx answers of committed transactions are stored; a 5xx leaves no row.  Keys are 1 to 255
 * printable ASCII characters (draft-ietf-httpapi-idempotency-key-header), scoped by the caller (anonymous:
 * by address).  Rows live APIUM_IDEMPOTENCY_TTL (24 h) and are removed in chunks.
 */
#ifndef COORD_IDEMPOTENCY_H
#define COORD_IDEMPOTENCY_H

#include "base/arena.h"
#include "db/db.h"

struct idempotency {
	struct str owner; /* user key, or "ip:<address>" */
	struct str key;
	uint8_t fingerprint[32];
};

struct idempotency_answer {
	int status;
	struct str content_type, location; /* absent: none */
	struct str body;
};

/* Whether the header's value may be a key. */
bool idempotency_key_is_sane(struct str);
void idempotency_fingerprint(struct str method, struct str path, struct str content_type,
			     struct str body, uint8_t ret[32]);

/* 0: nobody has asked this, go on and finish; 1: *ret is the stored answer; -E_CONFLICT; -E_MISUSED_KEY.  The
 * transaction must be the one that the effect will use.  Yields. */
int idempotency_begin(struct db_tx *, struct arena *, const struct idempotency *,
		      struct idempotency_answer *ret) may_yield _must_check_;
int idempotency_finish(struct db_tx *, struct arena *, const struct idempotency *,
		       const struct idempotency_answer *) may_yield _must_check_;
/* Removes at most `most` expired rows; returns how many.  Yields. */
int idempotency_purge(struct db *, struct arena *, unsigned most) may_yield _must_check_;

#endif
