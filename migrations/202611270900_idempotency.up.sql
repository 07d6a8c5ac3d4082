-- The answers of POSTs that came with an Idempotency-Key (common/coord/idempotency.h).
CREATE TABLE idempotency_key (
    owner text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    location text,
    body text,
    expires_at timestamptz NOT NULL,
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_key_expires_at_idx ON idempotency_key (expires_at);
