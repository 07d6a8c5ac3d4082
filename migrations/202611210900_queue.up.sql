-- Jobs that are part of a transaction.  A row is pushed to Redis after the commit and deleted when the job has
-- ended; docs/queue-protocol.md says by whom.
CREATE TABLE job_outbox (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    task        text        NOT NULL,
    kwargs      json        NOT NULL DEFAULT '{}',
    queue       text,       -- NULL: what the task's declaration says
    key         text,       -- idempotency key; NULL: none
    eta         timestamptz CHECK (isfinite(eta)),
    priority    smallint    NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 9),
    root_id     text,
    parent_id   text,
    traceparent text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX job_outbox_created ON job_outbox (created_at, id);

-- That a job's effects were committed, and its result.  The key is the job's idempotency key, else its id.
CREATE TABLE job_receipt (
    key    text        PRIMARY KEY,
    result text,       -- JSON; NULL: null
    at     timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX job_receipt_at ON job_receipt (at);

-- What diag.count counts in.
CREATE TABLE diag_counter (
    key   text   PRIMARY KEY,
    count bigint NOT NULL
);

-- A job from SQL: a trigger, a Django view, psql.  It runs if and only if the transaction commits.
CREATE FUNCTION apium_enqueue(
    task text, kwargs jsonb, queue text DEFAULT NULL, key text DEFAULT NULL, eta timestamptz DEFAULT NULL
) RETURNS uuid LANGUAGE sql VOLATILE AS $$
    INSERT INTO job_outbox (task, kwargs, queue, key, eta)
    VALUES (apium_enqueue.task, apium_enqueue.kwargs::json, apium_enqueue.queue, apium_enqueue.key,
            apium_enqueue.eta)
    RETURNING id
$$;
