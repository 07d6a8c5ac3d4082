/*
 * idempotency.h - a POST with an Idempotency-Key has its effect once; who asks again gets the stored
 * answer.
 *
 * The truth is a row in PostgreSQL (table idempotency_key), written in the handler's own
 * transaction, so that effect and answer commit together.  Life of a key:
 *
 *   find    a row with the same fingerprint: its stored answer; with another: -E_MISUSED_KEY (422).
 *   begin   an advisory transaction lock on (owner, key) is tried; held by another, or committed by
 *           another meanwhile: -E_CONFLICT (409).
 *   finish  inside the same transaction, before COMMIT: status, Location and body.
 *
 * The fingerprint is HMAC-SHA256 over method, path, content type and body under a key derived from
 * APIUM_SECRET_KEY, so that the table tells nothing about bodies.  Keys are 1 to 255 printable ASCII
 * characters (draft-ietf-httpapi-idempotency-key-header), scoped by their owner.  Rows live
 * APIUM_IDEMPOTENCY_TTL; each answer that is stored removes two that have expired, so the table
 * shrinks by its use and nothing else has to run.
 *
 * What is stored and who calls this: http/once.h.
 */
#ifndef COORD_IDEMPOTENCY_H
#define COORD_IDEMPOTENCY_H

#include "base/arena.h"
#include "db/db.h"

#define IDEMPOTENCY_FINGERPRINT 32

struct idempotency {
	struct str owner; /* user key, or "ip:<address>" */
	struct str key;
	uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];
};

struct idempotency_answer {
	int status;
	struct str location; /* absent: none */
	struct str body;     /* JSON; absent: none */
};

/* Once, before threads. */
void idempotency_setup(struct str secret);
/* Whether the header's value may be a key. */
bool idempotency_key_is_sane(struct str);
void idempotency_fingerprint(struct str method, struct str path, struct str content_type,
			     struct str body, uint8_t ret[IDEMPOTENCY_FINGERPRINT]);

/* 0: no answer is stored; 1: *ret is the stored one, in the arena; -E_MISUSED_KEY.  Yields. */
int idempotency_find(struct db_at, struct arena *, const struct idempotency *,
		     struct idempotency_answer *ret) may_yield _must_check_;
/* 0: go on, and finish; -E_CONFLICT.  The transaction must be the one that the effect will use.
 * Yields. */
int idempotency_begin(struct db_tx *, struct arena *, const struct idempotency *)
	may_yield _must_check_;
/* Lives until `ttl` from now.  Yields. */
int idempotency_finish(struct db_tx *, struct arena *, const struct idempotency *,
		       const struct idempotency_answer *, usec_t ttl) may_yield _must_check_;

#endif
